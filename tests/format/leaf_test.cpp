// SPDX-License-Identifier: BSL-1.0
#include <coppice/format/leaf.hpp>

#include <catch2/catch.hpp>
#include <kind_of.hpp>
#include <node_block.hpp>
#include <rapidcheck.h>

#include <algorithm>
#include <optional>
#include <set>
#include <type_traits>

namespace format = coppice::format;
using coppice::errc;
using format::leaf_view;
using node_block::around;
using node_block::block;
using node_block::entry;
using node_block::leaf_of;

namespace {

std::vector<entry> entries_of(std::set<std::string> const& keys) {
    std::vector<entry> result;
    for (auto const& key : keys) result.push_back({key, "v" + std::to_string(key.size()), false});
    return result;
}

/// Compares every search with that of std::lower_bound.
void search(std::set<std::string> const& keys, std::vector<std::string> const& wanted) {
    auto const node = leaf_of(entries_of(keys));
    leaf_view const leaf(node.data());
    std::vector<std::string> const sorted(keys.begin(), keys.end());
    for (auto const& key : wanted) {
        auto const at = std::lower_bound(sorted.begin(), sorted.end(), key);
        auto const [index, found] = leaf.lower_bound(key);
        if (index != static_cast<std::size_t>(at - sorted.begin())) FAIL("index of " << key);
        if (found != (at != sorted.end() && *at == key)) FAIL("found " << key);
    }
}

/// Uses every accessor; a sanitizer sees a read that leaves the node.
std::size_t read_all(leaf_view const& leaf) {
    std::size_t sum = leaf.prefix_bytes();
    for (std::size_t i = 0; i < leaf.count(); ++i) {
        auto const value = leaf.value(i);
        sum += leaf.head(i) + leaf.flags(i) + value.length_bytes();
        for (auto const byte : leaf.key(i)) sum += static_cast<unsigned char>(byte);
        for (auto const byte : value.raw) sum += static_cast<unsigned char>(byte);
    }
    for (auto const* const key : {"", "a", "apple", "apples", "b", "\xff"}) {
        sum += leaf.lower_bound(key).index;
    }
    return sum + leaf.lower_bound(leaf.key(leaf.count() - 1)).index;
}

/// @return was it accepted? Then all of it was read.
bool survives(block const& node) {
    try {
        format::check_leaf(node.all(), node_block::offset);
    } catch (coppice::error const& e) {
        if (e.kind() != errc::corrupt && e.kind() != errc::unsupported_feature) FAIL(e.what());
        return false;
    }
    static_cast<void>(read_all(leaf_view(node.data())));
    return true;
}

std::optional<errc> leaf_refusal(block const& node) {
    return support::kind_of([&] { format::check_leaf(node.all(), node_block::offset); });
}

std::vector<entry> const mixed{{"apple", "red", false},
                               {"apples", node_block::reference_to(5000), true},
                               {"apricot", "", false},
                               {std::string("ap\xff", 3), std::string(60, 'x'), false}};

} // namespace

TEST_CASE("a leaf of one empty key and an empty value is a leaf") {
    auto const node = leaf_of({{"", "", false}});
    CHECK(survives(node));
    leaf_view const leaf(node.data());
    CHECK(leaf.count() == 1);
    CHECK(leaf.key(0).empty());
    CHECK(leaf.value(0).raw.empty());
    CHECK(leaf.lower_bound("").found);
    CHECK(leaf.lower_bound("a").index == 1);
}

TEST_CASE("a leaf gives back keys, values and their places") {
    auto const node = leaf_of(mixed);
    CHECK(survives(node));
    leaf_view const leaf(node.data());
    REQUIRE(leaf.count() == mixed.size());
    CHECK(leaf.prefix_bytes() == 2);
    for (std::size_t i = 0; i < mixed.size(); ++i) {
        CHECK(leaf.key(i) == mixed[i].key);
        CHECK(leaf.value(i).raw == mixed[i].raw);
        CHECK(leaf.value(i).out_of_line == mixed[i].out_of_line);
        CHECK(leaf.head(i) == format::key_head(std::string_view(mixed[i].key).substr(2)));
    }
    CHECK(leaf.value(1).length_bytes() == 5000);
    CHECK(leaf.value(1).extent().offset == 16384);
    CHECK(leaf.value(3).length_bytes() == 60);
}

TEST_CASE("a search in a leaf is that of std::lower_bound on awkward keys") {
    using namespace std::string_literals;
    std::vector<std::set<std::string>> const sets{
        {"a"},
        {""},
        {"", "\0"s, "\0\0"s, "\0\0\0\0\0"s, "a"},
        {"abcd", "abcde", "abcdef", "abcdefg", "abcdefgh"},
        {"a", "aa", "aaa", "aaaa", "aaaaa", "aaaaaa"},
        {"pre\x7f", "pre\x80", "pre\xff", "pre\xff\xff", "pre"},
        {"abcdX1", "abcdX2", "abcdX3", "abceX", "abcd"},
        {"abc", "abc\0"s, "abc\0\0"s, "abc\0d"s},
        {"\x80", "\x81", "\xfe", "\xff"},
    };
    for (auto const& keys : sets) search(keys, around(keys));
}

TEST_CASE("a search in a leaf is that of std::lower_bound on random keys") {
    auto const letters = rc::gen::element('\0', 'a', 'b', '\x7f', '\x80', '\xff');
    auto const text = rc::gen::container<std::string>(letters);
    CHECK(rc::check([&] {
        auto const prefix = *text;
        std::set<std::string> keys;
        for (auto const& key :
             *rc::gen::nonEmpty(rc::gen::container<std::vector<std::string>>(text))) {
            keys.insert(prefix + key);
        }
        search(keys, around(keys));
        search(keys, *rc::gen::container<std::vector<std::string>>(text));
    }));
}

TEST_CASE("a wide leaf is searched and read as a narrow one") {
    std::set<std::string> keys;
    for (unsigned i = 0; i < 40; ++i) keys.insert(std::string(3000, 'k') + std::to_string(i));
    auto const node = leaf_of(entries_of(keys));
    CHECK(node.size() >= format::wide_node_bytes);
    CHECK(format::load_node_header(node.data()).kind == format::node_kind::wide_leaf);
    CHECK(survives(node));
    search(keys, around(keys));
    std::string const longest(65535, 'z');
    auto const giant = leaf_of({{longest, "v", false}});
    CHECK(survives(giant));
    CHECK(leaf_view(giant.data()).key(0) == longest);
    CHECK(leaf_view(giant.data()).lower_bound(longest).found);
    CHECK(leaf_view(giant.data()).lower_bound("zz").index == 0);
}

TEST_CASE("any change of a leaf is refused, or leaves all reads inside it") {
    std::size_t accepted = 0;
    std::size_t refused = 0;
    std::vector<std::vector<entry>> const leaves{
        mixed,
        {{"apple", node_block::reference_to(9), true}},
        {{"apple", "red", false}, {"pear", "green", false}, {"plum", "", false}}};
    for (auto const& entries : leaves) {
        node_block::for_each_change(leaf_of(entries), [&](block const& changed) {
            survives(changed) ? ++accepted : ++refused;
        });
    }
    CHECK(accepted > 1000);
    CHECK(refused > 1000);
}

TEST_CASE("a leaf that is cut short or too long is refused at every length") {
    auto const node = leaf_of(mixed);
    for (std::size_t size = 0; size < node.size(); ++size) {
        CHECK_FALSE(survives(block(node.all().first(size))));
        block lying(node.all().first(size));
        if (size < format::node_header_bytes) continue;
        format::store(lying.data() + 4, static_cast<std::uint32_t>(size));
        // What is missing may be padding alone.
        if (survives(lying)) CHECK(node.size() - size < 8);
    }
    std::vector<std::byte> longer(node.all().begin(), node.all().end());
    longer.resize(node.size() + 8);
    format::store(longer.data() + 4, static_cast<std::uint32_t>(longer.size()));
    CHECK(leaf_refusal(block(longer)) == errc::corrupt);
}

TEST_CASE("an inner node is not a leaf, whatever its level") {
    for (unsigned const level : {1U, 7U, 255U}) {
        CHECK(leaf_refusal(node_block::inner_of({"m", "t"}, level)) == errc::corrupt);
        // Its arrays may even be those of a leaf.
        auto const disguised = leaf_of(mixed);
        disguised.data()[0] = static_cast<std::byte>(format::node_kind::inner);
        disguised.data()[1] = static_cast<std::byte>(level);
        CHECK(leaf_refusal(disguised) == errc::corrupt);
    }
}

TEST_CASE("an unknown entry flag is refused by name") {
    auto const one = leaf_of({{"apple", "red", false}});
    for (unsigned bit = 1; bit < 8; ++bit) {
        block changed(one.all());
        changed.data()[12] = static_cast<std::byte>(1U << bit);
        CHECK(leaf_refusal(changed) == errc::unsupported_feature);
    }
    block beside_array(leaf_of(mixed).all());
    beside_array.data()[12] = std::byte{0x80};
    CHECK(leaf_refusal(beside_array) == errc::unsupported_feature);
}

TEST_CASE("a value's reference must lie between the header of the file and its leaf") {
    auto const with = [](std::uint64_t offset, std::uint64_t length) {
        std::string raw(24, '\0');
        format::extent_ref{offset, length, 0}.encode(reinterpret_cast<std::byte*>(raw.data()));
        return leaf_refusal(leaf_of({{"k", raw, true}}));
    };
    CHECK(with(format::data_begin_offset, 1) == std::nullopt);
    CHECK(with(node_block::offset - 8, 8) == std::nullopt);
    CHECK(with(0, 1) == errc::corrupt);
    CHECK(with(12280, 1) == errc::corrupt);
    CHECK(with(16385, 1) == errc::corrupt);
    CHECK(with(node_block::offset, 1) == errc::corrupt);
    CHECK(with(16384 | format::memory_bit, 1) == errc::corrupt);
    CHECK(with(16384, format::max_file_bytes) == errc::corrupt);
    CHECK(with(16384, ~std::uint64_t{0}) == errc::corrupt);
    CHECK(leaf_refusal(leaf_of({{"k", std::string(23, 'x'), true}})) == errc::corrupt);
}

static_assert(std::is_trivially_copyable_v<leaf_view>);
static_assert(std::is_trivially_copyable_v<format::stored_value>);
static_assert(noexcept(leaf_view{nullptr}.lower_bound("")) && noexcept(leaf_view{nullptr}.key(0)));
static_assert(!noexcept(format::check_leaf({}, 0)));
