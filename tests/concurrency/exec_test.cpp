// SPDX-License-Identifier: BSL-1.0
// Other programs: a process that becomes one while it has the lock, and programs that are started
// while others commit. They keep nobody waiting, and inherit nothing of
// a transaction.

#include <bank.hpp>
#include <catch2/catch.hpp>
#include <child_process.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <spawn.h>

namespace {

namespace fs = std::filesystem;
using coppice::database;
using workbench::child;
using workbench::reporter;
using namespace std::chrono_literals;

/// How many descriptors of files in a folder a process has.
std::size_t descriptors_into(pid_t process, fs::path const& folder) {
    std::size_t count = 0;
    std::error_code ignored;
    for (auto const& each :
         fs::directory_iterator("/proc/" + std::to_string(process) + "/fd", ignored)) {
        auto const target = fs::read_symlink(each.path(), ignored).string();
        if (target.starts_with(folder.string())) ++count;
    }
    return count;
}

/// A program that sleeps until this is gone.
class sleeping {
  public:
    sleeping() {
        std::string words[] = {"sleep", "600"};
        char* pointers[] = {words[0].data(), words[1].data(), nullptr};
        REQUIRE(::posix_spawnp(&pid_, pointers[0], nullptr, nullptr, pointers, environ) == 0);
    }
    sleeping(sleeping const&) = delete;
    sleeping& operator=(sleeping const&) = delete;
    ~sleeping() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  private:
    pid_t pid_ = 0;
};

} // namespace

TEST_CASE("a process that becomes another program gives the lock back, and its changes are none") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    database db(here / "db", bank::chosen());
    child holder([&](reporter const& to) {
        database own(here / "db", bank::chosen());
        auto txn = own.write();
        txn.put("half", "done");
        to.tell(1, static_cast<std::uint64_t>(::getpid()));
        ::execlp("sleep", "sleep", "600", nullptr);
        ::_exit(1);
    });
    auto const reports = holder.next_reports();
    REQUIRE(reports.size() == 1);
    CHECK(holder.next_reports().empty()); // its end of the pipe is closed: it is that program now
    auto txn = db.write_for(60s);
    REQUIRE(txn);
    CHECK_FALSE(txn->get("half"));
    txn->put("after", "it");
    txn->commit();
    CHECK(descriptors_into(static_cast<pid_t>(reports[0].number), here.path()) == 0);
    holder.signal(SIGKILL);
    CHECK(holder.wait() == 128 + SIGKILL);
    CHECK(db.check().clean());
}

TEST_CASE("a program that is started within a transaction has nothing of it, and blocks nobody") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    std::optional<database> db(std::in_place, here / "db", bank::chosen());
    auto txn = std::optional(db->write());
    txn->put("a", "1");
    sleeping const other;
    CHECK(descriptors_into(::getpid(), here.path()) > 0);
    CHECK(descriptors_into(other.pid(), here.path()) == 0);
    txn->commit();
    txn.reset();
    db.reset();
    child next([&](reporter const&) {
        database own(here / "db", bank::chosen());
        auto later = own.write_for(60s);
        if (!later) ::_exit(4);
        later->put("b", "2");
        later->commit();
    });
    CHECK(next.wait() == 0);
    CHECK(database(here / "db", bank::chosen()).get("b") == "2");
}

TEST_CASE("programs that other threads start while files are opened keep nobody from writing") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    std::optional<database> db(std::in_place, here / "db", bank::chosen());
    std::vector<std::unique_ptr<sleeping>> programs;
    std::atomic<bool> enough{false};
    std::thread starter([&] {
        for (int i = 0; i < 40; ++i) programs.push_back(std::make_unique<sleeping>());
        enough = true;
    });
    for (unsigned i = 0; !enough; ++i) {
        // A handle of its own each time, so that files are opened and closed meanwhile.
        database own(here / "db", bank::chosen());
        own.update([&](auto& txn) { txn.put("n", std::to_string(i)); });
    }
    starter.join();
    db.reset();
    // Boost opens its descriptors without the flag that closes them, so a program that is started
    // at that very moment has one. No lock goes with it.
    std::size_t inherited = 0;
    for (auto const& each : programs) inherited += descriptors_into(each->pid(), here.path());
    std::printf("    %zu descriptors inherited by 40 programs\n", inherited);
    CHECK(inherited < 10);
    child next([&](reporter const&) {
        database own(here / "db", bank::chosen());
        auto txn = own.write_for(60s);
        if (!txn) ::_exit(4);
        txn->put("after", "them");
        txn->commit();
    });
    CHECK(next.wait() == 0);
    database const last(here / "db", bank::chosen());
    CHECK(last.get("after") == "them");
    CHECK(last.check().clean());
}
