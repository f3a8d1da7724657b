// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/last_tenure.hpp>

#include <coppice/testing/simulated_medium.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <memory>
#include <optional>

using namespace coppice;

namespace {

using remembered = store::last_tenure<testing::simulated_storage, coppice::testing::simulated_lock>;
using simulated_keeper =
    store::slot_keeper<testing::simulated_storage, coppice::testing::simulated_lock>;

/// A database of two commits, and what a tenure of process `mine` left behind under the lock.
struct left_behind {
    left_behind() {
        {
            testing::database db(mine, proving::tiny());
            db.update([](auto& txn) { txn.put("k", "v"); }, durability::lazy);
        }
        file = store::recognise(mine.open(storage::access::read_write), verify::first_touch, "");
        REQUIRE(lock->acquire({}));
        auto found = store::recover(*file.storage, file.header(), true, "");
        auto const at = store::record_of(found.slot());
        auto const plan = store::plan_takeover(found, page(), lock->identity().boot_id, false);
        REQUIRE_FALSE(plan.needed());
        simulated_keeper slots(file, lock, found, plan, page());
        end_offset = found.slot().end_offset;
        shown = file.state(std::move(found.record), at, end_offset);
        last.remember({std::move(slots), end_offset}, *lock);
        lock->release();
    }
    [[nodiscard]] std::optional<format::live_page> page() const {
        return format::load_live_page(lock->page());
    }
    /// What the next tenure is given, at the lock.
    [[nodiscard]] bool recalls(std::optional<format::live_page> const& believed) {
        REQUIRE(lock->acquire({}));
        auto const known = last.recall(file, believed, *lock, *shown);
        lock->release();
        if (!known) return false;
        CHECK(known->append_offset == end_offset);
        CHECK(known->slots.slots() == store::read_slots(*file.storage, file.header()));
        CHECK(known->slots.newest().end_offset == end_offset);
        return true;
    }

    testing::machine machine;
    testing::simulated_medium mine = machine.start_process();
    std::shared_ptr<testing::simulated_lock> lock = mine.lock();
    store::opened_file<testing::simulated_storage> file;
    store::revision_ptr shown;
    std::uint64_t end_offset = 0;
    remembered last;
};

} // namespace

TEST_CASE("what a tenure left is recalled once where nothing has changed") {
    left_behind on;
    CHECK(on.recalls(on.page()));
    CHECK_FALSE(on.recalls(on.page()));
}

TEST_CASE("nothing is recalled once another process had the lock") {
    left_behind on;
    auto other = on.machine.start_process();
    auto const their_lock = other.lock();
    { storage::held_lock const theirs(*their_lock); } // it may have died between slot and page
    CHECK_FALSE(on.recalls(on.page()));
}

TEST_CASE("nothing is recalled where the live page says anything else") {
    using change = void (*)(format::live_page&);
    for (change const make :
         {change([](auto& page) { page.busy = true; }),
          change([](auto& page) { ++page.mark_counter; }),
          change([](auto& page) { ++page.mark_checksum; }),
          change([](auto& page) { ++page.inode; }), change([](auto& page) { ++page.generation; }),
          change([](auto& page) { page.uuid[3] ^= std::byte{1}; }),
          change([](auto& page) { page.boot_id[3] ^= std::byte{1}; })}) {
        left_behind on;
        auto changed = on.page();
        make(*changed);
        CHECK_FALSE(on.recalls(changed));
    }
    left_behind on;
    CHECK_FALSE(on.recalls({}));
}

TEST_CASE("nothing is recalled where a commit was shown that it does not know") {
    left_behind on;
    REQUIRE(on.lock->acquire({}));
    // Readers of the page see another commit.
    std::array<std::byte, 16> words{};
    on.lock->write_page(format::visible_offset, words);
    on.lock->release();
    CHECK_FALSE(on.recalls(on.page()));
    left_behind again;
    auto record = again.shown->record();
    again.shown = again.file.state(record, {again.shown->at().offset, 1}, again.end_offset);
    CHECK_FALSE(again.recalls(again.page()));
}

TEST_CASE("what is remembered keeps no file open") {
    left_behind on;
    auto const uses = on.file.storage.use_count();
    CHECK(uses == 1);
}

// To keep what a view reads, a rolled-back load moves the end of the newest slot, of which nothing
// in the live page told. Another handle of the process went on from the slots as it had left them,
// and was told that it had lost the lock; what it had deferred could not be written any more.
TEST_CASE("a handle looks again where another one of its process has only moved the end") {
    testing::machine machine;
    auto const mine = machine.start_process();
    auto chosen = proving::tiny();
    chosen.flush.interval = {};
    testing::database one(mine, chosen);
    testing::database other(mine, chosen);
    for (auto const how : {durability::sync, durability::lazy, durability::deferred}) {
        other.update([](auto& txn) { txn.put("other", "1"); });
        one.update([](auto& txn) { txn.put("one", "1"); });
        {
            auto txn = other.write();
            txn.load(proving::numbered_entries(100, "loaded"));
            auto const view = txn.view();
            txn.rollback();
        }
        other.sync(); // says idle where there is nothing to sync
        one.update([](auto& txn) { txn.put("one", "2"); }, how);
        one.sync();
        CHECK(one.get("one") == "2");
        CHECK(other.get("one") == "2");
    }
    CHECK(one.check().clean());
}
