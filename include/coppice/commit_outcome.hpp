// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/commit_outcome.hpp: how a commit went that somebody else has waited for.
// Owns: `commit_outcome`, the id of the commit, or why nothing is known of it.
// Invariant: a value; copies share the failure.

#include <coppice/commit_id.hpp>

#include <exception>
#include <utility>

namespace coppice {

/// What the callback of `pending_commit::then` is given.
class commit_outcome {
  public:
    /// A commit that has what it was promised.
    explicit commit_outcome(commit_id id) noexcept : id_(id) {}
    /// One that has failed, or of which it is not known. @param failure not null
    commit_outcome(commit_id id, std::exception_ptr failure) noexcept
        : id_(id), failure_(std::move(failure)) {}

    /// Has it what it was promised?
    [[nodiscard]] explicit operator bool() const noexcept { return !failure_; }
    /// The id that the commit has, or would have.
    [[nodiscard]] commit_id id() const noexcept { return id_; }
    /// What `pending_commit::wait` threw; null where nothing did.
    [[nodiscard]] std::exception_ptr const& failure() const noexcept { return failure_; }
    /// What `pending_commit::wait` would have come to: the id, or what it threw.
    /// @throws errc::sync_failed: the outcome is unknown
    commit_id get() const {
        if (failure_) std::rethrow_exception(failure_);
        return id_;
    }

  private:
    commit_id id_;
    std::exception_ptr failure_;
};

} // namespace coppice
