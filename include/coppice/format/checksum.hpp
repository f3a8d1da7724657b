// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/format/checksum.hpp: the one checksum of the file format.
// Owns: the choice of XXH3-64 (xxHash 0.8, seed 0), in one piece and streamed.
// Invariant: no other header includes xxhash.h; a new algorithm is a new number in the file
//   header. It protects against accident; against chosen values there is durability::two_sync.
// Thread safety: `checksum` is pure; a `checksum_stream` belongs to one thread at a time.

#include <coppice/bytes.hpp>
#include <coppice/version.hpp>

#include <cstdint>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace coppice::inline COPPICE_ABI::format {

/// The number of the algorithm in the file header.
inline constexpr std::uint32_t checksum_algorithm_xxh3_64 = 1;

/// The checksum of a run of bytes. About 0.1 us for 4 KiB.
[[nodiscard]] inline std::uint64_t checksum(bytes data) noexcept {
    return XXH3_64bits(data.data(), data.size());
}

/// The same checksum over bytes that come in pieces.
class checksum_stream {
  public:
    checksum_stream() noexcept { XXH3_64bits_reset(&state_); }

    /// Adds the next piece.
    void update(bytes data) noexcept { XXH3_64bits_update(&state_, data.data(), data.size()); }

    /// The checksum of everything added so far; more may follow.
    [[nodiscard]] std::uint64_t digest() const noexcept { return XXH3_64bits_digest(&state_); }

  private:
    XXH3_state_t state_;
};

} // namespace coppice::inline COPPICE_ABI::format
