// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/tagging.hpp>

#include <kind_of.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace coppice;
using proving::in_file;
using proving::in_memory;
using proving::test_database;
using support::kind_of;
using namespace std::chrono_literals;

namespace {

template <typename Database> commit_id put_number(Database& db, int number) {
    return db.update([&](auto& txn) { txn.put("n", std::to_string(number)); }, durability::lazy);
}

std::string number_of(snapshot const& state) {
    return std::string(state.get("n").value_or("none"));
}

} // namespace

TEMPLATE_TEST_CASE("a tag names a commit and its state until it is moved or taken away", "",
                   in_file, in_memory) {
    test_database<TestType> on;
    std::vector<commit_id> ids;
    for (int i = 0; i < 20; ++i) ids.push_back(put_number(*on, i));
    auto const newest = on->tag("newest");
    CHECK(newest.value == ids.back().value + 1);
    on->tag("old", ids[3]);
    on->tag("first", commit_id{1});
    CHECK(on->tags() ==
          std::vector<tagged_commit>{{"first", {1}}, {"newest", ids[19]}, {"old", ids[3]}});
    CHECK(number_of(on->read("newest")) == "19");
    CHECK(number_of(on->read("old")) == "3");
    CHECK(on->read("first").empty());
    CHECK(on->read("old").id() == ids[3]);
    // The user's tree is the same, and so is what others see of it.
    CHECK(on->read().size() == 1);
    CHECK(on->read().state()->user() == on->read(ids[19]).state()->user());
    on->tag("old", ids[4]);
    CHECK(number_of(on->read("old")) == "4");
    on.reopen();
    CHECK(number_of(on->read("old")) == "4");
    put_number(*on, 99);
    CHECK(number_of(on->read("newest")) == "19");
    CHECK(on->untag("old"));
    CHECK_FALSE(on->untag("old"));
    CHECK(kind_of([&] { static_cast<void>(on->read("old")); }) == errc::no_such_tag);
    CHECK(on->tags().size() == 2);
    CHECK(on->check().clean());
    CHECK(number_of(on->read(ids[3])) == "3"); // a tag is a name, the commit was there before
}

TEMPLATE_TEST_CASE("a tag that is there already is no commit", "", in_file, in_memory) {
    test_database<TestType> on;
    auto const id = put_number(*on, 1);
    auto const tagged = on->tag("a", id);
    CHECK(on->tag("a", id) == tagged);
    CHECK(on->stats().newest == tagged);
    CHECK(on->stats().durable == tagged);
    // What was promised is kept all the same.
    auto const lazy = put_number(*on, 2);
    CHECK(on->stats().durable == tagged);
    CHECK(on->tag("a", id) == lazy);
    CHECK(on->stats().durable == lazy);
    CHECK_FALSE(on->untag("b", durability::lazy));
    CHECK(on->stats().newest == lazy);
}

TEMPLATE_TEST_CASE("what cannot be tagged is refused and changes nothing", "", in_file, in_memory) {
    test_database<TestType> on;
    auto const id = put_number(*on, 1);
    CHECK(kind_of([&] { on->tag("a", commit_id{99}); }) == errc::history_gone);
    CHECK(kind_of([&] { on->tag("", id); }) == errc::invalid_argument);
    CHECK(kind_of([&] { on->tag(std::string(256, 'a'), id); }) == errc::invalid_argument);
    CHECK(kind_of([&] { on->untag(""); }) == errc::invalid_argument);
    {
        auto const txn = on->write();
        CHECK(kind_of([&] { on->tag("a", id); }) == errc::would_deadlock);
    }
    CHECK(on->stats().newest == id);
    CHECK(on->tags().empty());
    on->compact();
    CHECK(kind_of([&] { on->tag("a", commit_id{1}); }) == errc::history_gone);
    auto const long_name = std::string(255, '\xfe');
    on->tag(long_name);
    CHECK(on->read(long_name).id() == id);
}

TEMPLATE_TEST_CASE("a tag has the durability it was asked for and is told to the events", "",
                   in_file, in_memory) {
    std::vector<commit_info> told;
    auto chosen = proving::tiny();
    chosen.events.on_commit = [&](commit_info const& commit) { told.push_back(commit); };
    test_database<TestType> on(chosen);
    auto const lazy = on->tag("a", {}, durability::lazy);
    CHECK(on->stats().durable == commit_id{1});
    auto const durable = on->tag("b");
    CHECK(on->stats().durable == durable);
    auto const two = on->tag("c", {}, durability::two_sync);
    auto const gone = [&] {
        CHECK(on->untag("a"));
        return on->stats().newest;
    }();
    REQUIRE(told.size() == 4);
    CHECK(told[0].id == lazy);
    CHECK_FALSE(told[0].durable);
    CHECK(told[1].durable);
    CHECK(told[2].id == two);
    CHECK(told[3].id == gone);
}

TEMPLATE_TEST_CASE("deferred commits are written before a tag and a tag is never deferred", "",
                   in_file, in_memory) {
    auto chosen = proving::tiny();
    chosen.flush.interval = std::chrono::milliseconds{0};
    test_database<TestType> on(chosen);
    auto const defer = [&](int i) {
        return on->update([&](auto& txn) { txn.put("n", std::to_string(i)); },
                          durability::deferred);
    };
    auto const one = defer(1);
    auto const two = defer(2);
    CHECK(kind_of([&] { on->tag("one", one); }) == errc::history_gone); // became one with two
    on->tag("two", two, durability::deferred);
    CHECK(on->stats().deferred_commits == 0);
    CHECK(number_of(on->read("two")) == "2");
    auto const three = defer(3);
    CHECK(on->tags().size() == 1); // of a deferred state as well
    on->tag("newest");
    CHECK(on->read("newest").id() == three);
    defer(4);
    on->flush();
    CHECK(on->tags().size() == 2);
}

TEMPLATE_TEST_CASE("many tags make a tree and each is found", "", in_file, in_memory) {
    test_database<TestType> on;
    std::map<std::string, commit_id> model;
    workbench::dice dice(7);
    std::vector<commit_id> ids;
    for (int i = 0; i < 400; ++i) {
        auto const name = proving::numbered("t", dice.below(120));
        if (dice.below(4) == 0) {
            CHECK(on->untag(name, durability::lazy) == (model.erase(name) == 1));
            continue;
        }
        ids.push_back(put_number(*on, i));
        auto const at = ids[dice.below(ids.size())];
        on->tag(name, at, durability::lazy);
        model[name] = at;
    }
    std::vector<tagged_commit> wanted;
    for (auto const& [name, at] : model) wanted.push_back({name, at});
    CHECK(on->tags() == wanted);
    CHECK(on->read().state()->system().height > 2);
}

TEST_CASE("nodes that take no value inline hold tags too") {
    auto chosen = proving::tiny();
    chosen.nodes.inline_value_bytes = 0;
    test_database<in_file> on(chosen);
    put_number(*on, 1);
    auto const id = on->tag("a");
    CHECK(on->tags() == std::vector<tagged_commit>{{"a", {id.value - 1}}});
    on.reopen();
    CHECK(number_of(on->read("a")) == "1");
}

TEST_CASE("an older commit is not tagged while somebody compacts - the newest is") {
    test_database<in_file> on;
    auto const older = put_number(*on, 1);
    put_number(*on, 2);
    int calls = 0;
    std::optional<errc> within;
    std::optional<commit_id> newest;
    on->compact({.progress = [&](auto, auto) {
        if (calls++ != 0) return true;
        // This thread compacts, so it would wait for itself.
        within = kind_of([&] { on->tag("older", older); });
        newest = on->tag("newest");
        return true;
    }});
    CHECK(within == errc::would_deadlock);
    REQUIRE(newest);
    CHECK(on->tags() == std::vector<tagged_commit>{{"newest", {newest->value - 1}}});
}

TEST_CASE("who tags an older commit waits for a compaction that is under way") {
    // It may have passed that commit already, and does not come back.
    test_database<in_file> on;
    auto const older = put_number(*on, 1);
    put_number(*on, 2);
    auto other = on.another();
    std::optional<errc> refused;
    std::atomic<bool> over{false};
    std::thread tagger;
    on->compact({.progress = [&](auto, auto) {
        if (tagger.joinable()) return true;
        tagger = std::thread([&] {
            refused = kind_of([&] { other.tag("older", older); });
            over = true;
        });
        // Whoever does not wait is given the time to be seen.
        for (int i = 0; i < 50 && !over; ++i) std::this_thread::sleep_for(1ms);
        return true;
    }});
    tagger.join();
    CHECK(refused == errc::history_gone);
    CHECK(on->tags().empty());
    other.tag("newest");
    CHECK(on->tags().size() == 1);
}

TEST_CASE("a handle that may not write cannot tag and reads tags") {
    test_database<in_file> on;
    put_number(*on, 1);
    auto const id = on->tag("a");
    auto chosen = proving::tiny();
    chosen.read_only = true;
    auto reader = on.another(chosen);
    CHECK(kind_of([&] { reader.tag("b"); }) == errc::read_only);
    CHECK(kind_of([&] { reader.untag("a"); }) == errc::read_only);
    CHECK(reader.read("a").id().value == id.value - 1);
}
