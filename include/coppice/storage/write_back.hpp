// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/write_back.hpp: when appended bytes are handed to the device before a sync.
// Owns: how far a file was handed over. What is appended is never written again, so that nothing is
//   written twice for it, and the next sync finds the device at work on most of what it waits for.
// Invariant: a hint and no promise; what it comes to is told by the next sync alone. No range is
//   handed over twice, unless the file was cut meanwhile. Thread safety: any number of threads.

#include <atomic>
#include <cstdint>

namespace coppice::storage {

/// How far the writes to one file were handed over.
class write_back {
  public:
    /// Less is left to the sync: the device takes long runs faster, and each costs a system call.
    static constexpr std::uint64_t piece_bytes = std::uint64_t{4} << 20U;

    /// Whole pages of a file.
    struct range {
        std::uint64_t begin_offset = 0;
        std::uint64_t end_offset = 0;
        [[nodiscard]] bool empty() const noexcept { return begin_offset == end_offset; }
    };

    write_back() = default;
    write_back(write_back&& other) noexcept : handed_over_(other.handed_over_.load()) {}
    write_back& operator=(write_back&&) = delete;
    ~write_back() = default;

    /// Takes note of a write to [begin, end). @return what is to be handed over now, mostly nothing
    [[nodiscard]] range written(std::uint64_t begin_offset, std::uint64_t end_offset) noexcept {
        constexpr std::uint64_t page_bytes = 4096;
        auto const end = end_offset - end_offset % page_bytes; // the rest is written once more
        auto begin = handed_over_.load(std::memory_order_relaxed);
        if (begin == nothing_yet) {
            auto const first = begin_offset - begin_offset % page_bytes;
            if (handed_over_.compare_exchange_strong(begin, first)) begin = first;
        }
        if (end < piece_bytes || end - piece_bytes < begin) return {};
        if (!handed_over_.compare_exchange_strong(begin, end)) return {}; // another thread does
        return {begin, end};
    }
    /// The file was cut: what lies behind is new when it is written again.
    void cut(std::uint64_t size_bytes) noexcept {
        auto now = handed_over_.load(std::memory_order_relaxed);
        auto const is_behind = [&] { return now != nothing_yet && now > size_bytes; };
        while (is_behind() && !handed_over_.compare_exchange_weak(now, size_bytes)) continue;
    }

  private:
    static constexpr std::uint64_t nothing_yet = ~std::uint64_t{0};

    std::atomic<std::uint64_t> handed_over_{nothing_yet};
};

} // namespace coppice::storage
