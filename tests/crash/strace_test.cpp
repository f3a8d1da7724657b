// SPDX-License-Identifier: BSL-1.0
// How many device syncs a commit costs, counted by strace in a process of its own: one for a
// durable commit, two for two_sync, none for a lazy one.

#include <catch2/catch.hpp>
#include <coppice/database.hpp>
#include <workbench.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <unistd.h>

namespace {

using coppice::durability;

constexpr char const* variable = "COPPICE_TEST_STRACED";

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

bool strace_works() {
    return std::system("strace -o /dev/null -e trace=fdatasync true >/dev/null 2>&1") == 0;
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

} // namespace

TEST_CASE("a durable commit makes one sync and a lazy one none", "[straced]") {
    if (auto const* const where = std::getenv(variable)) return commit_between_marks(where);
    if (workbench::under_tsan || !strace_works()) {
        std::printf("skipped: %s\n", workbench::under_tsan
                                         ? "the thread sanitizer does not start under strace"
                                         : "strace is not there or may not trace");
        return;
    }
    workbench::folder const here;
    auto const log = here / "log";
    auto const self = std::filesystem::read_symlink("/proc/self/exe");
    auto const command = std::string(variable) + "='" + (here / "db").string() +
                         "' ASAN_OPTIONS=detect_leaks=0 strace -f -o '" + log.string() +
                         "' -e trace=fsync,fdatasync,sync,syncfs,sync_file_range,msync,chdir '" +
                         self.string() + "' '[straced]' >/dev/null 2>&1";
    REQUIRE(std::system(command.c_str()) == 0);
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
