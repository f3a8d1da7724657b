// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/apply.hpp: a tree and sorted edits -> a tree.
// Owns: the walk over the old tree beside the edits. A subtree that no edit touches goes into the
//   builder whole; a touched node that stays one node goes in as such, made from its changes alone
//   (changed_node.hpp); any other leaf goes in as its entries merged with the edits.
// Invariant: the old tree is not changed; the new one shares with it all that no edit touched.
//   The recursion is as deep as the tree is high.

#include <coppice/format/inner_walk.hpp>
#include <coppice/tree/builder.hpp>
#include <coppice/tree/changed_node.hpp>
#include <coppice/tree/open_node.hpp>
#include <coppice/tree/tree.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coppice::inline COPPICE_ABI::tree {

/// A sorted run of edits: `done()`, then `key()` and `value()` (null: erase) of the current one,
/// `next()`. Keys ascend strictly; they and the values need to live only until `next()`.
template <typename E>
concept edit_source = requires(E& edits, E const& current) {
    { current.done() } -> std::same_as<bool>;
    { current.key() } -> std::convertible_to<std::string_view>;
    { current.value() } -> std::same_as<format::stored_value const*>;
    {edits.next()};
};

/// Edits whose keys and values stay good beyond `next()`: a copy of the walk can go back to them.
template <typename E>
concept lasting_edit_source = edit_source<E> && std::copyable<E>;

namespace detail {

/// The upper bound of a range of keys; null is none.
using upper_bound = std::string_view const*;

template <node_source Source, node_sink Sink, edit_source Edits> class apply_walk {
  public:
    apply_walk(Source const& source, Sink& sink, node_sizes const& sizes, Edits& edits)
        : source_(source),
          sink_(sink),
          builder_(source, sink, sizes),
          sizes_(sizes),
          edits_(edits) {}

    [[nodiscard]] tree_ref run(tree_ref const& tree) {
        if (tree.height != 0) walk(tree.height - 1U, tree.root, {}, nullptr);
        add_edits(nullptr);
        return builder_.finish();
    }

  private:
    /// Higher trees have more than 10^9 leaves, or are forged: the short way takes more stack.
    static constexpr unsigned most_levels = 6;

    [[nodiscard]] bool edit_below(upper_bound high) const {
        return !edits_.done() && (high == nullptr || edits_.key() < *high);
    }

    /// An inner node on the way down whose children before `next` are known. The builder gets them
    /// only where it must: where something below is cut or merged.
    struct step {
        step* above;
        unsigned level;
        subtree const& node;
        std::string_view low;
        format::inner_walk at; ///< the first child that the builder did not get
        std::size_t next = 0;
        std::vector<changed_child> changed{};
        bool given = false; ///< has the builder what is before `next`?
    };

    /// Feeds the builder. @param resumed the walk over an inner node that is there already, if so
    void walk(unsigned level, subtree const& node, std::string_view low, upper_bound high,
              format::inner_walk* resumed = nullptr) {
        if (resumed == nullptr) {
            if (!edit_below(high)) return builder_.add_subtree(level, node, low);
            if (is_replaced(level, node, low, high)) return;
            if (level == 0) return merge(node, low, high);
        }
        // One frame for each level, and a small one: a forged tree may have 40 of them.
        std::optional<format::inner_walk> own;
        if (resumed == nullptr) {
            own.emplace(open_inner(source_, node.pair(), level));
            builder_.replaces(level, node, low);
        }
        auto& at = resumed == nullptr ? *own : *resumed;
        std::string low_buffer;
        std::string high_buffer;
        while (!at.done()) {
            auto const& inner = at.node();
            auto const touched = edit_below(high) ? inner.child_for(edits_.key()) : inner.count();
            add_children(at, touched, level, low, {});
            if (at.done()) return;
            auto const child = at.child();
            auto const child_low = at.index() == 0 ? low : at.low(low_buffer);
            at.next();
            if (at.done()) return walk(level - 1, child, child_low, high);
            auto const child_high = at.low(high_buffer);
            walk(level - 1, child, child_low, &child_high);
        }
    }

    /// Tries the short way. With patches each node is its own, or too small; else neighbours are
    /// filled up together. @return has the builder all of the node with its edits?
    [[nodiscard]] bool is_replaced(unsigned level, subtree const& node, std::string_view low,
                                   upper_bound high) {
        if (!sizes_.patches || !builder_.settle(level)) return false;
        if constexpr (lasting_edit_source<Edits>) {
            if (level > most_levels) return false;
            auto const made = replaced(level, node, low, high, nullptr);
            if (made) builder_.add_subtree(level, *made, low);
            return true;
        } else {
            return false;
        }
    }

    /// Gives the builder the children of an inner node before `end`.
    void add_children(format::inner_walk& at, std::size_t end, unsigned level, std::string_view low,
                      std::span<changed_child const> changed) {
        std::string buffer;
        auto next = changed.begin();
        for (; at.index() < end; at.next()) {
            auto const is_changed = next != changed.end() && next->index == at.index();
            builder_.add_subtree(level - 1, is_changed ? next->child : at.child(),
                                 at.index() == 0 ? low : at.low(buffer));
            if (is_changed) ++next;
        }
    }

    /// Gives the builder what is before the place where the walk is.
    void give(step* to) {
        if (to == nullptr || to->given) return;
        give(to->above);
        to->given = true;
        builder_.replaces(to->level, to->node, to->low);
        add_children(to->at, to->next, to->level, to->low, to->changed);
    }

    /// The node after the edits below `high`; nothing where the builder got its parts, and all that
    /// is before it. REQUIRES: nothing is pending at its level and below.
    [[nodiscard]] std::optional<subtree> replaced(unsigned level, subtree const& node,
                                                  std::string_view low, upper_bound high,
                                                  step* above) {
        if (level > 0) return replaced_inner(level, node, low, high, above);
        auto const leaf = open_leaf(source_, node.pair());
        auto const appends = high == nullptr && edits_.key() > leaf.key(leaf.count() - 1);
        auto const first = edits_;
        leaf_.begin(leaf);
        for (; edit_below(high) && leaf_.new_bytes() / 2 < sizes_.leaf_bytes; edits_.next()) {
            leaf_.edit(edits_.key(), edits_.value());
        }
        auto made = edit_below(high)
                        ? std::nullopt
                        : leaf_.finish(source_, sink_, sizes_, node, high == nullptr, appends);
        if (made) {
            if (appends) builder_.append_only();
            return made;
        }
        edits_ = first;
        give(above);
        merge(node, low, high);
        return {};
    }

    [[nodiscard]] std::optional<subtree> replaced_inner(unsigned level, subtree const& node,
                                                        std::string_view low, upper_bound high,
                                                        step* above) {
        auto const inner = open_inner(source_, node.pair(), level);
        step here{above, level, node, low, format::inner_walk(inner)};
        for (std::size_t next = 0; next < inner.count() && edit_below(high); ++next) {
            next = std::max(next, inner.child_for(edits_.key()));
            auto const is_last = next + 1 == inner.count();
            auto const child_high = is_last ? std::string() : inner.separator(next);
            std::string_view const bound = child_high;
            if (!is_last && !edit_below(&bound)) continue; // only where separators do not ascend
            auto const child_low = next == 0 ? std::string(low) : inner.separator(next - 1);
            here.next = next;
            auto const made =
                replaced(level - 1, inner.child(next), child_low, is_last ? high : &bound, &here);
            if (made) {
                here.changed.push_back({next, *made});
                continue;
            }
            here.at.next();
            walk(level, node, low, high, &here.at);
            return {};
        }
        auto const made = changed_inner(source_, sink_, sizes_, level, node, inner,
                                        std::span(std::as_const(here.changed)), high == nullptr);
        if (made) return made;
        here.next = inner.count();
        give(&here);
        return {};
    }

    void merge(subtree const& node, std::string_view low, upper_bound high) {
        auto const leaf = open_leaf(source_, node.pair());
        auto const last_key = leaf.key(leaf.count() - 1);
        auto const appends = high == nullptr && edits_.key() > last_key;
        if (appends) builder_.append_only();
        if (appends && is_full(leaf)) {
            // The full leaf stays as it is, and the new entries begin another.
            builder_.add_subtree(0, node, low);
            builder_.boundary(format::shortest_separator(last_key, edits_.key()));
            return add_edits(nullptr);
        }
        builder_.boundary(low);
        builder_.replaces(0, node, low);
        std::size_t next = 0; // the first entry that is not looked at yet
        while (edit_below(high)) {
            auto const [index, found] = leaf.lower_bound(edits_.key());
            auto const until = std::max(index, next);
            builder_.add_entries(leaf, next, until);
            next = found ? std::max(next, index + 1) : until;
            add_edit();
        }
        builder_.add_entries(leaf, next, leaf.count());
    }

    [[nodiscard]] bool is_full(leaf_node const& leaf) const {
        auto const* const value = edits_.value();
        if (value == nullptr) return false;
        format::leaf_measure measure;
        for (std::size_t i = 0; i < leaf.count(); ++i) {
            measure.add(leaf.key(i).size(), leaf.value(i));
        }
        return measure.node_bytes() + edits_.key().size() + value->raw.size() + 8 >
               sizes_.leaf_bytes;
    }

    /// Feeds all edits below `high`.
    void add_edits(upper_bound high) {
        while (edit_below(high)) add_edit();
    }
    void add_edit() {
        if (auto const* const value = edits_.value()) builder_.add(edits_.key(), *value);
        edits_.next();
    }

    Source const& source_;
    Sink& sink_;
    builder<Source, Sink> builder_;
    node_sizes sizes_;
    Edits& edits_;
    leaf_changes_so_far leaf_;
};

template <node_source Source, node_sink Sink> class erase_walk {
  public:
    erase_walk(Source const& source, Sink& sink, node_sizes const& sizes, std::string_view from,
               upper_bound to)
        : source_(source), builder_(source, sink, sizes), from_(from), to_(to) {}

    [[nodiscard]] tree_ref run(tree_ref const& tree) {
        walk(tree.height - 1U, tree.root, {}, nullptr);
        return builder_.finish();
    }

  private:
    void walk(unsigned level, subtree const& node, std::string_view low, upper_bound high) {
        bool const all_before = high != nullptr && *high <= from_;
        bool const all_behind = to_ != nullptr && low >= *to_;
        if (all_before || all_behind) return builder_.add_subtree(level, node, low);
        bool const all_inside =
            low >= from_ && (to_ == nullptr || (high != nullptr && *high <= *to_));
        if (all_inside) return;
        if (level == 0) return keep_outside(node, low);
        auto const inner = open_inner(source_, node.pair(), level);
        builder_.replaces(level, node, low);
        std::string child_low(low);
        for (std::size_t i = 0; i + 1 < inner.count(); ++i) {
            auto child_high = inner.separator(i);
            std::string_view const bound = child_high;
            walk(level - 1, inner.child(i), child_low, &bound);
            child_low = std::move(child_high);
        }
        walk(level - 1, inner.child(inner.count() - 1), child_low, high);
    }

    void keep_outside(subtree const& node, std::string_view low) {
        auto const leaf = open_leaf(source_, node.pair());
        auto const first = leaf.lower_bound(from_).index;
        auto const last = to_ == nullptr ? leaf.count() : leaf.lower_bound(*to_).index;
        if (first >= last) return builder_.add_subtree(0, node, low);
        builder_.boundary(low);
        builder_.replaces(0, node, low);
        builder_.add_entries(leaf, 0, first);
        builder_.add_entries(leaf, last, leaf.count());
    }

    Source const& source_;
    builder<Source, Sink> builder_;
    std::string_view from_;
    upper_bound to_;
};

} // namespace detail

/// The tree after the edits. Opens and writes O(height) nodes for each leaf that an edit touches.
/// @param source reads `tree`, and what `sink` makes
/// @throws errc::corrupt from the source, what the edits throw, std::bad_alloc; `tree` stays good
template <node_source Source, node_sink Sink, edit_source Edits>
[[nodiscard]] tree_ref apply(Source const& source, Sink& sink, node_sizes const& sizes,
                             tree_ref const& tree, Edits& edits) {
    if (edits.done()) return tree;
    return detail::apply_walk<Source, Sink, Edits>(source, sink, sizes, edits).run(tree);
}

/// The tree without the entries of [from, to); no `to` means to the end. Subtrees that lie inside
/// are dropped unread: O(height) nodes however many entries go.
template <node_source Source, node_sink Sink>
[[nodiscard]] tree_ref erase_range(Source const& source, Sink& sink, node_sizes const& sizes,
                                   tree_ref const& tree, std::string_view from,
                                   std::optional<std::string_view> to) {
    if (tree.height == 0 || (to && from >= *to)) return tree;
    auto const* const bound = to ? &*to : nullptr;
    return detail::erase_walk<Source, Sink>(source, sink, sizes, from, bound).run(tree);
}

} // namespace coppice::inline COPPICE_ABI::tree
