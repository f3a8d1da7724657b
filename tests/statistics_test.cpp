// SPDX-License-Identifier: BSL-1.0
#include <coppice/statistics.hpp>

#include <coppice/coppice.hpp>

#include <catch2/catch.hpp>

#include <string>

using namespace coppice;

TEST_CASE("live and garbage bytes add up to the valid bytes, and compaction leaves no garbage") {
    memory_database db;
    for (int i = 0; i < 200; ++i) {
        db.update([&](auto& txn) { txn.put(std::to_string(i % 50), std::string(300, 'v')); },
                  durability::lazy);
    }
    db.update([](auto& txn) { txn.put("large", std::string(2'500'000, 'L')); });
    auto const before = db.stats();
    CHECK(before.entries == 51);
    CHECK(before.commits == 202);
    CHECK(before.live_bytes + before.garbage_bytes == before.valid_bytes);
    CHECK(before.live_bytes > 2'500'000);
    CHECK(before.garbage_bytes > 0);
    CHECK(before.unsynced_bytes == 0);
    CHECK(before.durable == before.newest);

    auto const held = db.read();
    CHECK(db.compact());
    auto const after = db.stats();
    CHECK(after.garbage_bytes == 0);
    CHECK(after.commits == 1);
    CHECK(after.entries == before.entries);
    CHECK(after.newest == before.newest);
    CHECK(after.generation == before.generation + 1);
    CHECK(after.pinned_bytes >= before.valid_bytes);
}

TEST_CASE("lazy commits are counted as unsynced until a sync") {
    memory_database db;
    db.update([](auto& txn) { txn.put("a", "1"); });
    db.update([](auto& txn) { txn.put("b", "2"); }, durability::lazy);
    auto const lazy = db.stats();
    CHECK(lazy.unsynced_bytes > 0);
    CHECK(lazy.durable < lazy.newest);
    db.sync();
    CHECK(db.stats().unsynced_bytes == 0);
    CHECK(db.stats().durable == lazy.newest);
}
