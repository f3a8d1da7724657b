// SPDX-License-Identifier: BSL-1.0
#include <coppice/format/inner.hpp>

#include <catch2/catch.hpp>
#include <kind_of.hpp>
#include <node_block.hpp>
#include <rapidcheck.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

namespace format = coppice::format;
using coppice::errc;
using format::inner_view;
using format::node_ref;
using node_block::around;
using node_block::block;
using node_block::inner_of;

namespace {

/// Compares every descent with std::upper_bound over the separators.
void descend(std::set<std::string> const& separators, std::vector<std::string> const& wanted) {
    std::vector<std::string> const sorted(separators.begin(), separators.end());
    auto const node = inner_of(sorted);
    inner_view const inner(node.data());
    for (auto const& key : wanted) {
        auto const expected = std::upper_bound(sorted.begin(), sorted.end(), key) - sorted.begin();
        if (inner.child_for(key) != static_cast<std::size_t>(expected)) FAIL("child for " << key);
    }
}

std::size_t read_all(inner_view const& inner) {
    std::size_t sum = inner.level() + inner.prefix().size();
    for (auto const byte : inner.prefix()) sum += static_cast<unsigned char>(byte);
    for (std::size_t i = 0; i < inner.count(); ++i) {
        auto const child = inner.child(i);
        sum += child.node.checksum + child.entries + child.bytes;
        if (i + 1 == inner.count()) break;
        sum += inner.head(i);
        for (auto const byte : inner.separator(i)) sum += static_cast<unsigned char>(byte);
    }
    for (auto const* const key : {"", "a", "apple", "apples", "b", "\xff"}) {
        sum += inner.child_for(key);
    }
    return sum + inner.child_for(inner.separator(0));
}

std::optional<errc> inner_refusal(block const& node, std::uint64_t offset = node_block::offset) {
    auto const kind = support::kind_of([&] { format::check_inner(node.all(), offset); });
    if (!kind) static_cast<void>(read_all(inner_view(node.data())));
    return kind;
}

} // namespace

TEST_CASE("an inner node gives back children, totals and separators") {
    std::vector<std::string> const separators{"apple", "apricot", "ap\xff"};
    auto const node = inner_of(separators, 5);
    REQUIRE(inner_refusal(node) == std::nullopt);
    inner_view const inner(node.data());
    CHECK(inner.count() == 4);
    CHECK(inner.level() == 5);
    CHECK(inner.prefix() == "ap");
    for (std::size_t i = 0; i < 4; ++i) CHECK(inner.child(i) == node_block::child(i));
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(inner.separator(i) == separators[i]);
        CHECK(inner.suffix(i) == separators[i].substr(2));
        CHECK(inner.head(i) == format::key_head(separators[i].substr(2)));
    }
}

TEST_CASE("an inner node of two children has one separator, which is its prefix") {
    auto const node = inner_of({"middle"});
    inner_view const inner(node.data());
    CHECK(inner_refusal(node) == std::nullopt);
    CHECK(inner.prefix() == "middle");
    CHECK(inner.suffix(0).empty());
    CHECK(inner.child_for("a") == 0);
    CHECK(inner.child_for("middl") == 0);
    CHECK(inner.child_for("middle") == 1);
    CHECK(inner.child_for("middle!") == 1);
    CHECK(inner.child_for("z") == 1);
}

TEST_CASE("a descent is that of std::upper_bound on awkward separators") {
    using namespace std::string_literals;
    std::vector<std::set<std::string>> const sets{
        {"a"},
        {"\0"s, "\0\0"s, "\0\0\0\0\0"s, "a"},
        {"abcd", "abcde", "abcdef", "abcdefg", "abcdefgh"},
        {"a", "aa", "aaa", "aaaa", "aaaaa", "aaaaaa"},
        {"pre\x7f", "pre\x80", "pre\xff", "pre\xff\xff", "pre"},
        {"abcdX1", "abcdX2", "abcdX3", "abceX", "abcd"},
        {"abc", "abc\0"s, "abc\0\0"s, "abc\0d"s},
        {"\x80", "\x81", "\xfe", "\xff"},
    };
    for (auto const& separators : sets) descend(separators, around(separators));
}

TEST_CASE("a descent is that of std::upper_bound on random separators") {
    auto const letters = rc::gen::element('\0', 'a', 'b', '\x7f', '\x80', '\xff');
    auto const text = rc::gen::container<std::string>(letters);
    CHECK(rc::check([&] {
        auto const prefix = *text;
        std::set<std::string> keys;
        for (auto const& key :
             *rc::gen::nonEmpty(rc::gen::container<std::vector<std::string>>(text))) {
            keys.insert(prefix + key);
        }
        descend(keys, around(keys));
        descend(keys, *rc::gen::container<std::vector<std::string>>(text));
    }));
}

TEST_CASE("a wide inner node is searched and read as a narrow one") {
    std::set<std::string> separators;
    for (unsigned i = 0; i < 3000; ++i) {
        separators.insert(std::to_string(i) + "/" + std::to_string(i * 7919U));
    }
    auto const node = inner_of({separators.begin(), separators.end()});
    CHECK(format::load_node_header(node.data()).kind == format::node_kind::wide_inner);
    CHECK(inner_refusal(node) == std::nullopt);
    descend(separators, around({"1", "22/", "2999/23750081", "9"}));
    std::string const a(65535, 'a');
    auto const b = a.substr(1) + "b";
    auto const giant = inner_of({a, b});
    CHECK(inner_refusal(giant) == std::nullopt);
    CHECK(inner_view(giant.data()).separator(1) == b);
    descend({a, b}, {a, b, a.substr(1), b.substr(0, 100), "b"});
}

TEST_CASE("any change of an inner node is refused, or leaves all reads inside it") {
    std::size_t accepted = 0;
    std::size_t refused = 0;
    std::vector<std::vector<std::string>> const nodes{
        {"apple"}, {"apple", "apricot", "ap\xff"}, {"a", "b", "c", "d", "e", "f"}};
    for (auto const& separators : nodes) {
        node_block::for_each_change(inner_of(separators), [&](block const& changed) {
            auto const kind = inner_refusal(changed);
            if (kind && kind != errc::corrupt && kind != errc::unsupported_feature) {
                FAIL("another kind of error");
            }
            kind ? ++refused : ++accepted;
        });
    }
    CHECK(accepted > 1000);
    CHECK(refused > 1000);
}

TEST_CASE("an inner node that is cut short is refused at every length") {
    auto const node = inner_of({"apple", "apricot"});
    for (std::size_t size = 0; size < node.size(); ++size) {
        CHECK(inner_refusal(block(node.all().first(size))) == errc::corrupt);
        if (size < format::node_header_bytes) continue;
        block lying(node.all().first(size));
        format::store(lying.data() + 4, static_cast<std::uint32_t>(size));
        if (inner_refusal(lying) == std::nullopt) CHECK(node.size() - size < 8);
    }
}

TEST_CASE("a leaf is not an inner node") {
    auto const disguised = inner_of({"m", "t"});
    disguised.data()[0] = static_cast<std::byte>(format::node_kind::leaf);
    disguised.data()[1] = std::byte{0};
    CHECK(inner_refusal(disguised) == errc::corrupt);
    CHECK(inner_refusal(node_block::leaf_of({{"a", "b", false}, {"c", "d", false}})) ==
          errc::corrupt);
}

TEST_CASE("children must lie between the header of the file and their parent") {
    auto const with = [](std::uint64_t hot) {
        auto const node = inner_of({"m"});
        format::store(node.data() + 24 + 8, hot);
        return inner_refusal(node);
    };
    auto const at = [](std::uint64_t offset, std::uint64_t size) {
        return node_ref::at(offset, size, 0).hot;
    };
    CHECK(with(at(format::data_begin_offset, 16)) == std::nullopt);
    CHECK(with(at(node_block::offset - 16, 16)) == std::nullopt);
    CHECK(with(at(node_block::offset - 16, 24)) == errc::corrupt);
    CHECK(with(at(node_block::offset, 16)) == errc::corrupt);
    CHECK(with(at(format::data_begin_offset - 8, 16)) == errc::corrupt);
    CHECK(with(at(16384, 8)) == errc::corrupt);
    CHECK(with(0) == errc::corrupt);
    CHECK(with(at(16384, 16) | format::memory_bit) == errc::corrupt);
}

TEST_CASE("a separator longer than any key is refused") {
    std::string const a(65535, 'a');
    auto const node = inner_of({a, a.substr(1) + "b"});
    auto const positions = std::size_t{16 + 8 + 16 * 3};
    // Both separators share 65,534 bytes, so that suffix 0 has one byte. It takes one of suffix 1.
    block changed(node.all());
    auto const second = format::load<std::uint32_t>(changed.data() + positions + 4);
    format::store(changed.data() + positions + 4, second + 1);
    CHECK(inner_refusal(changed) == errc::corrupt);
    CHECK(inner_refusal(node) == std::nullopt);
}

TEST_CASE("flags in an inner node are refused by name") {
    for (std::size_t const at : {12U, 13U}) {
        auto const node = inner_of({"m"});
        node.data()[at] = std::byte{1};
        CHECK(inner_refusal(node) == errc::unsupported_feature);
    }
}

static_assert(std::is_trivially_copyable_v<inner_view>);
static_assert(
    noexcept(inner_view{nullptr}.child_for("")) && noexcept(inner_view{nullptr}.child(0)));
static_assert(inner_view::heads_bytes(2) == 8 && inner_view::heads_bytes(3) == 8);
static_assert(inner_view::heads_bytes(4) == 16);

TEST_CASE("a child has its own patch, or none, on either side of a word of bits") {
    constexpr std::size_t count = 130;
    for (std::size_t const every : {0U, 1U, 3U, 64U}) {
        std::vector<std::string> lows(count);
        std::vector<format::inner_item> items(count);
        for (std::size_t i = 0; i < count; ++i) {
            if (i > 0) lows[i] = std::string(1, static_cast<char>(i)) + "low";
            auto const has = every != 0 && i % every == 0;
            items[i] = {lows[i],
                        {format::node_ref::at(4096 + 64 * i, 64, i), 1, 64,
                         has ? format::node_ref::at(40960 + 64 * i, 64, i) : format::node_ref{}}};
        }
        std::vector<std::byte> node(format::inner_node_bytes(items));
        format::write_inner(1, items, node);
        format::inner_view const view(node.data());
        for (std::size_t i = 0; i < count; ++i) {
            CHECK(view.is_patched(i) == (every != 0 && i % every == 0));
            CHECK(view.patch(i) == items[i].child.patch);
        }
    }
}
