// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/recovery.hpp>

#include <coppice/format/file_header.hpp>
#include <kind_of.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

using namespace coppice;
using support::kind_of;

namespace {

using file_bytes = std::vector<std::byte>;

/// Bytes as recovery reads them, with a count of how many it reads.
struct view {
    file_bytes const& file;
    std::uint64_t* read_bytes = nullptr;

    [[nodiscard]] std::uint64_t size() const { return file.size(); }
    [[nodiscard]] std::size_t read(std::uint64_t offset, mutable_bytes to) const {
        if (offset >= file.size()) return 0;
        auto const count = std::min<std::size_t>(to.size(), file.size() - offset);
        std::copy_n(file.begin() + static_cast<std::ptrdiff_t>(offset), count, to.begin());
        if (read_bytes != nullptr) *read_bytes += count;
        return count;
    }
};

format::file_header header_of(file_bytes const& file) {
    return format::decode_file_header(bytes{file}.first(format::block_bytes), {});
}
store::recovered recover(file_bytes const& file, bool believe = false) {
    return store::recover(view{file}, header_of(file), believe, "test");
}
/// The commit that is found; 0 where it is said that the file is corrupt.
std::uint64_t found_in(file_bytes const& file) {
    try {
        return recover(file).record.commit_id;
    } catch (error const& e) {
        CHECK(e.kind() == errc::corrupt);
        return 0;
    }
}
store::slot_pair slots_of(file_bytes const& file) {
    return store::read_slots(view{file}, header_of(file));
}
/// Writes a slot anew, with a checksum that holds.
void put_slot(file_bytes& file, unsigned index, format::superblock slot) {
    auto const image = format::encode(slot);
    std::copy(image.begin(), image.end(),
              file.begin() + static_cast<std::ptrdiff_t>(format::slot_offset(index)));
}
void flip(file_bytes& file, std::uint64_t offset) {
    file[static_cast<std::size_t>(offset)] ^= std::byte{0x40};
}

/// A file after commits of the given durability; each puts something under a key of its own.
file_bytes after(std::vector<durability> const& ways) {
    storage::memory_medium medium;
    memory_database db(medium, proving::tiny());
    for (std::size_t i = 0; i < ways.size(); ++i) {
        db.update([&](auto& txn) { txn.put("key" + std::to_string(i), proving::noise(200, i)); },
                  ways[i], "note " + std::to_string(i));
    }
    return proving::bytes_of(*medium.open(storage::access::read_only));
}

constexpr auto synced = durability::sync;
constexpr auto lazy = durability::lazy;

} // namespace

TEST_CASE("a sound file gives its newest commit, whatever the durability of its commits") {
    for (auto const& ways : {std::vector<durability>{},
                             {synced},
                             {lazy},
                             {durability::two_sync},
                             {synced, lazy, lazy, synced, durability::two_sync, lazy}}) {
        auto const file = after(ways);
        auto const found = recover(file);
        CHECK(found.record.commit_id == ways.size() + 1);
        CHECK_FALSE(found.any_rejected());
        CHECK(found.record.note == (ways.empty() ? "" : "note " + std::to_string(ways.size() - 1)));
        CHECK(recover(file, true).record == found.record);
    }
}

TEST_CASE("a file that was cut short gives the newest commit that is whole in it") {
    auto const whole = after({synced, lazy, synced, synced});
    auto const slots = slots_of(whole);
    auto const newer = *slots.newest();
    auto const& newest = slots.slots[newer].slot;
    auto const& older = slots.slots[1 - newer].slot;
    REQUIRE(older.end_offset < newest.end_offset);
    for (std::size_t size = format::block_bytes; size <= whole.size(); ++size) {
        file_bytes const cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        std::uint64_t expected = 0;
        if (size >= older.end_offset) expected = older.commit_id;
        if (size >= newest.end_offset) expected = newest.commit_id;
        if (found_in(cut) != expected) FAIL("cut to " << size << " bytes");
    }
    CHECK(kind_of([&] { static_cast<void>(header_of(file_bytes(4095))); }) == errc::not_a_database);
}

TEST_CASE("a torn slot is the old one, the new one, or none") {
    auto const before = after({synced, synced});
    auto const late = after({synced, synced, synced});
    // Both are one history but for uuid and nonces, so the older slot is taken from the newer file:
    // what the third commit wrote over is the slot of the first.
    auto const target = *slots_of(late).newest();
    auto const at = static_cast<std::ptrdiff_t>(format::slot_offset(target));
    auto stale = slots_of(late).slots[target].slot;
    auto const first_record = recover(late).record.previous; // of commit 3
    auto const second = *store::read_record(view{late}, first_record);
    auto const first = *store::read_record(view{late}, second.previous);
    stale.counter -= 2;
    stale.commit_id = first.commit_id;
    stale.record_offset = second.previous.offset;
    stale.record_bytes = static_cast<std::uint32_t>(format::encoded_bytes(first));
    stale.record_checksum = second.previous.checksum;
    stale.end_offset = second.begin_offset;
    stale.verify_from = first.begin_offset;
    auto const old_image = format::encode(stale);
    std::array<std::byte, format::superblock_bytes> new_image{};
    std::copy_n(late.begin() + at, new_image.size(), new_image.begin());
    for (std::size_t cut = 0; cut <= new_image.size(); ++cut) {
        auto prefix = late;
        auto suffix = late;
        for (std::size_t i = 0; i < new_image.size(); ++i) {
            prefix[static_cast<std::size_t>(at) + i] = i < cut ? new_image[i] : old_image[i];
            suffix[static_cast<std::size_t>(at) + i] = i < cut ? old_image[i] : new_image[i];
        }
        auto const newest = bytes{late}.subspan(static_cast<std::size_t>(at), new_image.size());
        for (auto const& torn : {prefix, suffix}) {
            auto const is_whole = std::equal(newest.begin(), newest.end(), torn.begin() + at);
            if (found_in(torn) != (is_whole ? 4U : 3U)) FAIL("torn at byte " << cut);
        }
    }
    CHECK(found_in(before) == 3);
}

TEST_CASE("without a slot that holds the file is corrupt, and so it is with two of one number") {
    auto const sound = after({synced, synced});
    auto both = sound;
    flip(both, format::slot_offset(0) + 20);
    CHECK(found_in(both) == 2 + (*slots_of(sound).newest() == 1 ? 1U : 0U));
    flip(both, format::slot_offset(1) + 20);
    CHECK(found_in(both) == 0);
    auto equal = sound;
    auto slots = slots_of(sound);
    slots.slots[0].slot.counter = slots.slots[1].slot.counter;
    put_slot(equal, 0, slots.slots[0].slot);
    CHECK(found_in(equal) == 0);
    auto empty = sound;
    std::fill(empty.begin() + 4096, empty.begin() + 12288, std::byte{0});
    CHECK(found_in(empty) == 0);
}

TEST_CASE("damage below a lazy commit takes back all commits that no sync vouches for") {
    auto const sound = after({synced, synced, lazy, lazy, lazy, lazy});
    auto const found = recover(sound);
    auto const verify_from = found.slot().verify_from;
    REQUIRE(found.record.commit_id == 7);
    // Commits 4 to 7 are lazy. They all write the slot that is not that of commit 3.
    REQUIRE(slots_of(sound).slots[1 - found.index].slot.commit_id == 3);
    REQUIRE(slots_of(sound).slots[1 - found.index].slot.end_offset == verify_from);
    for (auto at = verify_from; at < found.slot().end_offset; ++at) {
        auto damaged = sound;
        flip(damaged, at);
        if (found_in(damaged) != 3) FAIL("a flip at " << at << " is not seen");
        if (at % 64 == 0) {
            auto const rejected = recover(damaged).rejected;
            CHECK(rejected[found.index]);
            CHECK_FALSE(rejected[1 - found.index]);
        }
    }
    // What a sync vouches for is not summed at every opening.
    auto below = sound;
    flip(below, verify_from - 300);
    CHECK(found_in(below) == 7);
}

TEST_CASE("a chain that leaves out a commit, or is not summed where it must be, does not hold") {
    auto const sound = after({synced, lazy, lazy});
    auto const found = recover(sound);
    auto slot = found.slot();
    slot.verify_from += 8; // now inside the first lazy commit
    auto inside = sound;
    put_slot(inside, found.index, slot);
    CHECK(found_in(inside) == 2);

    auto const two = after({synced, durability::two_sync});
    auto const after_two = recover(two);
    REQUIRE(after_two.slot().verify_from == after_two.slot().end_offset);
    auto reaching = after_two.slot();
    reaching.verify_from = after_two.record.begin_offset;
    auto unsummed = two;
    put_slot(unsummed, after_two.index, reaching);
    CHECK(found_in(unsummed) == 2);
}

TEST_CASE("where the bytes are vouched for the chain is not checked, but the end of the file is") {
    auto damaged = after({synced, lazy, lazy});
    auto const found = recover(damaged);
    flip(damaged, found.slot().verify_from);
    CHECK(recover(damaged, true).record.commit_id == 4);
    CHECK(recover(damaged, false).record.commit_id == 2);
    damaged.resize(damaged.size() - 8);
    CHECK(recover(damaged, true).record.commit_id == 2);
}

TEST_CASE("a slot that names more bytes than its record has does not hold") {
    auto file = after({synced, synced});
    auto const found = recover(file);
    auto slot = found.slot();
    slot.record_bytes += 8;
    slot.end_offset += 8;
    file.resize(std::max(file.size(), static_cast<std::size_t>(slot.end_offset)));
    put_slot(file, found.index, slot);
    CHECK(recover(file).record.commit_id == 2);
    CHECK(recover(file).rejected[found.index]);
}

TEST_CASE("a chain may begin with the first record of the file, if that is summed") {
    auto file = after({});
    auto const found = recover(file);
    auto record = found.record;
    REQUIRE(record.previous.is_null());
    auto slot = found.slot();
    REQUIRE(slot.record_offset == format::data_begin_offset);
    slot.verify_from = format::data_begin_offset;
    for (auto const& [summed, sum, holds] : {std::tuple{true, format::checksum(bytes{}), true},
                                             {true, std::uint64_t{1}, false},
                                             {false, std::uint64_t{0}, false}}) {
        record.data_summed = summed;
        record.data_checksum = sum;
        auto const image = format::encode(record);
        REQUIRE(image.size() == slot.record_bytes);
        std::copy(image.begin(), image.end(),
                  file.begin() + static_cast<std::ptrdiff_t>(slot.record_offset));
        slot.record_checksum = format::record_checksum(image);
        put_slot(file, found.index, slot);
        CHECK(found_in(file) == (holds ? 1U : 0U));
    }
}

TEST_CASE("a file that becomes shorter while it is read is found to be cut short") {
    auto const sound = after({synced, lazy, lazy});
    auto const found = recover(sound);
    auto const end = found.slot().end_offset;
    struct shrinking {
        file_bytes const& file;
        std::uint64_t hidden_from; // what is read of [hidden_from, hidden_to) is not there any more
        std::uint64_t hidden_to;
        [[nodiscard]] std::uint64_t size() const { return file.size(); }
        [[nodiscard]] std::size_t read(std::uint64_t offset, mutable_bytes to) const {
            auto const hits = offset < hidden_to && offset + to.size() > hidden_from;
            return hits ? 0 : view{file}.read(offset, to);
        }
    };
    auto const taken = [&](std::uint64_t from, std::uint64_t to) {
        return store::recover(shrinking{sound, from, to}, header_of(sound), false, "test")
            .record.commit_id;
    };
    CHECK(taken(0, 0) == 4);
    CHECK(taken(found.slot().verify_from, found.slot().verify_from + 1) == 2); // bytes to be summed
    CHECK(taken(found.slot().record_offset, end) == 2);                        // the record
}

TEST_CASE("opening reads the commits that no sync vouches for, not the database") {
    storage::memory_medium medium;
    memory_database db(medium, {.preallocate_bytes = 0});
    auto const entries = proving::numbered_entries(20'000);
    db.update([&](auto& txn) { txn.load(entries); });
    for (int i = 0; i < 50; ++i) {
        db.update([&](auto& txn) { txn.put(proving::numbered("k", 77), std::to_string(i)); });
    }
    auto file = proving::bytes_of(*medium.open(storage::access::read_only));
    REQUIRE(file.size() > 1'000'000);
    std::uint64_t read_bytes = 0;
    auto const header = header_of(file);
    auto const opened = store::recover(view{file, &read_bytes}, header, false, "test");
    auto const unsynced = opened.slot().end_offset - opened.slot().verify_from;
    CHECK(read_bytes < unsynced + 16'384);
    CHECK(read_bytes < 40'000);
}

TEST_CASE("unknown features and flags of a slot are refused, not passed over") {
    auto const sound = after({synced});
    auto const found = recover(sound);
    auto slot = found.slot();
    slot.features = 8;
    auto file = sound;
    put_slot(file, found.index, slot);
    CHECK(kind_of([&] { static_cast<void>(recover(file)); }) == errc::unsupported_feature);
    slot.features = 0;
    slot.flags = 1;
    put_slot(file, found.index, slot);
    CHECK(kind_of([&] { static_cast<void>(recover(file)); }) == errc::unsupported_feature);
}

TEST_CASE("a slot that is being written while it is read is read again") {
    auto const sound = after({synced, synced});
    unsigned reads = 0;
    struct being_written {
        file_bytes const& file;
        unsigned& reads;
        [[nodiscard]] std::uint64_t size() const { return file.size(); }
        [[nodiscard]] std::size_t read(std::uint64_t offset, mutable_bytes to) const {
            auto const count = view{file}.read(offset, to);
            // One read looks at both slots; the first eight times the bytes differ.
            if (reads < 8) to[100 + reads % 20] ^= std::byte{1};
            ++reads;
            return count;
        }
    };
    auto const slots = store::read_slots(being_written{sound, reads}, header_of(sound));
    CHECK(slots == slots_of(sound));
    CHECK(reads == 9);
}
