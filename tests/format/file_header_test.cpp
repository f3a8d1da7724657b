// SPDX-License-Identifier: BSL-1.0
#include <coppice/format/file_header.hpp>

#include <catch2/catch.hpp>

#include <optional>
#include <vector>

namespace format = coppice::format;
using coppice::errc;
using format::file_header;

namespace {

file_header some_header() {
    file_header header;
    for (std::size_t i = 0; i < header.uuid.size(); ++i) {
        header.uuid[i] = static_cast<std::byte>(0xA0 + i);
    }
    header.generation = 0x0102030405060708U;
    header.nodes = {.leaf_bytes = 8192, .inner_bytes = 512, .inline_value_bytes = 600};
    return header;
}

/// What reading the block throws; nothing where it is read.
std::optional<errc> refused(coppice::bytes block) {
    try {
        static_cast<void>(format::decode_file_header(block, "some.db"));
        return {};
    } catch (coppice::error const& e) {
        CHECK(e.path() == "some.db");
        return e.kind();
    }
}

/// A header that differs in one field.
template <typename Change> file_header with(Change change) {
    auto header = some_header();
    change(header);
    return header;
}

/// The block with a checksum that holds.
std::array<std::byte, format::block_bytes> sealed(
    std::array<std::byte, format::block_bytes> block) {
    format::store(block.data() + 64, format::checksum(coppice::bytes{block}.first(64)));
    return block;
}

} // namespace

TEST_CASE("a file header is what was encoded") {
    auto const header = some_header();
    auto const block = format::encode(header);
    CHECK(format::decode_file_header(block, "") == header);
    CHECK(std::all_of(block.begin() + file_header::encoded_bytes, block.end(),
                      [](std::byte b) { return b == std::byte{0}; }));
}

TEST_CASE("the fields of a file header lie where the specification says") {
    auto const block = format::encode(some_header());
    CHECK(coppice::as_text(coppice::bytes{block}.first(16)) ==
          std::string_view("\x89"
                           "coppice\r\n\x1a\n\0\0\0\0",
                           16));
    CHECK(format::load<std::uint32_t>(block.data() + 16) == format::format_version);
    CHECK(format::load<std::uint32_t>(block.data() + 20) == 1);
    CHECK(block[24] == std::byte{0xA0});
    CHECK(block[39] == std::byte{0xAF});
    CHECK(format::load<std::uint64_t>(block.data() + 40) == 0x0102030405060708U);
    CHECK(format::load<std::uint32_t>(block.data() + 48) == 8192);
    CHECK(format::load<std::uint32_t>(block.data() + 52) == 512);
    CHECK(format::load<std::uint32_t>(block.data() + 56) == 600);
    CHECK(format::load<std::uint32_t>(block.data() + 60) == 1);
}

TEST_CASE("every flipped bit of a file header is refused with the error that fits") {
    auto block = format::encode(some_header());
    for (std::size_t bit = 0; bit < file_header::encoded_bytes * 8; ++bit) {
        block[bit / 8] ^= std::byte{1} << (bit % 8);
        auto const expected = bit / 8 < 16   ? errc::not_a_database
                              : bit / 8 < 24 ? errc::unsupported_version
                                             : errc::corrupt;
        if (refused(block) != expected) FAIL("bit " << bit);
        block[bit / 8] ^= std::byte{1} << (bit % 8);
    }
    CHECK_FALSE(refused(block));
}

TEST_CASE("a file header that is cut short is refused at every length") {
    auto const block = format::encode(some_header());
    for (std::size_t size = 0; size < block.size(); size += size < 100 ? 1 : 333) {
        // A copy of exactly this size, so that a sanitizer sees a read behind it.
        std::vector<std::byte> const cut(block.begin(),
                                         block.begin() + static_cast<std::ptrdiff_t>(size));
        CHECK(refused(cut) == (size < 16 ? errc::not_a_database : errc::corrupt));
    }
}

TEST_CASE("node sizes that make no sense are refused although the checksum holds") {
    struct {
        std::size_t at;
        std::uint32_t value;
    } const table[] = {{48, 0}, {48, 127}, {48, 65537}, {48, 0xFFFFFFFF},
                       {52, 0}, {52, 127}, {52, 65537}, {56, 2049}};
    for (auto const& [at, value] : table) {
        auto block = format::encode(some_header());
        format::store(block.data() + at, value);
        CHECK(refused(sealed(block)) == errc::corrupt);
    }
    CHECK(format::valid({.leaf_bytes = 128, .inner_bytes = 128, .inline_value_bytes = 32}));
    CHECK(format::valid({.leaf_bytes = 65536, .inner_bytes = 65536, .inline_value_bytes = 16384}));
    CHECK(format::valid(coppice::node_sizes{}));
    CHECK(format::valid({.leaf_bytes = 128, .inner_bytes = 128, .inline_value_bytes = 0}));
}

TEST_CASE("a file of another kind is no database, whatever follows") {
    std::vector<std::byte> zeros(format::block_bytes);
    CHECK(refused(zeros) == errc::not_a_database);
    CHECK(refused({}) == errc::not_a_database);
    CHECK(refused(coppice::as_bytes("SQLite format 3")) == errc::not_a_database);
}

TEST_CASE("headers are the same where every field is") {
    CHECK(some_header() == some_header());
    CHECK_FALSE(with([](auto& header) { header.uuid[15] ^= std::byte{1}; }) == some_header());
    CHECK_FALSE(with([](auto& header) { ++header.generation; }) == some_header());
    CHECK_FALSE(with([](auto& header) { ++header.nodes.leaf_bytes; }) == some_header());
    CHECK_FALSE(with([](auto& header) { ++header.nodes.inner_bytes; }) == some_header());
    CHECK_FALSE(with([](auto& header) { ++header.nodes.inline_value_bytes; }) == some_header());
}

TEST_CASE("headers that differ in anything are not equal") {
    format::file_header const header;
    CHECK(header == format::file_header{});
    auto other = header;
    other.nodes.patches = !other.nodes.patches;
    CHECK_FALSE(other == header);
    other = header;
    ++other.nodes.inner_bytes;
    CHECK_FALSE(other == header);
}
