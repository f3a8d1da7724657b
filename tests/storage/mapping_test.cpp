// SPDX-License-Identifier: BSL-1.0
// Views of files: what they show and outlive, and what the kernel was told of their use.

#include <coppice/storage/mapping.hpp>

#include <coppice/database.hpp>

#include <catch2/catch.hpp>
#include <child_process.hpp>
#include <workbench.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace {

namespace fs = std::filesystem;
namespace posix = coppice::storage::posix;
using coppice::database;

/// The kernel's flags of all views of a file ("rd mr rr ..."), by /proc/self/smaps.
std::set<std::string> flags_of_views(fs::path const& path) {
    std::set<std::string> found;
    std::ifstream lines("/proc/self/smaps");
    bool of_path = false;
    for (std::string line; std::getline(lines, line);) {
        constexpr std::string_view flags = "VmFlags:";
        if (line.starts_with(flags)) {
            if (of_path) found.insert(line.substr(flags.size()) + " ");
        } else if (line.find(':') > line.find('-')) { // the first line of a view, with its range
            of_path = line.ends_with(path.string());
        }
    }
    return found;
}

bool all_random(std::set<std::string> const& flags) {
    return std::all_of(flags.begin(), flags.end(),
                       [](auto const& each) { return each.find(" rr ") != std::string::npos; });
}
bool none_random(std::set<std::string> const& flags) {
    return std::none_of(flags.begin(), flags.end(),
                        [](auto const& each) { return each.find(" rr ") != std::string::npos; });
}

} // namespace

TEST_CASE("a view outlives descriptor and name, and shows what is appended") {
    workbench::folder const here;
    auto const path = here / "a";
    auto file = posix::open_at(AT_FDCWD, path, O_RDWR | O_CREAT, 0600, "making a file", path);
    posix::write_at(file.get(), 0, coppice::as_bytes(std::string_view("first")), path);
    auto const view = coppice::storage::map_file(file.get(), 65536, path);
    REQUIRE(view.size_bytes == 65536);
    posix::write_at(file.get(), 5, coppice::as_bytes(std::string_view(" second")), path);
    fs::remove(path);
    file = {};
    CHECK(coppice::as_text({view.data.get(), 12}) == "first second");
}

TEST_CASE("a view of a file that may be written cannot be written through") {
    workbench::folder const here;
    auto const path = here / "a";
    auto const file = posix::open_at(AT_FDCWD, path, O_RDWR | O_CREAT, 0600, "making a file", path);
    auto const view = coppice::storage::map_file(file.get(), 4096, path);
    auto const flags = flags_of_views(path);
    if (flags.empty()) {
        std::printf("skipped: /proc/self/smaps tells no flags of views\n");
        return;
    }
    CHECK(flags.begin()->find(" rd ") != std::string::npos);
    CHECK(flags.begin()->find(" wr ") == std::string::npos);
}

// Boost opens what it maps by its name, and a process without a free descriptor, or without /proc,
// was refused a longer view of a file that it has open.
TEST_CASE("a view needs no descriptor but that of its file") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    auto const path = here / "a";
    auto const file = posix::open_at(AT_FDCWD, path, O_RDWR | O_CREAT, 0600, "making a file", path);
    posix::write_at(file.get(), 0, coppice::as_bytes(std::string_view("x")), path);
    // UBSan asks for a pipe where it first meets an object of a type with virtual functions.
    CHECK(coppice::storage::map_file(file.get(), 4096, path).data != nullptr);
    workbench::child own([&](workbench::reporter const&) {
        struct rlimit none {};
        if (::getrlimit(RLIMIT_NOFILE, &none) != 0) throw std::runtime_error("getrlimit");
        none.rlim_cur = 3;
        if (::setrlimit(RLIMIT_NOFILE, &none) != 0) throw std::runtime_error("setrlimit");
        if (::dup(file.get()) >= 0) throw std::runtime_error("there are descriptors");
        auto const view = coppice::storage::map_file(file.get(), 4096, path);
        if (coppice::as_text({view.data.get(), 1}) != "x") throw std::runtime_error("content");
    });
    CHECK(own.wait() == 0);
}

// Where a device is told to read 8 MiB ahead, each get from a file larger than memory read that.
TEST_CASE(
    "the kernel is told not to read ahead if that is asked for, in every view of a database") {
    workbench::folder const here;
    for (bool const read_ahead : {true, false}) {
        auto const path = here / (read_ahead ? "ahead" : "alone");
        database db(path, {.read_ahead = read_ahead});
        auto const as_asked = [&] {
            auto const flags = flags_of_views(path);
            return !flags.empty() && (read_ahead ? none_random(flags) : all_random(flags));
        };
        if (flags_of_views(path).empty()) {
            std::printf("skipped: /proc/self/smaps tells no flags of views\n");
            return;
        }
        CHECK(as_asked());
        db.update([](auto& txn) { txn.put("k", std::string(3'000'000, 'x')); });
        CHECK(db.get("k")->size() == 3'000'000); // in a longer view
        CHECK(as_asked());
        db.compact();
        CHECK(db.get("k")->size() == 3'000'000); // in that of another file
        CHECK(as_asked());
        auto const other = here / (read_ahead ? "other ahead" : "other alone");
        auto const branch = db.branch(other, db.read().id(), {.read_ahead = read_ahead});
        CHECK(branch.get("k")->size() == 3'000'000);
        CHECK((read_ahead ? none_random : all_random)(flags_of_views(other)));
    }
}
