// SPDX-License-Identifier: BSL-1.0
#include <coppice/transaction.hpp>

#include <kind_of.hpp>
#include <test_database.hpp>

#include <generated.hpp>

#include <catch2/catch.hpp>

#include <cstdio>
#include <map>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace coppice;
using proving::in_file;
using proving::in_memory;
using proving::noise;
using proving::test_database;
using support::kind_of;

TEMPLATE_TEST_CASE("put, insert, modify and erase say what they found and show at once", "",
                   in_file, in_memory) {
    test_database<TestType> on;
    auto& db = *on;
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

TEMPLATE_TEST_CASE("keys and values of every size around every limit come back as they were", "",
                   in_file, in_memory) {
    test_database<TestType> on(options{});
    auto& db = *on;
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

TEMPLATE_TEST_CASE("erasing a range drops what is in it and tells how many", "", in_file,
                   in_memory) {
    test_database<TestType> on;
    auto& db = *on;
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
    CHECK(db.write().erase_from("n9") ==
          static_cast<std::uint64_t>(std::distance(model.lower_bound("n9"), model.end())));
    CHECK(db.write().erase_prefix("") == model.size());
    CHECK(db.read().size() == model.size()); // that one was not committed
}

TEMPLATE_TEST_CASE(
    "a bulk load puts sorted pairs over what is there, whatever the range is made of", "", in_file,
    in_memory) {
    test_database<TestType> on;
    auto& db = *on;
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
    auto const numbers = support::generated(
        0, 500, [](int i) { return std::pair(std::to_string(1000 + i), std::to_string(i)); });
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

TEMPLATE_TEST_CASE("a bulk load that is not sorted, or throws, changes nothing", "", in_file,
                   in_memory) {
    test_database<TestType> on;
    auto& db = *on;
    auto txn = db.write();
    txn.put("a", "1");
    std::vector<std::pair<std::string, std::string>> pairs = {{"b", "2"}, {"d", "3"}, {"c", "4"}};
    CHECK(kind_of([&] { txn.load(pairs); }) == errc::not_sorted);
    pairs = {{"b", "2"}, {"b", "3"}};
    CHECK(kind_of([&] { txn.load(pairs); }) == errc::not_sorted);
    pairs = {{"b", "2"}, {std::string(65536, 'x'), "3"}};
    CHECK(kind_of([&] { txn.load(pairs); }) == errc::key_too_large);
    auto const failing = support::generated(0, 5000, [](int i) {
        if (i == 4999) throw std::runtime_error("the source failed");
        return std::pair(std::to_string(10000 + i), std::string(500, 'x'));
    });
    CHECK_THROWS_AS(txn.load(failing), std::runtime_error);
    CHECK(txn.size() == 1);
    txn.commit();
    CHECK(db.read().size() == 1);
    CHECK(db.check().clean());
}

TEMPLATE_TEST_CASE("savepoints take back exactly what came after them, in any order", "", in_file,
                   in_memory) {
    test_database<TestType> on;
    auto& db = *on;
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

TEMPLATE_TEST_CASE("a view is a snapshot of the transaction, and later changes do not show in it",
                   "", in_file, in_memory) {
    test_database<TestType> on;
    auto& db = *on;
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

// What a view had shown already, an iterator in a leaf or a value, was read from bytes of the file
// that the rollback gave back: the next writer wrote over them, and closing cut them off.
TEMPLATE_TEST_CASE("a view of a rolled back transaction goes on, with all that it has shown", "",
                   in_file, in_memory) {
    test_database<TestType> on;
    auto& db = *on;
    auto txn = db.write();
    txn.put("a", "1");
    auto const in_memory = txn.view();
    std::map<std::string, std::string> const pairs = {{"b", "2"}, {"c", "3"}};
    txn.load(pairs);
    auto const in_file = txn.view();
    CHECK(in_file.size() == 3);
    auto at = in_file.begin();
    txn.rollback();
    CHECK(in_memory.get("a") == "1");
    CHECK(in_file.get("b") == "2");
    CHECK((*at).key == "a");
    ++at;
    CHECK((*at).value == "2");
}

TEMPLATE_TEST_CASE("bytes that a view reads are neither written over nor cut off, by anybody", "",
                   in_file, in_memory) {
    test_database<TestType> on;
    auto& db = *on;
    db.update([](auto& txn) { txn.put("first", "1"); });
    auto const loaded = proving::numbered_entries(3000, "loaded");
    std::optional<snapshot> view;
    {
        auto txn = db.write();
        txn.put("first", "2");
        txn.load(loaded);
        view = txn.view();
    }
    auto const value = *view->get(proving::numbered("loaded", 2999));
    auto at = view->begin();
    CHECK(db.read().size() == 1);
    auto wanted = loaded;
    wanted["first"] = "2";
    auto const goes_on = [&] {
        CHECK(value == loaded.at(proving::numbered("loaded", 2999)));
        CHECK((*at).value == "2");
        proving::must_hold(*view, wanted);
    };
    goes_on();
    auto const bytes_before = db.stats().file_bytes;
    db.update([](auto& txn) { txn.load(proving::numbered_entries(3000, "other")); });
    db.update([](auto& txn) { txn.erase_prefix("other"); }, durability::lazy);
    goes_on();
    on.reopen(); // which cuts off what is behind the end
    CHECK(on->stats().file_bytes > bytes_before);
    on->update([](auto& txn) { txn.load(proving::numbered_entries(4000, "more")); });
    goes_on();
    CHECK(on->read().size() == 4001);
    CHECK(on->check().clean());
    CHECK(on->compact());
    goes_on();
}

// What was loaded and taken back by a savepoint was free for the next commit as soon as its own
// transaction committed nothing: the same view then showed what somebody else had written there.
TEMPLATE_TEST_CASE("a view of what was taken back stays as it is where nothing is committed", "",
                   in_file, in_memory) {
    for (auto const how : {durability::sync, durability::lazy, durability::deferred}) {
        test_database<TestType> on;
        auto& db = *on;
        db.update([](auto& txn) { txn.put("first", "1"); });
        auto const loaded = proving::numbered_entries(3000, "loaded");
        auto txn = db.write();
        auto const before = txn.savepoint();
        txn.load(loaded);
        auto const view = txn.view();
        txn.rollback_to(before);
        txn.commit(how);
        db.update([](auto& other) { other.load(proving::numbered_entries(3000, "other")); });
        auto wanted = loaded;
        wanted["first"] = "1";
        proving::must_hold(view, wanted);
        CHECK(db.check().clean());
    }
}

// The slot says whole words only, so the last bytes of a value that ended within one were left out.
TEMPLATE_TEST_CASE("a view keeps the last bytes of a value whose size is not a multiple of 8", "",
                   in_file, in_memory) {
    test_database<TestType> on;
    std::string const value(100'001, 'v');
    std::optional<snapshot> view;
    {
        auto txn = on->write();
        auto stream = txn.put_stream("streamed", value.size());
        stream.write(value);
        stream.finish();
        view = txn.view();
    }
    on->update([](auto& txn) { txn.put("other", std::string(5000, 'x')); });
    on.reopen();
    on->update([](auto& txn) { txn.put("more", std::string(5000, 'y')); });
    CHECK(view->get("streamed") == value);
    CHECK(on->check().clean());
}

TEMPLATE_TEST_CASE("where nobody looks at it, what is rolled back takes no space", "", in_file,
                   in_memory) {
    test_database<TestType> on;
    auto& db = *on;
    db.update([](auto& txn) { txn.put("first", "1"); });
    auto const end = db.read().state()->limit_offset();
    for (int i = 0; i < 3; ++i) {
        auto txn = db.write();
        txn.load(proving::numbered_entries(300, "loaded"));
        auto const seen = txn.view().size();
        CHECK(seen == 301);
    }
    db.update([](auto& txn) { txn.put("first", "2"); });
    CHECK(db.read().state()->record().begin_offset == end);
}

TEMPLATE_TEST_CASE("after its end every call but destruction throws", "", in_file, in_memory) {
    test_database<TestType> on;
    auto& db = *on;
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

TEMPLATE_TEST_CASE("an empty commit appends nothing and gives the current id", "", in_file,
                   in_memory) {
    test_database<TestType> on;
    auto& db = *on;
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

TEMPLATE_TEST_CASE("notes are kept with the commit and have a limit", "", in_file, in_memory) {
    test_database<TestType> on;
    auto& db = *on;
    auto txn = db.write();
    txn.put("a", "1");
    CHECK(kind_of([&] { txn.commit({}, std::string(4097, 'n')); }) == errc::note_too_large);
    CHECK(txn.is_open());
    txn.commit({}, std::string(4096, 'n'));
    auto const now = db.read();
    CHECK(now.note() == std::string(4096, 'n'));
}

TEMPLATE_TEST_CASE("an update that throws leaves nothing, also no lock", "", in_file, in_memory) {
    test_database<TestType> on;
    auto& db = *on;
    CHECK_THROWS_AS(db.update([](auto& txn) {
        txn.put("a", "1");
        throw std::runtime_error("no");
    }),
                    std::runtime_error);
    CHECK(db.read().empty());
    CHECK(db.try_write().has_value());
}

TEMPLATE_TEST_CASE("views of a transaction stay good through all that is done to it and after", "",
                   in_file, in_memory) {
    std::vector<std::string_view> kept;
    std::vector<snapshot> moments;
    std::vector<proving::content> then;
    {
        test_database<TestType> on;
        auto txn = on->write();
        proving::content model;
        for (unsigned i = 0; i < 300; ++i) {
            auto const key = proving::numbered("k", i * 7 % 50);
            model[key] = noise(i % 90, i);
            txn.put(key, model[key]);
            if (i % 3 == 0) kept.push_back(*txn.get(key)); // pending, folded, or replaced since
            if (i % 60 != 59) continue;
            moments.push_back(txn.view());
            then.push_back(model);
            for (unsigned j = 0; j < kept.size(); ++j) {
                CHECK(kept[j] == noise(j * 3 % 90, j * 3));
            }
        }
        auto const more = proving::numbered_entries(100, "loaded");
        txn.load(more);
        model.insert(more.begin(), more.end());
        moments.push_back(txn.view());
        then.push_back(model);
        txn.erase_prefix("k");
        txn.commit();
        on->update([](auto& other) { other.erase_prefix(""); });
        CHECK(on->compact());
    }
    for (std::size_t i = 0; i < moments.size(); ++i) proving::must_hold(moments[i], then[i]);
}

// A view of a value that an earlier load of the same transaction had put was promised to stay until
// the transaction ends. But a later load that outgrew the mapping replaced it, and nothing else
// held the one that the view lay in: the value was unmapped, or its memory given back, while it was
// read.
TEMPLATE_TEST_CASE("a value seen between bulk loads stays while they outgrow the mapping", "",
                   in_file, in_memory) {
    test_database<TestType> on(options{});
    auto txn = (*on).write();
    std::string const value = noise(60'000);
    auto const load = [&](std::string const& prefix, std::size_t count) {
        std::vector<std::pair<std::string, std::string_view>> pairs;
        for (std::size_t i = 0; i < count; ++i) {
            pairs.emplace_back(proving::numbered(prefix, i), value);
        }
        txn.load(pairs);
    };
    load("a", 40);
    auto const loaded = txn.get(proving::numbered("a", 7));
    txn.put("short", "in a leaf of the file, once there is another load");
    load("b", 200);
    auto const in_leaf = txn.get("short");
    auto stream = txn.put_stream("streamed", 20'000'000);
    for (int i = 0; i < 20; ++i) stream.write(std::string(1'000'000, 's'));
    stream.finish();
    load("c", 800);
    CHECK(loaded == value);
    CHECK(in_leaf == "in a leaf of the file, once there is another load");
    CHECK(txn.get("streamed") == std::string(20'000'000, 's'));
    txn.commit();
}

TEMPLATE_TEST_CASE("a transaction may be moved to another thread and be ended there", "", in_file,
                   in_memory) {
    test_database<TestType> on;
    auto& db = *on;
    auto txn = db.write();
    txn.put("a", "here");
    CHECK(kind_of([&] { static_cast<void>(db.write()); }) == errc::would_deadlock);
    std::thread([moved = std::move(txn)]() mutable {
        moved.put("b", "there");
        moved.commit();
    }).join();
    CHECK(db.read().size() == 2);
    CHECK(db.try_write().has_value());
    std::optional<typename test_database<TestType>::transaction> fetched;
    std::thread([&] {
        fetched.emplace(db.write());
        fetched->put("c", "fetched");
    }).join();
    CHECK_FALSE(db.try_write().has_value());
    fetched->commit();
    CHECK(db.get("c") == "fetched");
}

TEMPLATE_TEST_CASE("assigning over an open transaction ends it, and both ends are clean", "",
                   in_file, in_memory) {
    test_database<TestType> on;
    test_database<TestType> other;
    auto txn = on->write();
    txn.put("a", "1");
    txn = other->write();
    CHECK(on->try_write().has_value());
    txn.put("b", "2");
    txn.commit();
    CHECK(on->read().empty());
    CHECK(other->get("b") == "2");
}

TEMPLATE_TEST_CASE("a bulk load may be larger than the buffers, over what is there and with more",
                   "", in_file, in_memory) {
    test_database<TestType> on(options{});
    proving::content model{{"k00000100", "replaced"}, {"a", "first"}, {"z", noise(70'000)}};
    on->update([&](auto& txn) { txn.load(model); });
    auto const pairs = support::generated(0U, 9'000U, [](unsigned i) {
        auto const size = i % 100 == 7 ? 20'000 + i : i % 1'500;
        return std::pair(proving::numbered("k", i), noise(size, i));
    });
    {
        auto txn = on->write();
        auto const before = txn.view();
        txn.put("pending", "1");
        CHECK(txn.load(pairs) == 9'000);
        CHECK(before.size() == 3);
        CHECK((txn.get("k00000007") == noise(20'007, 7)));
        txn.put("k00000007", "changed after the load");
        txn.erase("k00000008");
        CHECK(txn.erase(proving::numbered("k", 1000), proving::numbered("k", 2000)) == 1000);
        txn.commit();
    }
    for (auto const [key, value] : pairs) model[key] = value;
    model["pending"] = "1";
    model["k00000007"] = "changed after the load";
    model.erase("k00000008");
    model.erase(model.lower_bound(proving::numbered("k", 1000)),
                model.lower_bound(proving::numbered("k", 2000)));
    CHECK(on->stats().live_bytes > 5U << 20U);
    proving::must_hold(on->read(), model);
    on.reopen();
    proving::must_hold(on->read(), model);
}

TEMPLATE_TEST_CASE("savepoints may be nested, used again, and outlive what they saved", "", in_file,
                   in_memory) {
    test_database<TestType> on;
    on->update([](auto& txn) { txn.put("base", "0"); });
    auto txn = on->write();
    auto const outer = txn.savepoint();
    txn.put("a", "1");
    auto const inner = txn.savepoint();
    txn.erase_prefix("");
    CHECK(txn.size() == 0);
    txn.rollback_to(inner);
    CHECK(txn.size() == 2);
    txn.rollback_to(outer);
    CHECK(txn.size() == 1);
    txn.rollback_to(inner); // a moment that came after the one gone back to
    CHECK(txn.get("a") == "1");
    txn.put("pending", "dropped with the edits that are not folded yet");
    txn.rollback_to(outer);
    CHECK_FALSE(txn.contains("pending"));
    auto const id = on->read().id();
    CHECK(txn.commit() == id); // nothing is left to commit
    test_database<TestType> other;
    auto foreign = other->write();
    CHECK(kind_of([&] { foreign.rollback_to(inner); }) == errc::invalid_argument);
    foreign.put("still", "usable");
    foreign.commit();
    CHECK(other->get("still") == "usable");
}

TEMPLATE_TEST_CASE("what is given to a transaction may be its own, and change under its hands", "",
                   in_file, in_memory) {
    test_database<TestType> on;
    auto txn = on->write();
    std::string key = "a";
    std::string value = noise(50);
    txn.put(key, value);
    key[0] = 'b';
    value.assign(50, 'x');
    CHECK(txn.get("a") == noise(50));
    for (int i = 0; i < 100; ++i) { // views into the transaction as arguments to it
        txn.put("a", *txn.get("a"));
        auto const view = txn.view();
        txn.put(view.first()->key, view.first()->value.substr(0, 49));
        txn.put("copy", *txn.get("a"));
    }
    txn.put(*txn.get("a"), "a value as a key");
    auto const view = txn.view();
    CHECK(txn.erase(view.first()->key, view.last()->key) == 2);
    CHECK(txn.size() == 1);
    txn.commit();
    CHECK(on->read().size() == 1);
}

TEMPLATE_TEST_CASE("limits of keys and values are those of the format, and refusals change nothing",
                   "", in_file, in_memory) {
    test_database<TestType> on;
    auto txn = on->write();
    for (auto const size :
         {std::size_t{0}, std::size_t{1}, std::size_t{1024}, std::size_t{65535}}) {
        txn.put(std::string(size, 'k'), std::to_string(size));
    }
    std::string const too_long(65536, 'k');
    CHECK(kind_of([&] { txn.put(too_long, ""); }) == errc::key_too_large);
    CHECK(kind_of([&] { txn.insert(too_long, ""); }) == errc::key_too_large);
    CHECK(kind_of([&] { txn.modify(too_long, [](auto) { return "x"; }); }) == errc::key_too_large);
    CHECK_FALSE(txn.erase(too_long));
    CHECK_FALSE(txn.contains(too_long));
    CHECK(txn.erase(too_long, too_long + "k") == 0);
    CHECK(txn.size() == 4);
    // Around the inline limit of 32 bytes, and around the piece of 1 MiB.
    for (auto const size : {31U, 32U, 33U, (1U << 20U) - 1, 1U << 20U, (1U << 20U) + 1}) {
        txn.put("v" + std::to_string(size), noise(size, size));
    }
    txn.commit();
    on.reopen();
    for (auto const size : {31U, 32U, 33U, (1U << 20U) - 1, 1U << 20U, (1U << 20U) + 1}) {
        CHECK((on->get("v" + std::to_string(size)) == noise(size, size)));
    }
    CHECK(on->get(std::string(65535, 'k')) == "65535");
}

TEMPLATE_TEST_CASE("erasing a key that was changed before erases what was there before as well", "",
                   in_file, in_memory) {
    test_database<TestType> on;
    on->update([](auto& txn) {
        txn.put("a", "committed");
        txn.put("b", "committed");
    });
    auto txn = on->write();
    txn.put("a", "pending");
    CHECK(txn.erase("a"));
    CHECK_FALSE(txn.contains("a"));
    CHECK_FALSE(txn.erase("a"));
    CHECK(txn.size() == 1);
    txn.put("b", "pending");
    CHECK(txn.size() == 1); // folded
    CHECK(txn.erase("b"));
    txn.put("c", "new");
    CHECK(txn.erase("c"));
    CHECK(txn.size() == 0);
    txn.put("a", "again");
    txn.commit();
    CHECK(on->read().size() == 1);
    CHECK(on->get("a") == "again");
}
