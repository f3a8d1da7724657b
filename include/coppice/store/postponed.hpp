// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/postponed.hpp: deferred commits that nobody has looked at yet.
// Owns: their edits over the state below them, looking up a key among these, and making a tree
//   of them: when somebody reads on, or when they are written.
// Invariant: a state that was handed out never changes; what is added after it lies over it. Edits
//   lie in the memory of the deferred commits. Who looks waits for another one who looks, and for
//   a writer while it adds or writes, never for an open transaction; a writer waits for who looks.

#include <coppice/store/next_record.hpp>
#include <coppice/store/revision.hpp>
#include <coppice/tree/arena.hpp>
#include <coppice/tree/edit_log.hpp>
#include <coppice/tree/edits.hpp>
#include <coppice/tree/find.hpp>
#include <coppice/tree/fold.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

namespace coppice::inline COPPICE_ABI::store {

/// What the newest commit has for a key, as far as that is known without a tree.
struct postponed_value {
    tree::edit_map::pending last = tree::edit_map::pending::none;
    format::stored_value value;                ///< what was put
    std::shared_ptr<tree::arena const> memory; ///< where that lies
    revision_ptr below;                        ///< the state that has all other keys

    /// What the newest commit has for the key that was looked for. @throws errc::corrupt
    [[nodiscard]] std::optional<format::stored_value> stored(std::string_view key) const {
        switch (last) {
        case tree::edit_map::pending::put: return value;
        case tree::edit_map::pending::erased: return {};
        case tree::edit_map::pending::none: break;
        }
        return tree::find(*below, below->user(), key);
    }
};

/// Edits of commits, in the order in which they came. Those that say so need the turn.
class postponed_commits {
  public:
    /// Is there anything that has to become a tree before it can be read? Any thread.
    [[nodiscard]] bool any() const noexcept { return any_.load(std::memory_order_acquire); }

    /// Is somebody likely to write again before anybody reads? Where each commit is read, making
    /// its tree at once is cheaper. With the turn.
    [[nodiscard]] bool is_worth_it() noexcept {
        constexpr unsigned commits_after_a_look = 16;
        if (looked_at_.exchange(false, std::memory_order_relaxed)) at_once_ = commits_after_a_look;
        if (at_once_ == 0) return true;
        --at_once_;
        return false;
    }

    /// Bytes of memory that their edits take, without keys and values, and those of the tree that
    /// is to be made of them: as many for each as in the last one, so an estimate. With the turn.
    [[nodiscard]] std::size_t held_bytes() {
        std::scoped_lock const guard(mutex_);
        return edits_.held_bytes() + edits_.size() * node_bytes_each_;
    }

    /// Adds a commit, whose edits are moved out of the map. With the turn.
    /// @param written the newest commit in the file, @param newest the state that is changed where
    ///   nothing was postponed, @param memory of the deferred commits, where the edits lie
    /// @return the state below, where somebody has looked at it since it was last asked for
    [[nodiscard]] revision_ptr add(tree::edit_map& edits, revision const& written,
                                   revision_ptr const& newest, std::shared_ptr<tree::arena> memory,
                                   std::uint64_t id, std::uint64_t now_us) {
        std::scoped_lock const guard(mutex_);
        auto record = record_;
        auto const begins = edits_.empty();
        auto const below = !begins ? below_ : seen_ ? seen_ : newest;
        if (begins) {
            record = record_after(written, *below, id, now_us, {{}, below->system()}, {});
        } else {
            record.commit_id = id;
            record.id_span += 1;
            record.time_us = std::max(now_us, record.time_us + 1);
        }
        if (seen_) keep_seen();
        edits_.take(edits); // the last that may fail
        auto seen = take_seen();
        below_ = below;
        record_ = std::move(record);
        memory_ = std::move(memory);
        any_.store(true, std::memory_order_release);
        return seen;
    }

    /// Looks for one key, without making a tree of all. Any thread.
    /// @param waits may it wait for another thread?
    /// @return nothing where nothing is postponed, or where so many keys have been looked for that
    ///   a tree is cheaper, which is read without a lock. @throws std::bad_alloc
    [[nodiscard]] std::optional<postponed_value> find(std::string_view key, bool waits) {
        std::unique_lock guard(mutex_, std::defer_lock);
        if (waits) guard.lock();
        if (!waits && !guard.try_lock()) return {};
        // An edit in a tree takes some 3 us, a key that is looked for here 0.1 us more than there.
        constexpr std::size_t finds_for_each_edit = 32;
        if (finds_ >= finds_for_each_edit * edits_.size()) return {};
        ++finds_;
        postponed_value found;
        found.last = edits_.find(key, found.value);
        found.below = below_;
        if (found.last == tree::edit_map::pending::put) found.memory = memory_;
        return found;
    }

    /// All of it as a state, for a reader, in memory of its own. Any thread.
    /// @param show makes it what others read, @param waits may it wait for another thread?
    /// @throws errc::corrupt, std::bad_alloc; then nothing has changed
    template <typename Show> void look(Show show, bool waits) {
        std::unique_lock guard(mutex_, std::defer_lock);
        if (waits) guard.lock();
        if (!waits && !guard.try_lock()) return;
        if (edits_.empty()) return; // another reader was faster
        auto const both = std::make_shared<two_arenas>();
        both->edits = memory_;
        seen_ = fold(*both->nodes, {both, both->nodes.get()});
        seen_nodes_ = both->nodes;
        looked_at_.store(true, std::memory_order_relaxed);
        show(seen_);
        any_.store(false, std::memory_order_release);
    }

    /// The state of all that was added, whoever made it, to go on from. With the turn.
    /// @return null where nothing was added since the last call. @throws as `look`
    template <typename Show> [[nodiscard]] revision_ptr take(Show show) {
        std::scoped_lock const guard(mutex_);
        if (edits_.empty()) return take_seen();
        auto state = fold(*memory_, memory_);
        memory_.reset();
        show(state);
        any_.store(false, std::memory_order_release);
        return state;
    }

  private:
    /// Where a reader has its nodes, and what they refer to.
    struct two_arenas {
        std::shared_ptr<tree::arena> nodes = std::make_shared<tree::arena>();
        std::shared_ptr<tree::arena> edits;
    };

    [[nodiscard]] revision_ptr fold(tree::arena& nodes, std::shared_ptr<tree::arena const> owner) {
        auto record = record_;
        auto const before = nodes.held_bytes();
        edits_.sort();
        record.user = tree::fold(*below_, nodes, below_->image().header.nodes, below_->user(),
                                 tree::edit_log::walk(edits_), edits_.size());
        revision_ptr state(new revision(*below_, std::move(record), std::move(owner)));
        // Memory comes in chunks, which say nothing about a few edits.
        auto const grown = nodes.held_bytes() - before;
        if (edits_.size() >= 256) node_bytes_each_ = grown / edits_.size();
        edits_.clear();
        finds_ = 0;
        below_ = {};
        return state;
    }

    /// What the writer builds on holds the memory of what it builds on.
    [[nodiscard]] revision_ptr take_seen() {
        if (!seen_) return {};
        keep_seen();
        memory_.reset();
        return std::exchange(seen_, {});
    }

    void keep_seen() {
        if (!seen_nodes_) return;
        memory_->adopt(seen_nodes_);
        seen_nodes_.reset();
    }

    std::mutex mutex_;
    std::atomic<bool> any_{false};
    std::atomic<bool> looked_at_{false};
    unsigned at_once_ = 0;
    std::size_t node_bytes_each_ = 4096; // a leaf and a path, until it is known better
    tree::edit_log edits_;
    std::size_t finds_ = 0; // since the last tree was made
    revision_ptr below_;
    commit_record record_; // of the newest of them, without its tree
    std::shared_ptr<tree::arena> memory_;
    revision_ptr seen_; // what a reader has made, until the writer goes on from it
    std::shared_ptr<tree::arena const> seen_nodes_;
};

} // namespace coppice::inline COPPICE_ABI::store
