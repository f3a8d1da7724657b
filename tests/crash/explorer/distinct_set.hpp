// SPDX-License-Identifier: BSL-1.0
#pragma once
// Which numbers were seen already, for several threads and for the processes that are forked after
// it was made: a table of fixed size with open addressing. Two images with one number of 64 bits
// would be counted once; for 10^8 images that is expected 0.0003 times.

#include "shared_memory.hpp"

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace explorer {

class distinct_set {
  public:
    /// @param most how many numbers it has to hold
    explicit distinct_set(std::size_t most)
        : mask_(std::bit_ceil(most * 2) - 1), count_(1), slots_(mask_ + 1) {}

    /// @return is it a new one?
    bool add(std::uint64_t number) {
        if (number == 0) number = 1;
        for (auto at = static_cast<std::size_t>(number) & mask_;; at = (at + 1) & mask_) {
            auto& slot = slots_[at];
            auto seen = slot.load(std::memory_order_relaxed);
            if (seen == number) return false;
            if (seen != 0) continue;
            if (slot.compare_exchange_strong(seen, number, std::memory_order_relaxed)) {
                if (count_[0].fetch_add(1, std::memory_order_relaxed) > mask_ / 8 * 7) {
                    throw std::runtime_error("the set of distinct numbers is full");
                }
                return true;
            }
            if (seen == number) return false;
        }
    }
    [[nodiscard]] std::size_t count() const noexcept { return count_[0].load(); }

  private:
    std::size_t mask_;
    shared_memory<std::atomic<std::uint64_t>> count_;
    shared_memory<std::atomic<std::uint64_t>> slots_;
};

} // namespace explorer
