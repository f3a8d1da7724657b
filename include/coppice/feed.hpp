// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/feed.hpp: the durable commits of a database, oldest first, each with what it changed.
// Owns: `commit_changes`, `change_feed`, and the rule where a feed goes on.
// Invariant: no commit is told twice and none is left out: whoever goes on after the last one that
//   it took in, and stores the identity of that one with its work, sees each exactly once. A feed
//   holds a share of the file it was made from, so a compaction does not disturb it.
// Thread safety: as a snapshot; an iterator belongs to one thread.

#include <coppice/commit_id.hpp>
#include <coppice/diff.hpp>
#include <coppice/error.hpp>
#include <coppice/store/history.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <utility>

namespace coppice::inline COPPICE_ABI {

/// A commit and what it changed. Outlives the feed; the views of its changes live as long as it.
struct commit_changes {
    commit_identity identity;                   ///< where to go on after it
    std::chrono::system_clock::time_point time; ///< when it was committed
    std::string note;                           ///< its note, often empty
    /// Is it the first commit of the file? Then its changes are all entries, to begin from nothing.
    bool whole;
    difference changes; ///< what makes the commit before it this one
};

/// Commits, oldest first. Each step reads O(log n) records; changes are read as they are walked.
class [[nodiscard]] change_feed {
  public:
    /// Walks from commit to commit. An input iterator.
    class iterator {
      public:
        using iterator_concept = std::input_iterator_tag;
        using value_type = commit_changes;
        using difference_type = std::ptrdiff_t;

        /// Use `change_feed::begin()`.
        explicit iterator(change_feed const& of)
            : newest_(of.newest_), keys_(of.keys_), number_(of.first_) {
            if (!at_end()) at_ = store::state_number(newest_, number_);
        }

        /// @throws errc::corrupt
        [[nodiscard]] commit_changes operator*() const {
            auto const& record = at_->record();
            auto before = store::previous_state(*at_);
            auto const whole = !before;
            if (whole)
                before = store::revision_ptr(new store::revision(*at_, tree::tree_ref{}, {}));
            return {{{record.commit_id}, at_->at().checksum},
                    store::to_time_point(record.time_us),
                    record.note,
                    whole,
                    difference({std::move(before), at_, keys_})};
        }
        /// @throws errc::corrupt
        iterator& operator++() {
            ++number_;
            at_ = at_end() ? store::revision_ptr() : store::state_number(newest_, number_);
            return *this;
        }
        void operator++(int) { ++*this; }
        [[nodiscard]] bool operator==(std::default_sentinel_t) const noexcept { return at_end(); }

      private:
        [[nodiscard]] bool at_end() const noexcept {
            return !newest_ || number_ > newest_->record().index;
        }

        store::revision_ptr newest_;
        store::revision_ptr at_;
        std::shared_ptr<detail::diff_keys const> keys_;
        std::uint64_t number_;
    };

    /// Use `database::changes()`. @param newest the last commit to tell; null: none
    /// @param first how many commits of the file to leave out
    change_feed(store::revision_ptr newest, std::uint64_t first,
                std::shared_ptr<detail::diff_keys const> keys) noexcept
        : newest_(std::move(newest)), keys_(std::move(keys)), first_(first) {}

    /// @throws errc::corrupt
    [[nodiscard]] iterator begin() const { return iterator(*this); }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }
    /// Is there no commit? O(1).
    [[nodiscard]] bool empty() const noexcept {
        return !newest_ || first_ > newest_->record().index;
    }

  private:
    store::revision_ptr newest_;
    std::shared_ptr<detail::diff_keys const> keys_;
    std::uint64_t first_;
};

static_assert(std::input_iterator<change_feed::iterator>);

namespace detail {

/// The commits after `since`, up to the newest durable one.
/// @param durable null where it is not known; then there is nothing to tell yet
/// @param shown the newest commit that readers see, which may be ahead of it
/// @param since of no commit: from the first commit of the file on
/// @throws errc::history_gone unless that very commit is in the file
[[nodiscard]] inline change_feed feed_after(store::revision_ptr durable,
                                            store::revision_ptr const& shown, commit_identity since,
                                            std::shared_ptr<diff_keys const> keys) {
    if (since.id.value == 0) return {std::move(durable), 0, std::move(keys)};
    auto const ahead = !durable || since.id.value > durable->record().commit_id;
    auto const& newest = ahead ? shown : durable;
    store::revision_ptr last;
    try {
        last = store::state_at(newest, since.id);
    } catch (error const& e) {
        if (e.kind() != errc::history_gone) throw;
    }
    if (!last || last->record().commit_id != since.id.value ||
        last->at().checksum != since.checksum) {
        throw error(errc::history_gone,
                    "commit " + std::to_string(since.id.value) +
                        ", from which to go on, is not in the file any more, or it is another one "
                        "now; begin anew, with an empty identity",
                    newest->image().path);
    }
    auto const first = last->record().index + 1;
    return {ahead ? store::revision_ptr() : std::move(durable), first, std::move(keys)};
}

} // namespace detail

} // namespace coppice::inline COPPICE_ABI
