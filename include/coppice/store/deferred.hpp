// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/deferred.hpp: commits that are in memory and not yet in the file.
// Owns: the newest of them, the memory in which all their nodes lie, and when they are to be
//   written, as one.
// Invariant: each builds on the one before it, in the same memory, so the newest stands for all.
//   Belongs to whoever has the turn.

#include <coppice/options.hpp>
#include <coppice/store/revision.hpp>
#include <coppice/tree/arena.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

namespace coppice::inline COPPICE_ABI::store {

/// What the next flush writes.
class deferred_commits {
  public:
    using clock = std::chrono::steady_clock;

    [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
    /// The newest of them that is a tree; null where there is none.
    [[nodiscard]] revision_ptr const& newest() const noexcept { return newest_; }
    /// Where the next transaction has its nodes: beside those that it builds on.
    [[nodiscard]] std::shared_ptr<tree::arena> memory() const {
        return memory_ ? memory_ : std::make_shared<tree::arena>();
    }
    /// Bytes of memory that go when all of them are in the file and nobody reads them any more.
    [[nodiscard]] std::uint64_t held_bytes() const noexcept {
        return memory_ ? memory_->held_bytes() : 0;
    }

    /// May no further commit be deferred, but has all to be written now?
    /// @param next_bytes of the memory, with the nodes of that commit
    [[nodiscard]] bool is_due(flush_policy const& policy, std::uint64_t next_bytes,
                              clock::time_point now) const noexcept {
        if (count_ >= policy.count || next_bytes > policy.bytes) return true;
        return !empty() && policy.interval.count() != 0 && now - since_ >= policy.interval;
    }

    /// One more. @param memory what `memory` gave to this commit
    void add(std::shared_ptr<tree::arena> memory, clock::time_point now) noexcept {
        if (empty()) since_ = now;
        memory_ = std::move(memory);
        ++count_;
    }
    /// What they have come to.
    void see(revision_ptr newest) noexcept { newest_ = std::move(newest); }

    /// They are in the file. Snapshots of them keep the memory.
    void clear() noexcept { *this = {}; }

  private:
    revision_ptr newest_;
    std::shared_ptr<tree::arena> memory_;
    std::uint32_t count_ = 0;
    clock::time_point since_; // the oldest of them
};

} // namespace coppice::inline COPPICE_ABI::store
