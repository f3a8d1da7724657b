// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/flusher.hpp: a thread that does one thing when its time has come.
// Owns: the thread, from `start` to `stop`, and the time it waits for.
// Invariant: the work is called by that thread alone, with no lock held, and not begun after `stop`
//   has returned. In a fork the thread is the parent's: only `abandon` may be called there, and
//   what the thread shares with its owner is never destroyed, since destroying what is waited on
//   may wait.

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
        std::scoped_lock const guard(shared_->mutex);
        if (shared_->stopped || thread_) return;
        shared_->what = std::move(what);
        thread_ = std::make_unique<std::thread>([shared = shared_] { run(*shared); });
    }
    /// The work is to be done at a time, which takes the place of an earlier one. Does nothing
    /// where no thread was started.
    void arm(clock::time_point due) noexcept {
        std::scoped_lock const guard(shared_->mutex);
        // Who waits for an earlier time finds out by itself that there is a later one.
        if (!shared_->due || due < *shared_->due) shared_->wake.notify_one();
        shared_->due = due;
    }

    /// Ends the thread, and waits for what it does. Again: does nothing. Called by the work itself
    /// it does not wait: the thread ends when that returns.
    void stop() noexcept {
        if (!shared_) return; // abandoned
        std::unique_ptr<std::thread> ended;
        {
            std::scoped_lock const guard(shared_->mutex);
            shared_->stopped = true;
            ended = std::move(thread_);
            shared_->wake.notify_one();
        }
        if (!ended) return;
        if (ended->get_id() == std::this_thread::get_id()) {
            ended->detach();
        } else {
            ended->join();
        }
    }

    /// For a fork, which has no such thread: forgets it, and touches no lock. Nothing but the end
    /// of this object may follow.
    void abandon() noexcept {
        static_cast<void>(thread_.release());
        shared_.reset(); // the thread that is not there keeps it for ever
    }

  private:
    /// What the thread and its owner share.
    struct shared {
        std::mutex mutex;
        std::condition_variable wake;
        work what;
        std::optional<clock::time_point> due;
        bool stopped = false;
    };

    static void run(shared& with) {
        std::unique_lock guard(with.mutex);
        while (!with.stopped) {
            if (!with.due) {
                with.wake.wait(guard);
            } else if (auto const until = *with.due; clock::now() < until) {
                with.wake.wait_until(guard, until);
            } else {
                with.due.reset();
                guard.unlock();
                auto const rest = with.what();
                guard.lock();
                if (rest && !with.due) with.due = clock::now() + *rest;
            }
        }
    }

    std::shared_ptr<shared> shared_ = std::make_shared<shared>();
    std::unique_ptr<std::thread> thread_;
};

} // namespace coppice::inline COPPICE_ABI::store
