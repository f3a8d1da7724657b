// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/leftover.hpp>

#include <coppice/testing/simulated_medium.hpp>
#include <faulty_medium.hpp>
#include <kind_of.hpp>

#include <catch2/catch.hpp>

using namespace coppice;
using support::kind_of;

TEST_CASE("a leftover goes when nobody compacts, and stays while somebody does") {
    testing::machine machine;
    auto mine = machine.start_process();
    auto theirs = machine.start_process();
    auto const lock = mine.lock();
    storage::held_lock const writes(*lock);
    store::discard_leftover(mine); // there is none
    static_cast<void>(theirs.fresh());
    {
        auto const their_lock = theirs.compaction_lock();
        storage::held_lock const compacts(*their_lock);
        store::discard_leftover(mine);
        CHECK(mine.companion());
    }
    store::discard_leftover(mine);
    CHECK_FALSE(mine.companion());
}

TEST_CASE("a leftover of this very thread stays, and a failure to remove one is told") {
    faulty::medium medium;
    static_cast<void>(medium.fresh());
    {
        auto const lock = medium.compaction_lock();
        storage::held_lock const compacts(*lock);
        store::discard_leftover(medium);
        CHECK(medium.companion());
    }
    medium.told().fail_after(faulty::call::discard, 0);
    CHECK(kind_of([&] { store::discard_leftover(medium); }) == errc::io_failed);
    CHECK(medium.companion());
}
