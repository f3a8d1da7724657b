// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/writer.hpp>

#include <coppice/database.hpp>

#include <failing_medium.hpp>

#include <catch2/catch.hpp>

#include <cstdio>
#include <map>
#include <optional>
#include <set>
#include <string>

using namespace coppice;

namespace {

using failing_database = basic_database<failing::medium>;

void put(failing_database& db, std::string const& key, std::optional<durability> how = {}) {
    db.update([&](auto& txn) { txn.put(key, std::string(200, 'v')); }, how);
}

} // namespace

TEST_CASE("a durable commit syncs once, a lazy one never, two_sync and large ones twice") {
    auto const plan = std::make_shared<failing::plan>();
    failing_database db(failing::medium(plan), {.two_sync_above_bytes = 100'000});
    put(db, "warm up");
    auto const syncs_of = [&](auto const& work) {
        auto const before = plan->syncs;
        work();
        return plan->syncs - before;
    };
    CHECK(syncs_of([&] { put(db, "a", durability::sync); }) == 1);
    CHECK(syncs_of([&] { put(db, "b", durability::lazy); }) == 0);
    CHECK(syncs_of([&] { put(db, "c", durability::lazy); }) == 0);
    CHECK(syncs_of([&] { db.sync(); }) == 1);
    CHECK(syncs_of([&] { db.sync(); }) == 0);
    CHECK(syncs_of([&] { put(db, "d", durability::two_sync); }) == 2);
    CHECK(syncs_of(
              [&] { db.update([](auto& txn) { txn.put("e", std::string(100'001, 'L')); }); }) == 2);
    CHECK(
        syncs_of([&] {
            db.update([](auto& txn) { txn.load(std::map<std::string, std::string>{{"f", "1"}}); });
        }) == 2);
    CHECK(syncs_of([&] { db.update([](auto&) {}); }) == 0);
    CHECK(syncs_of([&] { put(db, "g", durability::lazy); }) == 0);
    CHECK(syncs_of([&] { db.update([](auto&) {}); }) == 1); // makes the lazy one durable
}

TEST_CASE("when too much is unsynced, the next commit syncs before it goes on") {
    auto const plan = std::make_shared<failing::plan>();
    failing_database db(failing::medium(plan), {.unsynced_limit_bytes = 10'000});
    auto const before = plan->syncs;
    for (int i = 0; i < 100; ++i) put(db, std::to_string(i), durability::lazy);
    CHECK(plan->syncs > before);
    CHECK(db.stats().unsynced_bytes <= 10'000 + 8192);
    CHECK(db.read().size() == 100);
}

TEST_CASE("a commit is one write of data and one of the slot") {
    auto const plan = std::make_shared<failing::plan>();
    failing_database db(failing::medium(plan), {.preallocate_bytes = 0});
    put(db, "warm up");
    auto const before = plan->writes;
    put(db, "a");
    CHECK(plan->writes - before == 2);
}

TEST_CASE("whichever operation of a commit fails, the outcome is as the error says") {
    std::set<std::string> kinds;
    int fired = 0;
    for (auto const how : {durability::sync, durability::lazy, durability::two_sync}) {
        for (auto const for_ever : {false, true}) {
            for (std::uint64_t nth = 1;; ++nth) {
                auto const plan = std::make_shared<failing::plan>();
                failing::medium const medium(plan);
                failing_database db(medium, {.preallocate_bytes = 0});
                put(db, "before");
                *plan = {.fail_at = nth, .for_ever = for_ever};
                std::optional<errc> told;
                try {
                    put(db, "new", how);
                } catch (error const& e) {
                    told = e.kind();
                }
                if (!told) break; // nothing failed any more
                ++fired;
                kinds.insert(plan->failed);
                auto const harmless = plan->failed == "data write";
                CHECK(*told == (harmless ? errc::io_failed : errc::sync_failed));
                auto const now = db.read();
                CHECK(now.size() == 1);
                plan->fail_at = 0;
                if (harmless) {
                    put(db, "new");
                    CHECK(db.read().size() == 2);
                    continue;
                }
                CHECK_THROWS_AS(put(db, "again"), error);
                CHECK(now.contains("before"));
                failing_database reopened(medium, {.preallocate_bytes = 0});
                auto const after = reopened.read();
                CHECK((after.size() == 1 || after.size() == 2));
                put(reopened, "goes on");
                CHECK(reopened.read().contains("before"));
                CHECK(reopened.read().contains("goes on"));
                CHECK(reopened.check().clean());
                CHECK_THROWS_AS(put(db, "the old handle stays refused"), error);
            }
        }
    }
    std::printf("%d failures fired: ", fired);
    for (auto const& kind : kinds) std::printf("%s; ", kind.c_str());
    std::printf("\n");
    CHECK(kinds == std::set<std::string>{"data write", "slot write", "sync"});
}

TEST_CASE("whichever operation of making a database fails, nothing is left and it can be made") {
    int fired = 0;
    for (std::uint64_t nth = 1;; ++nth) {
        auto const plan = std::make_shared<failing::plan>();
        plan->fail_at = nth;
        failing::medium medium(plan);
        bool failed = false;
        try {
            failing_database db(medium);
        } catch (error const&) {
            failed = true;
            ++fired;
        }
        plan->fail_at = 0;
        CHECK_FALSE(medium.discard_fresh());
        failing_database db(medium);
        put(db, "a");
        CHECK(db.read().size() == 1);
        if (!failed) break;
    }
    CHECK(fired >= 5);
}

TEST_CASE("records are padded to blocks where the medium may damage what shares one") {
    auto const plan = std::make_shared<failing::plan>();
    failing_database db(failing::medium(plan), {.preallocate_bytes = 0, .pad_commits = true});
    for (int i = 0; i < 5; ++i) {
        put(db, std::to_string(i), i % 2 == 0 ? durability::lazy : durability::sync);
        CHECK(db.read().state()->limit_offset() % 4096 == 0);
    }
    CHECK(db.check().clean());
    for (auto const& commit : db.history()) CHECK(db.read(commit.id).id() == commit.id);
}
