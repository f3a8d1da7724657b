// SPDX-License-Identifier: BSL-1.0
// Two shared libraries in one process, each with a copy of coppice of its own that nothing else
// sees. A POSIX record lock belongs to the process, so it keeps neither of the copies out, and a
// descriptor that one of them closes would drop the lock of the other. The second one must notice.
// What a copy does is decided at loading, so each case has a process of its own.

#include <child_process.hpp>
#include <workbench.hpp>

#include <coppice/error.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include <dlfcn.h>
#include <fcntl.h>

namespace {

using coppice::errc;
using workbench::child;
using workbench::reporter;

/// One of the libraries, loaded.
class copy {
  public:
    copy(char const* library, int how) : library_(::dlopen(library, RTLD_NOW | how)) {
        if (library_ == nullptr) throw std::runtime_error(::dlerror());
    }

    [[nodiscard]] int open(std::filesystem::path const& path) const {
        return reinterpret_cast<int (*)(char const*)>(find("copy_open"))(path.c_str());
    }
    [[nodiscard]] int begin() const { return call("copy_begin"); }
    [[nodiscard]] int commit() const { return call("copy_commit"); }
    [[nodiscard]] int entries() const { return call("copy_entries"); }
    void close() const { reinterpret_cast<void (*)()>(find("copy_close"))(); }

  private:
    [[nodiscard]] void* find(char const* name) const {
        auto* const found = ::dlsym(library_, name);
        if (found == nullptr) throw std::runtime_error(::dlerror());
        return found;
    }
    [[nodiscard]] int call(char const* name) const {
        return reinterpret_cast<int (*)()>(find(name))();
    }

    void* library_;
};

/// What a process of its own is told by both copies, in order.
template <typename Play> std::vector<int> play(int how, Play const& each) {
    workbench::folder const here;
    child own([&](reporter const& to) {
        copy const one(COPPICE_TEST_COPY_ONE, how);
        copy const two(COPPICE_TEST_COPY_TWO, how);
        for (int const result : each(one, two, here.path())) {
            to.tell(1, static_cast<std::uint64_t>(result));
        }
    });
    std::vector<int> results;
    for (auto const& each_report : own.all_reports()) {
        results.push_back(static_cast<int>(each_report.number));
    }
    CHECK(own.wait() == 0);
    return results;
}

constexpr int done = 0;
constexpr int second_copy = static_cast<int>(errc::second_copy);
constexpr int would_deadlock = static_cast<int>(errc::would_deadlock);

/// Can another process take the lock that this one has?
int others_are_kept_out(std::filesystem::path const& path) {
    child other([&](reporter const& to) {
        auto const file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
        struct flock whole {};
        whole.l_type = F_WRLCK;
        to.tell(1, ::fcntl(file, F_SETLK, &whole) != 0 ? 1 : 0);
    });
    auto const reports = other.all_reports();
    static_cast<void>(other.wait());
    return reports.size() == 1 ? static_cast<int>(reports[0].number) : -1;
}

} // namespace

TEST_CASE("a second copy is refused, and does not drop the lock of the first") {
    if (workbench::skip_forks()) return;
    auto const results = play(RTLD_LOCAL, [](copy const& one, copy const& two, auto const& here) {
        auto const path = here / "db";
        std::vector<int> told{one.open(path), one.begin()};
        for (int i = 0; i < 3; ++i) told.push_back(two.open(path));
        told.push_back(others_are_kept_out(here / "db.lock"));
        told.insert(told.end(), {one.commit(), one.entries()});
        // Once the first one is closed, its name is out of the file, and the other one may.
        told.push_back(two.open(path));
        one.close();
        told.insert(told.end(), {two.open(path), two.begin(), two.commit(), two.entries()});
        two.close();
        return told;
    });
    CHECK(results == std::vector<int>{done, done, second_copy, second_copy, second_copy, 1, done, 1,
                                      second_copy, done, done, done, 1});
}

// A copy that was refused once keeps its descriptors for ever, and for that reason it once left its
// name in the lock file when it had had its turn later: the other copy was refused for good.
TEST_CASE("a copy that only has the database open is noticed when the other one writes") {
    if (workbench::skip_forks()) return;
    auto const results = play(RTLD_LOCAL, [](copy const& one, copy const& two, auto const& here) {
        auto const path = here / "db";
        // Making the database took the lock, and left the name of the first one in the file.
        std::vector<int> told{one.open(path), two.open(path)};
        one.close();
        // Opening takes no lock, so two copies may be there before one of them writes.
        told.insert(told.end(), {one.open(path), two.open(path), two.begin(), one.begin()});
        told.push_back(others_are_kept_out(here / "db.lock"));
        told.insert(told.end(), {two.commit(), one.begin()});
        two.close();
        told.insert(told.end(), {one.begin(), one.commit()});
        one.close();
        return told;
    });
    CHECK(results == std::vector<int>{done, second_copy, done, done, done, second_copy, 1, done,
                                      second_copy, done, done});
}

TEST_CASE("copies whose symbols the linker makes one are one copy") {
    if (workbench::skip_forks()) return;
    auto const results = play(RTLD_GLOBAL, [](copy const& one, copy const& two, auto const& here) {
        auto const path = here / "db";
        std::vector<int> told{one.open(path), two.open(path), one.begin(), two.begin(),
                              one.commit(),   two.begin(),    two.commit()};
        one.close();
        two.close();
        return told;
    });
    CHECK(results == std::vector<int>{done, done, done, would_deadlock, done, done, done});
}
