// SPDX-License-Identifier: BSL-1.0
// The forms in which the tool writes bytes, without the tool.
#include <tools/coppice/exit_code.hpp>
#include <tools/coppice/text_form.hpp>

#include <catch2/catch.hpp>

#include <string>
#include <string_view>

using namespace std::string_view_literals;

namespace {

std::string escaped(std::string_view text) {
    std::string result;
    tool::append_escaped(result, text);
    return result;
}

std::string hex(std::string_view text) {
    std::string result;
    tool::append_hex(result, text);
    return result;
}

} // namespace

TEST_CASE("what can be printed is printed as it is") {
    CHECK(escaped("") == "");
    CHECK(escaped("plain text") == "plain text");
    CHECK(escaped("Bäume, 木, 🌳") == "Bäume, 木, 🌳");
}

TEST_CASE("what cannot be printed is escaped so that nothing is lost") {
    CHECK(escaped("a\tb\nc\\d") == "a\\tb\\nc\\\\d");
    CHECK(escaped("\0\x1b\x7f\r"sv) == "\\x00\\x1b\\x7f\\x0d");
    CHECK(escaped("\xff\xc3") == "\\xff\\xc3");
    CHECK(escaped("\xc2\x85") == "\\xc2\\x85"); // the control character U+0085
    CHECK(escaped("\xc2\xa0") == "\xc2\xa0");
}

TEST_CASE("UTF-8 is told from what only looks like it") {
    for (auto const good : {""sv, "\x7f"sv, "\xc2\x80"sv, "\xe0\xa0\x80"sv, "\xed\x9f\xbf"sv,
                            "\xef\xbf\xbf"sv, "\xf0\x90\x80\x80"sv, "\xf4\x8f\xbf\xbf"sv, "\0"sv}) {
        INFO(hex(good));
        CHECK(tool::is_utf8(good));
    }
    for (auto const bad : {"\x80"sv, "\xc0\x80"sv, "\xc1\xbf"sv, "\xc2"sv, "\xc2\x41"sv,
                           "\xe0\x9f\xbf"sv, "\xed\xa0\x80"sv, "\xe2\x82"sv, "\xf0\x8f\xbf\xbf"sv,
                           "\xf4\x90\x80\x80"sv, "\xf5\x80\x80\x80"sv, "\xff"sv}) {
        INFO(hex(bad));
        CHECK_FALSE(tool::is_utf8(bad));
    }
}

TEST_CASE("hex goes both ways, and nothing else is taken for it") {
    std::string all;
    for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
    CHECK(tool::from_hex(hex(all)) == all);
    CHECK(tool::from_hex("AbCd") == "\xab\xcd");
    CHECK(tool::from_hex("") == "");
    CHECK_FALSE(tool::from_hex("abc"));
    CHECK_FALSE(tool::from_hex("0g"));
    CHECK_FALSE(tool::from_hex(" 0"));
}

TEST_CASE("base64 is that of RFC 4648") {
    CHECK(tool::to_base64("") == "");
    CHECK(tool::to_base64("f") == "Zg==");
    CHECK(tool::to_base64("fo") == "Zm8=");
    CHECK(tool::to_base64("foo") == "Zm9v");
    CHECK(tool::to_base64("foob") == "Zm9vYg==");
    CHECK(tool::to_base64("fooba") == "Zm9vYmE=");
    CHECK(tool::to_base64("foobar") == "Zm9vYmFy");
    CHECK(tool::to_base64("\xfb\xff\xbf") == "+/+/");
}

TEST_CASE("errors that a user can tell apart have exit codes of their own") {
    using coppice::errc;
    using tool::exit_code;
    CHECK(tool::exit_code_of(errc::not_found) == exit_code::unavailable);
    CHECK(tool::exit_code_of(errc::corrupt) == exit_code::corrupt);
    CHECK(tool::exit_code_of(errc::key_too_large) == exit_code::usage);
    for (int i = static_cast<int>(errc::io_failed); i <= static_cast<int>(errc::sync_failed); ++i) {
        auto const code = tool::exit_code_of(static_cast<errc>(i));
        CHECK(code != exit_code::done);
        CHECK(code != exit_code::no);
    }
}
