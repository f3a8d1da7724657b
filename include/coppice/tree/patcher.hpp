// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/patcher.hpp: what becomes of an old node: a patch of it, or a new node.
// Owns: which old node each level is about to replace, what differs from it, and the rule when a
//   patch is worth its reading: it folds into a new node as soon as one more patch would cost more
//   than the average of all writes since the base was written, that write included.
// Invariant: base and patch together are exactly what was pending, whatever has become of the node
//   meanwhile, since both are compared; an old node becomes the base of one new pair at most. No
//   patch is made of a node in memory: it would be written beside it.

#include <coppice/bytes.hpp>
#include <coppice/format/patch_writer.hpp>
#include <coppice/tree/open_node.hpp>
#include <coppice/tree/pending.hpp>
#include <coppice/tree/tree.hpp>

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

/// Of writing a base of `base_bytes` and patches of it: is one more patch cheaper than the average?
/// With patches that do not shrink, the average falls as long as it is, and rises from then on.
[[nodiscard]] constexpr bool patch_is_worth_it(std::uint64_t patch_bytes, std::uint64_t base_bytes,
                                               format::patch_history const& before) noexcept {
    return patch_bytes * (before.writes + 1) <= base_bytes + before.spent_bytes;
}

namespace detail {

/// What has to be changed in `base` to get `items`; nothing where that is too much for a patch.
[[nodiscard]] inline std::optional<std::vector<format::leaf_change>> leaf_changes(
    format::leaf_view const& base, std::span<format::leaf_item const> items) {
    std::vector<format::leaf_change> changes;
    std::size_t at = 0;
    auto item = items.begin();
    while (at < base.count() || item != items.end()) {
        if (changes.size() > format::max_patch_changes) return {};
        auto const order = at == base.count()    ? 1
                           : item == items.end() ? -1
                                                 : compare_keys(base.key(at), item->key);
        if (order < 0) {
            changes.push_back({at, true, true, {base.key(at), {}}});
            ++at;
            continue;
        }
        auto const same = order == 0 && base.value(at).raw == item->value.raw &&
                          base.value(at).out_of_line == item->value.out_of_line;
        if (!same) changes.push_back({at, order == 0, false, *item});
        at += order == 0 ? 1U : 0U;
        ++item;
    }
    if (changes.size() > format::max_patch_changes) return {};
    return changes;
}

/// A damaged leaf may hold its keys in any order, and a patch may name any place, with checksums
/// that hold; what is made of them is in memory, where nobody looks again.
inline void check_changes(std::span<format::leaf_change const> changes) {
    for (std::size_t k = 1; k < changes.size(); ++k) {
        auto const& a = changes[k - 1];
        auto const& b = changes[k];
        check_order(a.item.key, b.item.key);
        if (a.base_index + (a.replaces ? 1U : 0U) > b.base_index) {
            throw error(errc::corrupt, "the entries of a patch do not ascend");
        }
    }
}
/// How many entries a leaf of `count` has with these changes. REQUIRES: `check_changes`.
[[nodiscard]] inline std::size_t entries_with(std::size_t count,
                                              std::span<format::leaf_change const> changes) {
    for (auto const& change : changes) {
        count += change.replaces ? 0U : 1U;
        count -= change.erased ? 1U : 0U;
    }
    return count;
}

/// Adds what has to be changed to make `before`, number `index` of a base, what it is now.
inline void add_child_changes(std::vector<format::inner_change>& changes, std::size_t index,
                              subtree const& before, subtree const& now) {
    using format::child_change;
    auto const same_node = before.node == now.node;
    if (same_node && before.patch == now.patch) return;
    if (!same_node || now.patch.is_null()) {
        changes.push_back({index, child_change::replaced, now.node, now.entries, now.bytes, {}});
    }
    if (!now.patch.is_null()) {
        changes.push_back({index, child_change::patched, now.patch, now.entries, now.bytes, {}});
    }
}

/// What has to be changed in `base`, whose lowest key is that of the first item, to get `items`;
/// nothing where that is too much for a patch, or where a child is gone.
[[nodiscard]] inline std::optional<std::vector<format::inner_change>> inner_changes(
    format::inner_view const& base, std::span<format::inner_item const> items) {
    using format::child_change;
    std::vector<format::inner_change> changes;
    std::size_t next = 1; // the child of the base that comes next
    add_child_changes(changes, 0, base.child(0), items.front().child);
    for (auto const& item : items.subspan(1)) {
        auto const order = next == base.count() ? 1 : base.compare_separator(next - 1, item.low);
        if (order < 0 || changes.size() > format::max_patch_changes) return {};
        if (order == 0) {
            add_child_changes(changes, next, base.child(next), item.child);
            ++next;
            continue;
        }
        auto const& [node, entries, bytes, patch] = item.child;
        changes.push_back({next - 1, child_change::added, node, entries, bytes, item.low});
        if (!patch.is_null()) {
            changes.push_back({next - 1, child_change::patched, patch, entries, bytes, {}});
        }
    }
    if (next != base.count() || changes.size() > format::max_patch_changes) return {};
    return changes;
}

/// What the patches of an old node have cost so far. Those in memory do not count: what takes their
/// place is written instead of them.
template <typename View, node_source Source>
[[nodiscard]] format::patch_history patches_so_far(Source const& source, node_pair const& old,
                                                   unsigned level) {
    if (!old.is_patched()) return {};
    View const patch(source.node(old.patch, level | format::patch_level_bit));
    format::patch_history const before{patch.spent_bytes(), patch.writes()};
    return old.patch.in_memory() ? before : before.with(old.patch.size_bytes());
}

/// Can a patch of that size be, and is it worth it?
[[nodiscard]] inline bool may_be_patch(std::size_t size_bytes, node_ref base,
                                       format::patch_history const& before) noexcept {
    return size_bytes < format::wide_node_bytes &&
           patch_is_worth_it(size_bytes, base.size_bytes(), before);
}

/// An old leaf with a patch of these changes, where that is worth it.
/// @param entries of both together
template <node_source Source, node_sink Sink>
[[nodiscard]] std::optional<node_pair> patched_leaf(Source const& source, Sink& sink,
                                                    node_pair const& old,
                                                    format::leaf_view const& base,
                                                    std::span<format::leaf_change const> changes,
                                                    std::size_t entries) {
    if (base.count() > format::most_patched_entries) return {};
    if (changes.empty() || changes.size() > format::max_patch_changes) return {};
    auto const size = format::leaf_patch_bytes(changes);
    auto const before = patches_so_far<format::leaf_patch_view>(source, old, 0);
    if (!may_be_patch(size, old.base, before)) return {};
    auto const to = sink.allocate_node(size);
    format::write_leaf_patch(changes, base.count(), entries, before, to);
    return node_pair{old.base, sink.seal_node(to)};
}

/// The same of an inner node. @param children of both together
template <node_source Source, node_sink Sink>
[[nodiscard]] std::optional<node_pair> patched_inner(Source const& source, Sink& sink,
                                                     node_pair const& old,
                                                     format::inner_view const& base,
                                                     std::span<format::inner_change const> changes,
                                                     std::size_t children) {
    if (base.count() > format::most_patched_children) return {};
    if (changes.empty() || changes.size() > format::max_patch_changes) return {};
    auto const level = base.level();
    auto const size = format::inner_patch_bytes(changes);
    auto const before = patches_so_far<format::inner_patch_view>(source, old, level);
    if (!may_be_patch(size, old.base, before)) return {};
    auto const to = sink.allocate_node(size);
    format::write_inner_patch(level, changes, base.count(), children, before, to);
    return node_pair{old.base, sink.seal_node(to)};
}

} // namespace detail

/// Makes patches for one build.
template <node_source Source, node_sink Sink> class patcher {
  public:
    /// @param enabled false: makes none
    patcher(Source const& source, Sink& sink, bool enabled) noexcept
        : source_(source), sink_(sink), enabled_(enabled) {}

    /// What is pending at `level` from now on takes the place of an old node, which is no part of
    /// the new tree otherwise. @param low the lowest key that the old node may hold
    void replaces(unsigned level, node_pair const& old, std::string_view low) {
        if (enabled_) replaced_[level] = {old, std::string(low)};
    }
    /// What is pending at `level` is no longer one old node.
    void forget(unsigned level) noexcept { replaced_[level].node = {}; }

    /// The old leaf with a patch that makes it these items, where that is worth it.
    [[nodiscard]] std::optional<node_pair> leaf(std::span<format::leaf_item const> items) {
        auto const old = take(0);
        if (!old) return {};
        format::leaf_view const base(source_.node(old->node.base, 0));
        auto const changes = detail::leaf_changes(base, items);
        if (!changes) return {};
        detail::check_changes(*changes);
        return detail::patched_leaf(source_, sink_, old->node, base, *changes, items.size());
    }

    /// The old inner node with a patch that gives it these children, where that is worth it.
    [[nodiscard]] std::optional<node_pair> inner(unsigned level,
                                                 std::span<format::inner_item const> items) {
        auto const old = take(level);
        if (!old || old->low != items.front().low) return {};
        format::inner_view const base(source_.node(old->node.base, level));
        auto const changes = detail::inner_changes(base, items);
        if (!changes) return {};
        return detail::patched_inner(source_, sink_, old->node, base, *changes, items.size());
    }

  private:
    struct old_node {
        node_pair node{};
        std::string low{};
    };

    [[nodiscard]] std::optional<old_node> take(unsigned level) {
        auto old = std::exchange(replaced_[level], {});
        if (old.node.base.is_null() || old.node.base.in_memory()) return {};
        return old;
    }

    Source const& source_;
    Sink& sink_;
    bool enabled_;
    std::array<old_node, format::max_height + 1> replaced_; // by level
};

} // namespace coppice::inline COPPICE_ABI::tree
