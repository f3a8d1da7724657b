// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/format/extent.hpp: the layout of a value that lies out of line.
// Owns: where the pieces of an extent lie and what its checksum covers.
//   up to 1 MiB:  the value; the reference's checksum is that of the value.
//   above:        a table of one checksum per 1 MiB piece, then the value; the reference's
//                 checksum is that of the length (8 bytes) followed by the table.
// Invariant: the value is contiguous and begins 8-aligned, so it can be handed out as one view.

#include <coppice/bytes.hpp>
#include <coppice/format/checksum.hpp>
#include <coppice/format/endian.hpp>
#include <coppice/format/reference.hpp>

#include <array>
#include <cstdint>

namespace coppice::inline COPPICE_ABI::format {

/// The size of a piece that has a checksum of its own.
inline constexpr std::uint64_t extent_piece_bytes = std::uint64_t{1} << 20U;

/// How many pieces a value of that length has; 0 where it has no table.
[[nodiscard]] constexpr std::uint64_t extent_pieces(std::uint64_t length_bytes) noexcept {
    if (length_bytes <= extent_piece_bytes) return 0;
    return length_bytes / extent_piece_bytes + (length_bytes % extent_piece_bytes != 0 ? 1 : 0);
}

/// The bytes of the table in front of the value.
[[nodiscard]] constexpr std::uint64_t extent_table_bytes(std::uint64_t length_bytes) noexcept {
    return extent_pieces(length_bytes) * 8;
}

/// The bytes an extent takes in the file: table, value, padding to 8.
[[nodiscard]] constexpr std::uint64_t extent_stored_bytes(std::uint64_t length_bytes) noexcept {
    return extent_table_bytes(length_bytes) + align8(length_bytes);
}

/// The bytes of piece number `piece` of the value. REQUIRES: it has a table.
[[nodiscard]] constexpr std::uint64_t extent_piece_size(std::uint64_t length_bytes,
                                                        std::uint64_t piece) noexcept {
    auto const left = length_bytes - piece * extent_piece_bytes;
    return left < extent_piece_bytes ? left : extent_piece_bytes;
}

/// What the reference of a value with a table must hold as checksum.
[[nodiscard]] inline std::uint64_t extent_table_checksum(std::uint64_t length_bytes,
                                                         bytes table) noexcept {
    std::array<std::byte, 8> length{};
    store(length.data(), length_bytes);
    checksum_stream sum;
    sum.update(length);
    sum.update(table);
    return sum.digest();
}

static_assert(extent_pieces(extent_piece_bytes) == 0);
static_assert(extent_pieces(extent_piece_bytes + 1) == 2);
static_assert(extent_stored_bytes(5) == 8);

} // namespace coppice::inline COPPICE_ABI::format
