// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/prefetcher.hpp: threads that read a tree ahead of somebody who walks over it.
// Owns: which piece of the tree each of them reads, and how far ahead they may be.
// Invariant: they change nothing but what is cached and known to be verified. What they cannot read
//   is met by whoever walks; where there can be no thread he does without. No thread is left when
//   this ends, and a fork, which has none of them, waits for none. Belongs to one thread.

#include <coppice/storage/left_in_fork.hpp>
#include <coppice/store/revision.hpp>
#include <coppice/tree/cursor.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <optional>
#include <thread>
#include <vector>

namespace coppice::inline COPPICE_ABI::store {

/// Reads a tree by several threads, so that a device is asked for several places at once.
class prefetcher {
  public:
    /// About so much of the tree is read at a time: pieces have equally many entries.
    static constexpr std::uint64_t piece_bytes = std::uint64_t{1} << 20U;
    /// Smaller trees are not worth a thread.
    static constexpr std::uint64_t least_bytes = 8 * piece_bytes;
    /// They are no more pieces ahead, so that what they have read is still there.
    static constexpr std::uint32_t most_pieces_ahead = 16;
    static constexpr unsigned most_threads = 4;

    /// Begins. REQUIRES: the state outlives this.
    prefetcher(revision const& state, tree_ref const& tree) : state_(state), tree_(tree) {
        if (tree.root.bytes < least_bytes) return;
        entries_of_piece_ = tree.root.entries / (tree.root.bytes / piece_bytes) + 1;
        try {
            auto& threads = threads_.emplace();
            threads.reserve(most_threads);
            for (unsigned i = 0; i < most_threads; ++i) {
                threads.emplace_back([this] { read_pieces(); });
            }
        } catch (std::exception const&) { // as many as there can be
        }
    }
    prefetcher(prefetcher const&) = delete;
    prefetcher& operator=(prefetcher const&) = delete;
    ~prefetcher() { reach(the_end); }

    /// Says how many entries the walk has behind it.
    void reached(std::uint64_t entries) {
        if (!threads_ || entries < reached_piece_ * entries_of_piece_) return;
        reach(static_cast<std::uint32_t>(entries / entries_of_piece_ + 1));
    }

  private:
    static constexpr auto the_end = std::numeric_limits<std::uint32_t>::max();

    void reach(std::uint32_t piece) noexcept {
        reached_piece_ = piece;
        reached_piece_.notify_all();
    }

    void read_pieces() noexcept {
        try {
            tree::cursor<revision> at(state_, tree_);
            while (auto const piece = take()) read(at, *piece);
        } catch (std::exception const&) { // whoever walks will meet it
        }
    }

    /// Waits until another piece may be read. @return nothing at the end
    [[nodiscard]] std::optional<std::uint32_t> take() {
        for (;;) {
            auto next = next_piece_.load();
            auto const reached = reached_piece_.load();
            auto const piece = std::max(next, reached); // what lies below is read by the walk
            if (reached == the_end || piece * entries_of_piece_ >= tree_.root.entries) return {};
            if (piece >= reached + most_pieces_ahead) {
                reached_piece_.wait(reached);
            } else if (next_piece_.compare_exchange_weak(next, piece + 1)) {
                return piece;
            }
        }
    }

    void read(tree::cursor<revision>& at, std::uint32_t piece) const {
        at.seek_nth(piece * entries_of_piece_);
        for (auto left = entries_of_piece_; left > 0 && at.valid(); --left) {
            if (reached_piece_ == the_end) return;
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
    // A file has no more pieces than 32 bits can count; these are what a kernel waits on.
    std::atomic<std::uint32_t> reached_piece_ = 0; // the first that the walk has not begun
    std::atomic<std::uint32_t> next_piece_ = 0;    // the first that nobody has taken
    storage::left_in_fork<std::vector<std::jthread>> threads_; // ends before what they use
};

} // namespace coppice::inline COPPICE_ABI::store
