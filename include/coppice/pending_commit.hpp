// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/pending_commit.hpp: a commit that was appended and has not yet got what it was promised.
// Owns: the second half of a commit: waiting, and telling events how it went.
// Invariant: it is settled at the latest when this object goes away. Until then nobody vouches for
//   it: a crash may take it, together with all that came after it.
// Thread safety: one thread at a time; different ones may be waited for at once.

#include <coppice/commit_id.hpp>
#include <coppice/error.hpp>
#include <coppice/options.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/store/history.hpp>
#include <coppice/store/writer.hpp>
#include <coppice/tell.hpp>

#include <exception>
#include <memory>
#include <thread>
#include <utility>

namespace coppice::inline COPPICE_ABI {

namespace detail {

/// The second half of a commit: waits for it, and tells events how it went. @return its id
template <storage::medium Medium>
commit_id settle(store::store<Medium>& owner, store::appended_commit<Medium> const& appended) {
    commit_id const id{appended.state->record().commit_id};
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

} // namespace detail

/// What `transaction::commit_async` returns. While it is pending this handle keeps the file locked
/// for other handles and processes, so wait for it soon.
template <storage::medium Medium> class [[nodiscard]] basic_pending_commit {
  public:
    /// Use `transaction::commit_async()`.
    basic_pending_commit(std::shared_ptr<store::store<Medium>> owner,
                         store::appended_commit<Medium> appended) noexcept
        : owner_(std::move(owner)), appended_(std::move(appended)) {
        if (!appended_.within) return;
        appended_.within->hold_open(1);
        // Through another handle this thread would wait for itself: that is to be said, not done.
        owner_->lock()->set_owner(std::this_thread::get_id());
    }
    basic_pending_commit(basic_pending_commit&&) noexcept = default;
    basic_pending_commit& operator=(basic_pending_commit&& other) noexcept {
        if (this != &other) {
            finish_quietly();
            owner_ = std::move(other.owner_);
            appended_ = std::move(other.appended_);
        }
        return *this;
    }
    /// Waits. A failure is told by `on_error` alone.
    ~basic_pending_commit() { finish_quietly(); }

    /// The id that the commit has or will have; that of the newest one if there was nothing to
    /// commit.
    [[nodiscard]] commit_id id() const noexcept { return {appended_.state->record().commit_id}; }
    /// Is nothing left to be waited for?
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
        auto const appended = std::exchange(appended_, {nullptr, appended_.state, appended_.how});
        appended.within->hold_open(-1);
        if (!appended.within->is_held_open()) lock.set_owner({});
        return detail::settle(*owner_, appended);
    }

  private:
    void finish_quietly() noexcept {
        try {
            if (!is_over()) wait();
        } catch (std::exception const&) { // it was told; in a fork it is the parent's
        }
    }

    std::shared_ptr<store::store<Medium>> owner_;
    store::appended_commit<Medium> appended_;
};

} // namespace coppice::inline COPPICE_ABI
