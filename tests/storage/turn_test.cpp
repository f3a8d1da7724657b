// SPDX-License-Identifier: BSL-1.0
// The turn by itself, and who comes first. How it stands before the lock of a file is in
// file_lock_test.cpp.

#include <coppice/storage/turn.hpp>

#include <kind_of.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <vector>

using namespace coppice;
using storage::urgency;
using support::kind_of;

namespace {

storage::deadline in_the_past() {
    return std::chrono::steady_clock::now() - std::chrono::seconds(1);
}

} // namespace

TEST_CASE("a turn has one holder and another thread may give it back") {
    storage::turn turn;
    CHECK(turn.acquire({}, "p"));
    CHECK(kind_of([&] { static_cast<void>(turn.acquire({}, "p")); }) == errc::would_deadlock);
    std::thread([&] {
        CHECK_FALSE(turn.acquire(in_the_past(), "p"));
        turn.release();
        CHECK(turn.acquire(in_the_past(), "p"));
    }).join();
    CHECK_FALSE(turn.acquire(in_the_past(), "p"));
    turn.bind(std::this_thread::get_id());
    CHECK(kind_of([&] { static_cast<void>(turn.acquire({}, "p")); }) == errc::would_deadlock);
    turn.release();
    CHECK(turn.acquire(in_the_past(), "p", urgency::first));
}

TEST_CASE("a thread is refused as long as it was bound more often than unbound") {
    storage::turn turn;
    auto const me = std::this_thread::get_id();
    auto const refused = [&] {
        return kind_of([&] { static_cast<void>(turn.acquire(in_the_past(), "p")); }) ==
               errc::would_deadlock;
    };
    REQUIRE(turn.acquire({}, "p"));
    turn.bind(me);
    turn.unbind(me);
    CHECK(refused());
    CHECK(turn.binds_this_thread());
    std::thread([&] {
        CHECK_FALSE(turn.binds_this_thread());
        turn.bind(std::this_thread::get_id());
        turn.unbind(me);
        turn.unbind(me); // no more often than it was bound
    }).join();
    CHECK_FALSE(refused());
    CHECK_FALSE(turn.acquire(in_the_past(), "p")); // held it is all the same
    turn.bind({});
    turn.bind(me);
    turn.release();
    CHECK_FALSE(turn.binds_this_thread());
    CHECK(turn.acquire(in_the_past(), "p"));
}

TEST_CASE("who is urgent comes before all who wait and who come meanwhile") {
    storage::turn turn;
    REQUIRE(turn.acquire({}, "p"));
    std::string order;
    auto const take = [&](urgency how, char name) {
        return std::async(std::launch::async, [&, how, name] {
            static_cast<void>(turn.acquire({}, "p", how));
            order += name; // nobody else has the turn
            turn.release();
        });
    };
    std::vector<std::future<void>> others;
    for (int i = 0; i < 3; ++i) others.push_back(take(urgency::usual, 'u'));
    auto urgent = take(urgency::first, 'F');
    while (!turn.somebody_is_urgent()) std::this_thread::yield();
    for (int i = 0; i < 3; ++i) others.push_back(take(urgency::usual, 'u'));
    turn.release();
    urgent.get();
    for (auto& each : others) each.get();
    CHECK(order == "Fuuuuuu");
}

TEST_CASE("who was urgent and gave up leaves the turn to the others") {
    storage::turn turn;
    REQUIRE(turn.acquire({}, "p"));
    std::thread([&] { CHECK_FALSE(turn.acquire(in_the_past(), "p", urgency::first)); }).join();
    CHECK_FALSE(turn.somebody_is_urgent());
    turn.release();
    std::thread([&] {
        CHECK(turn.acquire(in_the_past(), "p"));
        turn.release();
    }).join();
}

TEST_CASE("a reserved turn is for those who come first until it is everybody's again") {
    storage::turn turn;
    turn.reserve(true);
    CHECK_FALSE(turn.acquire(in_the_past(), "p"));
    REQUIRE(turn.acquire(in_the_past(), "p", urgency::first));
    turn.release();
    auto waiting = std::async(std::launch::async, [&] { return turn.acquire({}, "p"); });
    turn.reserve(false);
    CHECK(waiting.get());
}
