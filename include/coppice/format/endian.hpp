// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/format/endian.hpp: little-endian integers in byte arrays.
// Owns: how an integer of 2, 4, 6 or 8 bytes is read from and written to unaligned bytes.
// Invariant: no other header of the library assumes an alignment or a byte order of the file.
// Thread safety: pure. Throws: nothing. Cost: one load or store on little-endian machines.

#include <coppice/version.hpp>

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace coppice::inline COPPICE_ABI::format {

namespace detail {

template <std::unsigned_integral T> [[nodiscard]] constexpr T little(T value) noexcept {
    if constexpr (std::endian::native == std::endian::little || sizeof(T) == 1) {
        return value;
    } else {
        T swapped = 0;
        for (std::size_t i = 0; i < sizeof(T); ++i) {
            swapped = static_cast<T>((swapped << 8U) | (value & 0xFFU));
            value = static_cast<T>(value >> 8U);
        }
        return swapped;
    }
}

} // namespace detail

/// Reads a little-endian integer. REQUIRES: `sizeof(T)` readable bytes at `from`.
template <std::unsigned_integral T> [[nodiscard]] inline T load(std::byte const* from) noexcept {
    T value;
    std::memcpy(&value, from, sizeof(T));
    return detail::little(value);
}

/// Writes a little-endian integer. REQUIRES: `sizeof(T)` writable bytes at `to`.
template <std::unsigned_integral T> inline void store(std::byte* to, T value) noexcept {
    value = detail::little(value);
    std::memcpy(to, &value, sizeof(T));
}

/// The width in bytes of a 48-bit counter in a child reference.
inline constexpr std::size_t u48_bytes = 6;
/// The largest value that a 48-bit counter holds.
inline constexpr std::uint64_t u48_max = (std::uint64_t{1} << 48U) - 1;

/// Reads a little-endian integer of six bytes.
[[nodiscard]] inline std::uint64_t load_u48(std::byte const* from) noexcept {
    return load<std::uint32_t>(from) | (std::uint64_t{load<std::uint16_t>(from + 4)} << 32U);
}

/// Writes a little-endian integer of six bytes. REQUIRES: `value <= u48_max`.
inline void store_u48(std::byte* to, std::uint64_t value) noexcept {
    store(to, static_cast<std::uint32_t>(value));
    store(to + 4, static_cast<std::uint16_t>(value >> 32U));
}

/// The head of a key: an integer that orders as its first four bytes do, zero padded.
[[nodiscard]] inline std::uint32_t key_head(std::string_view key) noexcept {
    if (key.size() >= 4) {
        std::uint32_t raw;
        std::memcpy(&raw, key.data(), 4);
        if constexpr (std::endian::native == std::endian::little) {
            return ((raw & 0xFFU) << 24U) | ((raw & 0xFF00U) << 8U) | ((raw >> 8U) & 0xFF00U) |
                   (raw >> 24U);
        } else {
            return raw;
        }
    }
    std::uint32_t head = 0;
    for (std::size_t i = 0; i < key.size(); ++i) {
        head |= std::uint32_t{static_cast<unsigned char>(key[i])} << (24U - 8U * i);
    }
    return head;
}

} // namespace coppice::inline COPPICE_ABI::format
