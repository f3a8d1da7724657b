// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/examined.hpp>

#include <coppice/testing/simulated_medium.hpp>
#include <kind_of.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

using namespace coppice;
using support::kind_of;

namespace {

/// A handle, and other processes at the same file.
struct several_writers {
    static void put(testing::database& db, std::string const& key,
                    durability how = durability::lazy) {
        db.update([&](auto& txn) { txn.put(key, "v"); }, how);
    }
    /// How often the file was read for a lazy commit of the handle.
    [[nodiscard]] std::uint64_t reads_of_a_commit(std::string const& key) {
        auto const before = machine.count(testing::call::read);
        put(db, key);
        return machine.count(testing::call::read) - before;
    }

    testing::machine machine;
    testing::database db{machine.start_process(), proving::tiny()};
};

} // namespace

TEST_CASE("a handle that commits again reads the slots once and nothing else") {
    several_writers on;
    on.put(on.db, "a");
    CHECK(on.reads_of_a_commit("b") == 1); // before it appends
    CHECK(on.reads_of_a_commit("c") == 1);
    // A transaction that is rolled back leaves things as they were, and so does a sync.
    { auto txn = on.db.write(); }
    CHECK(on.reads_of_a_commit("d") == 1);
    on.db.sync();
    CHECK(on.reads_of_a_commit("e") == 1);
    CHECK(on.db.check().clean());
}

TEST_CASE("whatever another process did is looked at") {
    using deed = std::function<void(testing::database&)>;
    for (deed const& other_does :
         {deed([](auto& db) { several_writers::put(db, "other"); }),
          deed([](auto& db) { several_writers::put(db, "other", durability::sync); }),
          deed([](auto& db) { db.sync(); }), deed([](auto& db) { CHECK(db.compact()); }),
          deed([](auto& db) { auto txn = db.write(); })}) {
        several_writers on;
        on.put(on.db, "a");
        on.put(on.db, "b");
        testing::database other(on.machine.start_process(), proving::tiny());
        other_does(other);
        CHECK(on.reads_of_a_commit("c") > 1);
        CHECK(on.reads_of_a_commit("d") == 1);
        CHECK(on.db.get("a"));
        CHECK(on.db.check().clean());
        CHECK(other.get("d"));
    }
}

TEST_CASE("a process that died between its slot and the page is noticed") {
    several_writers on;
    on.put(on.db, "a");
    on.put(on.db, "b");
    auto const died = on.machine.start_process();
    {
        testing::database other(died, proving::tiny());
        on.machine.kill_after(3); // page, transaction and slot
        CHECK_THROWS_AS(several_writers::put(other, "c"), error);
    }
    CHECK(on.machine.deaths() == 1);
    CHECK_FALSE(on.db.get("c")); // nobody was told
    on.put(on.db, "d");
    CHECK(on.db.get("c"));
    CHECK(on.db.get("d"));
    CHECK(on.db.check().clean());
}

TEST_CASE("a write into the file that nobody announced is found before anything is appended") {
    several_writers on;
    on.put(on.db, "a");
    on.put(on.db, "b");
    auto const slot = on.machine.database_bytes().subspan(format::slot_offset(1), 128);
    auto const kept = std::vector<std::byte>(slot.begin(), slot.end());
    slot[20] ^= std::byte{1};
    auto const writes = on.machine.count(testing::call::write);
    CHECK(kind_of([&] { on.put(on.db, "c"); }) == errc::lock_lost);
    CHECK(on.machine.count(testing::call::write) == writes);
    // From then on it looks closely.
    std::copy(kept.begin(), kept.end(), slot.begin());
    CHECK(on.reads_of_a_commit("d") > 1);
    CHECK(on.db.check().clean());
}

TEST_CASE("a file that is missing or another database is told also by what was remembered") {
    several_writers on;
    on.put(on.db, "a");
    on.put(on.db, "b");
    auto elsewhere = on.machine.start_process();
    CHECK(elsewhere.remove());
    CHECK(kind_of([&] { on.put(on.db, "c"); }) == errc::file_missing);
    testing::database const another(elsewhere, proving::tiny());
    CHECK(kind_of([&] { on.put(on.db, "d"); }) == errc::file_replaced);
    CHECK(another.read().empty());
}
