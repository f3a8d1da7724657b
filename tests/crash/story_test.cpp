// SPDX-License-Identifier: BSL-1.0
// Bugs that the simulated crashes found in the engine, each told once more as it happened.

#include <catch2/catch.hpp>
#include <crash_images.hpp>

#include <coppice/testing/protocol_rules.hpp>

namespace {

using coppice::testing::call;
using coppice::testing::simulated_medium;
using coppice::testing::sync_failure;
using crash::database;
using crash::durability;
using crash::machine;
using crash::op;
namespace format = coppice::format;

coppice::options with_clock(machine& on, coppice::options chosen = crash::tiny()) {
    chosen.clock = on.clock();
    return chosen;
}

void put(database& db, std::string_view key, durability how = durability::sync) {
    db.update([&](auto& txn) { txn.put(key, "value"); }, how);
}

/// Is any byte of [begin, end) of a file written by the operations from `first` on?
bool touched(machine const& on, std::size_t first, std::uint64_t begin, std::uint64_t end) {
    return std::any_of(on.log().begin() + static_cast<std::ptrdiff_t>(first), on.log().end(),
                       [&](auto const& each) {
                           return each.kind == op::write && each.offset < end &&
                                  each.offset + each.data.size() > begin;
                       });
}

/// Below it some slot that was ever written takes all bytes for durable.
std::uint64_t highest_verify_from(machine const& on) {
    std::uint64_t highest = 0;
    for (auto const& each : on.log()) {
        if (each.kind != op::write || each.data.size() != format::superblock_bytes) continue;
        highest = std::max(highest, format::load<std::uint64_t>(each.data.data() + 56));
    }
    return highest;
}

/// The machine as it is, but with a live page that knows nothing.
crash::image without_page(machine const& on) {
    auto left = on.disk().cached();
    left.page = {};
    return left;
}

} // namespace

TEST_CASE("the only slot of a database is never written over") {
    // Making a database told nobody that its slot was durable, so the first writer wrote that slot
    // once more to be sure. A power cut in that write that left garbage, as a disk may, left no
    // slot at all, and the database did not open again.
    machine on;
    {
        database db(on.start_process(), with_clock(on));
        auto const made = on.log().size();
        put(db, "key");
        CHECK_FALSE(touched(on, made, 4096, 8192));
        CHECK(touched(on, made, 8192, 12288));
    }
    // The same where the page was lost: before a first commit, and after a compaction.
    machine fresh;
    { database const made(fresh.start_process(), with_clock(fresh)); }
    machine again(without_page(fresh));
    database db(again.start_process(), with_clock(again));
    put(db, "key");
    CHECK_FALSE(touched(again, 0, 4096, 8192));
    db.compact();
    db.close();
    machine compacted(without_page(again));
    database last(compacted.start_process(), with_clock(compacted));
    put(last, "another key");
    CHECK_FALSE(touched(compacted, 0, 4096, 8192));
    CHECK(last.read().size() == 2);
}

TEST_CASE("zeros that took the place of a slot are written again while nobody knows of them") {
    // A writer zeroed a rejected slot and its sync failed: the zeros stayed in the cache, marked
    // clean. The next one found the slot empty and appended over the rejected commit's bytes. After
    // a power cut the rejected slot was back, beside bytes that were not its own.
    crash::scribe by(crash::tiny());
    by.create();
    by.commit({{"a", "1"}}, durability::sync);
    by.commit({{"b", "2"}}, durability::sync);
    auto left = by.now();
    ++left.boot;
    // The newest slot survives, but not what it names.
    auto& file = left.files.at(left.database).own();
    auto const header =
        format::decode_file_header(coppice::bytes{file}.first(format::block_bytes), {});
    auto const newest = format::decode_slot(
        coppice::bytes{file}.subspan(format::slot_offset(0), format::superblock_bytes), header);
    REQUIRE(newest.slot.commit_id == 3);
    file[newest.slot.record_offset] ^= std::byte{1};
    machine on(left);
    on.plan({.what = call::sync, .how = sync_failure::clean});
    {
        database db(on.start_process(), with_clock(on));
        CHECK_THROWS_AS(put(db, "c"), coppice::error);
    }
    auto const before = on.log().size();
    database db(on.start_process(), with_clock(on));
    put(db, "c");
    auto const first =
        std::find_if(on.log().begin() + static_cast<std::ptrdiff_t>(before), on.log().end(),
                     [](auto const& each) { return each.kind == op::write; });
    REQUIRE(first != on.log().end());
    CHECK(first->offset == format::slot_offset(0));
    CHECK(first->data.size() == format::block_bytes);
}

TEST_CASE("a take-over that fails does not forget which slot is durable") {
    // A writer that takes over wrote "nothing is known to be durable" into the live page before it
    // began. When its sync failed, the next one believed that, and wrote an acknowledged slot and
    // its transaction over once more: a power cut in that lost them.
    machine on;
    database first(on.start_process(), with_clock(on));
    put(first, "acknowledged");
    // Killed after the slot of the next commit was written.
    on.kill_after(3);
    CHECK_THROWS_AS(put(first, "killed"), coppice::error);
    on.plan({.what = call::sync, .how = sync_failure::reverted});
    {
        database second(on.start_process(), with_clock(on));
        CHECK_THROWS_AS(put(second, "failed"), coppice::error);
    }
    auto const page = format::load_live_page(on.disk().cached().page.data());
    REQUIRE(page.has_value());
    CHECK(page->mark_counter != 0);
    CHECK(page->busy);
}

TEST_CASE("a database opens for reading and writing after a failed sync has lost lazy commits") {
    // A lazy commit was shown to readers; the sync of the next commit failed and the file system
    // dropped both. The live page still named the lazy one, and opening failed while looking for
    // it: until the machine was started again, nobody could write.
    machine on;
    {
        database db(on.start_process(), with_clock(on));
        put(db, "durable");
        put(db, "lazy", durability::lazy);
        put(db, "lazy too", durability::lazy);
        on.plan({.what = call::sync, .how = sync_failure::clean});
        CHECK_THROWS_AS(put(db, "failed"), coppice::error);
    }
    on.plan_nothing();
    auto pick = coppice::testing::choices::random(1);
    std::size_t older = 0;
    for (int i = 0; i < 50; ++i) {
        machine later(on.disk(), 1);
        for (int n = 0; n < 3; ++n) later.evict(pick);
        database db(later.start_process(), with_clock(later));
        put(db, "after");
        auto const now = db.read();
        CHECK(now.contains("durable"));
        CHECK(now.contains("after"));
        CHECK(db.check().clean());
        older += now.contains("lazy too") ? 0U : 1U;
    }
    CHECK(older > 10);
}

TEST_CASE("sync() shows readers what somebody else made durable and did not live to tell") {
    // A process died between the sync of its commit and telling readers. sync() found nothing to do
    // and returned, and readers went on seeing the commit before.
    machine on;
    database first(on.start_process(), with_clock(on));
    put(first, "old");
    auto const begin = on.log().size();
    put(first, "measured");
    auto const operations = on.log().size() - begin;
    on.kill_after(operations - 1); // all but the last: the page that tells
    CHECK_THROWS_AS(put(first, "new"), coppice::error);
    database second(on.start_process(), with_clock(on));
    CHECK_FALSE(second.read().contains("new"));
    second.sync();
    CHECK(second.read().contains("new"));
    database const third(on.start_process(), with_clock(on));
    CHECK(third.read().contains("new"));
}

TEST_CASE("padded commits share no block with what was durable before, however that was written") {
    // The first commit behind a fresh or compacted file, and a take-over, began in the middle of a
    // block: a torn write there could harm its neighbours, which padding is meant to exclude.
    auto chosen = crash::tiny();
    chosen.pad_commits = true;
    machine on;
    { database const unpadded(on.start_process(), with_clock(on)); }
    database db(on.start_process(), with_clock(on, chosen));
    for (int round = 0; round < 2; ++round) {
        auto const begin = on.log().size();
        put(db, "a");
        put(db, "b", durability::lazy);
        db.sync();
        for (auto i = begin; i < on.log().size(); ++i) {
            auto const& each = on.log()[i];
            if (each.kind == op::write) CHECK(each.offset % format::block_bytes == 0);
        }
        auto const slots = coppice::store::read_slots(
            simulated_medium(on.start_process())
                .open(coppice::storage::access::read_only)
                .
                operator*(),
            format::decode_file_header(
                coppice::bytes{on.disk().cached().files.at(on.disk().cached().database)}.first(
                    4096),
                {}));
        for (auto const& each : slots.slots) {
            if (each.slot.counter > 2) CHECK(each.slot.verify_from % format::block_bytes == 0);
        }
        db.compact();
    }
}

TEST_CASE("a writer that could not say it is busy does not say that all is well") {
    // The sync of a commit failed, so that nobody knows what of it is on the disk; the live page
    // said busy. The next writer could not write that page and gave up, and in going away it wrote
    // it after all: idle. The writer behind it took the commit for complete, wrote nothing of it
    // again, and a power cut left a promised commit without the bytes it stood on. Found by
    // fuzz/plan.hpp.
    auto pick = coppice::testing::choices::random(1);
    for (int run = 0; run < 50; ++run) {
        machine on;
        {
            database db(on.start_process(), with_clock(on));
            put(db, "first");
            on.plan({.what = call::sync});
            auto const large = [](auto& txn) { txn.put("unknown", std::string(5000, 'v')); };
            CHECK_THROWS_AS(db.update(large), coppice::error);
        }
        on.plan({.what = call::page});
        {
            database db(on.start_process(), with_clock(on));
            CHECK_THROWS_AS(put(db, "refused"), coppice::error);
            CHECK(on.faults().fired() == 1);
        }
        on.plan_nothing();
        CHECK(format::load_live_page(on.disk().cached().page.data())->busy);
        {
            coppice::testing::protocol_rules const rules(on);
            database db(on.start_process(), with_clock(on));
            put(db, "promised");
            CHECK(rules.violations().empty());
        }
        on.restart(pick);
        database const db(on.start_process(), with_clock(on));
        CHECK(db.read().contains("first"));
        CHECK(db.read().contains("promised"));
        CHECK(db.check().clean());
    }
}

TEST_CASE("a take-over writes nothing again that a slot calls durable") {
    // A lazy commit synced what was before its slot, since too much was unsynced, and its slot said
    // so: nothing is to be verified. The slot of the next lazy commit, over the same place, said
    // less again: verify from the last slot that is marked. Its process died, the next one wrote
    // all of that range once more, and the power went. The device tore those bytes and had of the
    // slots the first one, which trusts them. One of some twenty million random images.
    auto chosen = crash::tiny();
    chosen.unsynced_limit_bytes = 600;
    std::size_t rewritten = 0;
    for (std::uint64_t operations = 0; operations < 6; ++operations) {
        machine on;
        database db(on.start_process(), with_clock(on, chosen));
        put(db, "durable");
        db.update([](auto& txn) { txn.put("large", std::string(700, 'v')); }, durability::lazy);
        put(db, "small", durability::lazy);
        on.kill_after(operations);
        try {
            put(db, "lost", durability::lazy);
        } catch (coppice::error const&) { // it died
        }
        db.close();
        on.spare();
        auto const begin = on.log().size();
        auto const trusted = highest_verify_from(on);
        database next(on.start_process(), with_clock(on, chosen));
        put(next, "next");
        auto const next_begin = next.read().state()->record().begin_offset;
        CHECK_FALSE(touched(on, begin, format::data_begin_offset, trusted));
        rewritten += touched(on, begin, trusted, next_begin);
        CHECK(next.check().clean());
    }
    CHECK(rewritten > 0);
}

TEST_CASE("a compaction does not follow what a failed sync has lost") {
    // A lazy commit was shown to readers, the sync behind it failed, and the kernel read some of
    // its bytes from the disk again, but not its record. A process that opened the database then
    // was shown that commit as well. It compacted: the copy began from the commit before, which is
    // what holds, and then caught up with what readers saw: the checksum of a node did not hold.
    std::size_t shown = 0;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        machine on;
        {
            database db(on.start_process(), with_clock(on));
            put(db, "kept");
            db.update([](auto& txn) { txn.put("lost", std::string(1500, 'v')); }, durability::lazy);
            on.plan({.what = call::sync, .how = sync_failure::clean});
            CHECK_THROWS_AS(db.sync(), coppice::error);
        }
        on.plan_nothing();
        auto pick = coppice::testing::choices::random(seed);
        on.evict(pick);
        database next(on.start_process(), with_clock(on));
        auto const was_shown = next.read().id().value == 3;
        shown += was_shown;
        CHECK(next.compact());
        CHECK(next.read().contains("kept"));
        CHECK(next.check().clean());
        put(next, "next");
    }
    CHECK(shown > 0);
}
