// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/postponed.hpp>

#include <coppice/database.hpp>

#include <child_process.hpp>
#include <faulty_medium.hpp>
#include <kind_of.hpp>
#include <test_database.hpp>
#include <workbench.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

using namespace coppice;
using namespace std::chrono_literals;
using store::postponed_commits;
using store::revision_ptr;

namespace {

options without_thread() {
    auto chosen = proving::tiny();
    chosen.flush.interval = 0ms;
    return chosen;
}

revision_ptr empty_state() {
    format::commit_record record;
    record.commit_id = 7;
    return revision_ptr(
        new store::revision(std::make_shared<store::file_image>(), record, {4096, 1}, 0));
}

/// Commits of one entry each over an empty state, and what is shown of them.
struct waiting_commits {
    postponed_commits waiting;
    revision_ptr const below = empty_state();
    std::shared_ptr<tree::arena> memory = std::make_shared<tree::arena>();
    revision_ptr shown;

    revision_ptr add(std::string const& key, std::string const& value, std::uint64_t id) {
        tree::edit_map edits;
        edits.put(memory->copy(key), {memory->copy(value), false});
        auto seen = waiting.add(edits, *below, below, memory, id, 1000 + id);
        CHECK(edits.empty());
        return seen;
    }
    void look(bool waits = true) {
        waiting.look([&](revision_ptr const& state) { shown = state; }, waits);
    }
    revision_ptr take() {
        return waiting.take([&](revision_ptr const& state) { shown = state; });
    }
};

std::string value_in(revision_ptr const& state, std::string_view key) {
    auto const found = tree::find(*state, state->user(), key);
    return found ? std::string(found->raw) : "nothing";
}

template <typename Database>
void put(Database& db, std::string const& key, std::string const& value) {
    db.update([&](auto& txn) { txn.put(key, value); }, durability::deferred);
}

} // namespace

TEST_CASE("commits that nobody has looked at become one state, which has the numbers of all") {
    waiting_commits on;
    CHECK_FALSE(on.waiting.any());
    CHECK_FALSE(on.take());
    CHECK_FALSE(on.add("a", "1", 8));
    CHECK_FALSE(on.add("b", "1", 9));
    CHECK_FALSE(on.add("a", "2", 10));
    CHECK(on.waiting.any());
    CHECK(on.waiting.held_bytes() > 0);
    auto const state = on.take();
    CHECK(state.get() == on.shown.get());
    CHECK(state->is_deferred());
    CHECK(state->record().commit_id == 10);
    CHECK(state->record().id_span == 2);
    CHECK(state->record().time_us == 1010);
    CHECK(state->user().root.entries == 2);
    CHECK(value_in(state, "a") == "2");
    CHECK_FALSE(on.waiting.any());
    CHECK(on.waiting.held_bytes() == 0);
    CHECK_FALSE(on.take());
}

TEST_CASE("what a reader has made is what the writer goes on from, and never changes") {
    waiting_commits on;
    static_cast<void>(on.add("a", "1", 8));
    on.look();
    auto const first = on.shown;
    CHECK(value_in(first, "a") == "1");
    CHECK_FALSE(on.waiting.any());
    on.look(); // there is nothing to look at
    CHECK(on.shown.get() == first.get());
    CHECK(on.add("a", "2", 9).get() == first.get());
    CHECK_FALSE(on.add("b", "2", 10));
    CHECK(value_in(first, "a") == "1");
    auto const next = on.take();
    CHECK(next->record().id_span == 2);
    CHECK(value_in(next, "a") == "2");
    static_cast<void>(on.add("c", "3", 11));
    on.look();
    CHECK(on.take().get() == on.shown.get());
    CHECK_FALSE(on.take());
}

TEST_CASE("the memory of what a reader has made goes with that of the deferred commits") {
    waiting_commits on;
    std::weak_ptr<tree::arena> const memory = on.memory;
    static_cast<void>(on.add("a", "1", 8));
    on.look();
    auto const before = on.memory->held_bytes();
    static_cast<void>(on.take());
    CHECK(on.memory->held_bytes() > before); // it holds that of the reader too
    on.memory.reset();
    auto const value = value_in(on.shown, "a");
    CHECK(value == "1");
    CHECK_FALSE(memory.expired());
    on.shown = {};
    CHECK(memory.expired());
}

TEST_CASE("a key is looked for among the commits before a tree is made, but not too often") {
    waiting_commits on;
    CHECK_FALSE(on.waiting.find("a", true));
    static_cast<void>(on.add("a", "1", 8));
    static_cast<void>(on.add("a", "2", 9));
    auto const found = on.waiting.find("a", true);
    REQUIRE(found);
    CHECK(found->last == tree::edit_map::pending::put);
    CHECK(found->value.raw == "2");
    CHECK(found->below.get() == on.below.get());
    CHECK(on.waiting.find("b", true)->last == tree::edit_map::pending::none);
    CHECK(on.waiting.any());
    CHECK(on.waiting.is_worth_it()); // that was no look at all of them
    auto finds = 2;
    while (on.waiting.find("b", true)) ++finds;
    CHECK(finds == 2 * 32);
    on.look();
    CHECK_FALSE(on.waiting.find("a", true)); // it is in the tree
    static_cast<void>(on.add("b", "1", 10));
    CHECK(on.waiting.find("a", true)->below.get() == on.shown.get());
}

TEST_CASE("what was found stays, though the commits are written and gone") {
    waiting_commits on;
    std::weak_ptr<tree::arena> const memory = on.memory;
    static_cast<void>(on.add("a", "1", 8));
    auto found = on.waiting.find("a", true);
    static_cast<void>(on.take());
    on.shown = {};
    on.memory.reset();
    CHECK_FALSE(memory.expired());
    CHECK(found->value.raw == "1");
    found.reset();
    CHECK(memory.expired());
}

TEST_CASE("a reader that may not wait does not") {
    waiting_commits on;
    static_cast<void>(on.add("a", "1", 8));
    auto found = false;
    on.waiting.look(
        [&](revision_ptr const&) {
            std::thread([&] {
                on.look(false);
                found = on.waiting.find("a", false).has_value();
            }).join();
        },
        true);
    CHECK_FALSE(on.shown);
    CHECK_FALSE(found);
}

TEST_CASE("a state that cannot be made is not lost, and the next one who looks is told as well") {
    waiting_commits on;
    tree::edit_map edits;
    format::commit_record record;
    record.user.height = 1;
    record.user.root.node = {8 | 64, 0}; // no such node
    auto image = std::make_shared<store::file_image>();
    revision_ptr const bad(new store::revision(image, record, {4096, 1}, 0));
    edits.put("a", {"1", false});
    static_cast<void>(on.waiting.add(edits, *bad, bad, on.memory, 8, 1));
    for (int i = 0; i < 2; ++i) {
        CHECK(support::kind_of([&] { on.look(); }) == errc::corrupt);
        CHECK(support::kind_of([&] { static_cast<void>(on.take()); }) == errc::corrupt);
        CHECK(on.waiting.any());
    }
}

// A small edit of a large tree makes a whole leaf and its path: edits alone say little of what
// memory they will come to.
TEST_CASE("the tree that is still to be made counts as memory, by what the last one took") {
    waiting_commits on;
    static_cast<void>(on.add("a", "1", 8));
    CHECK(on.waiting.held_bytes() >= 4096);
    static_cast<void>(on.take());
    for (unsigned i = 0; i < 1000; ++i) {
        static_cast<void>(on.add(proving::numbered("k", i), "v", 9 + i));
    }
    CHECK(on.waiting.held_bytes() >= std::size_t{1000} * 4096);
    static_cast<void>(on.take());
    static_cast<void>(on.add("a", "1", 2000));
    CHECK(on.waiting.held_bytes() < 1000); // neighbours share their leaves
}

TEST_CASE("where commits are read one by one their trees are made at once, for a while") {
    waiting_commits on;
    CHECK(on.waiting.is_worth_it());
    static_cast<void>(on.add("a", "1", 8));
    static_cast<void>(on.take());
    CHECK(on.waiting.is_worth_it()); // nobody but the writer has looked
    static_cast<void>(on.add("b", "1", 9));
    on.look();
    auto at_once = 0;
    while (!on.waiting.is_worth_it()) ++at_once;
    CHECK(at_once == 16);
    CHECK(on.waiting.is_worth_it());
}

TEMPLATE_TEST_CASE("postponed commits are read, built upon, flushed and found again", "",
                   proving::in_file, proving::in_memory) {
    proving::test_database<TestType> on(without_thread());
    auto& db = *on;
    proving::content wanted;
    auto const put_next = [&](int i) {
        auto const key = proving::numbered("key", static_cast<unsigned>(i % 97));
        wanted[key] = std::to_string(i);
        put(db, key, wanted[key]);
    };
    for (int i = 0; i < 300; ++i) {
        put_next(i);
        CHECK(db.get(proving::numbered("key", static_cast<unsigned>(i % 97))) == std::to_string(i));
    }
    CHECK_FALSE(db.get("no such key"));
    auto const seen = db.read();
    auto const then = wanted;
    proving::must_hold(seen, then);
    for (int i = 300; i < 400; ++i) put_next(i);
    proving::must_hold(seen, then);
    CHECK(db.stats().deferred_commits == 400);
    {
        auto txn = db.write(); // one that reads in it builds on all before it
        CHECK(txn.get(proving::numbered("key", 5)) == wanted[proving::numbered("key", 5)]);
        CHECK(txn.erase(proving::numbered("key", 5)));
        wanted.erase(proving::numbered("key", 5));
        txn.commit(durability::deferred);
    }
    for (int i = 0; i < 50; ++i) put(db, "many", std::to_string(i));
    wanted["many"] = "49";
    {
        auto txn = db.write();
        txn.put("open", "1"); // a reader waits for no open transaction, of its own thread at that
        proving::must_hold(db.read(), wanted);
    }
    auto const last = db.read().id();
    put(db, "z", "1");
    wanted["z"] = "1";
    db.flush();
    proving::must_hold(db.read(), wanted);
    CHECK(db.read().id().value == last.value + 1);
    CHECK(db.stats().deferred_commits == 0);
    put(db, "at the end", "1");
    wanted["at the end"] = "1";
    on.reopen();
    proving::must_hold(on->read(), wanted);
    CHECK(on->check().clean());
}

TEST_CASE("who asks about the file does not make a tree of what is postponed") {
    storage::memory_medium const medium;
    auto const owner =
        std::make_shared<store::store<storage::memory_medium>>(medium, without_thread());
    memory_database const db(medium, {.read_only = true});
    auto session = store::writer<storage::memory_medium>::acquire(owner, {});
    auto const memory = session->memory();
    tree::edit_map edits;
    edits.put("a", {"1", false});
    REQUIRE(session->may_postpone());
    static_cast<void>(session->postpone(edits, false));
    CHECK(owner->current(false)->user().root.entries == 0);
    CHECK(owner->postponed().any());
    CHECK(owner->current()->user().root.entries == 1);
    CHECK_FALSE(owner->postponed().any());
    CHECK(owner->current(false)->user().root.entries == 1);
    store::writer<storage::memory_medium>::close(owner);
    CHECK(db.read().size() == 1);
}

TEST_CASE("a durable commit takes postponed ones along, as one commit") {
    storage::memory_medium const medium;
    memory_database db(medium, without_thread());
    put(db, "a", "1");
    put(db, "b", "1");
    auto const id = db.update([](auto& txn) { txn.put("c", "1"); }, durability::sync);
    CHECK(db.stats().deferred_commits == 0);
    CHECK(db.read().id() == id);
    memory_database const other(medium, {.read_only = true});
    CHECK(other.read().size() == 3);
    CHECK(other.read().id() == id);
}

TEST_CASE("readers of other threads see each postponed commit once it has returned") {
    memory_database db(without_thread());
    put(db, "n", "0");
    std::atomic<int> newest{0};
    std::atomic<bool> done{false};
    std::atomic<int> wrong{0};
    std::thread reader([&] {
        while (!done) {
            auto const least = newest.load();
            auto const found = std::stoi(db.get("n").value_or("-1"));
            wrong += found < least;
            if (found % 3 == 0) continue;
            auto const now = db.read();
            auto const value = std::stoi(std::string(*now.get("n")));
            wrong += value < found || std::stoi(std::string(*now.get("n"))) != value;
        }
    });
    for (int i = 1; i <= 3000; ++i) {
        put(db, "n", std::to_string(i));
        newest = i;
        if (i % 500 == 0) db.flush();
    }
    done = true;
    reader.join();
    CHECK(wrong == 0);
    auto const last = db.read();
    CHECK(last.get("n") == "3000");
}

TEST_CASE("a fork reads what its parent has postponed") {
    proving::test_database<proving::in_file> on(without_thread());
    for (int i = 0; i < 10; ++i) put(*on, "key", std::to_string(i));
    workbench::child reader([&](workbench::reporter const& to) {
        to.tell(1, on->get("key") == "9" ? 1 : 0);
        auto const now = on->read();
        to.tell(1, now.get("key") == "9" ? 1 : 0);
    });
    auto const told = reader.all_reports();
    REQUIRE(told.size() == 2);
    CHECK(told[0].number == 1);
    CHECK(told[1].number == 1);
    CHECK(reader.wait() == 0);
    auto const now = on->read();
    CHECK(now.get("key") == "9");
}
