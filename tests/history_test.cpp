// SPDX-License-Identifier: BSL-1.0
#include <coppice/history.hpp>

#include <coppice/coppice.hpp>

#include <catch2/catch.hpp>

#include <iterator>
#include <string>
#include <vector>

using namespace coppice;

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
