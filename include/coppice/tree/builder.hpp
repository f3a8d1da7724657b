// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/builder.hpp: sorted entries and whole untouched subtrees in, a tree out.
// Owns: when a node is cut, when neighbours are merged, how a tree grows and collapses: one rule.
//   What is pending at a level is cut when a whole subtree follows, where `settle` asks for it, or
//   at the end; a subtree goes in whole only if what is pending before it is big enough to be a
//   node, else it is opened and fills it up; at the right edge the last finished neighbour is
//   opened instead.
// Invariant: every inner node that is written has two children or more; all levels are complete.

#include <coppice/assert.hpp>
#include <coppice/error.hpp>
#include <coppice/format/extent.hpp>
#include <coppice/format/inner_walk.hpp>
#include <coppice/format/node_writer.hpp>
#include <coppice/options.hpp>
#include <coppice/tree/open_node.hpp>
#include <coppice/tree/patcher.hpp>
#include <coppice/tree/pending.hpp>
#include <coppice/tree/tree.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coppice::inline COPPICE_ABI::tree {

/// Builds one tree. Use once; after an exception only destruction is left.
template <node_source Source, node_sink Sink> class builder {
  public:
    /// @param source where opened subtrees are read from; also reads what `sink` made
    /// @param sink where new nodes go
    builder(Source const& source, Sink& sink, node_sizes const& sizes)
        : source_(source),
          sink_(sink),
          patcher_(source, sink, sizes.patches),
          leaf_limit_(sizes.leaf_bytes),
          inner_limit_(sizes.inner_bytes) {}

    /// Says that `low` separates all that came from all that will come.
    void boundary(std::string_view low) { boundary_ = low; }

    /// Says that the rest is appended at the right edge: the nodes before it are left as full as
    /// they are, and the last ones may stay small.
    void append_only() noexcept { append_only_ = true; }

    /// Says that what comes next at `level` are the parts of an old node, changed or not: the new
    /// one may become a patch of it. REQUIRES: the old node does not go in whole.
    void replaces(unsigned level, subtree const& old, std::string_view low) {
        if (empty(level)) patcher_.replaces(level, old.pair(), low);
    }

    /// Adds an entry. REQUIRES: keys ascend strictly.
    void add(std::string_view key, format::stored_value const& value) {
        if (leaf_.empty()) {
            leaf_.low = boundary_;
            leaf_.reserve(leaf_limit_ + leaf_limit_ / 4);
        }
        leaf_.add(key, value);
        if (leaf_.count() > 1 && leaf_.node_bytes() >= 2 * leaf_limit_) {
            cut_leaf(leaf_.fitting(leaf_limit_));
        }
    }

    /// Adds the entries [first, last) of a leaf.
    void add_entries(leaf_node const& leaf, std::size_t first, std::size_t last) {
        while (first < last) {
            auto const run = leaf.run(first);
            auto const end = std::min(run.last, run.index + (last - first));
            for (auto i = run.index; i < end; ++i) add(run.in.key(i), run.in.value(i));
            first += end - run.index;
        }
    }

    /// Adds a whole subtree whose root is a node of `level` and whose keys are not below `low`.
    void add_subtree(unsigned level, subtree const& whole, std::string_view low) {
        if (!settle(level)) return open(level, whole, low);
        push(level + 1, low, whole);
    }

    /// Makes nodes of what is pending at `level` and below.
    /// @return false: some of it is too small for that, and waits for what comes next
    [[nodiscard]] bool settle(unsigned level) {
        for (unsigned l = 0; l <= level; ++l) {
            if (empty(l)) continue;
            if (too_small(l)) return false;
            close(l);
        }
        return true;
    }

    /// Ends the tree.
    [[nodiscard]] tree_ref finish() {
        for (unsigned level = 0;; ++level) {
            COPPICE_ASSERT(level <= format::max_height);
            if (last_level(level)) {
                if (level == 0 && leaf_.empty()) return {};
                if (level > 0 && inner_[level].count() == 1) {
                    return {inner_[level].item(0).child, static_cast<std::uint8_t>(level)};
                }
            } else {
                if (empty(level)) continue;
                if (must_borrow(level)) borrow(level);
            }
            close(level);
        }
    }

  private:
    [[nodiscard]] bool empty(unsigned level) const noexcept {
        return level == 0 ? leaf_.empty() : inner_[level].empty();
    }
    /// Is nothing pending above this level?
    [[nodiscard]] bool last_level(unsigned level) const noexcept {
        for (unsigned l = level + 1; l <= format::max_height; ++l) {
            if (!inner_[l].empty()) return false;
        }
        return true;
    }
    [[nodiscard]] bool too_small(unsigned level) const {
        if (level == 0) return leaf_.node_bytes() < leaf_limit_ / 4;
        return inner_[level].count() < 2 || inner_[level].node_bytes() < inner_limit_ / 4;
    }
    /// At the right edge a node may stay small, so that appending fills it up and leaves its
    /// neighbour alone; but an inner node has two children.
    [[nodiscard]] bool must_borrow(unsigned level) const {
        return level > 0 && inner_[level].count() < 2;
    }

    /// Takes the root of a subtree apart and adds its parts.
    void open(unsigned level, subtree const& whole, std::string_view low) {
        replaces(level, whole, low);
        if (level == 0) {
            boundary(low);
            auto const leaf = open_leaf(source_, whole.pair());
            return add_entries(leaf, 0, leaf.count());
        }
        std::string buffer;
        format::inner_walk at(open_inner(source_, whole.pair(), level));
        for (; !at.done(); at.next()) {
            add_subtree(level - 1, at.child(), at.index() == 0 ? low : at.low(buffer));
        }
    }

    /// Puts the node before what is pending at `level` back to the front of it.
    void borrow(unsigned level) {
        unsigned from = level + 1;
        while (inner_[from].empty()) ++from;
        for (; from > level + 1; --from) {
            inner_[from - 1].prepend(children_of(from - 1, inner_[from].take_back()));
        }
        inner_[level].prepend(children_of(level, inner_[level + 1].take_back()));
    }

    [[nodiscard]] std::vector<pending_child> children_of(unsigned level,
                                                         pending_child const& parent) {
        auto const inner = open_inner(source_, parent.child.pair(), level);
        std::vector<pending_child> children;
        children.reserve(inner.count());
        std::string buffer;
        for (format::inner_walk at(inner); !at.done(); at.next()) {
            children.push_back(
                {std::string(at.index() == 0 ? parent.low : at.low(buffer)), at.child()});
        }
        return children;
    }

    /// Makes nodes of all that is pending at `level`: a patch, a node, or two even halves, or, when
    /// appending, full ones and a rest.
    void close(unsigned level) {
        if (level == 0 ? patch_leaf() : patch_inner(level)) return;
        while (!empty(level)) {
            if (level == 0) {
                cut_leaf(leaf_cut());
            } else {
                cut_inner(level, inner_cut(level));
            }
        }
    }

    /// Makes one patch of all that is pending, if that is worth it. With its patch a node may be a
    /// little above the limit; it is cut when it folds.
    [[nodiscard]] bool patch_leaf() {
        if (leaf_.node_bytes() > leaf_limit_ + leaf_limit_ / 4) return false;
        auto const items = leaf_.items(leaf_.count());
        check_order(items);
        auto const node = patcher_.leaf(items);
        if (node) push_leaf(*node, items);
        return node.has_value();
    }
    [[nodiscard]] bool patch_inner(unsigned level) {
        auto const& pending = inner_[level];
        if (pending.count() < 2 || pending.node_bytes() > inner_limit_ + inner_limit_ / 4) {
            return false;
        }
        auto const items = pending.items(pending.count());
        auto const node = patcher_.inner(level, items);
        if (node) push_inner(level, *node, items);
        return node.has_value();
    }

    [[nodiscard]] std::size_t leaf_cut() const {
        auto const total = leaf_.node_bytes();
        if (total <= leaf_limit_) return leaf_.count();
        auto const full = leaf_.fitting(leaf_limit_);
        return append_only_ ? full : std::min(full, leaf_.fitting(total / 2));
    }

    [[nodiscard]] std::size_t inner_cut(unsigned level) const {
        auto const& pending = inner_[level];
        auto const total = pending.node_bytes();
        if (total <= inner_limit_) return pending.count();
        auto const full = pending.fitting(inner_limit_);
        return append_only_ ? full : std::min(full, pending.fitting(total / 2));
    }

    static void check_order(std::span<format::leaf_item const> items) {
        for (std::size_t i = 1; i < items.size(); ++i) {
            detail::check_order(items[i - 1].key, items[i].key);
        }
    }

    void cut_leaf(std::size_t count) {
        patcher_.forget(0);
        auto const items = leaf_.items(count);
        check_order(items);
        format::leaf_measure measure;
        for (auto const& [key, value] : items) measure.add(key.size(), value);
        auto const node = sink_.allocate_node(measure.node_bytes());
        format::write_leaf(items, node);
        push_leaf({sink_.seal_node(node)}, items);
    }

    /// Names the front of what is pending in its parent.
    void push_leaf(node_pair const& node, std::span<format::leaf_item const> items) {
        auto const count = items.size();
        subtree leaf{node.base, count, node.size_bytes(), node.patch};
        for (auto const& [key, value] : items) {
            if (value.out_of_line) {
                leaf.bytes += format::extent_stored_bytes(value.length_bytes());
            }
        }
        std::string next_low;
        if (count < leaf_.count()) {
            auto const next_key = leaf_.item(count).key;
            detail::check_order(items.back().key, next_key);
            next_low = format::shortest_separator(items.back().key, next_key);
        }
        auto const low = std::exchange(leaf_.low, std::move(next_low));
        leaf_.drop_front(count);
        push(1, low, leaf);
    }

    void cut_inner(unsigned level, std::size_t count) {
        patcher_.forget(level);
        auto const items = inner_[level].items(count);
        auto const node = sink_.allocate_node(format::inner_node_bytes(items));
        format::write_inner(level, items, node);
        push_inner(level, {sink_.seal_node(node)}, items);
    }

    void push_inner(unsigned level, node_pair const& node,
                    std::span<format::inner_item const> items) {
        subtree whole{node.base, 0, node.size_bytes(), node.patch};
        for (auto const& item : items) {
            whole.entries += item.child.entries;
            whole.bytes += item.child.bytes;
        }
        push(level + 1, items.front().low, whole);
        inner_[level].drop_front(items.size());
    }

    void push(unsigned level, std::string_view low, subtree const& child) {
        if (level > format::max_height) throw error(errc::corrupt, "a tree is too high");
        auto& pending = inner_[level];
        pending.add(low, child);
        auto const too_large = 2 * inner_limit_;
        if (pending.count() >= 4 && pending.most_node_bytes() >= too_large &&
            pending.node_bytes() >= too_large) {
            cut_inner(level, pending.fitting(inner_limit_));
        }
    }

    Source const& source_;
    Sink& sink_;
    patcher<Source, Sink> patcher_;
    std::size_t leaf_limit_;
    std::size_t inner_limit_;
    std::string boundary_;
    bool append_only_ = false;
    pending_leaf leaf_;
    std::array<pending_inner, format::max_height + 1> inner_; // [0] is not used
};

} // namespace coppice::inline COPPICE_ABI::tree
