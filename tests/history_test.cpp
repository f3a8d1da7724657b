// SPDX-License-Identifier: BSL-1.0
#include <coppice/history.hpp>

#include <coppice/coppice.hpp>

#include <catch2/catch.hpp>
#include <kind_of.hpp>

#include <chrono>
#include <cstdint>
#include <iterator>
#include <string>
#include <vector>

using namespace coppice;

TEST_CASE("the past is read by time") {
    auto now = std::chrono::system_clock::time_point(std::chrono::hours(1000));
    options chosen;
    chosen.clock = [&] { return now; };
    memory_database db(storage::memory_medium(), chosen); // commit 1 at hour 1000
    for (int i = 2; i <= 5; ++i) {
        now += std::chrono::hours(1);
        db.update([&](auto& txn) { txn.put("n", std::to_string(i)); });
    }
    auto const hour = [](int n) {
        return std::chrono::system_clock::time_point(std::chrono::hours(1000 + n));
    };
    CHECK(db.read(hour(2)).id().value == 3);
    CHECK(db.read(hour(3) - std::chrono::microseconds(1)).id().value == 3);
    CHECK(db.read(hour(99)).id().value == 5);
    CHECK(db.read(hour(0)).empty());
    CHECK(support::kind_of([&] { static_cast<void>(db.read(hour(-1))); }) == errc::history_gone);
    std::vector<std::uint64_t> ids;
    auto const until = db.history(hour(2));
    for (auto const& commit : until) ids.push_back(commit.id.value);
    CHECK(ids == std::vector<std::uint64_t>{3, 2, 1});
    auto const none = db.history(hour(-1));
    CHECK(none.begin() == none.end());
}

TEST_CASE("history goes from the newest commit to the creation, and says what is durable") {
    memory_database db;
    db.update([](auto& txn) { txn.put("a", "1"); }, durability::sync, "first");
    db.update([](auto& txn) { txn.put("b", "2"); }, durability::lazy, "second");
    std::vector<std::string> notes;
    std::vector<bool> durable;
    std::vector<std::uint64_t> entries;
    auto const history = db.history();
    db.compact(); // the range keeps its file
    for (auto const& commit : history) {
        notes.push_back(commit.note);
        durable.push_back(commit.durable);
        entries.push_back(commit.entries);
    }
    CHECK(notes == std::vector<std::string>{"second", "first", ""});
    CHECK(durable == std::vector<bool>{false, true, true});
    CHECK(entries == std::vector<std::uint64_t>{2, 1, 0});
    STATIC_REQUIRE(std::input_iterator<commit_history::iterator>);
    auto const after = db.history();
    CHECK((*after.begin()).note == "second");
    auto at = after.begin();
    CHECK(++at == after.end());
}
