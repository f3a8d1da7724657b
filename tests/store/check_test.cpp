// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/check.hpp>

#include <coppice/database.hpp>

#include <catch2/catch.hpp>

#include <string>

using namespace coppice;

TEST_CASE("a check compares every checksum anew, also of what was read before") {
    storage::memory_medium medium;
    memory_database db(medium, {.preallocate_bytes = 0});
    for (int i = 0; i < 50; ++i) {
        db.update(
            [&](auto& txn) {
                txn.put(std::to_string(i), std::string(static_cast<std::size_t>(500 * i), 'v'));
            },
            durability::lazy);
    }
    CHECK(db.get("1").has_value());
    auto const sound = db.check();
    CHECK(sound.clean());
    CHECK(sound.entries == 50);
    CHECK(sound.commits == 51);
    CHECK(sound.bytes == db.stats().live_bytes - 12288 - 136);

    // The last byte of a node of the newest commit, just before its record.
    auto const file = medium.open(storage::access::read_write);
    auto const root = db.read().state()->user().root.node;
    auto const damage = [&](std::uint64_t at) {
        std::byte byte{};
        static_cast<void>(file->read(at, {&byte, 1}));
        byte ^= std::byte{4};
        file->write(at, {&byte, 1});
    };
    damage(root.offset() + 20);
    CHECK_FALSE(db.check().clean());
    CHECK(db.get("1").has_value()); // verified before the damage
    damage(root.offset() + 20);
    CHECK(db.check().clean());
    // An old commit record is part of the chain.
    auto const old = db.read(commit_id{3}).state()->at();
    damage(old.offset + 30);
    CHECK(db.check().findings.size() == 1);
}
