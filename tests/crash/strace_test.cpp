// SPDX-License-Identifier: BSL-1.0
// What a commit costs in system calls, counted by strace in a process of its own: one device sync
// for a durable commit, two for two_sync, none for a lazy one; and which other calls, so that none
// comes back that was once done without.

#include <catch2/catch.hpp>
#include <coppice/database.hpp>
#include <workbench.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <unistd.h>

namespace {

using coppice::durability;

constexpr char const* variable = "COPPICE_TEST_STRACED";
constexpr char const* durability_variable = "COPPICE_TEST_DURABILITY";

/// What runs under strace: commits, each between two calls of chdir, which nothing else makes.
void commit_between_marks(std::filesystem::path const& where) {
    coppice::database db(where);
    auto const commit = [&](unsigned i, durability how) {
        db.update([&](auto& txn) { txn.put("key " + std::to_string(i), "value"); }, how);
    };
    auto const mark = [] { static_cast<void>(!::chdir(".")); };
    for (unsigned i = 0; i < 3; ++i) commit(i, durability::sync);
    for (auto const how : {durability::sync, durability::two_sync, durability::lazy}) {
        for (unsigned i = 0; i < 20; ++i) {
            mark();
            commit(100 + i, how);
        }
        mark();
        db.sync();
    }
    mark();
}

/// The same for one durability, which is timed by nothing and joined by nobody.
void commit_often(std::filesystem::path const& where, durability how) {
    coppice::options chosen;
    chosen.preallocate_bytes = 0;               // writes zeros ahead now and then
    chosen.longest_run = std::chrono::hours(1); // no pause for others, however slow this is
    coppice::database db(where, chosen);
    auto const mark = [] { static_cast<void>(!::chdir(".")); };
    for (unsigned i = 0; i < 3; ++i) {
        db.update([&](auto& txn) { txn.put("key", std::to_string(i)); }, durability::lazy);
    }
    db.sync();
    for (unsigned i = 0; i < 64; ++i) {
        mark();
        db.update([&](auto& txn) { txn.put("key", std::to_string(i)); }, how);
    }
    mark();
}

/// A bulk load of some 20 MiB.
void load_between_marks(std::filesystem::path const& where) {
    coppice::database db(where);
    std::string const value(1000, 'v');
    std::map<std::string, std::string> pairs;
    for (unsigned i = 0; i < 20'000; ++i) pairs[std::to_string(i)] = value;
    static_cast<void>(!::chdir("."));
    db.update([&](auto& txn) { txn.load(pairs); });
    static_cast<void>(!::chdir("."));
}

bool strace_works() {
    return std::system("strace -o /dev/null -e trace=fdatasync true >/dev/null 2>&1") == 0;
}

bool skip_strace() {
    if (!workbench::under_tsan && strace_works()) return false;
    std::printf("skipped: %s\n", workbench::under_tsan
                                     ? "the thread sanitizer does not start under strace"
                                     : "strace is not there or may not trace");
    return true;
}

/// How many syncs were made between one mark and the next.
std::vector<unsigned> syncs_between_marks(std::filesystem::path const& log) {
    std::vector<unsigned> counts;
    std::ifstream lines(log);
    for (std::string line; std::getline(lines, line);) {
        if (line.find("chdir(\".\")") != std::string::npos) {
            counts.push_back(0);
        } else if (!counts.empty() && line.find("sync") != std::string::npos) {
            ++counts.back();
        }
    }
    return counts;
}

/// Which calls were made between the first mark and the last, and how often.
std::map<std::string, unsigned> calls_between_marks(std::filesystem::path const& log) {
    std::map<std::string, unsigned> all;
    std::map<std::string, unsigned> counts; // since the last mark
    auto marked = false;
    std::ifstream lines(log);
    for (std::string line; std::getline(lines, line);) {
        auto const bracket = line.find('(');
        auto const blank = line.rfind(' ', bracket);
        if (bracket == std::string::npos || blank == std::string::npos) continue;
        auto const name = line.substr(blank + 1, bracket - blank - 1);
        if (name != "chdir") {
            ++counts[name];
            continue;
        }
        for (auto const& [what, often] : counts) all[what] += marked ? often : 0;
        counts.clear();
        marked = true;
    }
    return all;
}

/// How often a log has a question for the times of a file.
unsigned questions_for_times(std::filesystem::path const& log) {
    unsigned questions = 0;
    std::ifstream lines(log);
    for (std::string line; std::getline(lines, line);) {
        if (line.find("statx(") == std::string::npos) continue;
        auto const asked = line.substr(0, line.find('{')); // and not what was answered
        questions += asked.find("TIME") != std::string::npos ||
                     asked.find("STATX_BASIC_STATS") != std::string::npos ||
                     asked.find("STATX_ALL") != std::string::npos;
    }
    return questions;
}

/// Runs this program again under strace, for one test. @param what says what it does there
void trace_this(std::filesystem::path const& log, std::string const& what, std::string const& db,
                std::string const& calls, std::string const& test) {
    auto const self = std::filesystem::read_symlink("/proc/self/exe");
    auto const command = std::string(variable) + "='" + db + "' " + durability_variable + "='" +
                         what + "' ASAN_OPTIONS=detect_leaks=0 strace -f -o '" + log.string() +
                         "' " + calls + " '" + self.string() + "' '" + test + "' >/dev/null 2>&1";
    REQUIRE(std::system(command.c_str()) == 0);
}

} // namespace

TEST_CASE("a durable commit makes one sync and a lazy one none", "[straced]") {
    if (auto const* const where = std::getenv(variable)) return commit_between_marks(where);
    if (skip_strace()) return;
    workbench::folder const here;
    auto const log = here / "log";
    trace_this(log, "", (here / "db").string(),
               "-e trace=fsync,fdatasync,sync,syncfs,sync_file_range,msync,chdir", "[straced]");
    auto const counts = syncs_between_marks(log);
    REQUIRE(counts.size() == 64);
    auto const all_are = [&](std::size_t first, unsigned wanted) {
        return std::count(counts.begin() + static_cast<std::ptrdiff_t>(first),
                          counts.begin() + static_cast<std::ptrdiff_t>(first) + 20, wanted) == 20;
    };
    CHECK(all_are(0, 1));
    CHECK(counts[20] == 0); // sync() had nothing to do
    CHECK(all_are(21, 2));
    CHECK(all_are(42, 0));
    CHECK(counts[62] == 1); // sync() made the lazy commits durable
    std::printf("syncs of 20 commits each: sync %u a commit, two_sync %u, lazy %u\n", counts[0],
                counts[21], counts[42]);
}

TEST_CASE("a small commit takes these system calls and no others", "[counted]") {
    auto const* const which = std::getenv(durability_variable);
    if (auto const* const where = std::getenv(variable)) {
        auto const lazy = which != nullptr && std::string(which) == "lazy";
        return commit_often(where, lazy ? durability::lazy : durability::sync);
    }
    if (skip_strace()) return;
    workbench::folder const here;
    constexpr unsigned commits = 64;
    for (std::string const how : {"lazy", "sync"}) {
        auto const log = here / how;
        trace_this(log, how, (here / (how + ".db")).string(),
                   "-e trace=desc,file,getpid,getrandom,fstat", "[counted]");
        auto calls = calls_between_marks(log);
        // Two names, a random number for each 32 commits, and the look at the kernel's lock.
        CHECK(calls["getrandom"] <= commits / 32 + 1);
        CHECK(calls["getpid"] == 0);
        CHECK(calls["statx"] == 4 * commits); // lock file, file
        CHECK(calls["newfstatat"] == 0);      // it asks for times, see posix::ask_status
        CHECK(questions_for_times(log) == 0);
        CHECK(calls["fcntl"] == 4 * commits); // lock, twice: is it ours, unlock
        CHECK(calls["pread64"] == commits);   // the slots
        CHECK(calls["fdatasync"] == (how == "lazy" ? 0 : commits));
        // Transaction, slot and page twice; three times around a sync.
        CHECK(calls["pwrite64"] == (how == "lazy" ? 4 : 5) * commits);
        unsigned sum = 0;
        for (auto const& [name, often] : calls) sum += name == "mmap" ? 0 : often;
        CHECK(sum <= (how == "lazy" ? 13 : 15) * commits + 3);
        std::printf("system calls of %u %s commits: %u\n", commits, how.c_str(), sum);
    }
}

TEST_CASE("what a load appends goes to the device before its sync", "[handed_over]") {
    if (auto const* const where = std::getenv(variable)) return load_between_marks(where);
    if (skip_strace()) return;
    workbench::folder const here;
    auto const log = here / "log";
    trace_this(log, "", (here / "db").string(), "-e trace=sync_file_range,fdatasync,chdir",
               "[handed_over]");
    auto calls = calls_between_marks(log);
    CHECK(calls["sync_file_range"] == 4); // of 4 MiB each, and the rest is left to the sync
    CHECK(calls["fdatasync"] == 2);
}
