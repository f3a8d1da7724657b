// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/history.hpp: the commits that a file still holds, newest first.
// Owns: `commit_history`, a range of `commit_info` read from the chain of commit records.
// Invariant: it owns a share of the file it was made from, so a compaction does not disturb it.
//   Each step reads one record. Thread safety: as a snapshot; an iterator belongs to one thread.

#include <coppice/options.hpp>
#include <coppice/store/history.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <utility>

namespace coppice::inline COPPICE_ABI {

/// The commits of a file from the newest back to the oldest that compactions have kept. Iterating
/// throws errc::corrupt where a record is damaged.
class [[nodiscard]] commit_history {
  public:
    /// Walks back one commit at a time. An input iterator.
    class iterator {
      public:
        using iterator_concept = std::input_iterator_tag;
        using value_type = commit_info;
        using difference_type = std::ptrdiff_t;

        iterator() = default;
        iterator(store::revision_ptr at, std::uint64_t durable_id) noexcept
            : at_(std::move(at)), durable_id_(durable_id) {}

        [[nodiscard]] commit_info operator*() const {
            return store::describe(at_->record(), at_->record().commit_id <= durable_id_);
        }
        iterator& operator++() {
            at_ = store::previous_state(*at_);
            return *this;
        }
        void operator++(int) { ++*this; }
        [[nodiscard]] bool operator==(std::default_sentinel_t) const noexcept { return !at_; }

      private:
        store::revision_ptr at_;
        std::uint64_t durable_id_ = 0;
    };

    /// @param newest where to begin, null for no commits at all, @param durable_id commits up to it
    /// are known to be durable
    commit_history(store::revision_ptr newest, std::uint64_t durable_id) noexcept
        : newest_(std::move(newest)), durable_id_(durable_id) {}

    [[nodiscard]] iterator begin() const { return {newest_, durable_id_}; }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

  private:
    store::revision_ptr newest_;
    std::uint64_t durable_id_;
};

static_assert(std::input_iterator<commit_history::iterator>);

} // namespace coppice::inline COPPICE_ABI
