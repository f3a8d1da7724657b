// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/check.hpp>

#include <forged_file.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace coppice;

namespace {

/// A database in memory that stays open while its bytes change.
struct check_bench {
    check_bench() {
        for (unsigned i = 0; i < 40; ++i) {
            db.update([&](auto& txn) { txn.put(proving::numbered("k", i), proving::noise(i)); });
        }
        db.update([](auto& txn) { txn.put("large", proving::noise((1U << 20U) + 10)); });
        for (std::uint64_t i = 1; i < 10; ++i) db.tag(proving::numbered("tag", i), {i});
        storage = medium.open(storage::access::read_write);
    }
    [[nodiscard]] store::check_report check() const { return db.check(); }
    void flip(std::uint64_t offset) {
        std::vector<std::byte> byte(1);
        REQUIRE(storage->read(offset, byte) == 1);
        byte[0] ^= std::byte{2};
        storage->write(offset, byte);
    }

    storage::memory_medium medium;
    memory_database db{medium, proving::tiny()};
    std::shared_ptr<storage::memory_storage> storage;
};

} // namespace

TEST_CASE("a sound database is clean, and the report counts what is there") {
    check_bench const on;
    auto const report = on.check();
    CHECK(report.clean());
    CHECK(report.entries == 41);
    CHECK(report.commits == 51);
    CHECK(report.leaves > 1);
    CHECK(report.nodes > report.leaves);
}

TEST_CASE(
    "damage anywhere in what the newest commit relies on is found, though it was read before") {
    check_bench on;
    proving::must_hold(on.db.read(), [&] {
        proving::content all;
        for (auto const [key, value] : on.db.read().all()) all.emplace(key, value);
        return all;
    }());
    auto const places = forged::reachable(proving::bytes_of(*on.storage));
    std::size_t tried = 0;
    for (auto const& place : places) {
        if (place.what == "header" || place.what == "slot" || place.what == "record") continue;
        for (auto const at :
             {place.offset, place.offset + place.size / 2, place.offset + place.size - 1}) {
            INFO(place.what << " at " << place.offset << ", byte " << at);
            on.flip(at);
            CHECK_FALSE(on.check().clean());
            on.flip(at);
            ++tried;
        }
    }
    CHECK(tried > 60);
    CHECK(on.check().clean());
}

TEST_CASE("damage in an old commit record is found, and the walk ends there") {
    check_bench on;
    auto state = on.db.read().state();
    for (int i = 0; i < 10; ++i) state = store::previous_state(*state);
    on.flip(state->at().offset + 24);
    auto const report = on.check();
    REQUIRE(report.findings.size() == 1);
    CHECK(report.findings[0].offset == state->at().offset);
    CHECK(report.commits == 10);
    CHECK(report.entries == 41);
}

TEST_CASE("a tag of a commit that is not there is found") {
    memory_database db(storage::memory_medium(), proving::tiny());
    auto const id = db.update([](auto& txn) { txn.put("k", "v"); });
    db.compact();
    db.tag("whole", id);
    CHECK(db.check().clean());
    // The trees of a state change places: what a user may put into his own is no tag.
    auto const put = [&](std::string_view value) {
        db.update([&](auto& txn) { txn.put(std::string("tag\0gone", 8), value); });
        auto const state = db.read().state();
        auto record = state->record();
        std::swap(record.user, record.system);
        return store::check(
            store::revision(state->shared_image(), record, state->at(), state->limit_offset()));
    };
    auto const gone = put(std::string_view("\1\0\0\0\0\0\0\0", 8)); // commit 1
    REQUIRE(gone.findings.size() == 1);
    CHECK(gone.findings[0].what.find("the tag 'gone'") == 0);
    auto const no_number = put("short");
    REQUIRE(no_number.findings.size() == 1);
    CHECK(no_number.findings[0].what.find("a tag names no older commit") == 0);
    CHECK(db.check().clean());
}

TEST_CASE("a check does not depend on what was chosen about checksums") {
    check_bench on;
    memory_database const careless(on.medium, {.verify = verify::never, .preallocate_bytes = 0});
    CHECK(careless.check().clean());
    auto const root = on.db.read().state()->user().root.node;
    on.flip(root.offset() + root.size_bytes() - 1);
    CHECK_FALSE(careless.check().clean());
}
