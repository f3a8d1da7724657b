// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/settler.hpp: who waits for commits, so that their threads need not.
// Owns: what was left to it, in the order in which it came, and the thread that does it.
// Invariant: each is settled once and told once, in that order, with no lock held; all that are
//   there are settled before the next is told, so that who is told may take its time. After
//   `finish` nothing is left and nothing is taken. In a fork the thread is the parent's: only
//   `abandon` may be called there.

#include <coppice/store/flusher.hpp>
#include <coppice/version.hpp>

#include <list>
#include <memory>
#include <mutex>
#include <optional>

namespace coppice::inline COPPICE_ABI::store {

/// Of one handle. Any thread may call anything.
class settler {
  public:
    /// Something that is waited for, and then told.
    class job {
      public:
        job() = default;
        job(job const&) = delete;
        job& operator=(job const&) = delete;
        virtual ~job() = default;
        virtual void settle() noexcept = 0;
        virtual void tell() noexcept = 0;
    };
    using jobs = std::list<std::unique_ptr<job>>;

    settler() = default;
    settler(settler const&) = delete;
    settler& operator=(settler const&) = delete;
    ~settler() { finish(); }

    /// Begins the thread, unless there is one. @throws std::system_error, std::bad_alloc
    void start() {
        thread_.start([shared = shared_] {
            work_off(*shared);
            return std::optional<flusher::clock::duration>();
        });
    }
    /// Leaves a job to the thread. After `finish` it is done here and now. REQUIRES: `start`
    void add(jobs one) noexcept {
        auto const kept = shared_; // who is told may end the handle
        {
            std::scoped_lock const guard(kept->mutex);
            kept->left.splice(kept->left.end(), one);
            if (!kept->finished) return thread_.arm(flusher::clock::now());
        }
        work_off(*kept);
    }

    /// Ends the thread when all that was left to it is done. Called by who is told, that is the
    /// thread itself: it does the rest within this call, and ends later. Again: does nothing.
    void finish() noexcept {
        auto const kept = shared_;
        if (!kept) return; // abandoned
        thread_.stop();
        {
            std::scoped_lock const guard(kept->mutex);
            kept->finished = true;
        }
        work_off(*kept);
    }
    /// For a fork: forgets all, and touches no lock. Nothing but the end of this may follow.
    void abandon() noexcept {
        thread_.abandon();
        shared_.reset(); // where anything is left, the thread that is not there keeps it for ever
    }

  private:
    struct shared {
        std::mutex mutex;
        jobs left;    // to be settled
        jobs settled; // to be told
        bool finished = false;
    };

    /// Takes the first of a list.
    static jobs first_of(shared& with, jobs& list) noexcept {
        jobs one;
        std::scoped_lock const guard(with.mutex);
        if (!list.empty()) one.splice(one.end(), list, list.begin());
        return one;
    }
    static void work_off(shared& with) noexcept {
        for (;;) {
            for (auto one = first_of(with, with.left); !one.empty();
                 one = first_of(with, with.left)) {
                one.front()->settle();
                std::scoped_lock const guard(with.mutex);
                with.settled.splice(with.settled.end(), one);
            }
            auto const one = first_of(with, with.settled);
            if (one.empty()) return;
            one.front()->tell();
        }
    }

    std::shared_ptr<shared> shared_ = std::make_shared<shared>();
    flusher thread_;
};

} // namespace coppice::inline COPPICE_ABI::store
