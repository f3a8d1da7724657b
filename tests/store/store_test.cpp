// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/store.hpp>

#include <coppice/database.hpp>

#include <workbench.hpp>

#include <catch2/catch.hpp>

#include <filesystem>
#include <vector>

using namespace coppice;

TEST_CASE("a failed open leaves nothing behind, not even a lock file") {
    // The lock file was once made before the database was looked at, so that a mistyped path left
    // an empty `.lock` beside nothing.
    workbench::folder const dir;
    std::filesystem::create_directory(dir / "folder");
    CHECK_THROWS_AS(database(dir / "none.db", {.create = create::never}), error);
    CHECK_THROWS_AS(database(dir / "folder"), error);
    CHECK_FALSE(std::filesystem::exists(dir / "none.db.lock"));
    CHECK_FALSE(std::filesystem::exists(dir / "folder.lock"));
}

TEST_CASE("a handle never goes back in time") {
    storage::memory_medium medium;
    memory_database writer(medium, {.preallocate_bytes = 0});
    memory_database reader(medium, {.preallocate_bytes = 0});
    commit_id last{};
    for (int i = 0; i < 200; ++i) {
        auto const how = i % 3 == 0 ? durability::sync : durability::lazy;
        auto const id = writer.update([&](auto& txn) { txn.put("n", std::to_string(i)); }, how);
        if (i % 50 == 49) writer.compact();
        auto const seen = i % 2 == 0 ? reader.read().id() : reader.read_latest().id();
        CHECK(seen >= last);
        CHECK(seen == id);
        last = seen;
    }
}

TEST_CASE("what is visible is what was promised, the latest is what is whole") {
    storage::memory_medium medium;
    memory_database db(medium, {.preallocate_bytes = 0});
    auto const first = db.update([](auto& txn) { txn.put("a", "1"); });
    db.update([](auto& txn) { txn.put("a", "2"); });
    // A writer that was killed between its slot and its sync leaves this page behind.
    auto const lock = medium.lock();
    auto const words = std::vector<std::uint64_t>{first.value};
    lock->write_page(format::visible_offset, std::as_bytes(std::span(words)));
    memory_database const other(medium, {.preallocate_bytes = 0});
    CHECK(other.get("a") == "1");
    auto const latest = other.read_latest();
    CHECK(latest.get("a") == "2");
    CHECK(other.get("a") == "2"); // it was shown, so it stays
}
