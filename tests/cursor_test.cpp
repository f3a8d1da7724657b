// SPDX-License-Identifier: BSL-1.0
#include <coppice/cursor.hpp>

#include <coppice/coppice.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace coppice;

namespace {

/// 500 entries in tiny nodes, so that every step crosses nodes of several levels.
memory_database filled(std::map<std::string, std::string>& model) {
    memory_database db(storage::memory_medium(), {.preallocate_bytes = 0, .nodes = {128, 128, 32}});
    for (int i = 0; i < 500; ++i) model["k" + std::to_string(i * 7 % 500)] = std::to_string(i);
    db.update([&](auto& txn) { txn.load(model); });
    return db;
}

template <typename Range> std::vector<std::string> keys_of(Range const& range) {
    std::vector<std::string> keys;
    for (auto const [key, value] : range) keys.emplace_back(key);
    return keys;
}

} // namespace

TEST_CASE("a cursor steps forwards and backwards through a deep tree as through a map") {
    std::map<std::string, std::string> model;
    auto const now = filled(model).read(); // outlives its database
    auto at = now.cursor();
    CHECK_FALSE(at.valid());
    at.first();
    for (auto const& [key, value] : model) {
        REQUIRE(at.valid());
        CHECK(at.key() == key);
        CHECK(at.value() == value);
        CHECK(at.value_bytes() == value.size());
        at.next();
    }
    CHECK_FALSE(at.valid());
    for (auto expected = model.rbegin(); expected != model.rend(); ++expected) {
        at.prev();
        REQUIRE(at.valid());
        CHECK(at.key() == expected->first);
    }
    at.prev();
    CHECK_FALSE(at.valid());
    CHECK(at.seek("k250"));
    CHECK_FALSE(at.seek("k2500"));
    CHECK(at.key() == "k251");
    CHECK_FALSE(at.seek("zzz"));
    CHECK_FALSE(at.valid());
    at.seek_nth(499);
    CHECK(at.key() == model.rbegin()->first);
    at.seek_nth(500);
    CHECK_FALSE(at.valid());
}

TEST_CASE("iterators go both ways, also from the end, and copies are independent") {
    std::map<std::string, std::string> model;
    auto const now = filled(model).read();
    auto last = now.end();
    --last;
    CHECK(last->key == model.rbegin()->first);
    auto const copy = last--;
    CHECK(copy->key == model.rbegin()->first);
    CHECK(last->key == std::next(model.rbegin())->first);
    CHECK(++last == copy);
    CHECK(++last == now.end());
    CHECK(std::ranges::find(now, "k42", &entry::key) != now.end());
    CHECK(std::ranges::distance(now.begin(), now.end()) == 500);
}

TEST_CASE("ranges have the bounds that were asked for, and their reverse the same entries") {
    std::map<std::string, std::string> model;
    auto const db = filled(model);
    auto const now = db.read();
    std::vector<std::pair<key_bound, key_bound>> const bounds = {
        {including("k1"), excluding("k2")},   {excluding("k1"), including("k2")},
        {unbounded(), including("k")},        {unbounded(), excluding("k10")},
        {including("k99"), unbounded()},      {excluding("k99"), unbounded()},
        {including("k5"), including("k5")},   {including("k5"), excluding("k5")},
        {excluding("k5"), excluding("k5")},   {including("k6"), including("k5")},
        {including("zz"), unbounded()},       {unbounded(), unbounded()},
        {including("k3x"), excluding("k3y")}, {including(""), excluding("")}};
    for (auto const& [from, to] : bounds) {
        std::vector<std::string> expected;
        for (auto const& [key, value] : model) {
            auto const behind =
                !from.key || key > *from.key || (from.inclusive && key == *from.key);
            auto const before = !to.key || key < *to.key || (to.inclusive && key == *to.key);
            if (behind && before) expected.push_back(key);
        }
        auto const range = now.range(from, to);
        CHECK(keys_of(range) == expected);
        CHECK(range.empty() == expected.empty());
        std::reverse(expected.begin(), expected.end());
        auto const reversed = range.reversed();
        CHECK(keys_of(reversed) == expected);
        if (!expected.empty()) {
            auto last = reversed.end();
            CHECK((--last)->key == expected.back());
        }
    }
}

TEST_CASE("a range keeps its snapshot alive, so a temporary one can be walked") {
    std::map<std::string, std::string> model;
    auto const db = filled(model);
    std::size_t count = 0;
    for (auto [key, value] : db.read().prefix("k4")) {
        CHECK(key.starts_with("k4"));
        ++count;
    }
    CHECK(count == 111);
    CHECK(keys_of(db.read().prefix("").reversed()).size() == 500);
}

TEST_CASE("bytes of 0xff at the end of a prefix have no successor but those before them do") {
    memory_database db;
    std::string const high("\xff\xff", 2);
    db.update([&](auto& txn) {
        txn.put(high, "1");
        txn.put(high + "x", "2");
        txn.put("a\xff", "3");
        txn.put("b", "4");
    });
    auto const now = db.read();
    CHECK(keys_of(now.prefix(high)).size() == 2);
    CHECK(keys_of(now.prefix("a\xff")).size() == 1);
    CHECK(now.count_prefix(high) == 2);
    CHECK(now.count_prefix("a") == 1);
}

TEST_CASE("a cursor knows how many entries come before it") {
    std::map<std::string, std::string> model;
    auto const now = filled(model).read();
    auto at = now.cursor();
    CHECK(at.index() == 500);
    std::uint64_t index = 0;
    for (at.first(); at.valid(); at.next()) {
        if (at.index() != index++) FAIL("index of " << at.key());
    }
    CHECK(index == 500);
    CHECK(coppice::cursor().index() == 0);
}

TEST_CASE("a range is split into even pieces that hold each entry once and in order") {
    std::map<std::string, std::string> model;
    auto const now = filled(model).read();
    std::set<std::pair<std::uint64_t, std::size_t>> seen;
    for (auto const& whole : {now.all(), now.range("k1", "k3"), now.prefix("k49"),
                              now.range_from("k9"), now.range(excluding("k250"), including("k251")),
                              now.range("x", "y"), now.range("k3", "k1")}) {
        auto const keys = keys_of(whole);
        REQUIRE(whole.count() == keys.size());
        for (std::size_t const parts : {1U, 2U, 3U, 7U, 12U, 499U, 500U, 501U, 100'000U}) {
            std::vector<std::string> together;
            auto const pieces = whole.split(parts);
            CHECK(pieces.size() == std::min(parts, keys.size()));
            for (auto const& piece : pieces) {
                CHECK(piece.count() >= keys.size() / parts);
                CHECK(piece.count() <= (keys.size() + parts - 1) / parts);
                auto const some = keys_of(piece);
                CHECK(some.size() == piece.count());
                together.insert(together.end(), some.begin(), some.end());
            }
            CHECK(together == keys);
            seen.emplace(keys.size(), pieces.size());
        }
    }
    CHECK(seen.size() == 20); // distinct numbers of entries and pieces
}
