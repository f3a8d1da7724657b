// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/bytes.hpp: text at the door, bytes in the cellar, and the one order of keys.
// Owns: `bytes`, the two conversions between text and bytes, `compare_keys`, `align8`, and the hint
//   that bytes are read soon.
// Invariant: the order of keys is memcmp over unsigned bytes, then length; nothing else in
//   the library compares keys in another way.
// Thread safety: pure functions. Allocates: nothing. Throws: nothing.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace coppice {

/// A read-only run of bytes. Does not own them.
using bytes = std::span<std::byte const>;
/// A writable run of bytes. Does not own them.
using mutable_bytes = std::span<std::byte>;

/// The bytes of a text. Valid as long as the text is.
[[nodiscard]] inline bytes as_bytes(std::string_view text) noexcept {
    return {reinterpret_cast<std::byte const*>(text.data()), text.size()};
}

/// The text that the bytes are. Valid as long as the bytes are.
[[nodiscard]] inline std::string_view as_text(bytes data) noexcept {
    return {reinterpret_cast<char const*>(data.data()), data.size()};
}

/// The order of keys: negative, zero or positive as `a` is before, equal to, or after `b`.
/// `std::char_traits<char>::compare` is memcmp, so bytes above 0x7f order as unsigned.
[[nodiscard]] inline int compare_keys(std::string_view a, std::string_view b) noexcept {
    return a.compare(b);
}

/// Asks the memory for a run of bytes that is read soon: only a hint. REQUIRES: they are there.
inline void prefetch_lines(std::byte const* from, std::uint64_t size_bytes) noexcept {
    constexpr std::uint64_t line_bytes = 64;
    for (std::uint64_t at = 0; at < size_bytes; at += line_bytes) __builtin_prefetch(from + at);
}

/// The smallest multiple of 8 that is not below `size_bytes`. REQUIRES: no overflow.
[[nodiscard]] constexpr std::uint64_t align8(std::uint64_t size_bytes) noexcept {
    return (size_bytes + 7U) & ~std::uint64_t{7};
}

} // namespace coppice
