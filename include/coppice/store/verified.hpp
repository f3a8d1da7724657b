// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/verified.hpp: which parts of a file this process has verified already.
// Owns: a fixed, direct-mapped table of tags. A miss only means to verify again.
// Invariant: a tag names exact bytes (offset and size), so a hit never stands for other bytes.
//   No growth, no shared write once warm. Thread safety: any number of threads.

#include <coppice/version.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace coppice::inline COPPICE_ABI::store {

/// The set of verified parts of one file.
class verified_table {
  public:
    verified_table() : tags_(new std::atomic<std::uint64_t>[slots]()) {}

    /// Was this part verified, and not forgotten since?
    [[nodiscard]] bool contains(std::uint64_t tag) const noexcept {
        return tags_[slot(tag)].load(std::memory_order_acquire) == tag;
    }
    void insert(std::uint64_t tag) noexcept {
        tags_[slot(tag)].store(tag, std::memory_order_release);
    }

    /// The tag of a run of bytes that is not a node: no node has this size.
    [[nodiscard]] static constexpr std::uint64_t extent_tag(std::uint64_t offset) noexcept {
        return (offset / 8) << 19U | 0x7FFFFU;
    }

  private:
    /// 2^17 tags in 1 MiB, of which only touched pages are ever resident: enough for 500 MiB of
    /// nodes of 4 KiB without a conflict in the mean.
    static constexpr std::size_t slots = std::size_t{1} << 17U;

    [[nodiscard]] static constexpr std::size_t slot(std::uint64_t tag) noexcept {
        return static_cast<std::size_t>((tag * 0x9E37'79B9'7F4A'7C15U) >> 47U);
    }

    std::unique_ptr<std::atomic<std::uint64_t>[]> tags_;
};

} // namespace coppice::inline COPPICE_ABI::store
