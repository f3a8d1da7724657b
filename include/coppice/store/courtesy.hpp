// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/courtesy.hpp: when a handle that writes without end lets others have the lock.
// Owns: how long it has written without a gap in which somebody else could have come.
// Invariant: locks of the kernel have no queue: who waits is woken when the lock is free, and loses
//   it again to one that takes it back at once. So after a longest run there is a pause of
//   `pause_length`. That is best effort: nobody is promised the lock. Times are steady.

#include <coppice/version.hpp>

#include <atomic>
#include <chrono>
#include <optional>

namespace coppice::inline COPPICE_ABI::store {

/// The manners of one handle.
class courtesy {
  public:
    using clock = std::chrono::steady_clock;

    static constexpr std::chrono::microseconds pause_length{200};

    /// @param longest_run after which it lets others come
    explicit courtesy(clock::duration longest_run) noexcept : longest_run_(longest_run) {}

    /// Is it time to let go? Then a tenure is not joined but ends. REQUIRES: the turn.
    [[nodiscard]] bool is_due(clock::time_point now) const noexcept {
        return run_began_ && !was_free(now) && now - *run_began_ > longest_run_;
    }

    /// The lock was taken. REQUIRES: the turn. @param rested was there a pause before it?
    void after_lock(clock::time_point now, bool rested) noexcept {
        if (!run_began_ || rested || was_free(now)) run_began_ = now;
        released_.store(held, std::memory_order_release);
    }

    /// The lock was given back. Any thread.
    void after_release(clock::time_point now) noexcept {
        released_.store(now, std::memory_order_release);
    }

  private:
    static constexpr auto held = clock::time_point::max();

    /// Was the lock free for so long that whoever waited has come?
    [[nodiscard]] bool was_free(clock::time_point now) const noexcept {
        auto const released = released_.load(std::memory_order_acquire);
        return released != held && now - released > pause_length;
    }

    clock::duration longest_run_;
    std::optional<clock::time_point> run_began_;
    std::atomic<clock::time_point> released_{};
};

static_assert(std::atomic<courtesy::clock::time_point>::is_always_lock_free);

} // namespace coppice::inline COPPICE_ABI::store
