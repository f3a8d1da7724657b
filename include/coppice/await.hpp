// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/await.hpp: `co_await` for a pending commit.
// Owns: the awaiter. Where the compiler has no coroutines of C++20 it is empty, and
//   COPPICE_HAS_AWAIT is 0.
// Invariant: a coroutine that waits is resumed exactly once, by the thread of the handle that
//   settles pending commits, see `pending_commit::then`.

#include <coppice/commit_id.hpp>
#include <coppice/commit_outcome.hpp>
#include <coppice/pending_commit.hpp>
#include <coppice/storage/concepts.hpp>

#if defined(__cpp_impl_coroutine) && __cpp_impl_coroutine >= 201902L
#define COPPICE_HAS_AWAIT 1

#include <coroutine>
#include <optional>

namespace coppice::inline COPPICE_ABI {

namespace detail {

/// What a coroutine waits with. Lives in it while it waits.
template <storage::medium Medium> class commit_awaiter {
  public:
    explicit commit_awaiter(basic_pending_commit<Medium>& pending) noexcept : pending_(pending) {}

    [[nodiscard]] bool await_ready() const noexcept { return pending_.is_over(); }
    void await_suspend(std::coroutine_handle<> waiting) {
        // What it is resumed for may end it, and this with it: nothing may follow.
        pending_.then([this, waiting](commit_outcome const& outcome) {
            outcome_ = outcome;
            waiting.resume();
        });
    }
    commit_id await_resume() const { return outcome_ ? outcome_->get() : pending_.id(); }

  private:
    basic_pending_commit<Medium>& pending_;
    std::optional<commit_outcome> outcome_;
};

} // namespace detail

/// Waits for a commit in a coroutine, which goes on in the thread of the handle: what holds for a
/// callback of `pending_commit::then` holds for it from there on, until it waits for something
/// else. Where nothing is left to be waited for it goes on at once, in its own thread.
/// @return (of co_await) the id. @throws (there) errc::sync_failed, and what `then` throws
template <storage::medium Medium>
[[nodiscard]] detail::commit_awaiter<Medium> operator co_await(
    basic_pending_commit<Medium>& pending) noexcept {
    return detail::commit_awaiter<Medium>(pending);
}
template <storage::medium Medium>
[[nodiscard]] detail::commit_awaiter<Medium> operator co_await(
    basic_pending_commit<Medium>&& pending) noexcept {
    return detail::commit_awaiter<Medium>(pending);
}

} // namespace coppice::inline COPPICE_ABI

#else
#define COPPICE_HAS_AWAIT 0
#endif
