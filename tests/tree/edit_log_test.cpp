// SPDX-License-Identifier: BSL-1.0
#include <coppice/tree/edit_log.hpp>

#include <coppice/tree/arena.hpp>

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace coppice;
using tree::edit_log;
using tree::edit_map;

using final_edits = std::map<std::string, std::optional<std::string>>;

final_edits entries_of(edit_log const& log) {
    final_edits result;
    std::string last;
    for (edit_log::walk at(log); !at.done(); at.next()) {
        CHECK((result.empty() || std::string(at.key()) > last));
        last = at.key();
        result[last] = at.value() == nullptr
                           ? std::nullopt
                           : std::optional<std::string>(std::string(at.value()->raw));
    }
    return result;
}

std::string found_in(edit_log& log, std::string_view key) {
    format::stored_value value;
    switch (log.find(key, value)) {
    case edit_map::pending::put: return "put " + std::string(value.raw);
    case edit_map::pending::erased: return "erased";
    case edit_map::pending::none: break;
    }
    return "none";
}

} // namespace

TEST_CASE("of the edits of a key the last one stands, also an erasure") {
    edit_map first;
    first.put("b", {"1", false});
    first.put("a", {"1", false});
    first.erase("c");
    edit_map second;
    second.put("c", {"2", true});
    second.erase("b");
    edit_log log;
    CHECK(log.empty());
    CHECK(log.held_bytes() == 0);
    log.take(first);
    CHECK(first.empty());
    log.take(second);
    CHECK(log.size() == 5);
    CHECK(log.held_bytes() >= 5 * sizeof(std::string_view));
    log.sort();
    CHECK(log.size() == 3);
    CHECK(entries_of(log) == final_edits{{"a", "1"}, {"b", std::nullopt}, {"c", "2"}});
    edit_log::walk at(log);
    at.next();
    at.next();
    CHECK(at.value()->out_of_line);
    log.clear();
    CHECK(log.empty());
    CHECK(log.held_bytes() == 0);
}

// Keys are compared by their first 8 bytes as a number, in which one that ends early looks like one
// that goes on with zeros.
TEST_CASE("keys that end early or have zeros are in order") {
    std::vector<std::string> const keys{"",
                                        std::string(1, '\0'),
                                        std::string(7, '\0'),
                                        std::string(8, '\0'),
                                        std::string(9, '\0'),
                                        "a",
                                        std::string("a\0", 2),
                                        "aaaaaaaa",
                                        "aaaaaaaab",
                                        "aaaaaaaac",
                                        "\x7F",
                                        "\x80",
                                        "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"};
    edit_log log;
    for (auto key = keys.rbegin(); key != keys.rend(); ++key) {
        edit_map one;
        one.put(*key, {"v", false});
        log.take(one);
    }
    log.sort();
    CHECK(log.size() == keys.size());
    std::size_t i = 0;
    for (edit_log::walk at(log); !at.done(); at.next()) CHECK(at.key() == keys[i++]);
}

TEST_CASE("a key is found as its last edit has left it") {
    edit_log log;
    CHECK(found_in(log, "a") == "none");
    edit_map first;
    first.put("a", {"1", true});
    first.put("b", {"1", false});
    log.take(first);
    CHECK(found_in(log, "c") == "none");
    CHECK(found_in(log, "a") == "put 1");
    edit_map second;
    second.put("a", {"2", false});
    second.erase("b");
    log.take(second);
    CHECK(found_in(log, "a") == "put 2");
    CHECK(found_in(log, "b") == "erased");
    format::stored_value value;
    edit_map third;
    third.put("a", {"3", true});
    log.take(third);
    auto const without_index = log.held_bytes();
    CHECK(log.find("a", value) == edit_map::pending::put);
    CHECK(value.out_of_line);
    std::string_view const keys = "cdefghijklmnopqrstuvwxyz";
    for (std::size_t i = 0; i < keys.size(); ++i) {
        edit_map more;
        more.put(keys.substr(i, 1), {"", false});
        log.take(more);
        CHECK(found_in(log, keys.substr(i, 1)) == "put ");
    }
    CHECK(log.held_bytes() > without_index);
    log.clear();
    CHECK(found_in(log, "a") == "none");
    CHECK(log.held_bytes() == 0);
}

TEST_CASE("keys that begin with the same 8 bytes are told apart") {
    tree::arena memory;
    edit_log log;
    auto const name = [](int i) { return "the same " + std::to_string(i); };
    for (int i = 0; i < 2000; i += 2) {
        edit_map one;
        one.put(memory.copy(name(i)), {memory.copy(std::to_string(i)), false});
        log.take(one);
    }
    for (int i = 0; i < 2000; ++i) {
        CHECK(found_in(log, name(i)) == (i % 2 == 0 ? "put " + std::to_string(i) : "none"));
    }
}

TEST_CASE("a log is what a map of all edits is, however often it is sorted in between") {
    rc::prop("edits of many maps", [] {
        tree::arena memory;
        edit_log log;
        final_edits wanted;
        for (auto rounds = *rc::gen::inRange(1, 6); rounds > 0; --rounds) {
            edit_map some;
            auto const keys = *rc::gen::container<std::vector<std::string>>(
                rc::gen::container<std::string>(rc::gen::elementOf(std::string("ab\0", 3))));
            for (auto const& key : keys) {
                auto const kept = memory.copy(key);
                if (*rc::gen::arbitrary<bool>()) {
                    some.erase(kept);
                    wanted[key] = std::nullopt;
                } else {
                    wanted[key] = std::to_string(*rc::gen::inRange(0, 1000));
                    some.put(kept, {memory.copy(*wanted[key]), false});
                }
            }
            log.take(some);
            if (*rc::gen::arbitrary<bool>()) {
                for (auto const& [key, value] : wanted) {
                    RC_ASSERT(found_in(log, key) == (value ? "put " + *value : "erased"));
                }
                RC_ASSERT(found_in(log, "c") == "none");
            }
            if (*rc::gen::arbitrary<bool>()) log.sort();
        }
        log.sort();
        RC_ASSERT(entries_of(log) == wanted);
    });
}
