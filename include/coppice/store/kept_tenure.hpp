// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/kept_tenure.hpp: what a handle keeps while commits are deferred or pending.
// Owns: the tenure, so that nobody else commits meanwhile, the thread that flushes in time, the one
//   that waits for pending commits, and the word that the handle is going away.
// Invariant: the tenure is kept exactly while something is deferred in it. It holds the handle that
//   keeps it, so whoever closes a handle ends that circle.

#include <coppice/storage/turn.hpp>
#include <coppice/store/flusher.hpp>
#include <coppice/store/settler.hpp>
#include <coppice/version.hpp>

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <utility>

namespace coppice::inline COPPICE_ABI::store {

/// Of one handle.
template <typename Tenure> class kept_tenure {
  public:
    /// Keeps the tenure in which something is deferred; null ends that. REQUIRES: the turn, or that
    /// nobody else is left.
    /// @param thread the one that would wait for itself to end it, if there is one
    void keep(std::shared_ptr<Tenure> running, std::thread::id thread = {}) noexcept {
        if (running) running->hold_open(1, thread);
        if (tenure_) tenure_->hold_open(-1, bound_);
        bound_ = thread;
        has_deferred_ = running != nullptr;
        tenure_.swap(running);
    }
    /// Ends that without a session, for which there is no memory: no tenure may last for ever.
    void let_go(storage::turn& turn, std::string const& path) noexcept {
        try {
            if (!turn.acquire(std::chrono::steady_clock::now(), path)) return;
            keep({});
            turn.release();
        } catch (std::exception const&) { // this thread has the turn already, and ends it
        }
    }
    /// Are there commits that only this handle can see? Any thread.
    [[nodiscard]] bool has_deferred() const noexcept { return has_deferred_; }
    /// Who writes them when nobody else does.
    [[nodiscard]] flusher& flushes() noexcept { return flusher_; }
    /// Who waits for pending commits that were left to it.
    [[nodiscard]] settler& settlements() noexcept { return settler_; }

    /// From now on nothing is deferred, since the handle that would write it is going away.
    void set_closing() noexcept { closing_ = true; }
    [[nodiscard]] bool is_closing() const noexcept { return closing_; }

  private:
    std::shared_ptr<Tenure> tenure_;
    std::thread::id bound_;
    std::atomic<bool> has_deferred_{false};
    std::atomic<bool> closing_{false};
    flusher flusher_;
    settler settler_;
};

} // namespace coppice::inline COPPICE_ABI::store
