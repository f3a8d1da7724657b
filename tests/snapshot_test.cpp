// SPDX-License-Identifier: BSL-1.0
#include <coppice/snapshot.hpp>

#include <coppice/coppice.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <map>
#include <string>

using namespace coppice;

namespace {

memory_database tiny() {
    return memory_database(storage::memory_medium(),
                           {.preallocate_bytes = 0, .nodes = {128, 128, 32}});
}

} // namespace

TEST_CASE("an empty snapshot answers everything with nothing") {
    memory_database const db;
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

TEST_CASE("every question to a snapshot is answered as std::map answers it") {
    auto db = tiny();
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

TEST_CASE("a snapshot is a moment: nothing that happens later shows in it") {
    auto db = tiny();
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

TEST_CASE("snapshots compare by content, not by address") {
    auto db = tiny();
    db.update([](auto& txn) { txn.put("a", "1"); });
    auto const first = db.read();
    auto const same = db.read();
    CHECK(first == same);
    db.update([](auto& txn) { txn.put("a", "2"); });
    CHECK_FALSE(first == db.read());
    CHECK(db.read(first.id()) == first);
}

TEST_CASE("part of a value is read where it lies: inline, out of line, and with a table") {
    memory_database db;
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

TEST_CASE("the answers do not depend on when checksums are compared") {
    storage::memory_medium medium;
    {
        memory_database db(medium, {.preallocate_bytes = 0});
        db.update([](auto& txn) {
            for (int i = 0; i < 2000; ++i)
                txn.put(std::to_string(i), std::string(static_cast<std::size_t>(i), 'x'));
        });
    }
    for (auto const how : {verify::first_touch, verify::every_read, verify::never}) {
        memory_database const db(medium, {.verify = how, .preallocate_bytes = 0});
        auto const now = db.read();
        for (int i = 0; i < 2000; i += 7) {
            CHECK(now.get(std::to_string(i)) == std::string(static_cast<std::size_t>(i), 'x'));
        }
    }
}
