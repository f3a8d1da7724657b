// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/takeover.hpp>

#include <faulty_medium.hpp>
#include <kind_of.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

using namespace coppice;
using format::slot_state;
using support::kind_of;

namespace {

/// Slot 0 is the newest one, of counter 8 and end 20000; slot 1 the one before it.
store::recovered found_both() {
    store::recovered found;
    found.file_bytes = 30001;
    auto& slots = found.slots.slots;
    slots[0].state = slots[1].state = slot_state::good;
    slots[0].slot.counter = 8;
    slots[0].slot.checksum = 800;
    slots[0].slot.end_offset = 20000;
    slots[0].slot.verify_from = 16000;
    slots[1].slot.counter = 7;
    slots[1].slot.checksum = 700;
    slots[1].slot.end_offset = 16000;
    slots[1].slot.verify_from = 16000;
    return found;
}
/// Slot 0 was rejected, slot 1 taken.
store::recovered found_rejected(slot_state state, std::uint64_t its_end) {
    auto found = found_both();
    found.slots.slots[0].state = state;
    found.slots.slots[0].slot.end_offset = its_end;
    found.index = 1;
    found.rejected[0] = true;
    return found;
}
std::optional<format::live_page> page(std::uint64_t mark, bool busy) {
    format::live_page result;
    result.mark_counter = mark;
    result.mark_checksum = mark * 100;
    result.busy = busy;
    return result;
}

struct row {
    char const* what;
    store::recovered found;
    std::optional<format::live_page> page;
    bool other_boot;
    store::takeover_plan expected;
};

constexpr std::array<std::byte, 16> this_boot{std::byte{1}};
constexpr std::array<std::byte, 16> earlier_boot{std::byte{2}};

store::recovered of_boot(store::recovered found, std::array<std::byte, 16> const& boot_id) {
    for (auto& each : found.slots.slots) each.slot.boot_id = boot_id;
    return found;
}
store::recovered alone(store::recovered found) {
    found.slots.slots[1U - found.index] = {};
    return found;
}

std::vector<row> rows() {
    auto const both = found_both();
    auto const good = found_rejected(slot_state::good, 24001);
    auto const low = found_rejected(slot_state::good, 14000);
    auto const broken = found_rejected(slot_state::broken, 0);
    auto const none = std::optional<format::live_page>();
    return {
        {"idle, the newest is marked",
         both,
         page(8, false),
         false,
         {.durable_index = 0, .append_offset = 20000, .marked = true}},
        {"idle, the newest is lazy and the one before it marked",
         both,
         page(7, false),
         false,
         {.durable_index = 1, .append_offset = 20000, .marked = true}},
        {"busy, but the sync of the newest returned",
         both,
         page(8, true),
         false,
         {.durable_index = 0, .append_offset = 20000, .marked = true}},
        {"busy, nobody vouches for the newest",
         both,
         page(7, true),
         false,
         {.append_offset = 20000, .rewrite = true, .must_sync = true}},
        {"idle, but the mark names neither slot",
         both,
         page(3, false),
         false,
         {.append_offset = 20000, .rewrite = true, .must_sync = true}},
        {"no page of this boot",
         both,
         none,
         false,
         {.append_offset = 20000, .rewrite = true, .must_sync = true}},
        {"a page of another boot", both, none, true, {.append_offset = 20000, .must_sync = true}},
        {"slots of this boot",
         of_boot(both, this_boot),
         none,
         false,
         {.append_offset = 20000, .rewrite = true, .must_sync = true}},
        {"slots of an earlier boot",
         of_boot(both, earlier_boot),
         none,
         false,
         {.append_offset = 20000, .must_sync = true}},
        {"a lone slot, and no page",
         alone(both),
         none,
         false,
         {.append_offset = 30008, .zero = {false, true}, .must_sync = true}},
        {"a lone slot of an earlier boot, and a page that knows nothing",
         alone(of_boot(both, earlier_boot)),
         page(0, true),
         false,
         {.append_offset = 30008, .zero = {false, true}, .must_sync = true}},
        {"a lone slot, and a page of another boot",
         alone(both),
         none,
         true,
         {.append_offset = 20000, .must_sync = true}},
        {"a rejected slot of an earlier boot",
         of_boot(good, earlier_boot),
         none,
         false,
         {.durable_index = 1, .append_offset = 16000, .zero = {true, false}, .must_sync = true}},
        {"a rejected slot, in this boot",
         good,
         page(7, true),
         false,
         {.durable_index = 1, .append_offset = 24008, .zero = {true, false}, .must_sync = true}},
        {"a rejected slot that ends low, in this boot",
         low,
         none,
         false,
         {.durable_index = 1, .append_offset = 16000, .zero = {true, false}, .must_sync = true}},
        {"a rejected slot, after another boot",
         good,
         none,
         true,
         {.durable_index = 1, .append_offset = 16000, .zero = {true, false}, .must_sync = true}},
        {"a broken slot, in this boot",
         broken,
         none,
         false,
         {.durable_index = 1, .append_offset = 30008, .zero = {true, false}, .must_sync = true}},
        {"a broken slot, after another boot",
         broken,
         none,
         true,
         {.durable_index = 1, .append_offset = 16000, .zero = {true, false}, .must_sync = true}},
    };
}

} // namespace

TEST_CASE("every row of the table of take-overs leads to its plan") {
    for (auto const& [what, found, page, other_boot, expected] : rows()) {
        INFO(what);
        auto found_here = found;
        if (found_here.index == 1) found_here.slots.slots[1].slot.end_offset = 16000;
        auto const plan = store::plan_takeover(found_here, page, this_boot, other_boot);
        CHECK(plan.durable_index == expected.durable_index);
        CHECK(plan.append_offset == expected.append_offset);
        CHECK(plan.zero == expected.zero);
        CHECK(plan.rewrite == expected.rewrite);
        CHECK(plan.must_sync == expected.must_sync);
        CHECK(plan.marked == expected.marked);
        CHECK(plan.needed() == (expected.must_sync || !expected.marked));
    }
}

TEST_CASE("a mark with the right number and other bytes vouches for nothing") {
    auto other = page(8, false);
    other->mark_checksum = 801;
    auto const plan = store::plan_takeover(found_both(), other, this_boot, false);
    CHECK_FALSE(plan.marked);
    CHECK(plan.rewrite);
}

TEST_CASE("a writer that pads syncs what it finds behind the marked slot") {
    for (auto const pads : {false, true}) {
        auto const older =
            store::plan_takeover(found_both(), page(7, false), this_boot, false, pads);
        CHECK(older.must_sync == pads);
        CHECK(older.marked == !pads);
        CHECK(older.durable_index == (pads ? 0U : 1U));
        CHECK_FALSE(older.rewrite);
        auto const newest =
            store::plan_takeover(found_both(), page(8, false), this_boot, false, pads);
        CHECK_FALSE(newest.needed());
    }
}

namespace {

/// A file in memory whose last commits are lazy.
struct lazy_file {
    lazy_file() {
        basic_database<faulty::medium> db(medium, proving::tiny());
        db.update([](auto& txn) { txn.put("a", proving::noise(300)); });
        for (int i = 0; i < 3; ++i) {
            db.update([&](auto& txn) { txn.put(std::to_string(i), proving::noise(100)); },
                      durability::lazy);
        }
        storage = medium.open(storage::access::read_write);
        auto const block = proving::bytes_of(*storage);
        header = format::decode_file_header(bytes{block}.first(format::block_bytes), {});
        medium.told().begin_anew();
    }
    /// As a writer of this boot that knows nothing of those before it.
    [[nodiscard]] store::takeover_plan plan(store::recovered const& found) {
        return store::plan_takeover(found, {}, medium.lock()->identity().boot_id, false);
    }

    faulty::medium medium;
    std::shared_ptr<faulty::storage> storage;
    format::file_header header;
};

} // namespace

TEST_CASE("taking over writes the unsynced bytes and the slot again, as they were") {
    lazy_file file;
    auto const before = proving::bytes_of(*file.storage);
    auto const found = store::recover(*file.storage, file.header, false, "test");
    auto const plan = file.plan(found);
    store::carry_out(plan, *file.storage, found.slot(), found.index);
    CHECK(proving::bytes_of(*file.storage) == before);
    auto const from = found.slot().verify_from;
    auto const inode = file.storage->identity().inode;
    CHECK(file.medium.told().log ==
          std::vector<faulty::entry>{
              {faulty::call::write, inode, from, found.slot().end_offset - from},
              {faulty::call::write, inode, format::slot_offset(found.index),
               format::superblock_bytes}});
}

TEST_CASE("bytes that do not read as they were verified are not taken over") {
    lazy_file file;
    auto const found = store::recover(*file.storage, file.header, false, "test");
    auto const plan = file.plan(found);
    std::array<std::byte, 1> const other{std::byte{0xEE}};
    file.storage->write(found.slot().verify_from + 50, other);
    file.medium.told().begin_anew();
    CHECK(kind_of([&] { store::carry_out(plan, *file.storage, found.slot(), found.index); }) ==
          errc::corrupt);
    CHECK(file.medium.told().log.empty());
}

TEST_CASE("a file that was cut short since it was verified is not taken over") {
    lazy_file file;
    auto const found = store::recover(*file.storage, file.header, false, "test");
    auto const plan = file.plan(found);
    file.storage->truncate(found.slot().end_offset - 8);
    file.medium.told().begin_anew();
    CHECK(kind_of([&] { store::carry_out(plan, *file.storage, found.slot(), found.index); }) ==
          errc::corrupt);
    CHECK(file.medium.told().log.empty());
}

TEST_CASE("there is nothing to do only where nothing must be synced and the page has its mark") {
    store::takeover_plan plan;
    CHECK(plan.needed());
    plan.marked = true;
    CHECK_FALSE(plan.needed());
    plan.must_sync = true;
    CHECK(plan.needed());
}

TEST_CASE("a slot that does not hold is zeroed as a whole block, and nothing else is written") {
    lazy_file file;
    auto found = store::recover(*file.storage, file.header, false, "test");
    std::array<std::byte, 1> const other{std::byte{0xEE}};
    file.storage->write(found.slot().verify_from + 50, other);
    file.storage->write(format::slot_offset(found.index) + 3000, other);
    auto const lazy_end = found.slot().end_offset;
    auto const rejected = found.index;
    found = store::recover(*file.storage, file.header, false, "test");
    REQUIRE(found.rejected[rejected]);
    auto const plan = file.plan(found);
    CHECK(plan.append_offset == lazy_end);
    file.medium.told().begin_anew();
    store::carry_out(plan, *file.storage, found.slot(), found.index);
    CHECK(file.medium.told().log.size() == 1);
    std::vector<std::byte> block(format::block_bytes);
    CHECK(file.storage->read(format::slot_offset(rejected), block) == block.size());
    CHECK(block == std::vector<std::byte>(format::block_bytes));
}

// Readers of this boot may hold what a rejected slot names. The writer that zeroed the slot began
// behind that; where it then committed nothing, nobody knew any more: its own closing cut the bytes
// off, and the next writer wrote over them.
TEST_CASE(
    "what readers may hold of a rejected commit stays, also where its slot was zeroed in vain") {
    lazy_file file;
    auto const found = store::recover(*file.storage, file.header, false, "test");
    std::array<std::byte, 1> const other{std::byte{0xEE}};
    file.storage->write(found.slot().verify_from + 50, other);
    auto const lost_end = found.slot().end_offset;
    auto const lock = file.medium.lock();
    lock->write_page(0, std::array<std::byte, format::live_page_bytes>{});
    {
        basic_database<faulty::medium> db(file.medium, proving::tiny());
        CHECK(db.read().size() == 1);
        db.sync(); // which zeroes the slot
        db.update([](auto&) {});
    }
    CHECK(file.storage->size() >= lost_end);
    {
        basic_database<faulty::medium> db(file.medium, proving::tiny());
        db.update([](auto& txn) { txn.put("b", "2"); });
        CHECK(db.read().state()->record().begin_offset >= lost_end);
        CHECK(db.read().size() == 2);
        CHECK(db.check().clean());
    }
    lock->write_page(0, std::array<std::byte, format::live_page_bytes>{});
    basic_database<faulty::medium> const again(file.medium, proving::tiny());
    CHECK(again.read().size() == 2);
}
