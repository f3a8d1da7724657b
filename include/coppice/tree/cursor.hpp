// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/cursor.hpp: a place between or at the entries of a tree, and the steps from it.
// Owns: the path from the root to a leaf. Steps: first, last, seek, seek_nth, next, prev.
// Invariant: a valid cursor's frames go from the root to a leaf and every index is inside its
//   node; an invalid one is at the end, after the last entry. A step that throws leaves it there.
//   In the leaf it stands in a run of entries that follow each other in one node: all of them,
//   where there is no patch; the one that was sought, until the first step shows the direction.
//   Whoever steps into a leaf, or from the entry sought in it, asks for the leaf behind it.
// Allocates: nothing. The source must outlive the cursor.

#include <coppice/assert.hpp>
#include <coppice/format/commit_record.hpp>
#include <coppice/tree/open_node.hpp>
#include <coppice/tree/tree.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace coppice::inline COPPICE_ABI::tree {

/// A bidirectional cursor over a tree.
template <node_source Source> class cursor {
  public:
    cursor() = default;

    /// A cursor at the end of the tree. REQUIRES: the source outlives it.
    cursor(Source const& source, tree_ref const& tree) noexcept
        : source_(&source), root_(tree.root.pair()), height_(tree.height) {
        COPPICE_ASSERT(height_ <= format::max_height);
    }

    cursor(cursor const& other) noexcept { *this = other; }
    cursor& operator=(cursor const& other) noexcept {
        if (this == &other) return *this;
        source_ = other.source_;
        root_ = other.root_;
        height_ = other.height_;
        valid_ = other.valid_;
        leaf_ = other.leaf_;
        run_ = other.run_;
        passed_ = other.passed_;
        stepped_ = other.stepped_;
        if (valid_) std::copy_n(other.frames_.begin(), height_, frames_.begin());
        return *this;
    }

    /// Is it at an entry?
    [[nodiscard]] bool valid() const noexcept { return valid_; }

    /// The key of its entry. REQUIRES: `valid()`.
    [[nodiscard]] std::string_view key() const noexcept {
        COPPICE_ASSERT(valid_);
        return run_.in.key(run_.index);
    }
    /// The stored value of its entry. REQUIRES: `valid()`.
    [[nodiscard]] format::stored_value value() const noexcept {
        COPPICE_ASSERT(valid_);
        return run_.in.value(run_.index);
    }

    /// To the first entry, or the end of an empty tree.
    void first() {
        valid_ = false;
        if (height_ == 0) return;
        arrive(descend(root_, height_ - 1U, [](auto const&) { return std::size_t{0}; }));
    }
    /// To the last entry, or the end of an empty tree.
    void last() {
        valid_ = false;
        if (height_ == 0) return;
        arrive(descend(root_, height_ - 1U, [](auto const& node) { return node.count() - 1; }));
    }

    /// To the first entry whose key is not before `key`, or the end. O(height) nodes.
    /// @return is it the key itself?
    bool seek(std::string_view key);

    /// To the entry with `index` entries before it, or the end. O(height) nodes.
    void seek_nth(std::uint64_t index);

    /// To the next entry, or the end. REQUIRES: `valid()`.
    void next() {
        COPPICE_ASSERT(valid_);
        if (++run_.index < run_.last) return;
        next_run();
    }

    /// To the previous entry; from the first one to the end, from the end to the last.
    void prev() {
        if (!valid_) return last();
        if (run_.index > run_.first) {
            --run_.index;
            return;
        }
        prev_run();
    }

    /// Do both stand at the same entry, or both at the end, of the same tree?
    friend bool operator==(cursor const& a, cursor const& b) noexcept {
        if (a.valid_ != b.valid_) return false;
        return !a.valid_ ||
               (a.run_.in.bytes() == b.run_.in.bytes() && a.run_.index == b.run_.index);
    }

  private:
    /// Without initial values: making a cursor would cost more than its first step.
    struct frame {
        std::byte const* base;
        std::byte const* patch;
        std::size_t index;

        [[nodiscard]] inner_node node() const noexcept { return {base, patch}; }
    };

    enum class way : std::uint8_t { forward, backward };

    /// Goes down from a node of `level`; `choose` names the way in each.
    /// @return the index that it names in the leaf
    template <typename Choose> std::size_t descend(node_pair node, unsigned level, Choose choose) {
        valid_ = false;
        for (; level > 0; --level) {
            auto const inner = open_inner(*source_, node, level);
            auto const index = choose(inner);
            frames_[level] = {inner.base().bytes(), inner.patch_bytes(), index};
            node = inner.pair(index);
            prefetch(*source_, node, searched_bytes);
        }
        leaf_ = open_leaf(*source_, node);
        return choose(leaf_);
    }

    /// To an entry that was sought: nothing says yet that others are wanted. To the end, if the
    /// index is behind the last.
    void arrive(std::size_t index) {
        enter(index);
        stepped_ = false;
        passed_ = index;
        run_.first = run_.index;
        run_.last = run_.index + 1;
    }
    void enter(std::size_t index) {
        passed_ = index;
        valid_ = index < leaf_.count();
        if (!valid_) return;
        run_ = leaf_.run(index);
        passed_ = index - (run_.index - run_.first);
    }

    /// REQUIRES: behind the end of its run.
    void next_run() {
        auto const next = passed_ + (run_.last - run_.first);
        if (next == leaf_.count()) return next_leaf();
        if (!stepped_) begin_to_step(way::forward);
        enter(next);
    }
    /// REQUIRES: at the first entry of its run.
    void prev_run() {
        if (passed_ == 0) return prev_leaf();
        if (!stepped_) begin_to_step(way::backward);
        enter(passed_ - 1);
    }

    void next_leaf() {
        valid_ = false;
        if (auto const level = turn(way::forward); level < height_) {
            auto& at = frames_[level];
            ++at.index;
            auto const index = descend(at.node().pair(at.index), level - 1,
                                       [](auto const&) { return std::size_t{0}; });
            look_ahead(way::forward);
            enter(index);
        }
    }
    void prev_leaf() {
        valid_ = false;
        if (auto const level = turn(way::backward); level < height_) {
            auto& at = frames_[level];
            --at.index;
            auto const index = descend(at.node().pair(at.index), level - 1,
                                       [](auto const& node) { return node.count() - 1; });
            look_ahead(way::backward);
            enter(index);
        }
    }

    /// The lowest level at which the path can turn to the next leaf that way; `height_` if there
    /// is no such leaf.
    [[nodiscard]] unsigned turn(way to) const noexcept {
        unsigned level = 1;
        for (; level < height_; ++level) {
            auto const& at = frames_[level];
            if (to == way::forward ? at.index + 1 < at.node().count() : at.index > 0) break;
        }
        return level;
    }
    /// Asks for what a sought entry did not need: the rest of its leaf, and the leaf behind it.
    void begin_to_step(way to) noexcept {
        if (height_ > 1) {
            auto const& at = frames_[1];
            prefetch(*source_, at.node().pair(at.index), read_ahead_bytes);
        }
        look_ahead(to);
    }
    /// Asks for the whole node that the path turns to next that way, which is a leaf, mostly.
    void look_ahead(way to) noexcept {
        stepped_ = true;
        auto const level = turn(to);
        if (level >= height_) return;
        auto const& at = frames_[level];
        auto const index = to == way::forward ? at.index + 1 : at.index - 1;
        prefetch(*source_, at.node().pair(index), read_ahead_bytes);
    }

    Source const* source_ = nullptr;
    node_pair root_;
    unsigned height_ = 0;
    bool valid_ = false;
    leaf_node leaf_;
    format::leaf_run run_;   // of the leaf, with the place in it
    std::size_t passed_ = 0; // entries of the leaf before the run
    bool stepped_ = false;   // into the leaf, or in it: the leaf behind it has been asked for
    std::array<frame, format::max_height> frames_; // by level: [0] is not used
};

template <node_source Source> bool cursor<Source>::seek(std::string_view key) {
    valid_ = false;
    if (height_ == 0) return false;
    bool found = false;
    auto const at = descend(root_, height_ - 1U, [&](auto const& node) {
        if constexpr (requires { node.child_for(key); }) {
            return node.child_for(key);
        } else {
            auto const result = node.lower_bound(key);
            found = result.found;
            return result.index;
        }
    });
    arrive(at);
    // The key may be above all entries of the leaf whose range holds it.
    if (!valid_) next_leaf();
    return found;
}

template <node_source Source> void cursor<Source>::seek_nth(std::uint64_t index) {
    valid_ = false;
    if (height_ == 0) return;
    bool beyond = false;
    auto const at = descend(root_, height_ - 1U, [&](auto const& node) {
        if constexpr (requires { node.child_for({}); }) {
            std::size_t child = 0;
            while (child + 1 < node.count() && index >= node.entries(child)) {
                index -= node.entries(child);
                ++child;
            }
            return child;
        } else {
            beyond = index >= node.count();
            return beyond ? std::size_t{0} : static_cast<std::size_t>(index);
        }
    });
    if (!beyond) arrive(at);
}

} // namespace coppice::inline COPPICE_ABI::tree
