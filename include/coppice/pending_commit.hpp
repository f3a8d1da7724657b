// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/pending_commit.hpp: a commit that was appended and has not yet got what it was promised.
// Owns: the second half of a commit: waiting, or leaving that to a thread of the handle; and
//   telling events how it went.
// Invariant: it is settled at the latest when this object goes away. Until then nobody vouches for
//   it: a crash may take it, together with all that came after it.
// Thread safety: one thread at a time; different ones may be waited for at once.

#include <coppice/commit_id.hpp>
#include <coppice/commit_outcome.hpp>
#include <coppice/error.hpp>
#include <coppice/options.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/store/history.hpp>
#include <coppice/store/settler.hpp>
#include <coppice/store/writer.hpp>
#include <coppice/tell.hpp>

#include <concepts>
#include <exception>
#include <future>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>

namespace coppice::inline COPPICE_ABI {

namespace detail {

/// The second half of a commit: waits for it, and tells events how it went. @return its id
template <storage::medium Medium>
commit_id settle(store::store<Medium>& owner, store::appended_commit<Medium> const& appended) {
    commit_id const id{appended.id};
    if (!appended.within) return id; // there was nothing to commit
    auto const& callbacks = owner.chosen().events;
    try {
        appended.settle();
    } catch (error const& e) {
        tell(callbacks, &events::on_error, e);
        throw;
    }
    tell_by(callbacks, &events::on_commit, [&](auto const& on_commit) {
        auto const is_durable =
            appended.how == durability::sync || appended.how == durability::two_sync;
        on_commit(store::describe(appended.state->record(), is_durable));
    });
    if (callbacks.on_durable) owner.tell_durable(appended.within->durable_id());
    return id;
}

/// Of a handle that is closing: settles and tells what was left to its thread, which may still use
/// the handle. In a fork all that is the parent's.
template <storage::medium Medium> void finish_settlements(store::store<Medium>& owner) noexcept {
    if (owner.lock() && owner.lock()->is_forked()) return;
    owner.kept().settlements().finish();
}

} // namespace detail

/// What `transaction::commit_async` returns. While it is pending this handle keeps the file locked
/// for other handles and processes, so wait for it soon.
template <storage::medium Medium> class [[nodiscard]] basic_pending_commit {
  public:
    /// Use `transaction::commit_async()`. REQUIRES: the tenure is held open for this.
    basic_pending_commit(std::shared_ptr<store::store<Medium>> owner,
                         store::appended_commit<Medium> appended) noexcept
        : owner_(std::move(owner)), appended_(std::move(appended)) {
        if (!appended_.within) return;
        // Through another handle this thread would wait for itself: that is to be said, not done.
        bound_ = std::this_thread::get_id();
        owner_->lock()->bind(bound_);
    }
    basic_pending_commit(basic_pending_commit&&) noexcept = default;
    basic_pending_commit& operator=(basic_pending_commit&& other) noexcept {
        if (this != &other) {
            finish_quietly();
            owner_ = std::move(other.owner_);
            appended_ = std::move(other.appended_);
            bound_ = std::exchange(other.bound_, {});
        }
        return *this;
    }
    /// Waits. A failure is told by `on_error` alone.
    ~basic_pending_commit() { finish_quietly(); }

    /// The id that the commit has or will have; that of the newest one if there was nothing to
    /// commit.
    [[nodiscard]] commit_id id() const noexcept { return {appended_.id}; }
    /// Is nothing left to be waited for by this object?
    [[nodiscard]] bool is_over() const noexcept { return !appended_.within; }

    /// Waits until the commit has what it was promised, with all before it: one sync for all that
    /// are appended by then, or none where another thread has done it. Again: does nothing.
    /// @return its id. @throws errc::sync_failed when a sync or slot write failed: the outcome is
    ///   unknown
    commit_id wait() {
        if (is_over()) return id();
        auto& lock = *owner_->lock();
        if (lock.is_forked()) throw error(errc::forked, "a pending commit", owner_->path());
        // Moved out, so that an object whose wait has failed does not wait again.
        auto const appended = std::exchange(appended_, {nullptr, appended_.id, {}, appended_.how});
        appended.within->hold_open(-1, std::exchange(bound_, {}));
        return detail::settle(*owner_, appended);
    }
    /// Would `wait` return, or throw, without waiting: has somebody else done it by now?
    [[nodiscard]] bool ready() const {
        return is_over() || owner_->lock()->is_forked() || appended_.is_settled();
    }

    /// Leaves the waiting to a thread of the handle, which then calls `callback(commit_outcome
    /// const&)`: once, whatever happens, in the order in which commits were left to it, with no
    /// lock held. The thread is begun with the first one; it settles with one sync all that are
    /// there, then calls. Nothing is left to be waited for here afterwards. REQUIRES: not moved
    /// from.
    ///
    /// The callback may read and write through the handle of the commit, and close it: who closes a
    /// handle waits for all its callbacks, or within one calls the others first. Where the handle
    /// is closed already this call waits and calls. It may not write to the same file through
    /// another handle: that would wait for commits that this thread has yet to settle. While it
    /// runs the next ones wait, and with them, once they hold the file, other processes; so nobody
    /// may wait for a callback or a future within a transaction that it could be waiting for. What
    /// it throws goes to `events.log`; events are told by the same thread.
    /// @throws errc::forked, std::system_error where there can be no thread, std::bad_alloc; then
    ///   nothing has changed, and the callback is not called
    template <typename Callback>
        requires std::invocable<Callback&, commit_outcome const&>
    void then(Callback callback);

    /// The same for a std::future, which has `wait_for`, and whose `get` throws what `wait` would.
    /// Unlike that of std::async, its destructor does not wait. @throws as `then`
    [[nodiscard]] std::future<commit_id> future() {
        std::promise<commit_id> promise;
        auto result = promise.get_future();
        then([promise = std::move(promise)](commit_outcome const& outcome) mutable {
            if (outcome) {
                promise.set_value(outcome.id());
            } else {
                promise.set_exception(outcome.failure());
            }
        });
        return result;
    }

  private:
    template <typename Callback> class left_to_thread;

    /// Gives away what is to be waited for; this object keeps the id.
    [[nodiscard]] basic_pending_commit give_away() noexcept {
        basic_pending_commit given;
        given.owner_ = owner_;
        given.appended_ = appended_;
        appended_.within = nullptr;
        owner_->lock()->unbind(std::exchange(bound_, {})); // it may wait for what it likes
        return given;
    }
    basic_pending_commit() noexcept = default;

    void finish_quietly() noexcept {
        try {
            if (!is_over()) wait();
        } catch (std::exception const&) { // it was told; in a fork it is the parent's
        }
    }

    std::shared_ptr<store::store<Medium>> owner_;
    store::appended_commit<Medium> appended_;
    std::thread::id bound_; // who would wait for itself
};

/// What the thread of the handle has of a commit that was left to it.
template <storage::medium Medium>
template <typename Callback>
class basic_pending_commit<Medium>::left_to_thread final : public store::settler::job {
  public:
    explicit left_to_thread(Callback callback) : callback_(std::move(callback)) {}

    void take(basic_pending_commit pending) noexcept { pending_ = std::move(pending); }

    void settle() noexcept override {
        try {
            static_cast<void>(pending_.wait());
        } catch (...) {
            failure_ = std::current_exception();
        }
    }
    void tell() noexcept override {
        try {
            callback_(commit_outcome(pending_.id(), failure_));
        } catch (...) { // it has been told all the same
            coppice::tell(pending_.owner_->chosen().events, &events::log, log_level::error,
                          std::string_view("a callback of a pending commit threw"));
        }
    }

  private:
    Callback callback_;
    basic_pending_commit pending_;
    std::exception_ptr failure_;
};

template <storage::medium Medium> template <typename Callback>
    requires std::invocable<Callback&, commit_outcome const&>
void basic_pending_commit<Medium>::then(Callback callback) {
    auto const owner = owner_;
    if (owner->lock()->is_forked()) throw error(errc::forked, "a pending commit", owner->path());
    auto& settlements = owner->kept().settlements();
    auto made = std::make_unique<left_to_thread<Callback>>(std::move(callback));
    auto& job = *made;
    store::settler::jobs one;
    one.push_back(std::move(made));
    settlements.start();
    job.take(give_away());
    // From here on the callback may be called, and with it this object may go away.
    settlements.add(std::move(one));
}

} // namespace coppice::inline COPPICE_ABI
