// SPDX-License-Identifier: BSL-1.0
// The golden numbers are part of the file format. If one of these tests is red, the checksum
// function is another one: files written before cannot be read any more. Do not adjust the numbers;
// find what changed (the version of xxHash, the seed, a macro), or give the new algorithm a new
// number in the file header.
#include <coppice/format/checksum.hpp>

#include <catch2/catch.hpp>
#include <rapidcheck.h>

#include <type_traits>
#include <vector>

namespace format = coppice::format;

namespace {

std::vector<std::byte> pattern(std::size_t size) {
    std::vector<std::byte> data(size);
    for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<std::byte>((i * 131 + 7) & 0xFFU);
    return data;
}

} // namespace

TEST_CASE("checksums are the golden ones of XXH3-64") {
    CHECK(format::checksum(coppice::as_bytes("")) == 0x2D06800538D394C2U);
    CHECK(format::checksum(coppice::as_bytes("coppice")) == 0xCFF1502819A891DAU);
    CHECK(format::checksum(pattern(200)) == 0xC0FBC0F4E181C826U);
    CHECK(format::checksum(pattern(std::size_t{1} << 20U)) == 0x6F7C82505FFBC516U);
}

TEST_CASE("a streamed checksum is that of the whole, however it is cut") {
    auto const data = pattern(5000);
    coppice::bytes const whole{data};
    for (std::size_t const cut : {0U, 1U, 8U, 239U, 240U, 241U, 256U, 1024U, 4999U, 5000U}) {
        format::checksum_stream sum;
        sum.update(whole.first(cut));
        sum.update(whole.subspan(cut));
        CHECK(sum.digest() == format::checksum(whole));
    }
    format::checksum_stream by_byte;
    for (std::size_t i = 0; i < whole.size(); ++i) {
        by_byte.update(whole.subspan(i, 1));
        if (i % 500 == 0) CHECK(by_byte.digest() == format::checksum(whole.first(i + 1)));
    }
    CHECK(format::checksum_stream{}.digest() == format::checksum({}));
}

TEST_CASE("every changed bit changes the checksum") {
    auto data = pattern(600);
    auto const before = format::checksum(data);
    for (std::size_t bit = 0; bit < data.size() * 8; ++bit) {
        data[bit / 8] ^= std::byte{1} << (bit % 8);
        if (format::checksum(data) == before) FAIL("bit " << bit);
        data[bit / 8] ^= std::byte{1} << (bit % 8);
    }
    CHECK(format::checksum(data) == before);
}

TEST_CASE("a streamed checksum of random pieces is that of the whole") {
    CHECK(rc::check([](std::vector<std::vector<std::uint8_t>> const& pieces) {
        std::vector<std::uint8_t> whole;
        format::checksum_stream sum;
        for (auto const& piece : pieces) {
            whole.insert(whole.end(), piece.begin(), piece.end());
            sum.update(std::as_bytes(std::span{piece}));
        }
        RC_ASSERT(sum.digest() == format::checksum(std::as_bytes(std::span{whole})));
    }));
}

static_assert(noexcept(format::checksum({})));
static_assert(format::checksum_algorithm_xxh3_64 == 1);
