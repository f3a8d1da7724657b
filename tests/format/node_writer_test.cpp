// SPDX-License-Identifier: BSL-1.0
#include <coppice/format/node_writer.hpp>

#include <catch2/catch.hpp>
#include <node_block.hpp>
#include <rapidcheck.h>

#include <map>

namespace format = coppice::format;
using node_block::block;
using node_block::entry;
using node_block::inner_of;
using node_block::leaf_of;

namespace {

/// Sorted entries of mixed sizes.
std::vector<entry> random_entries() {
    auto const size = rc::gen::weightedOneOf<std::size_t>(
        {{6, rc::gen::inRange<std::size_t>(0, 12)},
         {2, rc::gen::inRange<std::size_t>(12, 1100)},
         {1, rc::gen::element<std::size_t>(65535, 65534, 60000)}});
    auto const letter = rc::gen::element('\0', 'k', '\x7f', '\x80', '\xff');
    std::map<std::string, entry> sorted;
    auto const count = *rc::gen::inRange(1, 20);
    auto const kinds = *rc::gen::inRange(0, 3);
    for (int i = 0; i < count; ++i) {
        std::string key(*size, *letter);
        for (std::size_t at = 0; at < key.size() && at < 6; ++at) key[at] = *letter;
        auto const outside = kinds == 1 || (kinds == 2 && *rc::gen::arbitrary<bool>());
        auto raw = outside ? node_block::reference_to(1 + *size) : std::string(*size, 'v');
        sorted[key] = {key, std::move(raw), outside};
    }
    std::vector<entry> result;
    for (auto& [key, each] : sorted) result.push_back(std::move(each));
    return result;
}

} // namespace

TEST_CASE("the common beginning of two texts is measured") {
    CHECK(format::common_prefix("", "") == 0);
    CHECK(format::common_prefix("abc", "") == 0);
    CHECK(format::common_prefix("abc", "abd") == 2);
    CHECK(format::common_prefix("abc", "abcd") == 3);
    CHECK(format::common_prefix("abc", "abc") == 3);
    CHECK(format::common_prefix("xbc", "abc") == 0);
}

TEST_CASE(
    "a separator is above the left key, not above the right one, and the shortest such beginning") {
    CHECK(format::shortest_separator("", "a") == "a");
    CHECK(format::shortest_separator("apple", "pear") == "p");
    CHECK(format::shortest_separator("apple", "apples") == "apples");
    CHECK(format::shortest_separator("apple", "apricot") == "apr");
    CHECK(rc::check([](std::string a, std::string b) {
        RC_PRE(a != b);
        if (b < a) std::swap(a, b);
        auto const separator = format::shortest_separator(a, b);
        RC_ASSERT(separator > a);
        RC_ASSERT(separator <= b);
        RC_ASSERT(separator.substr(0, separator.size() - 1) <= a);
    }));
}

TEST_CASE(
    "a written leaf holds what was written, is checked, and is of the size that was measured") {
    CHECK(rc::check([] {
        auto const entries = random_entries();
        auto const node = leaf_of(entries);
        format::check_leaf(node.all(), node_block::offset);
        RC_ASSERT(node.size() % 8 == 0);
        format::leaf_view const leaf(node.data());
        RC_ASSERT(leaf.count() == entries.size());
        for (std::size_t i = 0; i < entries.size(); ++i) {
            RC_ASSERT(leaf.key(i) == entries[i].key);
            RC_ASSERT(leaf.value(i).raw == entries[i].raw);
            RC_ASSERT(leaf.value(i).out_of_line == entries[i].out_of_line);
            RC_ASSERT(leaf.lower_bound(entries[i].key).index == i);
            RC_ASSERT(leaf.lower_bound(entries[i].key).found);
        }
        auto const header = format::load_node_header(node.data());
        RC_ASSERT(header.wide() == (node.size() >= format::wide_node_bytes));
    }));
}

TEST_CASE("a written inner node holds what was written, is checked, and is of the size that was "
          "measured") {
    CHECK(rc::check([] {
        std::vector<std::string> separators;
        for (auto& each : random_entries()) {
            if (!each.key.empty()) separators.push_back(std::move(each.key));
        }
        if (separators.empty()) separators.push_back("s");
        auto const level = *rc::gen::inRange(1U, 41U);
        auto const node = inner_of(separators, level);
        format::check_inner(node.all(), node_block::offset);
        format::inner_view const inner(node.data());
        RC_ASSERT(inner.count() == separators.size() + 1);
        RC_ASSERT(inner.level() == level);
        for (std::size_t i = 0; i < separators.size(); ++i) {
            RC_ASSERT(inner.separator(i) == separators[i]);
            RC_ASSERT(inner.child(i + 1) == node_block::child(i + 1));
            RC_ASSERT(inner.child_for(separators[i]) == i + 1);
        }
    }));
}

TEST_CASE("an inner node names the patch of each child that has one") {
    for (std::size_t count = 2; count < 300; count += 1 + count / 10) {
        for (std::size_t const step : {1U, 2U, 3U, 63U, 64U, 65U}) {
            std::vector<std::string> lows;
            for (std::size_t i = 0; i < count; ++i) lows.push_back(std::to_string(1000 + i));
            std::vector<format::inner_item> items;
            for (std::size_t i = 0; i < count; ++i)
                items.push_back({lows[i], node_block::child(i)});
            std::size_t patched = 0;
            for (std::size_t i = step - 1; i < count; i += step) {
                items[i].child.patch = format::node_ref::at(800'000 + 64 * i, 64, i);
                ++patched;
            }
            block node(format::inner_node_bytes(items));
            format::write_inner(1, items, node.writable());
            format::check_inner(node.all(), node_block::offset);
            format::inner_view const inner(node.data());
            REQUIRE(inner.patched() == patched);
            for (std::size_t i = 0; i < count; ++i) REQUIRE(inner.child(i) == items[i].child);
            for (std::size_t i = 0; i + 1 < count; ++i) REQUIRE(inner.separator(i) == lows[i + 1]);
        }
    }
}

TEST_CASE("a node that differs in one child is as if it were written anew") {
    for (std::size_t const count : {2U, 3U, 64U, 65U, 130U}) { // across words of the patch bits
        std::vector<std::string> lows;
        for (std::size_t i = 0; i < count; ++i) lows.push_back("low " + std::to_string(1000 + i));
        std::vector<format::inner_item> items;
        for (std::size_t i = 0; i < count; ++i) {
            format::subtree child{format::node_ref::at(16384 + 64 * i, 64, i), i + 1, 64};
            if (i % 3 == 0) child.patch = format::node_ref::at(65536 + 64 * i, 32, 100 + i);
            items.push_back({lows[i], child});
        }
        block before(format::inner_node_bytes(items));
        format::write_inner(3, items, before.writable());
        for (std::size_t i = 0; i < count; ++i) {
            auto changed = items;
            auto& child = changed[i].child;
            child = {format::node_ref::at(1 << 20, 128, 7), 1000 + i, 2000 + i, child.patch};
            if (!child.patch.is_null()) child.patch = format::node_ref::at(1 << 21, 48, 9);
            block expected(format::inner_node_bytes(changed));
            format::write_inner(3, changed, expected.writable());
            block made(expected.size());
            format::changed_child const other{i, child};
            format::write_inner_with(format::inner_view(before.data()), {&other, 1},
                                     made.writable());
            REQUIRE(std::equal(made.all().begin(), made.all().end(), expected.all().begin()));
        }
    }
}

TEST_CASE("the same items always give the same bytes, with nothing left of what was there") {
    std::vector<entry> const entries{
        {"a", "1", false}, {"b", node_block::reference_to(2000), true}, {"c", "", false}};
    auto const one = leaf_of(entries);
    auto const two = leaf_of(entries);
    CHECK(std::equal(one.all().begin(), one.all().end(), two.all().begin(), two.all().end()));
    auto const padding = one.all().last(2); // 16 + 12 + 8 + 6 + 3 + 3 + 1 + 24 = 73, and seven
    CHECK(one.size() == 80);
    CHECK(padding[0] == std::byte{0});
    CHECK(padding[1] == std::byte{0});
}

TEST_CASE("the bytes of a small leaf are as specified") {
    auto const node = leaf_of({{"ab", "X", false}, {"ac", "", false}});
    std::vector<unsigned> const expected{
        1,   0,   2,   0,   40,  0, 0, 0,   1, 0, 0, 0, 0, 0, 0, 0, // header: prefix of one byte
        0,   0,   0,   'b', 0,   0, 0, 'c',                         // heads behind the prefix
        34,  0,   37,  0,   39,  0,                                 // positions
        2,   0,   2,   0,                                           // key sizes
        'a', 'b', 'X', 'a', 'c', 0};                                // records, padding
    REQUIRE(node.size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
        CAPTURE(i);
        CHECK(std::to_integer<unsigned>(node.data()[i]) == expected[i]);
    }
}

TEST_CASE("flags stand in the header where all entries have the same, else one for each") {
    auto const flags = [](block const& node) {
        auto const header = format::load_node_header(node.data());
        return std::pair<unsigned, unsigned>{header.entry_flags, header.has_flag_array};
    };
    auto const outside = node_block::reference_to(9);
    CHECK(flags(leaf_of({{"a", "", false}, {"b", "", false}})) == std::pair{0U, 0U});
    CHECK(flags(leaf_of({{"a", outside, true}, {"b", outside, true}})) == std::pair{1U, 0U});
    CHECK(flags(leaf_of({{"a", outside, true}, {"b", "", false}})) == std::pair{0U, 1U});
}

TEST_CASE("a node becomes wide at exactly 64 KiB") {
    // 16 bytes of header, 8 of entry, 2 of the last position, 1 of key.
    for (std::size_t const value : {65501U, 65502U, 65509U, 65510U}) {
        auto const node = leaf_of({{"k", std::string(value, 'v'), false}});
        format::check_leaf(node.all(), node_block::offset);
        auto const narrow = coppice::align8(16 + 8 + 2 + 1 + value);
        CHECK(format::load_node_header(node.data()).wide() == (narrow >= 65536));
        CHECK(node.size() ==
              (narrow < 65536 ? narrow : coppice::align8(16 + 8 + 2 + 1 + value + 4)));
    }
}

static_assert(noexcept(format::write_leaf({}, {})) && noexcept(format::write_inner(1, {}, {})));
static_assert(noexcept(format::shortest_separator("", "a")));
