// SPDX-License-Identifier: BSL-1.0
#include <coppice/transaction.hpp>

#include <coppice/coppice.hpp>

#include <catch2/catch.hpp>

#include <cstdio>
#include <functional>
#include <map>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <vector>

using namespace coppice;

namespace {

errc kind_of(std::function<void()> const& call) {
    try {
        call();
    } catch (error const& e) {
        return e.kind();
    }
    return errc{};
}

memory_database tiny() {
    return memory_database(storage::memory_medium(),
                           {.preallocate_bytes = 0, .nodes = {128, 128, 32}});
}

} // namespace

TEST_CASE("put, insert, modify and erase say what they found and show at once") {
    auto db = tiny();
    auto txn = db.write();
    txn.put("a", "1");
    CHECK(txn.get("a") == "1");
    CHECK(txn.contains("a"));
    CHECK_FALSE(txn.insert("a", "2"));
    CHECK(txn.insert("b", "2"));
    CHECK(txn.modify("a", [](auto old) { return std::string(*old) + "!"; }));
    CHECK(txn.modify("new", [](auto old) { return old ? "old" : "made"; }));
    CHECK_FALSE(txn.modify("b", [](auto) { return std::optional<std::string>(); }));
    CHECK_FALSE(txn.contains("b"));
    CHECK_THROWS_AS(txn.modify("a", [](auto) -> std::string { throw std::runtime_error("x"); }),
                    std::runtime_error);
    CHECK(txn.get("a") == "1!");
    CHECK(txn.erase("new"));
    CHECK_FALSE(txn.erase("new"));
    CHECK(db.read().empty());
    txn.commit();
    CHECK(db.read().size() == 1);
    CHECK(db.get("a") == "1!");
}

TEST_CASE("keys and values of every size around every limit come back as they were") {
    memory_database db;
    std::map<std::string, std::string> model;
    db.update([&](auto& txn) {
        for (auto const key_bytes : {0U, 1U, 127U, 128U, 1024U, 65534U, 65535U}) {
            for (auto const value_bytes :
                 {0U, 1U, 255U, 256U, 1023U, 1024U, 1025U, 65535U, 65536U, (1U << 20U) + 1U}) {
                auto key = std::string(key_bytes, 'k');
                if (key.size() >= 2) key[1] = static_cast<char>(model.size());
                auto& value = model[key];
                value.assign(value_bytes, static_cast<char>('a' + model.size() % 26));
                txn.put(key, value);
            }
        }
        CHECK(kind_of([&] { txn.put(std::string(65536, 'k'), ""); }) == errc::key_too_large);
        CHECK(kind_of([&] { txn.insert(std::string(65536, 'k'), ""); }) == errc::key_too_large);
    });
    auto const now = db.read();
    REQUIRE(now.size() == model.size());
    auto expected = model.begin();
    for (auto const [key, value] : now) {
        CHECK((key == expected->first && value == expected->second));
        ++expected;
    }
    CHECK(db.check().clean());
}

TEST_CASE("erasing a range drops what is in it and tells how many") {
    auto db = tiny();
    std::map<std::string, std::string> model;
    for (int i = 0; i < 1000; ++i) model["n" + std::to_string(i)] = "v";
    db.update([&](auto& txn) { txn.load(model); });
    auto txn = db.write();
    txn.put("n5pending", "p");
    model["n5pending"] = "p";
    auto const gone = [&](auto from, auto to) {
        auto const count = std::distance(from, to);
        model.erase(from, to);
        return static_cast<std::uint64_t>(count);
    };
    CHECK(txn.erase("n3", "n6") == gone(model.lower_bound("n3"), model.lower_bound("n6")));
    CHECK(txn.erase("n6", "n6") == 0);
    CHECK(txn.erase("n7", "n6") == 0);
    CHECK(txn.erase_prefix("n99") == gone(model.lower_bound("n99"), model.lower_bound("n9:")));
    CHECK(txn.erase_prefix("absent") == 0);
    CHECK(txn.size() == model.size());
    txn.commit();
    CHECK(db.read().size() == model.size());
    CHECK(db.check().clean());
    CHECK(db.write().erase_prefix("") == model.size());
    CHECK(db.read().size() == model.size()); // that one was not committed
}

TEST_CASE("a bulk load puts sorted pairs over what is there, whatever the range is made of") {
    auto db = tiny();
    db.update([](auto& txn) {
        txn.put("k00500", "old");
        txn.put("z", "stays");
    });
    std::vector<std::pair<std::string, std::string>> pairs;
    for (int i = 0; i < 3000; ++i) {
        char key[16];
        std::snprintf(key, sizeof key, "k%05d", i);
        pairs.emplace_back(key, std::string(static_cast<std::size_t>(i % 200), 'n'));
    }
    auto txn = db.write();
    txn.put("pending", "before the load");
    CHECK(txn.load(pairs) == 3000);
    CHECK(txn.get("pending") == "before the load");
    CHECK(txn.get("k00500") == std::string(100, 'n'));
    auto const numbers = std::views::iota(0, 500) | std::views::transform([](int i) {
                             return std::pair(std::to_string(1000 + i), std::to_string(i));
                         });
    CHECK(txn.load(numbers) == 500);
    CHECK(txn.load(std::vector<std::pair<std::string, std::string>>()) == 0);
    txn.put("after", "the load");
    txn.commit();
    auto const now = db.read();
    CHECK(now.size() == 3503);
    CHECK(now.get("1499") == "499");
    CHECK(now.get("z") == "stays");
    CHECK(db.check().clean());
}

TEST_CASE("a bulk load that is not sorted, or throws, changes nothing") {
    auto db = tiny();
    auto txn = db.write();
    txn.put("a", "1");
    std::vector<std::pair<std::string, std::string>> pairs = {{"b", "2"}, {"d", "3"}, {"c", "4"}};
    CHECK(kind_of([&] { txn.load(pairs); }) == errc::not_sorted);
    pairs = {{"b", "2"}, {"b", "3"}};
    CHECK(kind_of([&] { txn.load(pairs); }) == errc::not_sorted);
    pairs = {{"b", "2"}, {std::string(65536, 'x'), "3"}};
    CHECK(kind_of([&] { txn.load(pairs); }) == errc::key_too_large);
    auto const failing = std::views::iota(0, 5000) | std::views::transform([](int i) {
                             if (i == 4999) throw std::runtime_error("the source failed");
                             return std::pair(std::to_string(10000 + i), std::string(500, 'x'));
                         });
    CHECK_THROWS_AS(txn.load(failing), std::runtime_error);
    CHECK(txn.size() == 1);
    txn.commit();
    CHECK(db.read().size() == 1);
    CHECK(db.check().clean());
}

TEST_CASE("savepoints take back exactly what came after them, in any order") {
    auto db = tiny();
    auto txn = db.write();
    std::vector<savepoint> points;
    std::vector<std::uint64_t> sizes;
    for (int i = 0; i < 10; ++i) {
        sizes.push_back(txn.size());
        points.push_back(txn.savepoint());
        for (int j = 0; j < 40; ++j) txn.put(std::to_string(i * 100 + j), std::string(60, 's'));
        if (i == 5) {
            std::map<std::string, std::string> const more = {{"bulk1", "x"}, {"bulk2", "y"}};
            txn.load(more);
        }
    }
    for (auto const i : {7U, 3U, 9U, 0U, 6U}) {
        txn.rollback_to(points[i]);
        CHECK(txn.size() == sizes[i]);
        CHECK(txn.contains("bulk1") == (i > 5));
    }
    txn.put("end", "e");
    txn.commit();
    CHECK(db.read().size() == sizes[6] + 1);
    CHECK(db.check().clean());
    auto other = db.write();
    CHECK(kind_of([&] { other.rollback_to(points[0]); }) == errc::invalid_argument);
}

TEST_CASE("a view is a snapshot of the transaction, and later changes do not show in it") {
    auto db = tiny();
    std::optional<snapshot> kept;
    std::string_view value;
    {
        auto txn = db.write();
        txn.put("a", "1");
        value = *txn.get("a");
        kept = txn.view();
        for (int i = 0; i < 500; ++i) {
            txn.put("a", std::to_string(i));
            txn.put("x" + std::to_string(i), std::string(100, 'x'));
            if (i % 100 == 0) CHECK(txn.view().size() == static_cast<std::uint64_t>(i) + 2);
        }
        CHECK(value == "1"); // still there, though replaced many times
        txn.commit();
    }
    db.compact();
    CHECK(kept->size() == 1);
    CHECK(kept->get("a") == "1");
    std::uint64_t count = 0;
    for (auto const [k, v] : *kept) count += v.size();
    CHECK(count == 1);
}

TEST_CASE("a view of a rolled back transaction goes on, or says that its bytes are gone") {
    auto db = tiny();
    auto txn = db.write();
    txn.put("a", "1");
    auto const in_memory = txn.view();
    std::map<std::string, std::string> const pairs = {{"b", "2"}, {"c", "3"}};
    txn.load(pairs);
    auto const in_file = txn.view();
    CHECK(in_file.size() == 3);
    txn.rollback();
    CHECK(in_memory.get("a") == "1");
    CHECK(kind_of([&] { static_cast<void>(in_file.get("b")); }) == errc::finished);
}

TEST_CASE("after its end every call but destruction throws") {
    auto db = tiny();
    auto txn = db.write();
    auto const point = txn.savepoint();
    txn.put("a", "1");
    txn.commit();
    CHECK_FALSE(txn.is_open());
    CHECK(kind_of([&] { txn.put("b", "2"); }) == errc::finished);
    CHECK(kind_of([&] { txn.erase("b"); }) == errc::finished);
    CHECK(kind_of([&] { static_cast<void>(txn.get("a")); }) == errc::finished);
    CHECK(kind_of([&] { static_cast<void>(txn.view()); }) == errc::finished);
    CHECK(kind_of([&] { static_cast<void>(txn.savepoint()); }) == errc::finished);
    CHECK(kind_of([&] { txn.rollback_to(point); }) == errc::finished);
    CHECK(kind_of([&] { txn.commit(); }) == errc::finished);
    CHECK(kind_of([&] { static_cast<void>(txn.put_stream("s", 1)); }) == errc::finished);
    txn.rollback();
    auto second = db.write();
    auto moved = std::move(second);
    CHECK(kind_of([&] { second.put("b", "2"); }) ==
          errc::finished); // NOLINT(bugprone-use-after-move)
    CHECK(moved.is_open());
}

TEST_CASE("an empty commit appends nothing and gives the current id") {
    auto db = tiny();
    auto const id = db.update([](auto& txn) { txn.put("a", "1"); });
    auto const before = db.stats();
    CHECK(db.update([](auto&) {}) == id);
    CHECK(db.update([](auto& txn) {
        txn.put("b", "2");
        txn.erase("b");
        txn.erase("absent");
    }) == id);
    CHECK(db.stats().valid_bytes == before.valid_bytes);
}

TEST_CASE("notes are kept with the commit and have a limit") {
    auto db = tiny();
    auto txn = db.write();
    txn.put("a", "1");
    CHECK(kind_of([&] { txn.commit({}, std::string(4097, 'n')); }) == errc::note_too_large);
    CHECK(txn.is_open());
    txn.commit({}, std::string(4096, 'n'));
    auto const now = db.read();
    CHECK(now.note() == std::string(4096, 'n'));
}

TEST_CASE("an update that throws leaves nothing, also no lock") {
    auto db = tiny();
    CHECK_THROWS_AS(db.update([](auto& txn) {
        txn.put("a", "1");
        throw std::runtime_error("no");
    }),
                    std::runtime_error);
    CHECK(db.read().empty());
    CHECK(db.try_write().has_value());
}
