// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/retention.hpp>

#include <kind_of.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace coppice;
using proving::content;
using proving::in_file;
using proving::in_memory;
using proving::test_database;
using support::kind_of;

namespace {

using clock_time = std::chrono::system_clock::time_point;

/// A clock that goes when it is told to, and the options of a database that goes by it.
struct kept_time {
    clock_time now{std::chrono::hours(1000)};
    [[nodiscard]] options chosen(retention_policy const& policy) {
        auto chosen = proving::tiny();
        chosen.retention = policy;
        chosen.clock = [this] { return now; };
        return chosen;
    }
};

template <typename Database> commit_id put_round(Database& db, int round) {
    return db.update([&](auto& txn) { txn.put("round", std::to_string(round)); }, durability::lazy,
                     "note " + std::to_string(round));
}

template <typename Database> std::vector<std::uint64_t> ids_of(Database& db) {
    std::vector<std::uint64_t> ids;
    auto const commits = db.history();
    for (auto const& each : commits) ids.insert(ids.begin(), each.id.value);
    return ids;
}

/// What each commit holds, and which ones have names, as a user would note it down.
struct notebook {
    std::map<std::uint64_t, content> states{{1, {}}};
    std::map<std::uint64_t, clock_time> times;
    std::map<std::string, std::uint64_t> names;
    std::set<std::uint64_t> held{1};

    [[nodiscard]] std::uint64_t newest() const { return states.rbegin()->first; }
    void add(commit_id id, content state, clock_time when) {
        states[id.value] = std::move(state);
        times[id.value] = when;
        held.insert(id.value);
    }
    void compact(retention_policy const& policy, clock_time now) {
        std::set<std::uint64_t> kept{newest()};
        for (auto const& [name, id] : names) kept.insert(id);
        std::uint64_t number = 0;
        for (auto at = held.rbegin(); at != held.rend(); ++at) {
            auto const young = policy.age.count() > 0 && times[*at] > now - policy.age;
            if (number++ >= policy.commits && !young) break;
            kept.insert(*at);
        }
        held = kept;
    }
    template <typename Database> void must_agree(Database& db) const {
        for (auto const& each : states) {
            auto const id = each.first;
            if (held.contains(id)) {
                REQUIRE((proving::content_of(db.read(commit_id{id})) == each.second));
            } else {
                REQUIRE(kind_of([&] { static_cast<void>(db.read(commit_id{id})); }) ==
                        errc::history_gone);
            }
        }
        auto const tags = db.tags();
        REQUIRE(tags.size() == names.size());
        for (auto const& [name, id] : tags) {
            REQUIRE(names.at(name) == id.value);
            REQUIRE(db.read(name).id() == id);
        }
        auto const ids = ids_of(db);
        REQUIRE(std::equal(ids.begin(), ids.end(), held.begin(), held.end()));
        REQUIRE(db.check().clean());
    }
};

} // namespace

TEST_CASE("the newest commit is kept and what the policy wants and what has a name") {
    kept_time time;
    memory_database db(storage::memory_medium(), time.chosen({})); // commit 1 at hour 1000
    for (int i = 2; i <= 10; ++i) {
        time.now += std::chrono::hours(1);
        put_round(db, i);
    }
    auto const kept = [&](retention_policy const& policy, std::uint64_t first = 0) {
        auto const now_us = store::to_microseconds(time.now);
        std::vector<std::uint64_t> ids;
        for (auto const id :
             store::kept_commits(db.read().state(), policy, now_us, commit_id{first})) {
            ids.push_back(id.value);
        }
        return ids;
    };
    using list = std::vector<std::uint64_t>;
    using std::chrono::hours;
    CHECK(kept({}) == list{10});
    CHECK(kept({.commits = 0}) == list{10});
    CHECK(kept({.commits = 3}) == list{8, 9, 10});
    CHECK(kept({.commits = 99}) == list{1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
    CHECK(kept({.commits = ~std::uint64_t{0}}, 7) == list{7, 8, 9, 10});
    CHECK(kept({.age = hours(2)}) == list{9, 10}); // that of two hours ago is not younger
    CHECK(kept({.age = hours(2) + std::chrono::microseconds(1)}) == list{8, 9, 10});
    CHECK(kept({.commits = 4, .age = hours(2)}) == list{7, 8, 9, 10});
    CHECK(kept({.commits = 2, .age = hours(4)}) == list{7, 8, 9, 10});
    CHECK(kept({.age = hours(1'000'000)}).size() == 10);
    CHECK(kept({.age = -hours(1)}) == list{10});
    db.tag("b", {3});
    db.tag("a", {9});
    db.tag("c", {3});
    CHECK(kept({}) == list{3, 9, 13});
    CHECK(kept({.commits = 3}) == list{3, 9, 11, 12, 13});
    CHECK(kept({.commits = 6}, 9) == list{9, 10, 11, 12, 13});
    CHECK(kept({}, 4) == list{9, 13});
    db.untag("b");
    db.untag("c");
    CHECK(kept({}) == list{9, 15});
}

TEMPLATE_TEST_CASE("a compaction keeps commits with their number - note - time and content", "",
                   in_file, in_memory) {
    kept_time time;
    test_database<TestType> on(time.chosen({.commits = 3}));
    std::map<std::uint64_t, snapshot> before;
    for (int i = 0; i < 30; ++i) {
        time.now += std::chrono::hours(1);
        auto const id = put_round(*on, i);
        before.emplace(id.value, on->read());
    }
    on->tag("nine", {9});
    auto const newest = on->read().id();
    CHECK(on->compact());
    CHECK(ids_of(*on) == std::vector<std::uint64_t>{9, 30, 31, 32});
    for (auto const id : {9U, 30U, 31U}) {
        auto const now = on->read(commit_id{id});
        auto const& then = before.at(id);
        CHECK(now.note() == then.note());
        CHECK(now.time() == then.time());
        CHECK(proving::content_of(now) == proving::content_of(then));
        CHECK(now.identity() != then.identity()); // its record is another one
        CHECK(on->read(now.time()).id() == commit_id{id});
    }
    CHECK(on->read().id() == newest);
    CHECK(kind_of([&] { static_cast<void>(on->read(commit_id{10})); }) == errc::history_gone);
    // Between two that are kept an earlier time finds the earlier one.
    CHECK(on->read(before.at(20).time()).id() == commit_id{9});
    CHECK(on->stats().commits == 4);
    // The chain goes on, and so does a second compaction.
    for (int i = 0; i < 5; ++i) put_round(*on, i);
    CHECK(on->untag("nine"));
    CHECK(on->compact());
    CHECK(ids_of(*on) == std::vector<std::uint64_t>{36, 37, 38});
    on.reopen();
    auto const kept = on->read(commit_id{36});
    CHECK(kept.note() == "note 3");
}

TEMPLATE_TEST_CASE("random histories with names and retention hold what was noted down", "",
                   in_file, in_memory) {
    for (std::uint64_t seed = 0; seed < 25; ++seed) {
        INFO("seed " << seed);
        workbench::dice dice(seed);
        kept_time time;
        retention_policy policy;
        policy.commits = dice.below(3) == 0 ? 1 : dice.below(12);
        if (dice.below(2) == 0) policy.age = std::chrono::minutes(dice.below(300));
        test_database<TestType> on(time.chosen(policy));
        notebook noted;
        noted.times[1] = time.now;
        auto model = content();
        for (int step = 0; step < 60; ++step) {
            time.now += std::chrono::minutes(1 + dice.below(30));
            auto const what = dice.below(20);
            if (what < 12) {
                auto txn = on->write();
                for (auto i = 1 + dice.below(8); i != 0; --i) {
                    auto const key = proving::numbered("k", dice.below(200));
                    auto const large = dice.below(100) == 0;
                    model[key] = proving::noise(dice.below(large ? 100'000 : 80), dice.next());
                    txn.put(key, model[key]);
                }
                auto const gone = proving::numbered("k", dice.below(200));
                txn.erase(gone);
                model.erase(gone);
                noted.add(txn.commit(durability::lazy), model, time.now);
            } else if (what < 16) {
                auto const name = proving::numbered("t", dice.below(6));
                auto at = noted.held.begin();
                std::advance(at, static_cast<std::ptrdiff_t>(dice.below(noted.held.size())));
                auto const had = noted.names.contains(name) && noted.names[name] == *at;
                auto const id = on->tag(name, {*at}, durability::lazy);
                noted.names[name] = *at;
                if (!had) noted.add(id, model, time.now);
            } else if (what < 18) {
                auto const name = proving::numbered("t", dice.below(6));
                auto const had = noted.names.erase(name) != 0;
                REQUIRE(on->untag(name, durability::lazy) == had);
                if (had) noted.add(on->read().id(), model, time.now);
            } else if (what == 18) {
                REQUIRE(on->compact());
                noted.compact(policy, time.now);
                noted.must_agree(*on);
            } else {
                on.reopen();
            }
        }
        REQUIRE(on->compact());
        noted.compact(policy, time.now);
        noted.must_agree(*on);
    }
}

TEMPLATE_TEST_CASE("what kept commits share they share in the fresh file", "", in_file, in_memory) {
    constexpr std::uint64_t kept = 50;
    auto chosen = proving::tiny();
    chosen.nodes = node_sizes{};
    auto const fill = [](auto& db) {
        auto model = proving::numbered_entries(20'000);
        model["large"] = proving::noise(std::size_t{3} << 20U);
        db.update([&](auto& txn) { txn.load(model); });
        for (std::uint64_t i = 0; i < kept; ++i) {
            auto const key = proving::numbered("k", i * 397);
            db.update([&](auto& txn) { txn.put(key, "changed"); }, durability::lazy);
        }
    };
    test_database<TestType> one(chosen);
    fill(*one);
    CHECK(one->compact());
    auto const alone = one->stats();
    CHECK(alone.retained_bytes == 0);
    chosen.retention.commits = kept;
    test_database<TestType> many(chosen);
    fill(*many);
    CHECK(many->compact());
    auto const all = many->stats();
    CHECK(all.commits == kept);
    CHECK(all.live_bytes + all.retained_bytes == all.valid_bytes);
    CHECK(all.garbage_bytes == 0);
    // One copy, and for each of the others a path from its leaf to the root, and a record.
    auto const path_bytes = chosen.nodes.leaf_bytes + 3 * std::uint64_t{chosen.nodes.inner_bytes};
    CHECK(all.valid_bytes > alone.valid_bytes);
    CHECK(all.valid_bytes - alone.valid_bytes < (kept - 1) * (path_bytes + 256));
    CHECK(all.valid_bytes < 2 * alone.valid_bytes);
    std::uint64_t steps = 0;
    for (auto const& each : many->history()) {
        auto const state = many->read(each.id);
        CHECK(state.size() == 20'001);
        // The large value is one and the same in all of them.
        auto const newest = many->read();
        CHECK(state.get("large")->data() == newest.get("large")->data());
        ++steps;
    }
    CHECK(steps == kept);
}

TEST_CASE("commits that are made meanwhile are kept as if they had been there before") {
    for (std::uint64_t const commits : {1U, 3U, 7U}) {
        test_database<in_memory> on([&] {
            auto chosen = proving::tiny();
            chosen.retention.commits = commits;
            return chosen;
        }());
        for (int i = 0; i < 20; ++i) put_round(*on, i);
        on->tag("five", {5});
        int calls = 0;
        std::vector<std::uint64_t> named;
        CHECK(on->compact({.progress = [&](auto, auto) {
            if (calls >= 12) return true;
            put_round(*on, 100 + calls);
            if (++calls % 4 == 0) {
                named.push_back(on->read().id().value);
                on->tag("beside" + std::to_string(calls));
            }
            return true;
        }}));
        CHECK(calls >= 4);
        CHECK(on->check().clean());
        CHECK(on->tags().size() == 1 + named.size());
        for (auto const id : named) CHECK(on->read(commit_id{id}).id().value == id);
        auto const newest = on->read().id().value;
        for (std::uint64_t i = 0; i < commits; ++i) {
            CHECK(on->read(commit_id{newest - i}).id().value == newest - i);
        }
        auto const five = on->read("five");
        CHECK(five.get("round") == "3");
        CHECK(kind_of([&] { static_cast<void>(on->read(commit_id{6})); }) == errc::history_gone);
    }
}

TEST_CASE("a filter is refused where older commits are to be kept") {
    auto chosen = proving::tiny();
    chosen.retention.commits = 2;
    test_database<in_memory> on(chosen);
    put_round(*on, 1);
    auto const all = [](auto, auto) { return true; };
    auto const before = on->stats();
    CHECK(kind_of([&] { on->compact({.keep = all}); }) == errc::invalid_argument);
    CHECK(on->stats().generation == before.generation);
    auto alone = on.another(proving::tiny());
    CHECK(alone.compact({.keep = all}));
    alone.tag("a");
    CHECK(kind_of([&] { alone.compact({.keep = all}); }) == errc::invalid_argument);
    alone.untag("a");
    // A tag that is given meanwhile is one too.
    auto given = false;
    CHECK(kind_of([&] {
              alone.compact({.keep = all, .progress = [&](auto, auto) {
                                 if (!std::exchange(given, true)) alone.tag("b");
                                 return true;
                             }});
          }) == errc::invalid_argument);
    CHECK(alone.tags().size() == 1);
    CHECK(alone.check().clean());
}

TEST_CASE("what a kept commit knew of names is what is still there") {
    test_database<in_file> on;
    put_round(*on, 2);
    on->tag("two", {2}); // 3
    on->tag("one", {1}); // 4
    auto const five = put_round(*on, 5);
    on->tag("five", five); // 6
    on->untag("two");      // 7
    CHECK(on->compact());
    CHECK(ids_of(*on) == std::vector<std::uint64_t>{1, 5, 7});
    CHECK(on->tags() == std::vector<tagged_commit>{{"five", five}, {"one", {1}}});
    // At commit 5 the names were "one" and "two"; the commit that "two" named is gone.
    auto const folder = on.place().path().parent_path();
    auto const branch = on->branch(folder / "branch.db", five);
    CHECK(branch.tags() == std::vector<tagged_commit>{{"one", {1}}});
    CHECK(branch.check().clean());
    on->backup(folder / "backup.db");
    database const copy(folder / "backup.db");
    CHECK(copy.tags() == on->tags());
    CHECK(copy.read("five").size() == 1);
}

TEST_CASE("the figures count what was kept as retained until it is not kept any more") {
    auto chosen = proving::tiny();
    chosen.retention.commits = 10;
    test_database<in_memory> on(chosen);
    for (int i = 0; i < 40; ++i) {
        on->update([&](auto& txn) {
            for (std::uint64_t k = 0; k < 20; ++k) {
                txn.put(proving::numbered("k", k), proving::noise(60, static_cast<unsigned>(i)));
            }
        });
    }
    CHECK(on->stats().retained_bytes == 0);
    CHECK(on->compact());
    auto const fresh = on->stats();
    CHECK(fresh.garbage_bytes == 0);
    CHECK(fresh.retained_bytes > 5 * (fresh.live_bytes - 12288));
    auto const id = put_round(*on, 1);
    auto const after = on->stats();
    CHECK(after.retained_bytes == fresh.retained_bytes);
    CHECK(after.live_bytes + after.retained_bytes + after.garbage_bytes == after.valid_bytes);
    on.reopen();
    CHECK(on->stats().retained_bytes == fresh.retained_bytes);
    auto alone = on.another(proving::tiny());
    CHECK(alone.compact());
    CHECK(alone.stats().retained_bytes == 0);
    CHECK(alone.stats().newest == id);
}

TEST_CASE("a span of deferred commits that is kept answers as it did") {
    auto chosen = proving::tiny();
    chosen.retention.commits = 2;
    chosen.flush.interval = std::chrono::milliseconds{0};
    test_database<in_memory> on(chosen);
    for (int i = 0; i < 3; ++i) {
        on->update([&](auto& txn) { txn.put("n", std::to_string(i)); }, durability::deferred);
    }
    on->flush(); // 2 to 4
    put_round(*on, 5);
    CHECK(on->compact());
    CHECK(ids_of(*on) == std::vector<std::uint64_t>{4, 5});
    auto const four = on->read(commit_id{4});
    CHECK(four.get("n") == "2");
    CHECK(kind_of([&] { static_cast<void>(on->read(commit_id{3})); }) == errc::history_gone);
}
