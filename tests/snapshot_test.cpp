// SPDX-License-Identifier: BSL-1.0
#include <coppice/snapshot.hpp>

#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <list>
#include <map>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace coppice;
using proving::in_file;
using proving::in_memory;
using proving::test_database;

TEMPLATE_TEST_CASE("an empty snapshot answers everything with nothing", "", in_file, in_memory) {
    test_database<TestType> on;
    auto const& db = *on;
    auto const now = db.read();
    CHECK(now.empty());
    CHECK(now.size() == 0);
    CHECK_FALSE(now.get("").has_value());
    CHECK_FALSE(now.first().has_value());
    CHECK_FALSE(now.last().has_value());
    CHECK(now.begin() == now.end());
    CHECK(now.find("a") == now.end());
    CHECK(now.lower_bound("") == now.end());
    CHECK(now.nth(0) == now.end());
    CHECK(now.rank("a") == 0);
    CHECK(now.count("a", "b") == 0);
    CHECK(now.count_prefix("") == 0);
    CHECK(now.all().empty());
    CHECK(now.all().reversed().empty());
}

TEMPLATE_TEST_CASE("every question to a snapshot is answered as std::map answers it", "", in_file,
                   in_memory) {
    test_database<TestType> on;
    auto& db = *on;
    std::map<std::string, std::string> model{{"", "the empty key"}};
    for (int i = 0; i < 400; ++i)
        model["key" + std::to_string(i * 37 % 401)] =
            std::string(static_cast<std::size_t>(i % 90), 'v');
    db.update([&](auto& txn) { txn.load(model); });
    auto const now = db.read();
    REQUIRE(now.size() == model.size());
    std::uint64_t index = 0;
    for (auto const& [key, value] : model) {
        CHECK(now.get(key) == value);
        CHECK(now.contains(key));
        CHECK(now.count(key) == 1);
        CHECK(now.value_bytes(key) == value.size());
        CHECK(now.rank(key) == index);
        CHECK(now.nth(index)->key == key);
        CHECK(now.find(key)->value == value);
        CHECK(now.lower_bound(key)->key == key);
        auto const next = model.upper_bound(key);
        auto const upper = now.upper_bound(key);
        CHECK((next == model.end() ? upper == now.end() : upper->key == next->first));
        auto const absent = key + '\0';
        CHECK_FALSE(now.contains(absent));
        CHECK(now.rank(absent) == index + 1);
        CHECK(now.find(absent) == now.end());
        ++index;
    }
    CHECK(now.nth(index) == now.end());
    CHECK(now.first()->key.empty());
    CHECK(now.last()->key == model.rbegin()->first);
    for (auto const* from : {"", "key1", "key25", "key4x", "z"}) {
        for (auto const* to : {"", "key2", "key33", "zz"}) {
            std::uint64_t expected = 0;
            for (auto const& [key, value] : model) expected += key >= from && key < to ? 1U : 0U;
            CHECK(now.count(from, to) == expected);
        }
    }
}

TEMPLATE_TEST_CASE("several keys at once are answered in their order, whatever the range of them",
                   "", in_file, in_memory) {
    proving::test_database<TestType> on;
    auto model = proving::numbered_entries(500);
    model["large"] = proving::noise(20'000);
    on->update([&](auto& txn) { txn.load(model); });
    auto const state = on->read();
    std::vector<std::string> keys{"large", "absent", "large", ""};
    for (auto const& [key, value] : model) {
        keys.push_back(key);
        if (keys.size() % 3 == 0) keys.push_back(key + " is absent");
    }
    std::size_t visited = 0;
    auto const look = [&](std::string_view key, std::optional<std::string_view> value) {
        REQUIRE(key == keys.at(visited++));
        auto const wanted = model.find(key);
        REQUIRE(value.has_value() == (wanted != model.end()));
        if (value) REQUIRE((*value == wanted->second));
    };
    state.get_many(keys, look);
    CHECK(visited == keys.size());
    visited = 0;
    state.get_many(std::vector<std::string_view>(keys.begin(), keys.end()), look);
    CHECK(visited == keys.size());
    visited = 0;
    state.get_many(std::list<std::string>(keys.begin(), keys.end()), look);
    CHECK(visited == keys.size());
    state.get_many(std::vector<std::string>(), [](auto, auto) { FAIL("nobody asked"); });
    std::size_t there = 0;
    state.get_many(std::array{"large", "absent"},
                   [&](auto, auto value) { there += value ? 1U : 0U; });
    CHECK(there == 1);
    visited = 0;
    CHECK_THROWS_AS(state.get_many(keys,
                                   [&](auto, auto) {
                                       if (++visited == 20) throw std::runtime_error("enough");
                                   }),
                    std::runtime_error);
    CHECK(visited == 20);
}

// A range that makes its strings on the fly would leave the batch with views of what is gone.
static_assert(coppice::key_reference<std::string&> && coppice::key_reference<char const* const&> &&
              coppice::key_reference<std::string_view> && !coppice::key_reference<std::string> &&
              !coppice::key_reference<int>);

TEMPLATE_TEST_CASE("a snapshot is a moment: nothing that happens later shows in it", "", in_file,
                   in_memory) {
    test_database<TestType> on;
    auto& db = *on;
    db.update([](auto& txn) { txn.put("a", "1"); }, {}, "first");
    auto const then = db.read();
    auto const view = then.get("a");
    for (int i = 0; i < 300; ++i) {
        db.update([&](auto& txn) { txn.put("a", std::to_string(i)); });
        if (i == 150) db.compact();
    }
    CHECK(view == "1");
    CHECK(then.get("a") == "1");
    CHECK(then.size() == 1);
    CHECK(then.note() == "first");
    CHECK(then.id() < db.read().id());
    CHECK(then.time() < db.read().time());
    CHECK(db.get("a") == "299");
}

TEMPLATE_TEST_CASE("snapshots compare by content, not by address", "", in_file, in_memory) {
    test_database<TestType> on;
    auto& db = *on;
    db.update([](auto& txn) { txn.put("a", "1"); });
    auto const first = db.read();
    auto const same = db.read();
    CHECK(first == same);
    db.update([](auto& txn) { txn.put("a", "2"); });
    CHECK_FALSE(first == db.read());
    CHECK(db.read(first.id()) == first);
}

TEMPLATE_TEST_CASE("part of a value is read where it lies: inline, out of line, and with a table",
                   "", in_file, in_memory) {
    test_database<TestType> on(options{});
    auto& db = *on;
    auto const value_of = [](std::size_t size) {
        std::string value(size, '\0');
        for (std::size_t i = 0; i < size; ++i) value[i] = static_cast<char>(i * 131 / 7);
        return value;
    };
    constexpr std::size_t mib = std::size_t{1} << 20U;
    for (auto const size : {std::size_t{0}, std::size_t{10}, std::size_t{1024}, std::size_t{1025},
                            mib - 1, mib, mib + 1, 3 * mib, 3 * mib + 5}) {
        auto const value = value_of(size);
        db.update([&](auto& txn) { txn.put("v", value); });
        auto const now = db.read();
        CHECK(now.value_bytes("v") == size);
        CHECK(now.get("v") == value);
        std::array<std::byte, 100> buffer{};
        for (auto const offset : {std::size_t{0}, size / 2, size > 50 ? size - 50 : 0, mib - 30}) {
            auto const got = now.read("v", offset, buffer);
            REQUIRE(got.has_value());
            auto const expected = offset < size ? value.substr(offset, 100) : std::string();
            CHECK(as_text(bytes(buffer).first(*got)) == expected);
        }
        CHECK(now.read("v", size, buffer) == 0U);
        CHECK(now.read("v", size + 1000, buffer) == 0U);
        CHECK_FALSE(now.read("absent", 0, buffer).has_value());
    }
}

TEMPLATE_TEST_CASE("the answers do not depend on when checksums are compared", "", in_file,
                   in_memory) {
    test_database<TestType> on(options{});
    on->update([](auto& txn) {
        for (int i = 0; i < 2000; ++i)
            txn.put(std::to_string(i), std::string(static_cast<std::size_t>(i), 'x'));
    });
    for (auto const how : {verify::first_touch, verify::every_read, verify::never}) {
        auto const db = on.another({.verify = how, .preallocate_bytes = 0});
        auto const now = db.read();
        for (int i = 0; i < 2000; i += 7) {
            CHECK(now.get(std::to_string(i)) == std::string(static_cast<std::size_t>(i), 'x'));
        }
    }
}

TEMPLATE_TEST_CASE(
    "what a snapshot hands out lives as long as it, whatever becomes of the database", "", in_file,
    in_memory) {
    std::optional<snapshot> kept;
    std::vector<entry> entries;
    std::optional<entry_range> range;
    std::optional<cursor> at;
    auto model = proving::numbered_entries(200);
    model["large"] = proving::noise((1U << 20U) + 100);
    {
        test_database<TestType> on;
        on->update([&](auto& txn) { txn.load(model); });
        kept = on->read();
        for (auto const each : *kept) entries.push_back(each);
        range = kept->prefix("k");
        at = kept->cursor();
        at->last();
        for (int i = 0; i < 50; ++i) {
            on->update([&](auto& txn) { txn.put("x", proving::noise(3000)); }, durability::lazy);
        }
        on->update([](auto& txn) { txn.erase_prefix(""); });
        CHECK(on->compact());
    }
    auto const copy = *kept;
    kept.reset();
    proving::must_hold(copy, model);
    auto expected = model.begin();
    for (auto const& each : entries) {
        REQUIRE((each.key == expected->first && each.value == expected->second));
        ++expected;
    }
    CHECK(std::ranges::distance(*range) == 200);
    CHECK((at->value() == model["large"]));
}

TEMPLATE_TEST_CASE("one snapshot is read by many threads at once", "", in_file, in_memory) {
    test_database<TestType> on;
    auto const model = proving::numbered_entries(500);
    on->update([&](auto& txn) { txn.load(model); });
    auto const now = on->read();
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < 4; ++i) {
        threads.emplace_back([&, own = now, i] {
            auto const& shared = i % 2 == 0 ? now : own;
            std::size_t count = 0;
            for (auto const [key, value] : shared) {
                auto const found = model.find(key);
                if (found == model.end() || found->second != value) ++wrong;
                if (shared.rank(key) != count) ++wrong;
                ++count;
            }
            if (count != model.size()) ++wrong;
        });
    }
    for (auto& each : threads) each.join();
    CHECK(wrong == 0);
}

TEMPLATE_TEST_CASE("the smaller questions: counts, prefixes and ranges with chosen ends", "",
                   in_file, in_memory) {
    test_database<TestType> on;
    on->update([](auto& txn) {
        for (auto const* key : {"", "a", "ab", "abc", "b", "ba", "\xff", "\xff\xff"}) {
            txn.put(key, std::string("value of ") + key);
        }
    });
    auto const now = on->read();
    CHECK(now.count_prefix("") == 8);
    CHECK(now.count_prefix("a") == 3);
    CHECK(now.count_prefix("ab") == 2);
    CHECK(now.count_prefix("\xff") == 2);
    CHECK(now.count_prefix("c") == 0);
    auto const keys = [](auto const& range) {
        std::string all;
        for (auto const& each : range) all += std::string(each.key) + ",";
        return all;
    };
    CHECK(keys(now.range("a", "b")) == "a,ab,abc,");
    CHECK(keys(now.range("b", "a")).empty());
    CHECK(keys(now.range("a", "a")).empty());
    CHECK(keys(now.range("", "")).empty());
    CHECK(keys(now.range_from("ba")) == "ba,\xff,\xff\xff,");
    CHECK(keys(now.range_to("ab")) == ",a,");
    CHECK(keys(now.range(excluding("a"), including("b"))) == "ab,abc,b,");
    CHECK(keys(now.range(excluding(""), excluding("ab"))) == "a,");
    CHECK(keys(now.range(including("abc"), unbounded()).reversed()) == "\xff\xff,\xff,ba,b,abc,");
    CHECK(keys(now.prefix("a").reversed()) == "abc,ab,a,");
    CHECK(now.upper_bound("\xff\xff") == now.end());
    CHECK(now.lower_bound("c")->key == "\xff");
    CHECK(now.value_bytes("") == 9U);
    CHECK_FALSE(now.value_bytes("c").has_value());
    auto const all = now.all();
    CHECK(all.begin() == now.begin());
    CHECK(all.end() == now.end());
    CHECK(std::ranges::find(now, "value of ba", &entry::value)->key == "ba");
}

TEMPLATE_TEST_CASE("two snapshots are the same if file and content are, not if they look alike", "",
                   in_file, in_memory) {
    test_database<TestType> on;
    test_database<TestType> other;
    on->update([](auto& txn) { txn.put("a", "1"); });
    other->update([](auto& txn) { txn.put("a", "1"); });
    CHECK_FALSE(on->read() == other->read());
    auto const before = on->read();
    on->update([](auto& txn) { txn.put("a", "1"); }); // the same value, written again
    CHECK_FALSE(on->read() == before);
    auto txn = on->write();
    CHECK(txn.view() == on->read());
    txn.put("b", "2");
    CHECK_FALSE(txn.view() == on->read());
    CHECK(txn.view().id() == on->read().id());
    txn.rollback();
    auto const now = on->read();
    CHECK(on->compact());
    CHECK_FALSE(on->read() == now);
}
