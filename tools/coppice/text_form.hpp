// SPDX-License-Identifier: BSL-1.0
#pragma once
// tools/coppice/text_form.hpp: bytes as text, and back.
// Owns: hex, base64, and the escaped form in which `scan` and `log` print.
// Invariant: each form can be read back to the same bytes; nothing that moves a terminal's cursor
//   passes the escaped form.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tool {

/// How keys and values are printed.
enum class text_form : std::uint8_t {
    escaped, ///< \t \n \\ and \xHH for what is not printable
    raw,     ///< as they are
    hex,     ///< two digits for each byte
};

namespace detail {

inline constexpr std::string_view hex_digits = "0123456789abcdef";

[[nodiscard]] constexpr unsigned byte_at(std::string_view text, std::size_t at) noexcept {
    return static_cast<unsigned char>(text[at]);
}

[[nodiscard]] constexpr int hex_value(char digit) noexcept {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
}

} // namespace detail

/// The length of the UTF-8 character that begins at a place; 0 where none does.
[[nodiscard]] constexpr std::size_t utf8_length(std::string_view text, std::size_t at) noexcept {
    auto const lead = detail::byte_at(text, at);
    if (lead < 0x80) return 1;
    std::size_t const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() - at < length) return 0;
    for (std::size_t i = 1; i < length; ++i) {
        if ((detail::byte_at(text, at + i) & 0xc0U) != 0x80U) return 0;
    }
    // Overlong forms, surrogates, and what is beyond U+10FFFF show in the second byte.
    auto const second = detail::byte_at(text, at + 1);
    if (lead == 0xe0 && second < 0xa0) return 0;
    if (lead == 0xed && second > 0x9f) return 0;
    if (lead == 0xf0 && second < 0x90) return 0;
    if (lead == 0xf4 && second > 0x8f) return 0;
    return length;
}

[[nodiscard]] constexpr bool is_utf8(std::string_view text) noexcept {
    for (std::size_t at = 0; at < text.size();) {
        auto const length = utf8_length(text, at);
        if (length == 0) return false;
        at += length;
    }
    return true;
}

inline void append_hex(std::string& to, std::string_view bytes) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        auto const byte = detail::byte_at(bytes, i);
        to += detail::hex_digits[byte >> 4U];
        to += detail::hex_digits[byte & 15U];
    }
}

/// The bytes that hex digits stand for, or nothing where they are odd in number or no digits.
[[nodiscard]] inline std::optional<std::string> from_hex(std::string_view digits) {
    if (digits.size() % 2 != 0) return {};
    std::string bytes;
    bytes.reserve(digits.size() / 2);
    for (std::size_t i = 0; i < digits.size(); i += 2) {
        auto const high = detail::hex_value(digits[i]);
        auto const low = detail::hex_value(digits[i + 1]);
        if (high < 0 || low < 0) return {};
        bytes += static_cast<char>(high * 16 + low);
    }
    return bytes;
}

[[nodiscard]] inline std::string to_base64(std::string_view bytes) {
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        unsigned group = 0;
        for (std::size_t i = 0; i < 3; ++i) {
            group = group << 8U | (at + i < bytes.size() ? detail::byte_at(bytes, at + i) : 0U);
        }
        for (unsigned i = 0; i < 4; ++i) {
            text += at + i <= bytes.size() ? digits[group >> (18U - 6U * i) & 63U] : '=';
        }
    }
    return text;
}

/// The length of the UTF-8 character at a place if it can be printed as it is, else 0.
[[nodiscard]] constexpr std::size_t printable_length(std::string_view text,
                                                     std::size_t at) noexcept {
    auto const length = utf8_length(text, at);
    auto const byte = detail::byte_at(text, at);
    // The C1 controls, U+0080 to U+009F, are two bytes of UTF-8.
    auto const control = byte < 0x20 || byte == 0x7f ||
                         (byte == 0xc2 && length == 2 && detail::byte_at(text, at + 1) < 0xa0);
    return control ? 0 : length;
}

inline void append_escaped(std::string& to, std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        auto const length = printable_length(text, at);
        if (text[at] == '\\') {
            to += "\\\\";
        } else if (text[at] == '\t') {
            to += "\\t";
        } else if (text[at] == '\n') {
            to += "\\n";
        } else if (length == 0) {
            to += "\\x";
            append_hex(to, text.substr(at, 1));
        } else {
            to += text.substr(at, length);
            at += length;
            continue;
        }
        ++at;
    }
}

inline void append_text(std::string& to, std::string_view bytes, text_form form) {
    switch (form) {
    case text_form::escaped: append_escaped(to, bytes); break;
    case text_form::raw: to += bytes; break;
    case text_form::hex: append_hex(to, bytes); break;
    }
}

} // namespace tool
