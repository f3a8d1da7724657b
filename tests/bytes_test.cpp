// SPDX-License-Identifier: BSL-1.0
#include <coppice/bytes.hpp>

#include <catch2/catch.hpp>

#include <string>

using namespace coppice;

TEST_CASE("keys order as unsigned bytes, then by length") {
    CHECK(compare_keys("", "") == 0);
    CHECK(compare_keys("", "a") < 0);
    CHECK(compare_keys("a", "ab") < 0);
    CHECK(compare_keys("ab", "b") < 0);
    CHECK(compare_keys("\x7f", "\x80") < 0);
    CHECK(compare_keys("\xff", "\x01") > 0);
    CHECK(compare_keys(std::string_view("a\0b", 3), std::string_view("a\0c", 3)) < 0);
}

TEST_CASE("text and bytes are two views of the same") {
    std::string const text("a\0\xff", 3);
    CHECK(as_bytes(text).size() == 3);
    CHECK(as_bytes(text)[2] == std::byte{0xff});
    CHECK(as_text(as_bytes(text)) == text);
    CHECK(as_text(as_bytes("")).empty());
}

TEST_CASE("align8 goes up to the next multiple of eight") {
    STATIC_REQUIRE(align8(0) == 0);
    STATIC_REQUIRE(align8(1) == 8);
    STATIC_REQUIRE(align8(8) == 8);
    STATIC_REQUIRE(align8((std::uint64_t{1} << 47U) + 1) == (std::uint64_t{1} << 47U) + 8);
}
