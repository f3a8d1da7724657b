// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/flusher.hpp: a thread that does one thing when its time has come.
// Owns: the thread, from `start` to `stop`, and the time it waits for.
// Invariant: the work is called by that thread alone, with no lock held, and never after `stop` has
//   returned. In a fork the thread is the parent's: only `abandon` may be called there.

#include <coppice/version.hpp>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace coppice::inline COPPICE_ABI::store {

/// Calls a function once, some time after it was armed. Any thread may call anything.
class flusher {
  public:
    using clock = std::chrono::steady_clock;
    /// Must not throw. @return nothing where the work is done, or after how long to try again
    using work = std::function<std::optional<clock::duration>()>;

    flusher() = default;
    flusher(flusher const&) = delete;
    flusher& operator=(flusher const&) = delete;
    ~flusher() { stop(); }

    /// Begins the thread, unless there is one or it was stopped.
    /// @throws std::system_error where no thread can be had, std::bad_alloc
    void start(work what) {
        std::scoped_lock const guard(mutex_);
        if (stopped_ || thread_) return;
        work_ = std::move(what);
        thread_ = std::make_unique<std::thread>([this] { run(); });
    }
    /// The work is to be done at a time, which takes the place of an earlier one. Does nothing
    /// where no thread was started.
    void arm(clock::time_point due) noexcept {
        std::scoped_lock const guard(mutex_);
        // Who waits for an earlier time finds out by itself that there is a later one.
        if (!due_ || due < *due_) wake_.notify_one();
        due_ = due;
    }

    /// Ends the thread, and waits for what it does. Again: does nothing.
    void stop() noexcept {
        std::unique_ptr<std::thread> ended;
        {
            std::scoped_lock const guard(mutex_);
            stopped_ = true;
            ended = std::move(thread_);
            wake_.notify_one();
        }
        if (ended) ended->join();
    }

    /// For a fork, which has no such thread: forgets it, and touches no lock.
    void abandon() noexcept { static_cast<void>(thread_.release()); }

  private:
    void run() {
        std::unique_lock guard(mutex_);
        while (!stopped_) {
            if (!due_) {
                wake_.wait(guard);
            } else if (auto const until = *due_; clock::now() < until) {
                wake_.wait_until(guard, until);
            } else {
                due_.reset();
                guard.unlock();
                auto const rest = work_();
                guard.lock();
                if (rest && !due_) due_ = clock::now() + *rest;
            }
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_;
    std::unique_ptr<std::thread> thread_;
    work work_;
    std::optional<clock::time_point> due_;
    bool stopped_ = false;
};

} // namespace coppice::inline COPPICE_ABI::store
