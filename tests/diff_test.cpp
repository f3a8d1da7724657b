// SPDX-License-Identifier: BSL-1.0
#include <coppice/diff.hpp>

#include <catch2/catch.hpp>
#include <kind_of.hpp>
#include <rapidcheck.h>
#include <test_database.hpp>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using coppice::change;
using coppice::diff;
using coppice::excluding;
using coppice::including;
using coppice::unbounded;
using proving::content;
using proving::in_file;
using proving::in_memory;
using proving::test_database;
using support::kind_of;

using told_changes =
    std::map<std::string, std::pair<std::optional<std::string>, std::optional<std::string>>>;

std::optional<std::string> owned(std::optional<std::string_view> const& text) {
    return text ? std::optional<std::string>(*text) : std::nullopt;
}
told_changes told(coppice::difference const& range) {
    told_changes result;
    for (auto const& [key, before, after] : range) {
        result[std::string(key)] = {owned(before), owned(after)};
    }
    return result;
}
/// A snapshot with those changes made.
content patched(coppice::snapshot const& state, coppice::difference const& by) {
    content result;
    for (auto const& [key, value] : state) result[std::string(key)] = value;
    for (auto const& [key, before, after] : by) {
        auto const found = result.find(key);
        REQUIRE((found == result.end()) == !before);
        if (before) REQUIRE((found->second == *before));
        if (after) {
            result[std::string(key)] = *after;
        } else {
            result.erase(found);
        }
    }
    return result;
}

} // namespace

TEMPLATE_TEST_CASE("a difference tells what was added and changed and erased", "", in_file,
                   in_memory) {
    test_database<TestType> db;
    db->update([](auto& t) {
        for (auto const* key : {"a", "b", "c", "d"}) t.put(key, std::string(key) + "1");
    });
    auto const before = db->read();
    db->update([](auto& t) {
        t.put("a", "a1"); // the same again is no change
        t.put("b", "b2");
        t.erase("c");
        t.put("e", "e2");
    });
    auto const after = db->read();
    told_changes const wanted{{"b", {"b1", "b2"}}, {"c", {"c1", {}}}, {"e", {{}, "e2"}}};
    CHECK((told(diff(before, after)) == wanted));
    told_changes const reversed{{"b", {"b2", "b1"}}, {"c", {{}, "c1"}}, {"e", {"e2", {}}}};
    CHECK((told(diff(after, before)) == reversed));
    CHECK(diff(before, before).empty());
    CHECK_FALSE(diff(before, after).empty());
    CHECK(told(diff(before, after, including("b"), excluding("c"))).size() == 1);
    CHECK(told(diff(before, after, including("b"), including("c"))).size() == 2);
    CHECK(told(diff(before, after, excluding("b"), unbounded())).size() == 2);
    CHECK(told(diff(before, after, unbounded(), excluding("b"))).empty());
    CHECK(told(diff(before, after, including("z"), excluding("a"))).empty());
}

TEST_CASE("a difference outlives its snapshots its bounds and the handle") {
    test_database<in_file> db;
    db->update([](auto& t) { t.put("k", std::string(100, 'x')); });
    auto range = [&] {
        std::string const from = "a key that is gone when the range is walked over";
        return diff(db->read(coppice::commit_id{1}), db->read(), including(from), unbounded());
    }();
    db.close();
    CHECK(told(range).size() == 1);
    CHECK(told(range).size() == 1); // it can be walked over again
    auto at = [&] { return std::exchange(range, range).begin(); }();
    CHECK(at.key() == "k");
    CHECK((*at).after == std::string(100, 'x'));
    CHECK_FALSE((*at).before);
    CHECK(++at == range.end());
}

TEMPLATE_TEST_CASE("random transactions and what a difference says of each two of them", "",
                   in_file, in_memory) {
    auto const found = rc::check([] {
        test_database<TestType> db;
        workbench::dice roll(*rc::gen::arbitrary<std::uint64_t>());
        std::vector<coppice::snapshot> states{db->read()};
        auto const key = [&] { return proving::numbered("k", roll.below(200)); };
        for (int i = *rc::gen::inRange(1, 8); i > 0; --i) {
            db->update(
                [&](auto& t) {
                    for (auto n = roll.below(40); n > 0; --n) {
                        t.put(key(), proving::noise(roll.below(80), roll.below(3)));
                    }
                    if (roll.below(2) == 0) t.erase(key(), key());
                    for (auto n = roll.below(10); n > 0; --n) t.erase(key());
                },
                coppice::durability::lazy);
            if (roll.below(6) == 0) db->compact();
            states.push_back(db->read());
        }
        for (auto const& a : states) {
            for (auto const& b : states) {
                content wanted;
                for (auto const& [k, v] : b) wanted[std::string(k)] = v;
                RC_ASSERT(patched(a, diff(a, b)) == wanted);
            }
        }
    });
    CHECK(found);
}

TEST_CASE("a transaction's view is compared with what it began from") {
    test_database<in_memory> db;
    db->update([](auto& t) {
        for (auto const& [k, v] : proving::numbered_entries(300)) t.put(k, v);
    });
    auto txn = db->write();
    txn.put("k00000100", std::string(50, 'n')); // out of line, and in memory so far
    txn.erase("k00000200");
    auto const before = db->read();
    auto const first = txn.view();
    CHECK(told(diff(before, first)).size() == 2);
    txn.put("k00000100", std::string(50, 'n'));
    txn.put("k00000101", "more");
    CHECK(told(diff(first, txn.view())).size() == 1);
    txn.commit();
    CHECK(diff(first, db->read(), unbounded(), including("k00000100")).empty());
    CHECK(told(diff(first, db->read())).size() == 1);
}

TEST_CASE("values out of line are compared by what they say") {
    test_database<in_file> db;
    auto const large = proving::noise(std::size_t{3} << 20U);
    auto almost = large;
    almost.back() = static_cast<char>(almost.back() ^ 1);
    db->update([&](auto& t) {
        t.put("same", large);
        t.put("other", large);
        t.put("shorter", large);
        t.put("untouched", large);
    });
    auto const before = db->read();
    db->update([&](auto& t) {
        t.put("same", large); // written again, at another place
        t.put("other", almost);
        t.put("shorter", "short");
    });
    auto const after = db->read();
    auto const changes = told(diff(before, after));
    REQUIRE(changes.size() == 2);
    CHECK((changes.at("other").second == almost));
    CHECK((changes.at("shorter").second == "short"));
    // What a transaction holds in memory has no checksum.
    auto txn = db->write();
    txn.put("same", large);
    txn.put("other", large);
    CHECK(told(diff(after, txn.view())).size() == 1);
    CHECK(told(diff(txn.view(), before)).size() == 1);
    txn.rollback();
    // Of a file made by a compaction no reference means the same; what is in it does.
    db->compact();
    CHECK(diff(after, db->read()).empty());
    CHECK(told(diff(before, db->read())).size() == 2);
}

TEST_CASE("two files are never compared by reference") {
    // The same history but for one value of the same size: node for node at the same places.
    auto const fill = [](coppice::memory_database& db, std::string const& value) {
        db.update([&](auto& t) {
            for (unsigned i = 0; i < 300; ++i) t.put(proving::numbered("k", i), "v");
            t.put("k00000150", value);
            t.put("large", std::string(2000, value[0]));
        });
    };
    coppice::memory_database one;
    coppice::memory_database two;
    fill(one, "1");
    fill(two, "2");
    auto const changes = told(diff(one.read(), two.read()));
    CHECK(changes.size() == 2);
    CHECK((changes.at("k00000150") ==
           std::pair(std::optional<std::string>("1"), std::optional<std::string>("2"))));
    CHECK((told(diff(two.read(), one.read())).size() == 2));
    CHECK(diff(one.read(), one.read()).empty());
}

TEST_CASE("a copy of a file is read though its references are the same") {
    test_database<in_file> place;
    place->update([](auto& t) {
        for (auto const& [k, v] : proving::numbered_entries(300)) t.put(k, v);
    });
    // Opening sums what the newest commit wrote, and would pass over one that is damaged.
    place->update([](auto& t) { t.put("another", "commit"); });
    auto const copy = place.place().path().string() + ".copy";
    auto bytes = proving::text_of(place.place().path());
    proving::write_text(copy, bytes);
    CHECK(diff(place->read(), coppice::database(copy).read()).empty());
    auto const leaf = bytes.find("00000100");
    REQUIRE(leaf != std::string::npos);
    bytes[leaf] = 'j';
    proving::write_text(copy, bytes);
    auto const damaged = coppice::database(copy).read();
    CHECK(kind_of([&] { static_cast<void>(told(diff(place->read(), damaged))); }) ==
          coppice::errc::corrupt);
}

TEST_CASE("a difference over damage is a typed error") {
    test_database<in_file> place;
    auto const file = place.place().path();
    auto const copy = file.string() + ".copy";
    place->update([](auto& t) {
        for (auto const& [k, v] : proving::numbered_entries(300)) t.put(k, v);
    });
    place->update([](auto& t) { t.put("k00000100", "new"); });
    place.close();
    auto const whole = proving::text_of(file);
    unsigned refused = 0;
    for (std::size_t at = 12288 + 5; at < whole.size(); at += 89) {
        auto bytes = whole;
        bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
        proving::write_text(copy, bytes);
        try {
            coppice::database const db(copy, {.read_only = true});
            auto const changes = told(diff(db.read(coppice::commit_id{1}), db.read()));
            CHECK(changes.size() >= 300);
        } catch (coppice::error const& e) {
            CHECK(e.kind() == coppice::errc::corrupt);
            ++refused;
        }
    }
    CHECK(refused > 50);
}
