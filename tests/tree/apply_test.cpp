// SPDX-License-Identifier: BSL-1.0
#include <coppice/tree/apply.hpp>

#include <catch2/catch.hpp>
#include <memory_source.hpp>
#include <rapidcheck.h>
#include <workbench.hpp>

#include <algorithm>
#include <memory>
#include <vector>

namespace {

using coppice::format::tree_ref;
using grove::bench;
using workbench::dice;

/// What kind of keys and values a run of random transactions has.
struct flavour {
    char const* name;
    coppice::node_sizes sizes;
    std::uint64_t keys;         ///< how many different keys there are
    std::uint64_t edits;        ///< at most in a transaction
    std::uint64_t giant_one_in; ///< of the keys; 0 is none
    unsigned transactions;
};

/// The same number gives the same key; many share long beginnings.
std::string key_of(std::uint64_t number, flavour const& of) {
    dice roll(number * 77);
    if (of.giant_one_in != 0 && roll.below(of.giant_one_in) == 0) {
        return std::string(65535 - 8, static_cast<char>('a' + roll.below(3))) +
               grove::numbered(number, "");
    }
    switch (roll.below(5)) {
    case 0: return grove::numbered(number, "");
    case 1: return grove::numbered(number, "shared beginning ");
    case 2: return std::string(roll.below(40), '\xff') + std::to_string(number);
    case 3: return std::string(roll.below(12), '\0');
    default: return std::to_string(number) + std::string(roll.below(30), 'x');
    }
}

std::string value_of(dice& roll, flavour const& of) {
    auto const limit = of.sizes.inline_value_bytes;
    switch (roll.below(6)) {
    case 0: return "";
    case 1: return std::string(limit, 'e');
    case 2: return std::string(limit + 1 + roll.below(200), 'o');
    default: return std::string(roll.below(limit / 2 + 1), static_cast<char>('a' + roll.below(26)));
    }
}

grove::changes random_edits(dice& roll, flavour const& of, std::uint64_t erase_percent) {
    grove::changes edits;
    auto const count = 1 + roll.below(of.edits);
    auto const window = 1 + roll.below(of.keys);
    auto const begin = roll.below(of.keys - window + 1);
    for (std::uint64_t i = 0; i < count; ++i) {
        auto& edit = edits[key_of(begin + roll.below(window), of)];
        edit.reset();
        if (roll.below(100) >= erase_percent) edit = value_of(roll, of);
    }
    return edits;
}

/// Keys above all others.
grove::changes appended(dice& roll, flavour const& of, std::uint64_t& next) {
    grove::changes edits;
    for (auto count = 1 + roll.below(8); count > 0; --count) {
        edits[std::string(41, '\xff') + grove::numbered(next++)] = value_of(roll, of);
    }
    return edits;
}

/// A run of transactions; after each the new tree and the one before it are compared with maps.
void run(flavour const& of, std::uint64_t seed) {
    INFO(of.name << ", seed " << seed);
    dice roll(seed);
    bench at{of.sizes};
    tree_ref now;
    grove::content model;
    std::uint64_t next = 0;
    for (unsigned i = 0; i < of.transactions; ++i) {
        auto const before = now;
        auto const model_before = model;
        // Long phases in which the tree grows or shrinks.
        auto const erase_percent = (i / 12) % 2 == 0 ? 15U : 75U;
        auto const kind = roll.below(10);
        if (kind == 0) {
            auto from = key_of(roll.below(of.keys), of);
            auto to = key_of(roll.below(of.keys), of);
            if (to < from) std::swap(from, to);
            auto const open_end = roll.below(8) == 0;
            now = at.erase_range(now, from,
                                 open_end ? std::nullopt : std::optional<std::string_view>(to));
            model.erase(model.lower_bound(from), open_end ? model.end() : model.lower_bound(to));
        } else {
            auto const edits =
                kind < 3 ? appended(roll, of, next) : random_edits(roll, of, erase_percent);
            now = at.apply(now, edits);
            grove::change(model, edits);
        }
        CAPTURE(i, kind);
        auto const wrong = at.difference(now, model);
        if (!wrong.empty()) FAIL("the new tree " << wrong);
        auto const changed = at.difference(before, model_before);
        if (!changed.empty()) FAIL("the tree before " << changed);
    }
}

flavour const flavours[] = {
    {"tiny nodes", grove::tiny, 400, 20, 0, 100},
    {"tiny leaves",
     {.leaf_bytes = 256, .inner_bytes = 128, .inline_value_bytes = 64},
     300,
     40,
     0,
     70},
    {"small nodes",
     {.leaf_bytes = 512, .inner_bytes = 256, .inline_value_bytes = 128},
     800,
     90,
     0,
     50},
    {"no values inline",
     {.leaf_bytes = 128, .inner_bytes = 128, .inline_value_bytes = 0},
     200,
     10,
     0,
     50},
    {"default nodes", {}, 3000, 300, 0, 20},
    {"giant keys in tiny nodes", grove::tiny, 60, 8, 6, 50},
    {"giant keys", {}, 200, 30, 10, 20},
    {"the largest nodes",
     {.leaf_bytes = 65536, .inner_bytes = 65536, .inline_value_bytes = 16384},
     2000,
     300,
     20,
     8},
};

/// Leaves in key order, by size.
std::vector<std::size_t> leaf_sizes(bench const& at, tree_ref const& of) {
    struct seen {
        std::vector<std::size_t>& sizes;
        grove::memory_source const& from;
        [[nodiscard]] std::byte const* node(coppice::format::node_ref ref, unsigned level) const {
            if (level == 0) sizes.push_back(ref.size_bytes());
            return from.node(ref, level);
        }
    };
    std::vector<std::size_t> result;
    seen const source{result, at.source};
    coppice::tree::cursor<seen> cursor(source, of);
    for (cursor.first(); cursor.valid(); cursor.next()) {
    }
    return result;
}

} // namespace

TEST_CASE(
    "random transactions leave a sound tree that equals a std::map, and the one before as it was") {
    for (auto const& of : flavours) {
        for (std::uint64_t seed = 1; seed <= 3U * workbench::scale(); ++seed) run(of, seed);
    }
}

TEST_CASE("any shrinkable run of transactions gives the tree of a std::map") {
    CHECK(rc::check([] {
        bench at{grove::tiny};
        tree_ref now;
        grove::content model;
        auto const key = rc::gen::map(rc::gen::inRange(0, 60), [](int number) {
            return grove::numbered(static_cast<std::uint64_t>(number));
        });
        auto const value = rc::gen::map(rc::gen::inRange<std::size_t>(0, 50),
                                        [](std::size_t size) { return std::string(size, 'v'); });
        using step = std::vector<std::pair<std::string, rc::Maybe<std::string>>>;
        auto const steps = *rc::gen::container<std::vector<step>>(
            rc::gen::container<step>(rc::gen::pair(key, rc::gen::maybe(value))));
        for (auto const& each : steps) {
            grove::changes edits;
            for (auto const& [name, text] : each) {
                edits[name] = text ? std::optional<std::string>(*text) : std::nullopt;
            }
            now = at.apply(now, edits);
            grove::change(model, edits);
            RC_ASSERT(at.difference(now, model).empty());
        }
    }));
}

TEST_CASE("a one-key edit of 100,000 keys opens and makes few nodes") {
    for (auto const& sizes : {coppice::node_sizes{}, grove::tiny}) {
        bench at{sizes};
        auto const built = at.build(grove::numbered_content(100'000));
        dice roll(5);
        std::size_t most_made = 0;
        std::size_t most_opened = 0;
        auto now = built;
        for (unsigned i = 0; i < 2000; ++i) {
            auto const number = roll.below(100'000);
            auto const key = grove::numbered(number) + (roll.below(2) == 0 ? "" : "x");
            at.arena.made = at.source.opened = 0;
            now = roll.below(2) == 0 ? at.put(now, key) : at.erase(now, grove::numbered(number));
            most_made = std::max(most_made, at.arena.made);
            most_opened = std::max(most_opened, at.source.opened);
        }
        CAPTURE(unsigned{built.height}, most_made, most_opened);
        CHECK(most_made <= 2U * built.height + 2U);
        CHECK(most_opened <= 2U * built.height + 2U);
        CHECK(at.check(now).findings.empty());
    }
}

TEST_CASE("ascending single-key appends leave full leaves") {
    for (auto const& sizes :
         {coppice::node_sizes{},
          coppice::node_sizes{.leaf_bytes = 1024, .inner_bytes = 256, .inline_value_bytes = 200}}) {
        bench at{sizes};
        tree_ref now;
        std::size_t most_made = 0;
        for (unsigned i = 0; i < 6000; ++i) {
            at.arena.made = 0;
            now = at.put(now, grove::numbered(i), "a value of some length");
            most_made = std::max(most_made, at.arena.made);
        }
        auto const report = at.check(now);
        CHECK(report.findings.empty());
        CHECK(report.leaf_fill(sizes) >= 0.9);
        CHECK(most_made <= 2U * now.height + 2U);
    }
}

TEST_CASE("appending batches leaves full leaves") {
    bench at;
    tree_ref now;
    for (unsigned i = 0; i < 400; ++i) {
        grove::changes edits;
        for (unsigned j = 0; j < 37; ++j) edits[grove::numbered(i * 37 + j)] = "a value";
        now = at.apply(now, edits);
    }
    CHECK(at.check(now).findings.empty());
    CHECK(at.check(now).leaf_fill(at.sizes) >= 0.9);
}

TEST_CASE("deleting all keys one by one in random order ends at the empty tree") {
    bench at{{.leaf_bytes = 512, .inner_bytes = 256, .inline_value_bytes = 64}};
    grove::content model = grove::numbered_content(2000);
    auto now = at.build(model);
    std::vector<std::string> keys;
    for (auto const& [key, value] : model) keys.push_back(key);
    dice roll(11);
    for (auto left = keys.size(); left > 0; --left) {
        std::swap(keys[left - 1], keys[roll.below(left)]);
        now = at.erase(now, keys[left - 1]);
        model.erase(keys[left - 1]);
        if (left % 100 == 1 || left < 20) {
            auto const wrong = at.difference(now, model);
            if (!wrong.empty()) FAIL(left << ": " << wrong);
            auto const sizes = leaf_sizes(at, now);
            auto const small = std::count_if(sizes.begin(), sizes.end(), [&](std::size_t size) {
                return size < at.sizes.leaf_bytes / 4;
            });
            CHECK(small <= 1); // the one at the right edge
        }
    }
    CHECK(now == tree_ref{});
}

TEST_CASE("deleting from either end ends at the empty tree") {
    for (bool const from_front : {true, false}) {
        bench at{grove::tiny};
        grove::content model = grove::numbered_content(500);
        auto now = at.build(model);
        while (!model.empty()) {
            auto const gone = from_front ? model.begin() : std::prev(model.end());
            now = at.erase(now, gone->first);
            model.erase(gone);
            auto const wrong = at.difference(now, model);
            if (!wrong.empty()) FAIL(model.size() << ": " << wrong);
        }
        CHECK(now == tree_ref{});
    }
}

TEST_CASE("a range is erased in as many nodes as the tree is high, however many entries go") {
    bench at{grove::tiny};
    auto model = grove::numbered_content(50'000);
    auto const built = at.build(model);
    at.arena.made = at.source.opened = 0;
    auto const now = at.erase_range(built, grove::numbered(7), grove::numbered(49'990));
    CHECK(at.arena.made <= 3U * built.height);
    CHECK(at.source.opened <= 5U * built.height);
    model.erase(model.lower_bound(grove::numbered(7)), model.lower_bound(grove::numbered(49'990)));
    CHECK(at.difference(now, model).empty());
    CHECK(at.erase_range(built, "", std::nullopt) == tree_ref{});
    CHECK(at.erase_range(built, "key", "kez") == tree_ref{});
    CHECK(at.difference(at.erase_range(built, grove::numbered(10), std::nullopt),
                        grove::numbered_content(10))
              .empty());
    CHECK(at.erase_range({}, "", std::nullopt) == tree_ref{});
}

TEST_CASE("every range of a small tree is erased exactly") {
    bench at{grove::tiny};
    auto const model = grove::numbered_content(60);
    auto const built = at.build(model);
    for (unsigned from = 0; from <= 60; ++from) {
        for (unsigned to = from; to <= 60; to += 1 + from % 3) {
            auto expected = model;
            expected.erase(expected.lower_bound(grove::numbered(from)),
                           expected.lower_bound(grove::numbered(to)));
            auto const wrong = at.difference(
                at.erase_range(built, grove::numbered(from), grove::numbered(to)), expected);
            if (!wrong.empty()) FAIL(from << " to " << to << ": " << wrong);
        }
    }
}

TEST_CASE("a failing source leaves the old tree as it was") {
    struct failing {
        grove::memory_source const& from;
        std::size_t mutable left;
        [[nodiscard]] std::byte const* node(coppice::format::node_ref ref, unsigned level) const {
            if (left-- == 0) throw coppice::error(coppice::errc::corrupt, "now");
            return from.node(ref, level);
        }
    };
    bench at{grove::tiny};
    auto const model = grove::numbered_content(300);
    auto const built = at.build(model);
    for (std::size_t reads = 0; reads < built.height; ++reads) {
        failing const source{at.source, reads};
        grove::changes const edits{{grove::numbered(100), "new"}};
        grove::walk by(edits, at.arena.memory, 32);
        CHECK_THROWS_AS(coppice::tree::apply(source, at.arena, at.sizes, built, by),
                        coppice::error);
        CHECK(at.difference(built, model).empty());
    }
}
