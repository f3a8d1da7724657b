// SPDX-License-Identifier: BSL-1.0
#include <coppice/format/endian.hpp>

#include <catch2/catch.hpp>
#include <rapidcheck.h>

#include <array>
#include <string>

namespace format = coppice::format;

namespace {

std::array<std::byte, 8> const hand{std::byte{0x01}, std::byte{0x82}, std::byte{0x03},
                                    std::byte{0x84}, std::byte{0x05}, std::byte{0x86},
                                    std::byte{0x07}, std::byte{0xF8}};

} // namespace

TEST_CASE("integers are read lowest byte first") {
    CHECK(format::load<std::uint8_t>(hand.data()) == 0x01U);
    CHECK(format::load<std::uint16_t>(hand.data()) == 0x8201U);
    CHECK(format::load<std::uint32_t>(hand.data()) == 0x84038201U);
    CHECK(format::load<std::uint64_t>(hand.data()) == 0xF807860584038201U);
    CHECK(format::load_u48(hand.data()) == 0x860584038201U);
}

TEST_CASE("integers are read at any alignment") {
    for (std::size_t shift = 0; shift < 8; ++shift) {
        std::array<std::byte, 16> shifted{};
        std::copy(hand.begin(), hand.end(), shifted.data() + shift);
        CHECK(format::load<std::uint64_t>(shifted.data() + shift) == 0xF807860584038201U);
        CHECK(format::load_u48(shifted.data() + shift) == 0x860584038201U);
    }
}

TEST_CASE("integers are written lowest byte first") {
    std::array<std::byte, 8> written{};
    format::store(written.data(), std::uint64_t{0xF807860584038201U});
    CHECK(written == hand);
    written = {};
    format::store(written.data(), std::uint16_t{0x8201});
    format::store(written.data() + 2, std::uint32_t{0x86058403});
    CHECK(std::equal(written.begin(), written.begin() + 6, hand.begin()));
    CHECK(written[6] == std::byte{0});
}

TEST_CASE("a six-byte integer leaves the bytes behind it alone") {
    for (auto const value : {std::uint64_t{0}, std::uint64_t{1}, format::u48_max}) {
        std::array<std::byte, 8> written{};
        written.fill(std::byte{0xAA});
        format::store_u48(written.data(), value);
        CHECK(format::load_u48(written.data()) == value);
        CHECK(written[6] == std::byte{0xAA});
    }
}

TEST_CASE("what is stored is what is loaded") {
    CHECK(rc::check([](std::uint64_t value) {
        std::array<std::byte, 8> image{};
        format::store(image.data(), value);
        RC_ASSERT(format::load<std::uint64_t>(image.data()) == value);
        format::store_u48(image.data(), value & format::u48_max);
        RC_ASSERT(format::load_u48(image.data()) == (value & format::u48_max));
    }));
}

TEST_CASE("the head of a key is its first four bytes, highest first, zero padded") {
    CHECK(format::key_head("") == 0U);
    CHECK(format::key_head("a") == 0x61000000U);
    CHECK(format::key_head("ab") == 0x61620000U);
    CHECK(format::key_head("abc") == 0x61626300U);
    CHECK(format::key_head("abcd") == 0x61626364U);
    CHECK(format::key_head("abcdefgh") == 0x61626364U);
    CHECK(format::key_head("\xff\x80\x7f\x01") == 0xFF807F01U);
    CHECK(format::key_head("\xff") == 0xFF000000U);
    CHECK(format::key_head(std::string_view("a\0", 2)) == format::key_head("a"));
}

TEST_CASE("a key that is before another never has the greater head") {
    CHECK(rc::check([](std::string a, std::string b) {
        if (b < a) std::swap(a, b);
        RC_ASSERT(format::key_head(a) <= format::key_head(b));
    }));
    // Texts over few letters, so that long common beginnings are frequent.
    CHECK(rc::check([] {
        auto const text =
            rc::gen::container<std::string>(rc::gen::element('\0', 'a', '\x7f', '\x80', '\xff'));
        auto a = *text;
        auto b = *text;
        if (b < a) std::swap(a, b);
        RC_ASSERT(format::key_head(a) <= format::key_head(b));
    }));
}

static_assert(noexcept(format::load<std::uint32_t>(nullptr)));
static_assert(noexcept(format::key_head("")));
static_assert(format::detail::little(std::uint8_t{7}) == 7);
