// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/live_page.hpp: how the live page is divided, and what may be written to it.
// Owns: its size, and the rule for the words of the store.
// Invariants: bytes 0 to 2047 are the store's, what follows is this room's. Only whole aligned
//   words are written, so that a reader of the mapped page never sees half of one.

#include <coppice/bytes.hpp>
#include <coppice/error.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace coppice::storage {

inline constexpr std::size_t live_page_size_bytes = 4096;
inline constexpr std::size_t live_page_store_bytes = 2048;

/// Throws `errc::invalid_argument` unless the data are whole words within the store's part.
inline void require_page_words(std::uint64_t offset, bytes data, std::string const& path) {
    bool const whole = offset % 8 == 0 && data.size() % 8 == 0;
    bool const within = offset <= live_page_store_bytes &&
                        data.size() <= live_page_store_bytes - static_cast<std::size_t>(offset);
    if (!whole || !within) {
        throw error(errc::invalid_argument, "the live page takes words, up to its middle", path);
    }
}

} // namespace coppice::storage
