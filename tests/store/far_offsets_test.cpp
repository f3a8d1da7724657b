// SPDX-License-Identifier: BSL-1.0
// A database whose next byte lies far out in a sparse file: offsets across 2^31, 2^32, 2^40 and
// 2^43 are written, read, checked, found again after opening, and compacted.

#include <coppice/database.hpp>

#include <catch2/catch.hpp>
#include <workbench.hpp>

#include <cstdio>
#include <string>

namespace {

using namespace coppice;

std::string key(unsigned i) { return "key" + std::to_string(1000 + i); }
std::string value(unsigned i) {
    return std::string(i % 50 == 7 ? 5000 : i % 90, static_cast<char>('a' + i % 26));
}

/// Says in the newest slot that the valid bytes end at `end_offset`.
/// @return false where the file system has no files so large
bool move_end(std::filesystem::path const& path, std::uint64_t end_offset) {
    storage::file_medium medium(path, false);
    auto const file = medium.open(storage::access::read_write);
    try {
        file->truncate(end_offset);
    } catch (error const& e) {
        std::printf("skipped: %s\n", e.what());
        return false;
    }
    std::vector<std::byte> block(format::block_bytes);
    REQUIRE(file->read(0, block) == block.size());
    auto const header = format::decode_file_header(block, path.string());
    auto const slots = store::read_slots(*file, header);
    auto const index = slots.newest();
    REQUIRE(index.has_value());
    auto slot = slots.slots[*index].slot;
    slot.end_offset = slot.verify_from = end_offset;
    file->write(format::slot_offset(*index), format::encode(slot));
    return true;
}

} // namespace

TEST_CASE("offsets beyond 31, 32, 40 and 43 bits are as good as others") {
    for (unsigned const bits : {31U, 32U, 40U, 43U}) {
        workbench::folder const dir;
        auto const path = dir / "far.db";
        options chosen;
        chosen.nodes = {512, 256, 128};
        chosen.preallocate_bytes = 0;
        {
            database db(path, chosen);
            db.update([](auto& txn) { txn.put("first", "at the beginning"); });
        }
        auto const boundary = std::uint64_t{1} << bits;
        if (!move_end(path, boundary - 4096)) continue;
        INFO("2^" << bits);
        database db(path, chosen);
        for (unsigned round = 0; round < 4; ++round) {
            db.update([&](auto& txn) {
                for (unsigned i = round; i < 400; i += 4) txn.put(key(i), value(i));
            });
        }
        CHECK(db.stats().valid_bytes > boundary);
        CHECK(db.check().clean());
        db.close();
        db = database(path, chosen);
        auto const now = db.read();
        CHECK(now.size() == 401);
        for (unsigned i = 0; i < 400; ++i) CHECK(now.get(key(i)) == value(i));
        CHECK(now.get("first") == "at the beginning");
        CHECK(db.compact());
        CHECK(db.stats().file_bytes < 200'000);
        CHECK(db.get(key(207)) == value(207));
        CHECK(now.get(key(207)) == value(207));
        CHECK(db.check().clean());
    }
}
