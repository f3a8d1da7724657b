// SPDX-License-Identifier: BSL-1.0
#include <coppice/feed.hpp>

#include <catch2/catch.hpp>
#include <child_process.hpp>
#include <kind_of.hpp>
#include <test_database.hpp>

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace {

using coppice::commit_identity;
using coppice::durability;
using coppice::errc;
using proving::content;
using proving::in_file;
using proving::in_memory;
using proving::test_database;
using support::kind_of;
using namespace std::chrono_literals;

constexpr auto hang = 60s; ///< longer than that nothing here may take
constexpr auto patience = 20ms;

/// What follows a database: its content, and how far it has come.
struct replica {
    content entries;
    commit_identity since;
    std::vector<std::uint64_t> seen;

    void take(coppice::commit_changes const& commit) {
        if (commit.whole) entries.clear();
        for (auto const& [key, before, after] : commit.changes) {
            auto const found = entries.find(key);
            REQUIRE((found == entries.end()) == !before);
            if (before) REQUIRE((found->second == *before));
            if (after) {
                entries[std::string(key)] = *after;
            } else {
                entries.erase(found);
            }
        }
        since = commit.identity;
        seen.push_back(commit.identity.id.value);
    }
    template <typename Database> void follow(Database const& db) {
        for (auto const& commit : db.changes(since)) take(commit);
    }
};

template <typename Database>
coppice::commit_id put_key(Database& db, std::string const& key,
                           durability how = durability::sync) {
    return db.update([&](auto& t) { t.put(key, key + "'s value"); }, how, "note of " + key);
}

} // namespace

TEMPLATE_TEST_CASE("a feed tells each durable commit once oldest first", "", in_file, in_memory) {
    test_database<TestType> db;
    put_key(*db, "a");
    put_key(*db, "b");
    db->update([](auto& t) { t.erase("a"); });
    std::vector<std::uint64_t> ids;
    std::string notes;
    coppice::snapshot const now = db->read();
    for (auto const& commit : db->changes()) {
        CHECK(commit.whole == ids.empty());
        CHECK(commit.identity == db->read(commit.identity.id).identity());
        CHECK(commit.time == db->read(commit.identity.id).time());
        ids.push_back(commit.identity.id.value);
        notes += commit.note + ";";
    }
    CHECK(ids == std::vector<std::uint64_t>{1, 2, 3, 4});
    CHECK(notes == ";note of a;note of b;;");
    CHECK(db->changes(now.identity()).empty());
    CHECK((db->changes(now.identity()).begin() == std::default_sentinel));

    auto const feed = db->changes(db->read(coppice::commit_id{2}).identity());
    put_key(*db, "later"); // a feed is of its moment
    unsigned commits = 0;
    for (auto const& commit : feed) {
        ++commits;
        CHECK(commit.identity.id.value == 2 + commits);
        auto const changes = commit.changes;
        REQUIRE_FALSE(changes.empty());
        CHECK((*changes.begin()).key == (commits == 1 ? "b" : "a"));
    }
    CHECK(commits == 2);
}

TEMPLATE_TEST_CASE("a replica that follows at any moments has the content of the database", "",
                   in_file, in_memory) {
    test_database<TestType> db;
    replica eager;
    replica rare;
    workbench::dice roll(5);
    for (unsigned i = 0; i < 150; ++i) {
        auto const how = i % 4 == 0 ? durability::sync : durability::lazy;
        db->update(
            [&](auto& t) {
                for (unsigned n = 0; n < 5; ++n) {
                    auto const key = proving::numbered("k", roll.below(60));
                    if (roll.below(3) == 0) {
                        t.erase(key);
                    } else {
                        t.put(key, proving::noise(roll.below(60), i));
                    }
                }
                t.put("always", std::to_string(i));
            },
            how);
        eager.follow(*db);
        if (i % 37 == 0) rare.follow(*db);
    }
    db->sync();
    eager.follow(*db);
    rare.follow(*db);
    proving::must_hold(db->read(), eager.entries);
    CHECK(eager.entries == rare.entries);
    CHECK(eager.seen == rare.seen);
    CHECK(eager.seen.size() == 151);
    CHECK(std::adjacent_find(eager.seen.begin(), eager.seen.end(), std::greater_equal<>()) ==
          eager.seen.end());
}

TEST_CASE("a feed tells the keys that are asked for") {
    test_database<in_memory> db;
    put_key(*db, "a");
    put_key(*db, "b");
    std::vector<std::string> keys;
    for (auto const& commit : db->changes({}, coppice::including("b"), coppice::unbounded())) {
        for (auto const& change : commit.changes) keys.emplace_back(change.key);
    }
    CHECK(keys == std::vector<std::string>{"b"});
}

TEMPLATE_TEST_CASE("commits that are not durable yet are not told", "", in_file, in_memory) {
    test_database<TestType> db;
    put_key(*db, "a");
    auto const durable = db->read().identity();
    auto const id = put_key(*db, "lazy", durability::lazy);
    CHECK(db->read().id() == id);
    CHECK(db->changes(durable).empty());
    CHECK_FALSE(db->wait_for_change(durable, patience));
    // Whoever has read ahead is not told of it again, nor of what is lazy behind it.
    auto const ahead = db->read().identity();
    auto const next = put_key(*db, "lazy too", durability::lazy);
    CHECK(db->changes(ahead).empty());
    CHECK_FALSE(db->wait_for_change(ahead, 0s));
    db->sync();
    CHECK(db->wait_for_change(durable, hang));
    CHECK((*db->changes(durable).begin()).identity.id == id);
    CHECK((*db->changes(ahead).begin()).identity.id == next);
}

TEMPLATE_TEST_CASE("history that is gone is an error and beginning anew helps", "", in_file,
                   in_memory) {
    test_database<TestType> db;
    replica one;
    put_key(*db, "a");
    one.follow(*db);
    put_key(*db, "b");
    auto const before = db->changes(one.since);
    db->compact();
    CHECK(kind_of([&] { static_cast<void>(db->changes(one.since)); }) == errc::history_gone);
    CHECK(kind_of([&] { static_cast<void>(db->wait_for_change(one.since, hang)); }) ==
          errc::history_gone);
    // A feed that was begun goes on over the file that was compacted away.
    auto two = one;
    for (auto const& commit : before) two.take(commit);
    CHECK(two.seen == std::vector<std::uint64_t>{1, 2, 3});
    // The same number is not the same commit.
    CHECK(kind_of([&] { static_cast<void>(db->changes(two.since)); }) == errc::history_gone);
    put_key(*db, "c");
    one.since = {};
    one.follow(*db);
    proving::must_hold(db->read(), one.entries);
    CHECK(kind_of([&] { static_cast<void>(db->changes({{99}, 1})); }) == errc::history_gone);
    auto wrong = one.since;
    ++wrong.checksum;
    CHECK(kind_of([&] { static_cast<void>(db->changes(wrong)); }) == errc::history_gone);
}

TEMPLATE_TEST_CASE("waiting ends with a commit of another thread", "", in_file, in_memory) {
    test_database<TestType> db;
    auto const since = db->read().identity();
    auto other = db.another();
    std::thread writer([&] {
        std::this_thread::sleep_for(patience);
        put_key(other, "woken");
    });
    CHECK(db->wait_for_change(since, hang));
    writer.join();
    CHECK(db->get("woken"));
}

TEST_CASE("a feed follows another process through commits and compactions") {
    if (workbench::skip_forks()) return;
    constexpr std::uint64_t last = 300;
    workbench::folder const folder;
    auto const path = folder / "test.db";
    { coppice::database const made(path, proving::tiny()); }
    workbench::child writer([&](workbench::reporter const&) {
        coppice::database db(path, proving::tiny());
        workbench::dice roll(3);
        for (std::uint64_t i = 0; i <= last; ++i) {
            db.update(
                [&](auto& t) {
                    t.put(proving::numbered("k", roll.below(50)), std::to_string(i));
                    t.put("last", std::to_string(i));
                },
                i % 3 == 0 ? durability::sync : durability::lazy);
            if (i % 100 == 70) db.compact();
        }
    });
    coppice::database const db(path, {.read_only = true});
    replica here;
    unsigned anew = 0;
    auto const ended = [&] {
        auto const found = here.entries.find("last");
        return found != here.entries.end() && found->second == std::to_string(last);
    };
    while (!ended()) {
        try {
            auto const told = db.wait_for_change(here.since, hang);
            REQUIRE(told);
            here.follow(db);
        } catch (coppice::error const& e) {
            REQUIRE(e.kind() == errc::history_gone);
            here = {};
            ++anew;
        }
    }
    CHECK(writer.wait() == 0);
    CHECK(anew <= 3);
    proving::must_hold(db.read(), here.entries);
}
