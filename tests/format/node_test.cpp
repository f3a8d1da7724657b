// SPDX-License-Identifier: BSL-1.0
#include <coppice/format/node.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <type_traits>
#include <vector>

namespace format = coppice::format;
using coppice::errc;
using format::node_header;
using format::node_kind;

namespace {

node_header inner_header() { return {node_kind::inner, 3, 0x0102, 32, 7, 0, 0, 0}; }

/// The node of 32 bytes that begins with this header.
std::vector<std::byte> node_with(node_header const& header, std::size_t size = 32) {
    std::vector<std::byte> node(size);
    format::store_node_header(node.data(), header);
    return node;
}

errc node_refusal(std::vector<std::byte> const& node) {
    try {
        static_cast<void>(format::detail::checked_header(node, 4096));
    } catch (coppice::error const& e) {
        CHECK(e.offset() == 4096U);
        return e.kind();
    }
    return {};
}

} // namespace

TEST_CASE("the fields of a node header lie where the specification says") {
    node_header const header{node_kind::wide_leaf, 0, 0x0102, 0x03040506, 0x0708, 0x090A, 1, 1};
    std::array<std::byte, format::node_header_bytes> image{};
    image.fill(std::byte{0xEE});
    format::store_node_header(image.data(), header);
    std::array<unsigned, 16> const expected{3, 0, 2, 1, 6, 5, 4, 3, 8, 7, 0x0A, 9, 1, 1, 0, 0};
    for (std::size_t i = 0; i < image.size(); ++i) {
        CHECK(std::to_integer<unsigned>(image[i]) == expected[i]);
    }
}

TEST_CASE("a node header is what was stored") {
    auto const header = inner_header();
    auto const node = node_with(header);
    auto const loaded = format::load_node_header(node.data());
    CHECK(loaded.kind == header.kind);
    CHECK(loaded.level == header.level);
    CHECK(loaded.count == header.count);
    CHECK(loaded.size_bytes == header.size_bytes);
    CHECK(loaded.prefix_bytes == header.prefix_bytes);
    CHECK(loaded.patched == 0);
}

TEST_CASE("the kinds of node say whether they are leaves and whether they are wide") {
    auto const header = [](node_kind kind) { return node_header{kind, 0, 0, 0, 0, 0, 0, 0}; };
    CHECK(header(node_kind::leaf).leaf());
    CHECK(header(node_kind::wide_leaf).leaf());
    CHECK_FALSE(header(node_kind::inner).leaf());
    CHECK_FALSE(header(node_kind::wide_inner).leaf());
    CHECK_FALSE(header(node_kind::leaf).wide());
    CHECK(header(node_kind::wide_inner).wide());
}

TEST_CASE("an unknown kind is refused by name") {
    for (unsigned kind = 0; kind < 256; ++kind) {
        if (kind >= 1 && kind <= 6) continue;
        auto header = inner_header();
        header.kind = static_cast<node_kind>(kind);
        if (node_refusal(node_with(header)) != errc::unsupported_feature) FAIL("kind " << kind);
    }
}

TEST_CASE("a patch has the level of its base with the top bit set and nothing else has") {
    for (unsigned kind = 1; kind <= 6; ++kind) {
        for (unsigned level : {0U, 1U, 39U, 0x80U, 0x81U, 0xA7U}) {
            auto header = inner_header();
            header.kind = static_cast<node_kind>(kind);
            header.level = static_cast<std::uint8_t>(level);
            if (header.wide()) continue;
            auto const leaf = (level & 0x7FU) == 0;
            auto const patch = level >= 0x80U;
            auto const fits =
                header.kind == (patch  ? leaf ? node_kind::leaf_patch : node_kind::inner_patch
                                : leaf ? node_kind::leaf
                                       : node_kind::inner);
            if (node_refusal(node_with(header)) != (fits ? errc{} : errc::corrupt)) {
                FAIL("kind " << kind << " at level " << level);
            }
        }
    }
}

TEST_CASE("a header that contradicts itself or its reference is damaged") {
    CHECK(node_refusal(node_with(inner_header())) == errc{});
    auto header = inner_header();
    header.size_bytes = 40;
    CHECK(node_refusal(node_with(header)) == errc::corrupt);
    header = inner_header();
    header.level = 0;
    CHECK(node_refusal(node_with(header)) == errc::corrupt);
    header = inner_header();
    header.kind = node_kind::leaf;
    CHECK(node_refusal(node_with(header)) == errc::corrupt);
    header = inner_header();
    header.kind = node_kind::wide_inner;
    CHECK(node_refusal(node_with(header)) == errc::corrupt);
    header = inner_header();
    header.size_bytes = format::wide_node_bytes;
    CHECK(node_refusal(node_with(header, format::wide_node_bytes)) == errc::corrupt);
    header.kind = node_kind::wide_inner;
    CHECK(node_refusal(node_with(header, format::wide_node_bytes)) == errc{});
    for (std::size_t size = 0; size < format::node_header_bytes; ++size) {
        CHECK(node_refusal(std::vector<std::byte>(size)) == errc::corrupt);
    }
}

TEST_CASE("positions are read in both widths") {
    std::array<std::byte, 8> const raw{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4},
                                       std::byte{5}, std::byte{6}, std::byte{7}, std::byte{8}};
    format::position_array const narrow(raw.data(), false);
    format::position_array const wide(raw.data(), true);
    CHECK(narrow[0] == 0x0201U);
    CHECK(narrow[3] == 0x0807U);
    CHECK(wide[0] == 0x04030201U);
    CHECK(wide[1] == 0x08070605U);
}

static_assert(std::is_trivially_copyable_v<node_header>);
static_assert(std::is_trivially_copyable_v<format::position_array>);
static_assert(noexcept(format::load_node_header(nullptr)));
static_assert(format::position_array::width(false) == 2 &&
              format::position_array::width(true) == 4);
