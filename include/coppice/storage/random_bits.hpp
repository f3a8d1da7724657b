// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/random_bits.hpp: random numbers of the operating system.
// Owns: asking for them, and a stock of them, so that a small commit need not ask.
// Invariants: every bit is one of the kernel's, none is given out twice; what a stock has given out
//   is not kept. Depends on no state of the process: a fork must not go on with its parent's stock.

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <random>
#include <span>
#include <utility>

#include <sys/random.h>
#include <sys/types.h>

namespace coppice::storage {

/// Fills words with random bits. @throws what std::random_device throws
inline void fill_random(std::span<std::uint64_t> words) {
    auto const wanted = static_cast<ssize_t>(words.size_bytes());
    if (::getrandom(words.data(), words.size_bytes(), GRND_NONBLOCK) == wanted) return;
    std::random_device source;
    for (auto& word : words) word = (std::uint64_t{source()} << 32U) | source();
}

/// 64 random bits that are not all zero. @throws what std::random_device throws
[[nodiscard]] inline std::uint64_t random_bits() {
    std::uint64_t bits = 0;
    fill_random({&bits, 1});
    return bits == 0 ? 1 : bits;
}

/// Random numbers in stock: one system call for 32 of them. Any thread.
class random_stock {
  public:
    /// 64 random bits that are not all zero. @throws what std::random_device throws
    [[nodiscard]] std::uint64_t draw() {
        std::scoped_lock const guard(mutex_);
        if (left_ == 0) {
            fill_random(words_);
            left_ = words_.size();
        }
        auto const bits = std::exchange(words_[--left_], 0);
        return bits == 0 ? 1 : bits;
    }

  private:
    std::mutex mutex_;
    std::array<std::uint64_t, 32> words_{}; // 256 bytes, which getrandom gives whole or not at all
    std::size_t left_ = 0;
};

} // namespace coppice::storage
