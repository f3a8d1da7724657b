// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/replaced_files.hpp: files that a compaction has replaced and somebody still reads.
// Owns: for each of them, how to know that it is still read, and its size.
// Invariant: keeps no file open itself. All images of a file share one table of what is verified,
//   so the table lives exactly as long as anybody of this handle reads the file.
//   Thread safety: none; the caller has a lock.

#include <coppice/store/verified.hpp>

#include <cstdint>
#include <memory>
#include <vector>

namespace coppice::inline COPPICE_ABI::store {

/// Counts the bytes that snapshots pin.
class replaced_files {
  public:
    /// @param verified of the file that was replaced
    void remember(std::shared_ptr<verified_table> const& verified, std::uint64_t size_bytes) {
        std::erase_if(files_, [](auto const& old) { return old.alive.expired(); });
        files_.push_back({verified, size_bytes});
    }

    /// Bytes of the files that are still read.
    [[nodiscard]] std::uint64_t pinned_bytes() const noexcept {
        std::uint64_t pinned = 0;
        for (auto const& old : files_) {
            if (!old.alive.expired()) pinned += old.size_bytes;
        }
        return pinned;
    }

  private:
    struct replaced_file {
        std::weak_ptr<verified_table> alive;
        std::uint64_t size_bytes = 0;
    };
    std::vector<replaced_file> files_;
};

} // namespace coppice::inline COPPICE_ABI::store
