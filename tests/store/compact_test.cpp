// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/compact.hpp>

#include <coppice/database.hpp>

#include <failing_medium.hpp>

#include <catch2/catch.hpp>

#include <map>
#include <string>

using namespace coppice;

TEST_CASE("whichever operation of a compaction fails, the database is whole") {
    using failing_database = basic_database<failing::medium>;
    int fired = 0;
    for (std::uint64_t nth = 1;; ++nth) {
        auto const plan = std::make_shared<failing::plan>();
        failing::medium medium(plan);
        failing_database db(medium, {.preallocate_bytes = 0});
        std::map<std::string, std::string> model;
        for (int i = 0; i < 100; ++i) model[std::to_string(i)] = std::string(900, 'v');
        model["large"] = std::string((1U << 20U) + 5000, 'L');
        db.update([&](auto& txn) {
            for (auto const& [key, value] : model) txn.put(key, value);
        });
        auto const held = db.read();
        *plan = {.fail_at = nth};
        bool failed = false;
        errc kind{};
        try {
            db.compact();
        } catch (error const& e) {
            failed = true;
            kind = e.kind();
            ++fired;
        }
        plan->fail_at = 0;
        CHECK_FALSE(medium.discard_fresh());
        CHECK(held.size() == model.size());
        auto const last = kind == errc::sync_failed; // after the rename the old handle is done
        failing_database reopened(medium, {.preallocate_bytes = 0});
        auto& usable = last ? reopened : db;
        usable.update([](auto& txn) { txn.put("after", "1"); });
        auto const now = usable.read();
        CHECK(now.size() == model.size() + 1);
        for (auto const& [key, value] : model) CHECK(now.get(key) == value);
        CHECK(usable.check().clean());
        if (!failed) break;
    }
    CHECK(fired >= 5);
}

TEST_CASE("a compacted tree is dense, shares nothing, and keeps id, time and note") {
    memory_database db(storage::memory_medium(), {.preallocate_bytes = 0});
    for (int i = 0; i < 300; ++i) {
        db.update(
            [&](auto& txn) {
                for (int j = 0; j < 20; ++j) {
                    txn.put(std::to_string((i * 7919 + j * 104729) % 5000), std::string(100, 'v'));
                }
            },
            durability::lazy, "note " + std::to_string(i));
    }
    auto const before = db.read();
    CHECK(db.compact());
    auto const after = db.read();
    CHECK(after.id() == before.id());
    CHECK(after.time() == before.time());
    CHECK(after.note() == before.note());
    CHECK(std::ranges::equal(before, after));
    auto const report = db.check();
    CHECK(report.clean());
    CHECK(report.commits == 1);
    CHECK(report.leaf_fill(db.stats().nodes) > 0.95);
    CHECK(db.stats().garbage_bytes == 0);
}
