// SPDX-License-Identifier: BSL-1.0
// Who a process is, and how a fork is told from its parent.

#include <coppice/storage/process.hpp>

#include <catch2/catch.hpp>
#include <child_process.hpp>
#include <workbench.hpp>

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

using coppice::storage::current_process;
using coppice::storage::forked;

TEST_CASE("a process knows its number, its start and its boot, and has a token") {
    auto const& who = current_process().identity;
    CHECK(who.pid == static_cast<std::uint64_t>(::getpid()));
    CHECK(who.start_time > 0);
    CHECK(who.token != 0);
    CHECK(who.boot_id != std::array<std::byte, 16>{});
    CHECK_FALSE(forked(who.token));
    CHECK(forked(who.token + 1));
    CHECK(&current_process() == &current_process());
}

TEST_CASE("all threads of a process are given the same state, also the first ones") {
    if (workbench::skip_forks()) return;
    // Only a fork has not made its state yet.
    workbench::child child([](workbench::reporter const& tell) {
        std::vector<std::thread> threads;
        std::array<std::uint64_t, 8> seen{};
        for (auto& each : seen) {
            threads.emplace_back([&each] { each = current_process().identity.token; });
        }
        for (auto& each : threads) each.join();
        tell.tell(1, std::set<std::uint64_t>(seen.begin(), seen.end()).size());
    });
    auto const reports = child.all_reports();
    CHECK(child.wait() == 0);
    REQUIRE(reports.size() == 1);
    CHECK(reports[0].number == 1);
}

TEST_CASE("a fork knows that it is one, is somebody else, and its own forks are again") {
    if (workbench::skip_forks()) return;
    auto const parent = current_process().identity;
    workbench::child child([&](workbench::reporter const& tell) {
        bool const told_at_once = forked(parent.token);
        auto const mine = current_process().identity;
        tell.tell(1, told_at_once && forked(parent.token) ? 1 : 0);
        tell.tell(2, mine.token != parent.token ? 1 : 0);
        tell.tell(3, mine.pid == static_cast<std::uint64_t>(::getpid()) ? 1 : 0);
        tell.tell(4, !forked(mine.token) ? 1 : 0);
        workbench::child grandchild([&](workbench::reporter const&) {
            if (!forked(mine.token) || !forked(parent.token)) throw std::runtime_error("not told");
        });
        tell.tell(5, grandchild.wait() == 0 ? 1 : 0);
    });
    auto const reports = child.all_reports();
    CHECK(child.wait() == 0);
    REQUIRE(reports.size() == 5);
    for (auto const& each : reports) CHECK(each.number == 1);
    CHECK_FALSE(forked(parent.token));
    CHECK(current_process().identity.token == parent.token);
}
