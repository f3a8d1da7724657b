// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/turn.hpp: whose turn it is to write, among the threads of this process.
// Owns: the flag, and who set it.
// Invariants: one holder at a time. It is not a mutex that is held across calls: a transaction may
//   move to another thread, which then gives the turn back. Unusable in a fork, so whoever has one
//   looks for that first.

#include <coppice/error.hpp>
#include <coppice/storage/concepts.hpp>

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace coppice::storage {

/// Excludes threads from each other. Any thread may call anything.
class turn {
  public:
    /// Waits until nobody has the turn, and takes it.
    /// @param until a deadline in the past means try once
    /// @return false when the deadline passed
    /// Throws `errc::would_deadlock` where the calling thread took it and nobody gave it back.
    [[nodiscard]] bool acquire(deadline until, std::string const& path) {
        auto const self = std::this_thread::get_id();
        std::unique_lock guard(mutex_);
        if (held_ && owner_ == self) {
            throw error(errc::would_deadlock,
                        "first finish this thread's transaction, or wait for its pending commits",
                        path);
        }
        auto const is_free = [this] { return !held_; };
        if (!until) {
            released_.wait(guard, is_free);
        } else if (!released_.wait_until(guard, *until, is_free)) {
            return false;
        }
        held_ = true;
        owner_ = self;
        return true;
    }

    /// Says which thread is refused from now on, rather than left to wait. REQUIRES: it is held.
    void set_owner(std::thread::id owner) noexcept {
        std::lock_guard const guard(mutex_);
        owner_ = owner;
    }

    /// Gives the turn back, from any thread. REQUIRES: it is held.
    void release() noexcept {
        std::lock_guard const guard(mutex_);
        held_ = false;
        released_.notify_one();
    }

  private:
    std::mutex mutex_;
    std::condition_variable released_;
    std::thread::id owner_;
    bool held_ = false;
};

} // namespace coppice::storage
