// SPDX-License-Identifier: BSL-1.0
#include <coppice/format/reference.hpp>

#include <catch2/catch.hpp>
#include <rapidcheck.h>

#include <array>
#include <memory>
#include <type_traits>

namespace format = coppice::format;
using format::extent_ref;
using format::node_ref;

TEST_CASE("a reference to a node keeps offset, size and checksum") {
    auto const first = node_ref::at(format::data_begin_offset, 16, 7);
    CHECK(first.offset() == format::data_begin_offset);
    CHECK(first.size_bytes() == 16);
    CHECK(first.end_offset() == format::data_begin_offset + 16);
    CHECK(first.checksum == 7);
    CHECK_FALSE(first.is_null());
    CHECK_FALSE(first.in_memory());
}

TEST_CASE("the largest offset and the largest node fit a reference") {
    auto const offset = format::max_file_bytes - 8;
    auto const last = node_ref::at(offset, format::max_node_bytes, ~std::uint64_t{0});
    CHECK(last.offset() == offset);
    CHECK(last.size_bytes() == format::max_node_bytes);
    CHECK_FALSE(last.in_memory());
    CHECK(last.size_bytes() / 8 == 0x7FFFE); // all ones is kept for other uses
}

TEST_CASE("offset and size of a reference do not touch each other") {
    CHECK(rc::check([] {
        auto const offset = *rc::gen::inRange<std::uint64_t>(0, format::max_file_bytes / 8) * 8;
        auto const size = *rc::gen::inRange<std::uint64_t>(0, format::max_node_bytes / 8 + 1) * 8;
        auto const ref = node_ref::at(offset, size, 1);
        RC_ASSERT(ref.offset() == offset);
        RC_ASSERT(ref.size_bytes() == size);
        RC_ASSERT(!ref.in_memory());
    }));
}

TEST_CASE("a null reference is the default one alone") {
    CHECK(node_ref{}.is_null());
    CHECK(node_ref{} == node_ref{0, 0});
    CHECK_FALSE(node_ref::at(8, 0, 0).is_null());
    CHECK(format::subtree{}.node.is_null());
}

TEST_CASE("a reference to memory gives back the address and the size") {
    struct alignas(16) unit {
        std::array<std::byte, 64> data{};
    };
    auto const node = std::make_unique<unit>();
    auto const ref = node_ref::in_memory_at(node->data.data(), 64);
    CHECK(ref.in_memory());
    CHECK_FALSE(ref.is_null());
    CHECK(ref.memory() == node->data.data());
    CHECK(ref.size_bytes() == 64);
    CHECK(ref.checksum == 0);
}

TEST_CASE("the bytes of a reference to a value are as specified") {
    extent_ref const extent{0x0102030405060708U, 5, 0xFFU};
    std::array<std::byte, extent_ref::encoded_bytes> image{};
    extent.encode(image.data());
    CHECK(image[0] == std::byte{8});
    CHECK(image[7] == std::byte{1});
    CHECK(image[8] == std::byte{5});
    CHECK(image[16] == std::byte{0xFF});
    CHECK(extent_ref::decode(image.data()) == extent);
}

TEST_CASE("a reference to a value is what was encoded") {
    CHECK(rc::check([](std::uint64_t offset, std::uint64_t length, std::uint64_t sum) {
        extent_ref const extent{offset, length, sum};
        std::array<std::byte, extent_ref::encoded_bytes> image{};
        extent.encode(image.data());
        RC_ASSERT(extent_ref::decode(image.data()) == extent);
    }));
}

TEST_CASE("a reference to a value in memory gives back the bytes") {
    std::string_view const text = "a value";
    auto const extent = extent_ref::in_memory_at(coppice::as_bytes(text));
    CHECK(extent.in_memory());
    CHECK(extent.length_bytes == text.size());
    CHECK(reinterpret_cast<char const*>(extent.memory()) == text.data());
    CHECK_FALSE(extent_ref{format::max_file_bytes, 1, 1}.in_memory());
}

static_assert(std::is_trivially_copyable_v<node_ref> && std::is_trivially_copyable_v<extent_ref>);
static_assert(std::is_trivially_copyable_v<format::subtree>);
static_assert(noexcept(node_ref::at(8, 8, 0)) && noexcept(extent_ref::decode(nullptr)));
