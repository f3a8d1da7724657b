// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/cursor.hpp: a place between or at the entries of a tree, and the steps from it.
// Owns: the path from the root to a leaf. Steps: first, last, seek, seek_nth, next, prev.
// Invariant: a valid cursor's frames go from the root to a leaf and every index is inside its
//   node; an invalid one is at the end, after the last entry. A step that throws leaves it there.
// Allocates: nothing. The source must outlive the cursor.

#include <coppice/assert.hpp>
#include <coppice/format/commit_record.hpp>
#include <coppice/format/inner.hpp>
#include <coppice/format/leaf.hpp>
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
        : source_(&source), root_(tree.root.node), height_(tree.height) {
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
        if (valid_) std::copy_n(other.frames_.begin(), height_, frames_.begin());
        return *this;
    }

    /// Is it at an entry?
    [[nodiscard]] bool valid() const noexcept { return valid_; }

    /// The key of its entry. REQUIRES: `valid()`.
    [[nodiscard]] std::string_view key() const noexcept {
        COPPICE_ASSERT(valid_);
        return leaf_.key(frames_[0].index);
    }
    /// The stored value of its entry. REQUIRES: `valid()`.
    [[nodiscard]] format::stored_value value() const noexcept {
        COPPICE_ASSERT(valid_);
        return leaf_.value(frames_[0].index);
    }

    /// To the first entry, or the end of an empty tree.
    void first() {
        valid_ = false;
        if (height_ != 0) descend(root_, height_ - 1U, [](auto const&) { return std::size_t{0}; });
    }
    /// To the last entry, or the end of an empty tree.
    void last() {
        valid_ = false;
        if (height_ != 0) {
            descend(root_, height_ - 1U, [](auto const& node) { return node.count() - 1; });
        }
    }

    /// To the first entry whose key is not before `key`, or the end. O(height) nodes.
    /// @return is it the key itself?
    bool seek(std::string_view key);

    /// To the entry with `index` entries before it, or the end. O(height) nodes.
    void seek_nth(std::uint64_t index);

    /// To the next entry, or the end. REQUIRES: `valid()`.
    void next() {
        COPPICE_ASSERT(valid_);
        if (++frames_[0].index < leaf_.count()) return;
        next_leaf();
    }

    /// To the previous entry; from the first one to the end, from the end to the last.
    void prev() {
        if (!valid_) return last();
        if (frames_[0].index > 0) {
            --frames_[0].index;
            return;
        }
        prev_leaf();
    }

    /// Do both stand at the same entry, or both at the end, of the same tree?
    friend bool operator==(cursor const& a, cursor const& b) noexcept {
        if (a.valid_ != b.valid_) return false;
        return !a.valid_ ||
               (a.frames_[0].node == b.frames_[0].node && a.frames_[0].index == b.frames_[0].index);
    }

  private:
    struct frame {
        std::byte const* node = nullptr;
        std::size_t index = 0;
    };

    /// Goes down from a node of `level`; `choose` names the way in each. Ends valid.
    template <typename Choose> void descend(node_ref ref, unsigned level, Choose choose) {
        valid_ = false;
        for (; level > 0; --level) {
            auto const* const node = source_->node(ref, level);
            format::inner_view const inner(node);
            auto const index = choose(inner);
            frames_[level] = {node, index};
            ref = inner.node(index);
        }
        auto const* const node = source_->node(ref, 0);
        leaf_ = format::leaf_view(node);
        frames_[0] = {node, choose(leaf_)};
        valid_ = true;
    }

    void next_leaf() {
        valid_ = false;
        for (unsigned level = 1; level < height_; ++level) {
            auto& at = frames_[level];
            format::inner_view const inner(at.node);
            if (at.index + 1 < inner.count()) {
                ++at.index;
                return descend(inner.node(at.index), level - 1,
                               [](auto const&) { return std::size_t{0}; });
            }
        }
    }

    void prev_leaf() {
        valid_ = false;
        for (unsigned level = 1; level < height_; ++level) {
            auto& at = frames_[level];
            if (at.index > 0) {
                --at.index;
                return descend(format::inner_view(at.node).node(at.index), level - 1,
                               [](auto const& node) { return node.count() - 1; });
            }
        }
    }

    Source const* source_ = nullptr;
    node_ref root_;
    unsigned height_ = 0;
    bool valid_ = false;
    format::leaf_view leaf_;
    std::array<frame, format::max_height> frames_; // by level: [0] is the leaf
};

template <node_source Source> bool cursor<Source>::seek(std::string_view key) {
    valid_ = false;
    if (height_ == 0) return false;
    bool found = false;
    descend(root_, height_ - 1U, [&](auto const& node) {
        if constexpr (requires { node.child_for(key); }) {
            return node.child_for(key);
        } else {
            auto const result = node.lower_bound(key);
            found = result.found;
            return result.index;
        }
    });
    // The key may be above all entries of the leaf whose range holds it.
    if (frames_[0].index == leaf_.count()) next_leaf();
    return found;
}

template <node_source Source> void cursor<Source>::seek_nth(std::uint64_t index) {
    valid_ = false;
    if (height_ == 0) return;
    bool beyond = false;
    descend(root_, height_ - 1U, [&](auto const& node) {
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
    if (beyond) valid_ = false;
}

} // namespace coppice::inline COPPICE_ABI::tree
