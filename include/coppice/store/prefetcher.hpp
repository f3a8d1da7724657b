// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/prefetcher.hpp: threads that read a tree ahead of somebody who walks over it.
// Owns: which piece of the tree each of them reads, and how far ahead they may be.
// Invariant: they change nothing but what is cached and known to be verified. What they cannot read
//   is met by whoever walks; where there can be no thread he does without. No thread is left when
//   this ends. Belongs to one thread.

#include <coppice/store/revision.hpp>
#include <coppice/tree/cursor.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace coppice::inline COPPICE_ABI::store {

/// Reads a tree by several threads, so that a device is asked for several places at once.
class prefetcher {
  public:
    /// About so much of the tree is read at a time.
    static constexpr std::uint64_t piece_bytes = std::uint64_t{1} << 20U;
    /// Smaller trees are not worth a thread.
    static constexpr std::uint64_t least_bytes = 8 * piece_bytes;
    /// They are no more pieces ahead, so that what they have read is still there.
    static constexpr std::uint64_t most_pieces_ahead = 16;
    static constexpr unsigned most_threads = 4;

    /// Begins. REQUIRES: the state outlives this.
    prefetcher(revision const& state, tree_ref const& tree) : state_(state), tree_(tree) {
        if (tree.root.bytes < least_bytes) return;
        entries_of_piece_ = tree.root.entries / (tree.root.bytes / piece_bytes) + 1;
        try {
            threads_.reserve(most_threads);
            for (unsigned i = 0; i < most_threads; ++i) {
                threads_.emplace_back([this] { read_pieces(); });
            }
        } catch (std::exception const&) { // as many as there can be
        }
    }
    prefetcher(prefetcher const&) = delete;
    prefetcher& operator=(prefetcher const&) = delete;
    ~prefetcher() {
        {
            std::lock_guard const guard(mutex_);
            has_ended_ = true;
        }
        moved_.notify_all();
        for (auto& thread : threads_) thread.join();
    }

    /// Says how many entries the walk has behind it.
    void reached(std::uint64_t entries) {
        if (threads_.empty() || entries < reached_piece_ * entries_of_piece_) return;
        {
            std::lock_guard const guard(mutex_);
            reached_piece_ = entries / entries_of_piece_ + 1;
        }
        moved_.notify_all();
    }

  private:
    void read_pieces() noexcept {
        try {
            tree::cursor<revision> at(state_, tree_);
            while (auto const piece = take()) read(at, *piece);
        } catch (std::exception const&) { // whoever walks will meet it
        }
    }

    /// Waits until another piece may be read. @return nothing at the end
    [[nodiscard]] std::optional<std::uint64_t> take() {
        std::unique_lock guard(mutex_);
        auto const may_go_on = [&] {
            return has_ended_ || next_piece_ < reached_piece_ + most_pieces_ahead;
        };
        moved_.wait(guard, may_go_on);
        // What the walk has behind it, or is in, is read.
        next_piece_ = std::max(next_piece_, reached_piece_);
        if (has_ended_ || next_piece_ * entries_of_piece_ >= tree_.root.entries) return {};
        return next_piece_++;
    }

    void read(tree::cursor<revision>& at, std::uint64_t piece) const {
        at.seek_nth(piece * entries_of_piece_);
        for (auto left = entries_of_piece_; left > 0 && at.valid() && !has_ended_; --left) {
            auto const value = at.value();
            // What is larger is read in order by the walk itself, and would not stay for it.
            if (value.out_of_line && value.length_bytes() <= piece_bytes) {
                static_cast<void>(state_.value(value));
            }
            at.next();
        }
    }

    revision const& state_;
    tree_ref tree_;
    std::uint64_t entries_of_piece_ = 0;
    std::uint64_t reached_piece_ =
        0;                         // the first that the walk has not begun; written by its thread
    std::uint64_t next_piece_ = 0; // the first that nobody has taken
    std::atomic<bool> has_ended_ = false;
    std::mutex mutex_;
    std::condition_variable moved_;
    std::vector<std::thread> threads_;
};

} // namespace coppice::inline COPPICE_ABI::store
