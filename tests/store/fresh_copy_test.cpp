// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/fresh_copy.hpp>

#include <coppice/store/check.hpp>

#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

using namespace coppice;
using proving::content;

namespace {

using copy_in_memory = store::fresh_copy<storage::memory_storage>;

/// A copy of what a database holds now, in a fresh storage.
copy_in_memory made_copy(memory_database const& db, store::copy_hooks const& hooks = {}) {
    auto const state = db.read().state();
    auto header = state->image().header;
    ++header.generation;
    return {std::make_shared<storage::memory_storage>(), header, state, hooks};
}

/// What a copy holds. It can be caught up with afterwards all the same.
content content_of_copy(copy_in_memory& copy) {
    auto record = copy.state()->record();
    record.user = copy.user();
    record.system = copy.system();
    record.previous = record.skip = {};
    record.index = 0;
    store::superblock slot;
    slot.counter = 1;
    auto const [state, written] = copy.seal(record, slot);
    CHECK(written.generation == copy.state()->image().header.generation + 1);
    CHECK(state->at() == store::record_of(written));
    return proving::content_of(snapshot(state));
}

bool is_kept(std::string_view key, std::string_view value) {
    return (key.size() + value.size()) % 4 != 0;
}

/// Random changes: single ones, ranges, values of every kind of place.
void disturb(memory_database& db, content& model, workbench::dice& dice) {
    auto txn = db.write();
    for (auto i = dice.below(12); i != 0; --i) {
        auto const key = proving::numbered("k", dice.below(300));
        switch (dice.below(6)) {
        case 0:
        case 1:
            txn.erase(key);
            model.erase(key);
            break;
        case 2: {
            auto const end = proving::numbered("k", dice.below(300));
            if (end <= key) break;
            txn.erase(key, end);
            model.erase(model.lower_bound(key), model.lower_bound(end));
            break;
        }
        default:
            auto const is_large = dice.below(40) == 0;
            auto const most = is_large ? std::uint64_t{3} << 20U : std::uint64_t{100};
            model[key] = proving::noise(dice.below(most), dice.next());
            txn.put(key, model[key]);
        }
    }
    txn.commit(durability::lazy);
}

} // namespace

TEST_CASE("a copy that catches up holds what its state holds, and with a filter what it keeps") {
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        INFO("seed " << seed);
        workbench::dice dice(seed);
        memory_database db(storage::memory_medium(), proving::tiny());
        content model = proving::numbered_entries(seed % 5 == 0 ? 0 : 250);
        db.update([&](auto& txn) { txn.load(model); });
        store::copy_hooks hooks;
        if (seed % 2 == 1) hooks.keep = is_kept;
        auto copy = made_copy(db, hooks);
        for (int round = 0; round < 8; ++round) {
            auto kept = model;
            if (hooks.keep) {
                std::erase_if(kept, [](auto const& e) { return !is_kept(e.first, e.second); });
            }
            REQUIRE((content_of_copy(copy) == kept));
            CHECK(copy.user().root.entries == kept.size());
            for (auto i = dice.below(4); i != 0; --i) disturb(db, model, dice);
            auto const newest = db.read().state();
            copy.catch_up(newest, hooks);
            CHECK(copy.state().get() == newest.get());
        }
    }
}

TEST_CASE("an entry that a filter drops goes and comes with its value") {
    memory_database db;
    store::copy_hooks hooks;
    hooks.keep = [](std::string_view, std::string_view value) { return value != "bad"; };
    auto const set = [&](std::string_view value) {
        db.update([&](auto& txn) { txn.put("k", value); });
    };
    set("bad");
    auto copy = made_copy(db, hooks);
    CHECK(content_of_copy(copy).empty());
    for (auto const* const value : {"good", "bad", "good", "better"}) {
        set(value);
        copy.catch_up(db.read().state(), hooks);
        CHECK(content_of_copy(copy).size() == (std::string_view(value) == "bad" ? 0U : 1U));
    }
    db.update([](auto& txn) { txn.erase("k"); });
    copy.catch_up(db.read().state(), hooks);
    CHECK(content_of_copy(copy).empty());
}

TEST_CASE("catching up reads and writes what has changed") {
    memory_database db(storage::memory_medium(), proving::tiny());
    db.update([](auto& txn) { txn.load(proving::numbered_entries(5000)); });
    auto copy = made_copy(db);
    auto const dense = copy.end_offset();
    copy.catch_up(db.read().state(), {});
    CHECK(copy.end_offset() == dense);
    std::uint64_t asked = 0;
    store::copy_hooks hooks;
    hooks.keep = [&](auto, auto) { return ++asked != 0; };
    db.update([](auto& txn) { txn.put(proving::numbered("k", 2500), "changed"); });
    copy.catch_up(db.read().state(), hooks);
    CHECK(asked == 1);
    CHECK(copy.end_offset() - dense < 4096);
    CHECK(copy.end_offset() > dense);
}

TEST_CASE("a state that is kept stays as a commit of its own with what it shares") {
    memory_database db(storage::memory_medium(), proving::tiny());
    std::vector<content> states;
    content model = proving::numbered_entries(500);
    db.update([&](auto& txn) { txn.load(model); }, {}, "first");
    states.push_back(model);
    auto copy = made_copy(db);
    auto const dense = copy.end_offset();
    copy.keep(7);
    auto const first_end = copy.end_offset();
    for (std::uint64_t i = 0; i < 20; ++i) {
        auto const key = proving::numbered("k", i * 17);
        model[key] = "changed";
        db.update([&](auto& txn) { txn.put(key, "changed"); });
        copy.catch_up(db.read().state(), {});
        if (i % 3 != 0) continue; // the others are passed
        states.push_back(model);
        copy.keep(7);
    }
    auto const newest = db.read().state();
    store::superblock slot;
    slot.counter = 1;
    auto const sealed = copy.seal(newest->record(), slot);
    store::revision_ptr state = sealed.first;
    CHECK(state->record().index == states.size());
    CHECK(store::check(*state).clean());
    CHECK((proving::content_of(snapshot(state)) == model));
    for (auto left = states.size(); left > 0; --left) {
        state = store::previous_state(*state);
        REQUIRE(state);
        CHECK(state->record().kept);
        CHECK(state->record().nonce == 7);
        CHECK(state->record().commit_id == 2 + (left == 1 ? 0 : 3 * (left - 2) + 1));
        CHECK((proving::content_of(snapshot(state)) == states[left - 1]));
    }
    CHECK_FALSE(store::previous_state(*state));
    CHECK(state->record().note == "first");
    CHECK(first_end - dense == format::encoded_bytes(state->record()));
    CHECK(copy.end_offset() < dense + 20 * 4096);
}

TEST_CASE("who watches a copy sees it begin and may end it") {
    memory_database db;
    db.update([](auto& txn) { txn.load(proving::numbered_entries(10'000)); });
    std::uint64_t last = 0;
    std::uint64_t calls = 0;
    store::copy_hooks hooks;
    hooks.watch = [&](std::uint64_t entries) {
        CHECK(entries >= last);
        last = entries;
        ++calls;
    };
    auto copy = made_copy(db, hooks);
    CHECK(calls == 3);
    CHECK(last == 8192);
    hooks.watch = [](std::uint64_t) { throw std::runtime_error("enough"); };
    CHECK_THROWS_AS(made_copy(db, hooks), std::runtime_error);
    db.update([](auto& txn) { txn.put("k", "v"); });
    CHECK_THROWS_AS(copy.catch_up(db.read().state(), hooks), std::runtime_error);
}
