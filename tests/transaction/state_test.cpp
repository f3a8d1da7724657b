// SPDX-License-Identifier: BSL-1.0
#include <coppice/transaction/state.hpp>

#include <faulty_medium.hpp>
#include <kind_of.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

using namespace coppice;
using proving::noise;
using support::kind_of;

namespace {

using state_type = detail::transaction_state<faulty::medium>;
using store_type = store::store<faulty::medium>;

struct bench {
    bench() {
        state = std::make_unique<state_type>(store::writer<faulty::medium>::acquire(owner, {}));
        medium.told().begin_anew();
    }
    [[nodiscard]] std::string get(std::string_view key) const {
        auto const stored = state->find(key);
        return stored ? std::string(state->value(*stored)) : "absent";
    }
    store::revision_ptr commit(durability how, std::string note) {
        auto const appended = state->commit(how, std::move(note));
        if (appended.within) appended.settle();
        return appended.state;
    }
    void begin() {
        state = std::make_unique<state_type>(store::writer<faulty::medium>::acquire(owner, {}));
    }

    faulty::medium medium;
    std::shared_ptr<store_type> owner = std::make_shared<store_type>(medium, proving::tiny());
    std::unique_ptr<state_type> state;
};

} // namespace

TEST_CASE("pending edits show before they are folded, and the same after it") {
    bench on;
    on.state->put("a", "1");
    on.state->put("b", noise(100));
    CHECK(on.get("a") == "1");
    CHECK(on.state->work()->user().height == 0);
    on.state->fold();
    CHECK(on.state->work()->user().root.entries == 2);
    CHECK(on.get("a") == "1");
    CHECK(on.get("b") == noise(100));
    on.state->put("a", "2");
    CHECK(on.state->erase("b"));
    CHECK_FALSE(on.state->erase("b"));
    CHECK_FALSE(on.state->erase("absent"));
    CHECK(on.get("a") == "2");
    CHECK(on.get("b") == "absent");
    CHECK(on.state->work()->user().root.entries == 2);
    on.state->fold();
    CHECK(on.state->work()->user().root.entries == 1);
    CHECK(on.get("b") == "absent");
}

TEST_CASE("a key that was only pending leaves no edit behind when it is erased") {
    bench on;
    on.state->put("a", "1");
    CHECK(on.state->erase("a"));
    auto const before = on.state->work();
    on.state->fold();
    CHECK(on.state->work().get() == before.get());
}

TEST_CASE("nothing is written before the commit, unless bytes have to go to the file early") {
    bench on;
    for (int i = 0; i < 200; ++i) on.state->put(std::to_string(i), noise(50));
    on.state->fold();
    CHECK(on.medium.told().log.empty());
    on.state->spill();
    CHECK(on.medium.told().count(faulty::call::write) >= 1);
    CHECK_FALSE(on.state->work()->user().root.node.in_memory());
    CHECK(on.get("7") == noise(50));
    auto const made = on.commit(durability::sync, "spilled");
    CHECK(made->user().root.entries == 200);
    CHECK(made->record().note == "spilled");
    CHECK_FALSE(on.state->open());
}

TEST_CASE("a range goes away with what is pending in it, and is counted") {
    bench on;
    for (int i = 0; i < 50; ++i)
        on.state->put(proving::numbered("k", static_cast<unsigned>(i)), "v");
    on.state->fold();
    on.state->put(proving::numbered("k", 20) + "+", "pending");
    CHECK(on.state->erase(proving::numbered("k", 21)));
    CHECK(on.state->erase_range(proving::numbered("k", 20), proving::numbered("k", 23)) == 3);
    CHECK(on.state->erase_range("k", "a") == 0);
    CHECK(on.state->erase_range(proving::numbered("k", 40), std::nullopt) == 10);
    CHECK(on.state->work()->user().root.entries == 37);
}

TEST_CASE("an end that changes nothing syncs what is lazy, and a rollback gives the turn back") {
    bench on;
    on.state->put("a", "1");
    on.commit(durability::lazy, "");
    on.begin();
    on.medium.told().begin_anew();
    on.state->put("b", "2");
    CHECK(on.state->erase("b"));
    auto const made = on.commit(durability::sync, "nobody reads this");
    CHECK(made->record().commit_id == 2);
    CHECK(on.medium.told().count(faulty::call::sync) == 1);
    CHECK(on.medium.told().count(faulty::call::write) == 0);
    on.begin();
    on.state->put("c", "3");
    on.state->rollback();
    CHECK_FALSE(on.state->open());
    CHECK(kind_of([&] { on.state->check_open(); }) == errc::finished);
    on.begin();
    CHECK(on.get("c") == "absent");
}

TEST_CASE("going back to a tree drops what is pending and what was folded since") {
    bench on;
    on.state->put("a", "1");
    on.state->fold();
    auto const then = on.state->work();
    on.state->put("b", "2");
    on.state->fold();
    on.state->put("c", "3");
    on.state->restore(*then);
    CHECK(on.get("a") == "1");
    CHECK(on.get("b") == "absent");
    CHECK(on.get("c") == "absent");
}

namespace {

/// Defers a commit of one key.
void defer(bench& on, std::string const& key, std::string const& value) {
    on.state->put(key, value);
    on.commit(durability::deferred, "");
    on.begin();
}

} // namespace

TEST_CASE("keys are read and changed without making a tree of the commits before") {
    bench on;
    on.state->put("in the file", noise(5000));
    on.state->put("erased", "1");
    on.commit(durability::sync, "");
    on.begin();
    defer(on, "a", "1");
    defer(on, "large", noise(3000));
    REQUIRE(on.owner->postponed().any());
    SECTION("what it finds") {
        CHECK(on.get("a") == "1");
        CHECK(on.get("large") == noise(3000));
        CHECK(on.get("in the file") == noise(5000));
        CHECK(on.get("absent") == "absent");
        on.state->put("own", noise(400));
        CHECK(on.get("own") == noise(400));
        CHECK(on.owner->postponed().any());
    }
    SECTION("what it puts itself, read before anything else") {
        on.state->put("own", noise(400));
        CHECK(on.get("own") == noise(400));
        CHECK(on.owner->postponed().any());
    }
    SECTION("what it erases: of the file, of those commits, of its own, and of none of them") {
        on.state->put("own", "1");
        on.state->put("a", "2");
        CHECK(on.state->erase("erased"));
        CHECK(on.state->erase("own"));
        CHECK(on.state->erase("a"));
        CHECK_FALSE(on.state->erase("a"));
        CHECK_FALSE(on.state->erase("own"));
        CHECK_FALSE(on.state->erase("absent"));
        CHECK(on.get("a") == "absent");
        CHECK(on.get("erased") == "absent");
        CHECK(on.owner->postponed().any());
        on.commit(durability::deferred, "");
        on.begin();
        CHECK(on.get("a") == "absent");
        CHECK(on.get("erased") == "absent");
        CHECK_FALSE(on.state->erase("a"));
        on.state->put("a", "3");
        CHECK(on.get("a") == "3");
        on.commit(durability::deferred, "");
        CHECK(on.owner->postponed().any());
        auto const newest = on.owner->current();
        CHECK(newest->user().root.entries == 3);
        on.begin();
        CHECK(on.get("a") == "3");
    }
    SECTION("it is postponed itself, as one that has read in a state that was a tree already") {
        CHECK(on.get("a") == "1");
        on.state->put("b", "1");
        on.commit(durability::deferred, "");
        CHECK(on.owner->postponed().any());
        store::writer<faulty::medium>::acquire(on.owner, {})->flush();
        CHECK_FALSE(on.owner->postponed().any());
        on.begin();
        CHECK(on.get("b") == "1");
        on.state->put("c", "1");
        on.commit(durability::deferred, "");
        CHECK(on.owner->postponed().any());
    }
    SECTION("but not where its own edits became a tree, unless it went back to where it began") {
        auto const goes_back = GENERATE(false, true);
        auto const begin = on.state->work();
        on.state->put("b", "1");
        on.state->fold();
        if (goes_back) on.state->restore(*begin);
        on.state->put("c", "1");
        on.commit(durability::deferred, "");
        CHECK(on.owner->postponed().any() == goes_back);
        on.begin();
        CHECK(on.get("b") == (goes_back ? "absent" : "1"));
        CHECK(on.get("c") == "1");
    }
    on.state.reset();
    store::writer<faulty::medium>::close(on.owner);
}

TEST_CASE("what was handed out of postponed commits stays until the transaction ends") {
    bench on;
    on.state->put("in the file", noise(5000));
    on.commit(durability::sync, "");
    on.begin();
    defer(on, "a", noise(40));
    defer(on, "large", noise(3000));
    std::map<std::string, std::string_view> seen;
    for (std::string const key : {"a", "large", "in the file"}) {
        seen[key] = on.state->value(*on.state->find(key));
    }
    SECTION("a reader makes a tree") { static_cast<void>(on.owner->current()); }
    SECTION("the transaction makes one") { on.state->fold(); }
    SECTION("everything goes to the file, and the memory begins anew") { on.state->spill(); }
    for (int i = 0; i < 100; ++i) on.state->put(proving::numbered("k", 7), noise(2000));
    CHECK(seen["a"] == noise(40));
    CHECK(seen["large"] == noise(3000));
    CHECK(seen["in the file"] == noise(5000));
    on.state.reset();
    store::writer<faulty::medium>::close(on.owner);
}
