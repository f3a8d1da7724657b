// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/turn.hpp: whose turn it is to write, among the threads of this process.
// Owns: the flag, and which threads would wait for themselves.
// Invariants: one holder at a time; who is urgent comes before all who are not. It is not a mutex
//   that is held across calls: a transaction may move to another thread, which then gives the turn
//   back. Unusable in a fork, so whoever has one looks for that first.

#include <coppice/error.hpp>
#include <coppice/storage/concepts.hpp>

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <vector>

namespace coppice::storage {

/// Who comes first among those who wait. Others take the turn as they find it, which is fast but
/// not fair: a thread that writes without a pause may leave nothing to the rest.
enum class urgency : std::uint8_t { usual, first };

/// Excludes threads from each other. Any thread may call anything.
class turn {
  public:
    /// Whoever takes it is noted without asking for memory.
    turn() { bound_.reserve(8); }

    /// Waits until nobody has the turn, and takes it.
    /// @param until a deadline in the past means try once
    /// @return false when the deadline passed
    /// Throws `errc::would_deadlock` where the calling thread is bound: nobody else may be able to
    /// give the turn back. Whoever takes it is bound.
    [[nodiscard]] bool acquire(deadline until, std::string const& path,
                               urgency how = urgency::usual) {
        auto const self = std::this_thread::get_id();
        std::unique_lock guard(mutex_);
        if (is_bound(self)) {
            throw error(errc::would_deadlock,
                        "first finish this thread's transaction, or wait for its pending commits",
                        path);
        }
        auto const is_first = how == urgency::first;
        auto const is_free = [&] { return !held_ && (is_first || (urgent_ == 0 && !reserved_)); };
        urgent_ += is_first ? 1 : 0;
        auto may_go = true;
        if (!until) {
            released_.wait(guard, is_free);
        } else {
            may_go = released_.wait_until(guard, *until, is_free);
        }
        urgent_ -= is_first ? 1 : 0;
        if (!may_go) {
            if (is_first) released_.notify_all(); // those who let it go before them
            return false;
        }
        bound_.push_back(self);
        held_ = true;
        return true;
    }

    /// Does anybody wait who comes first?
    [[nodiscard]] bool somebody_is_urgent() const {
        std::lock_guard const guard(mutex_);
        return urgent_ != 0;
    }

    /// A thread is refused from now on, rather than left to wait; as often as it was bound it has
    /// to be unbound. No thread's id is no thread. REQUIRES: it is held.
    void bind(std::thread::id thread) noexcept {
        if (thread == std::thread::id()) return;
        std::lock_guard const guard(mutex_);
        try {
            bound_.push_back(thread);
        } catch (std::bad_alloc const&) { // it would wait for itself: its mistake in any case
        }
    }
    void unbind(std::thread::id thread) noexcept {
        if (thread == std::thread::id()) return;
        std::lock_guard const guard(mutex_);
        auto const found = std::find(bound_.begin(), bound_.end(), thread);
        if (found != bound_.end()) bound_.erase(found);
    }
    /// Would the calling thread be refused?
    [[nodiscard]] bool binds_this_thread() const {
        std::lock_guard const guard(mutex_);
        return is_bound(std::this_thread::get_id());
    }

    /// From now on only who is urgent gets the turn, or everybody again.
    void reserve(bool reserved) noexcept {
        std::lock_guard const guard(mutex_);
        reserved_ = reserved;
        if (!reserved) released_.notify_all();
    }

    /// Gives the turn back, from any thread. Nobody is bound then. REQUIRES: it is held.
    void release() noexcept {
        std::lock_guard const guard(mutex_);
        held_ = false;
        bound_.clear();
        if (urgent_ != 0 || reserved_) {
            released_.notify_all(); // one of them alone might be one who has to wait
        } else {
            released_.notify_one();
        }
    }

  private:
    [[nodiscard]] bool is_bound(std::thread::id thread) const noexcept {
        return std::find(bound_.begin(), bound_.end(), thread) != bound_.end();
    }

    mutable std::mutex mutex_;
    std::condition_variable released_;
    std::vector<std::thread::id> bound_; // a thread as often as it was bound
    int urgent_ = 0;                     // those who wait and come first
    bool reserved_ = false;
    bool held_ = false;
};

} // namespace coppice::storage
