// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/follower.hpp: a thread that follows a database and calls for each durable commit.
// Owns: that thread, and how far it has come.
// Invariant: each commit of the feed is told once, oldest first, by one call at a time; after a
//   call that threw, or a feed that cannot go on, none is told any more. `last()` names a commit
//   only when its call has returned, so who stores that and begins there again misses nothing.
// Thread safety: `last` and `failure` from any thread; the rest belongs to one.

#include <coppice/commit_id.hpp>
#include <coppice/database.hpp>
#include <coppice/feed.hpp>
#include <coppice/storage/process.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace coppice::inline COPPICE_ABI {

/// The callback form of `database::changes` and `wait_for_change`.
template <typename Database> class follower {
  public:
    /// Called by the thread of the follower. It may read the database, also write to it.
    using callback = std::function<void(commit_changes const&)>;

    /// Begins to follow.
    /// @param db must live longer than this, and not be moved or closed meanwhile
    /// @param on_commit called for each durable commit after `since`, with all of its changes; it
    ///   may throw, which ends the following
    /// @param since the identity of the last commit that was taken in before. If not given, the
    ///   first call is of the first commit of the file, whose changes are all of its entries
    /// @throws std::system_error where there can be no thread
    follower(Database const& db, callback on_commit, commit_identity since = {})
        : db_(db), on_commit_(std::move(on_commit)), last_(since) {
        thread_ = std::thread([this] { follow(); });
    }
    follower(follower const&) = delete;
    follower& operator=(follower const&) = delete;
    /// Waits for a call that is under way; what has not been told by then is not told.
    ~follower() {
        if (storage::forked(token_)) { // the thread is the parent's
            thread_.detach();
            return;
        }
        is_ending_.store(true);
        thread_.join();
    }

    /// The last commit whose call has returned, from which another follower may go on.
    [[nodiscard]] commit_identity last() const {
        std::scoped_lock const guard(mutex_);
        return last_;
    }
    /// Why nothing is told any more: what the callback threw, `errc::history_gone` after a
    /// compaction (begin anew, without `since`), or another error of reading. Null while it goes
    /// on.
    [[nodiscard]] std::exception_ptr failure() const {
        std::scoped_lock const guard(mutex_);
        return failure_;
    }

  private:
    void follow() noexcept {
        try {
            while (!is_ending_.load()) {
                if (db_.wait_for_change(last(), longest_wait)) tell_all();
            }
        } catch (...) {
            std::scoped_lock const guard(mutex_);
            failure_ = std::current_exception();
        }
    }
    void tell_all() {
        for (auto const& commit : db_.changes(last())) {
            if (is_ending_.load()) return;
            on_commit_(commit);
            std::scoped_lock const guard(mutex_);
            last_ = commit.identity;
        }
    }

    /// Whoever ends it waits so long at most, and for a call that is under way.
    static constexpr std::chrono::milliseconds longest_wait{50};

    Database const& db_;
    callback on_commit_;
    mutable std::mutex mutex_;
    commit_identity last_;
    std::exception_ptr failure_;
    std::atomic<bool> is_ending_{false};
    std::uint64_t token_ = storage::current_process().identity.token;
    std::thread thread_;
};

} // namespace coppice::inline COPPICE_ABI
