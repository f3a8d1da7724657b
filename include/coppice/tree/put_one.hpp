// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/put_one.hpp: a tree and one entry -> a tree, in which every node stays one node.
// Owns: the short way of the commonest commit. Where a patch will do, it looks at the changes of a
//   node and not at its entries; where a node has one child that is new, at nothing else of it.
// Invariant: what it makes of a sound tree is, byte for byte, what `apply` makes of the same edit.
//   Where it cannot tell, where a node may have to be cut or merged, it gives up.

#include <coppice/format/extent.hpp>
#include <coppice/format/inner_walk.hpp>
#include <coppice/format/node_writer.hpp>
#include <coppice/format/patch_writer.hpp>
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
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coppice::inline COPPICE_ABI::tree {

namespace detail {

/// What has to be changed in the base of a leaf once one entry of the leaf is put.
[[nodiscard]] inline std::vector<format::leaf_change> leaf_changes_with(
    leaf_node const& leaf, format::leaf_change const& put) {
    if (!leaf.is_patched()) return {put};
    auto const patch = leaf.patch();
    auto const [place, same] = patch.changed().lower_bound(put.item.key);
    std::vector<format::leaf_change> changes;
    changes.reserve(patch.count() + 1);
    for (std::size_t k = 0; k < patch.count(); ++k) {
        if (k == place) changes.push_back(put);
        if (k == place && same) continue;
        changes.push_back({patch.base_index(k),
                           patch.replaces(k),
                           patch.erased(k),
                           {patch.changed().key(k), patch.changed().value(k)}});
    }
    if (place == patch.count()) changes.push_back(put);
    return changes;
}

/// What has to be changed in the base of an inner node once one of its children is another one.
[[nodiscard]] inline std::vector<format::inner_change> inner_changes_with(inner_node const& inner,
                                                                          std::size_t index,
                                                                          subtree const& child) {
    std::vector<format::inner_change> changes;
    auto const count = inner.is_patched() ? inner.patch().count() : 0;
    changes.reserve(count + 2);
    std::size_t k = 0;
    auto const keep = [&](format::inner_patch_view const& patch) {
        changes.push_back({patch.base_index(k), static_cast<format::child_change>(patch.what(k)),
                           patch.node(k), patch.entries(k), patch.bytes(k), patch.separator(k)});
    };
    std::size_t added = 0; // before the child
    auto const about = [&](format::inner_patch_view const& patch) {
        return patch.base_index(k) + added + (patch.adds(k) ? 1U : 0U);
    };
    for (; k < count && about(inner.patch()) < index; ++k) {
        added += inner.patch().adds(k) ? 1U : 0U;
        keep(inner.patch());
    }
    if (k < count && about(inner.patch()) == index && inner.patch().adds(k)) {
        auto const place = inner.patch().base_index(k);
        auto const& [node, entries, bytes, patch] = child;
        changes.push_back(
            {place, format::child_change::added, node, entries, bytes, inner.patch().separator(k)});
        if (!patch.is_null()) {
            changes.push_back({place, format::child_change::patched, patch, entries, bytes, {}});
        }
        ++added;
        ++k;
    } else {
        add_child_changes(changes, index - added, inner.base().child(index - added), child);
    }
    // What was said about the child so far; of an added one, only its patch can be left.
    while (k < count && inner.patch().base_index(k) + added == index && !inner.patch().adds(k)) ++k;
    for (; k < count; ++k) keep(inner.patch());
    return changes;
}

/// The bytes of a node, when not all of it is looked at: no less than `least`, no more than `most`.
struct node_bounds {
    std::size_t least = 0;
    std::size_t most = 0;
};
/// @param wider how many more bytes the node has if it becomes wide
[[nodiscard]] inline node_bounds bounds(std::size_t now, std::size_t less, std::size_t more,
                                        std::size_t wider) noexcept {
    auto const narrow = now + more;
    return {now - std::min(less, now), narrow + (narrow < format::wide_node_bytes ? 0 : wider)};
}

/// A leaf with these changes.
[[nodiscard]] inline node_bounds bounds_of(format::leaf_view const& base,
                                           std::vector<format::leaf_change> const& changes) {
    auto const header = format::load_node_header(base.bytes());
    auto plain = header.has_flag_array == 0 && header.entry_flags == 0;
    auto less = 8 + (header.has_flag_array != 0 ? base.count() : 0);
    std::size_t more = 8; // padding
    for (auto const& change : changes) {
        auto const& [key, value] = change.item;
        more += key.size() + value.raw.size() + 9;
        plain = plain && !value.out_of_line;
        if (!change.replaces) continue;
        auto const i = change.base_index;
        less += base.key(i).size() + base.value(i).raw.size() + 8;
    }
    more += plain ? 0 : base.count();
    return bounds(header.size_bytes, less, more, 2 * (base.count() + changes.size() + 1));
}

/// An inner node with these changes, of which none takes a child away.
[[nodiscard]] inline node_bounds bounds_of(format::inner_view const& base,
                                           std::vector<format::inner_change> const& changes) {
    auto const header = format::load_node_header(base.bytes());
    auto const bits = base.count() / 8 + 8; // which children have patches: there or not
    auto less = bits;
    auto more = bits + 8;
    auto prefix_holds = true;
    for (std::size_t k = 0; k < changes.size(); ++k) {
        auto const& change = changes[k];
        if (change.what == format::child_change::added) {
            more += 40 + change.separator.size();
            prefix_holds = false;
            continue;
        }
        auto const was_patched = base.is_patched(change.base_index);
        auto const of_added = k > 0 && changes[k - 1].what == format::child_change::added &&
                              changes[k - 1].base_index == change.base_index;
        if (change.what == format::child_change::replaced) {
            less += was_patched ? 16U : 0U; // the patch went with its base
        } else {
            more += was_patched && !of_added ? 0U : 16U;
        }
    }
    more += prefix_holds ? 0 : base.count() * header.prefix_bytes;
    return bounds(header.size_bytes, less, more, 2 * (base.count() + changes.size()));
}

/// The bytes that a value takes out of line.
[[nodiscard]] inline std::uint64_t bytes_out_of_line(format::stored_value const& value) noexcept {
    return value.out_of_line ? format::extent_stored_bytes(value.length_bytes()) : 0;
}

template <node_source Source, node_sink Sink> class one_put {
  public:
    one_put(Source const& source, Sink& sink, node_sizes const& sizes, std::string_view key,
            format::stored_value const& value)
        : source_(source), sink_(sink), sizes_(sizes), key_(key), value_(value) {}

    [[nodiscard]] std::optional<tree_ref> run(tree_ref const& tree) {
        if (tree.height < 2) return {};
        auto node = tree.root;
        auto at_right_edge = true;
        for (auto level = tree.height - 1U; level > 0; --level) {
            auto const inner = open_inner(source_, node.pair(), level);
            auto const child = inner.child_for(key_);
            path_[level] = {node, inner, child, at_right_edge};
            at_right_edge = at_right_edge && child + 1 == inner.count();
            node = inner.child(child);
        }
        auto made = put_into(node, at_right_edge);
        for (auto level = 1U; made && level < tree.height; ++level) {
            made = replace_child(level, path_[level], *made);
        }
        if (!made) return {};
        return tree_ref{*made, tree.height};
    }

  private:
    struct step {
        subtree node{};
        inner_node inner{};
        std::size_t child = 0;
        bool at_right_edge = false; ///< Does nothing in the tree come behind the node?
    };

    [[nodiscard]] std::optional<subtree> put_into(subtree const& node, bool at_right_edge) {
        auto const leaf = open_leaf(source_, node.pair());
        auto const& base = leaf.base();
        auto const [index, found] = base.lower_bound(key_);
        if (found && is_value(base.value(index))) return {}; // no change is left of it
        auto const changes = leaf_changes_with(leaf, {index, found, false, {key_, value_}});
        check_changes(changes);
        auto const [least, most] = bounds_of(base, changes);
        if (!at_right_edge && least < sizes_.leaf_bytes / 4) return {};
        auto const appends = at_right_edge && key_ > leaf.key(leaf.count() - 1);
        if (most > sizes_.leaf_bytes + (appends ? 0 : sizes_.leaf_bytes / 4)) return {};
        auto const before = leaf.find(key_);
        auto const entries = entries_with(base.count(), changes);
        if (entries != leaf.count() + (before ? 0U : 1U)) {
            throw error(errc::corrupt, "a patch does not add the entries that it counts");
        }
        auto pair = may_patch(node)
                        ? patched_leaf(source_, sink_, node.pair(), base, changes, entries)
                        : std::nullopt;
        if (!pair) pair = folded_leaf(leaf, entries);
        if (!pair) return {};
        auto const gone = node.pair().size_bytes() + (before ? bytes_out_of_line(*before) : 0);
        if (node.bytes < gone) return {};
        return subtree{pair->base, entries,
                       node.bytes - gone + pair->size_bytes() + bytes_out_of_line(value_),
                       pair->patch};
    }

    /// A patch of a node in memory would be written beside it.
    [[nodiscard]] bool may_patch(subtree const& old) const noexcept {
        return sizes_.patches && !old.node.in_memory();
    }
    [[nodiscard]] bool is_value(format::stored_value const& other) const noexcept {
        return other.raw == value_.raw && other.out_of_line == value_.out_of_line;
    }

    [[nodiscard]] std::optional<node_pair> folded_leaf(leaf_node const& leaf, std::size_t entries) {
        std::vector<format::leaf_item> items;
        items.reserve(entries);
        format::leaf_measure measure;
        auto const add = [&](std::string_view key, format::stored_value const& value) {
            if (!items.empty()) check_order(items.back().key, key);
            items.push_back({key, value});
            measure.add(key.size(), value);
        };
        auto const [place, found] = leaf.lower_bound(key_);
        for (std::size_t i = 0; i < leaf.count();) {
            auto const run = leaf.run(i);
            for (auto k = run.index; k < run.last && i < leaf.count(); ++k, ++i) {
                if (i == place) add(key_, value_);
                if (i != place || !found) add(run.in.key(k), run.in.value(k));
            }
        }
        if (place == leaf.count()) add(key_, value_);
        if (measure.node_bytes() > sizes_.leaf_bytes) return {};
        auto const to = sink_.allocate_node(measure.node_bytes());
        format::write_leaf(items, to);
        return node_pair{sink_.seal_node(to)};
    }

    [[nodiscard]] std::optional<subtree> replace_child(unsigned level, step const& at,
                                                       subtree const& child) {
        auto const before = at.inner.child(at.child);
        auto const own_bytes = at.node.pair().size_bytes();
        if (at.node.entries < before.entries || at.node.bytes < before.bytes + own_bytes) return {};
        auto const changes = inner_changes_with(at.inner, at.child, child);
        auto const [least, most] = bounds_of(at.inner.base(), changes);
        auto const limit = sizes_.inner_bytes;
        if ((!at.at_right_edge && least < limit / 4) || most > limit + limit / 4) return {};
        auto pair = may_patch(at.node) ? patched_inner(source_, sink_, at.node.pair(),
                                                       at.inner.base(), changes, at.inner.count())
                                       : std::nullopt;
        if (!pair) pair = folded_inner(level, at, before, child);
        if (!pair) return {};
        return subtree{pair->base, at.node.entries - before.entries + child.entries,
                       at.node.bytes - before.bytes - own_bytes + child.bytes + pair->size_bytes(),
                       pair->patch};
    }

    [[nodiscard]] std::optional<node_pair> folded_inner(unsigned level, step const& at,
                                                        subtree const& before,
                                                        subtree const& child) {
        auto const old_bytes = at.node.node.size_bytes();
        if (!at.inner.is_patched() && before.patch.is_null() == child.patch.is_null()) {
            if (old_bytes > sizes_.inner_bytes) return {};
            auto const to = sink_.allocate_node(old_bytes);
            format::write_inner_with(at.inner.base(), at.child, child, to);
            return node_pair{sink_.seal_node(to)};
        }
        pending_inner parts;
        std::string buffer;
        for (format::inner_walk each(at.inner); !each.done(); each.next()) {
            parts.add(each.low(buffer), each.index() == at.child ? child : each.child());
        }
        auto const items = parts.items(parts.count());
        auto const size = format::inner_node_bytes(items);
        if (size > sizes_.inner_bytes) return {};
        auto const to = sink_.allocate_node(size);
        format::write_inner(level, items, to);
        return node_pair{sink_.seal_node(to)};
    }

    Source const& source_;
    Sink& sink_;
    node_sizes sizes_;
    std::string_view key_;
    format::stored_value value_;
    std::array<step, format::max_height + 1> path_; // [0] is not used
};

} // namespace detail

/// The tree after an entry is put, made the short way; nothing where it takes `apply`. Opens and
/// writes O(height) nodes. Nodes that it made before it gave up stay in the sink, unused.
/// @param source reads `tree`
/// @throws errc::corrupt from the source, std::bad_alloc; `tree` stays good
template <node_source Source, node_sink Sink>
[[nodiscard]] std::optional<tree_ref> put_one(Source const& source, Sink& sink,
                                              node_sizes const& sizes, tree_ref const& tree,
                                              std::string_view key,
                                              format::stored_value const& value) {
    return detail::one_put<Source, Sink>(source, sink, sizes, key, value).run(tree);
}

} // namespace coppice::inline COPPICE_ABI::tree
