// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/changed_node.hpp: a node and what is changed in it -> the one node after it.
// Owns: the short way. Where a patch will do, it looks at the changes of a node and not at its
//   entries; where an inner node has other children, at nothing else of it.
// Invariant: what it makes of a sound node is, byte for byte, what `builder` makes of all its
//   parts. Where it cannot tell, where the node may have to be cut or merged, it makes nothing.

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
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace coppice::inline COPPICE_ABI::tree {

namespace detail {

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
                                           std::span<format::leaf_change const> changes) {
    auto const header = format::load_node_header(base.bytes());
    auto plain = header.has_flag_array == 0 && header.entry_flags == 0;
    auto less = 8 + (header.has_flag_array != 0 ? base.count() : 0);
    std::size_t more = 8; // padding
    for (auto const& change : changes) {
        auto const& [key, value] = change.item;
        more += change.erased ? 0 : key.size() + value.raw.size() + 9;
        plain = plain && !value.out_of_line;
        if (!change.replaces) continue;
        auto const i = change.base_index;
        less += base.key(i).size() + base.value(i).raw.size() + 11;
    }
    more += plain ? 0 : base.count();
    return bounds(header.size_bytes, less, more, 2 * (base.count() + changes.size() + 1));
}

/// An inner node with these changes, of which none takes a child away.
[[nodiscard]] inline node_bounds bounds_of(format::inner_view const& base,
                                           std::span<format::inner_change const> changes) {
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

} // namespace detail

/// What becomes of one leaf. Used for one leaf after the other, to keep its memory.
class leaf_changes_so_far {
  public:
    /// Begins with a leaf as it is.
    void begin(leaf_node const& leaf) {
        leaf_ = leaf;
        changes_.clear();
        if (leaf.is_patched()) changes_.reserve(leaf.patch().count() + 1);
        next_ = 0;
        entries_ = leaf.count();
        new_bytes_ = gone_bytes_ = come_bytes_ = 0;
    }

    /// Puts or, without a value, erases an entry. REQUIRES: keys ascend strictly; key and value
    /// live until the leaf is made.
    void edit(std::string_view key, format::stored_value const* value) {
        auto const& base = leaf_.base();
        auto const [index, found] = base.lower_bound(key);
        auto const before = take_until(key, found ? std::optional(index) : std::nullopt);
        if (before) gone_bytes_ += detail::bytes_out_of_line(*before);
        entries_ -= before ? 1U : 0U;
        if (value == nullptr) {
            if (found) changes_.push_back({index, true, true, {base.key(index), {}}});
            return;
        }
        ++entries_;
        come_bytes_ += detail::bytes_out_of_line(*value);
        new_bytes_ += key.size() + value->raw.size();
        if (found && is_same(base.value(index), *value)) return;
        changes_.push_back({index, found, false, {key, *value}});
    }

    /// Bytes of all that was put.
    [[nodiscard]] std::size_t new_bytes() const noexcept { return new_bytes_; }

    /// The leaf, with totals, where it stays one that need not be merged.
    /// @param node the old one, @param ends_tree does nothing in the tree come behind it?
    /// @param appends are entries put behind all the others?
    /// @throws errc::corrupt where the old one is no leaf
    template <node_source Source, node_sink Sink>
    [[nodiscard]] std::optional<subtree> finish(Source const& source, Sink& sink,
                                                node_sizes const& sizes, subtree const& node,
                                                bool ends_tree, bool appends) {
        if (leaf_.is_patched()) keep_changes(leaf_.patch().count());
        if (entries_ == 0) return {};
        auto const& base = leaf_.base();
        detail::check_changes(changes_);
        auto const [least, most] = detail::bounds_of(base, changes_);
        if (!ends_tree && least < sizes.leaf_bytes / 4) return {};
        if (most > sizes.leaf_bytes + (appends ? 0 : sizes.leaf_bytes / 4)) return {};
        if (detail::entries_with(base.count(), changes_) != entries_) {
            throw error(errc::corrupt, "a patch does not add the entries that it counts");
        }
        auto const gone = node.pair().size_bytes() + gone_bytes_;
        if (node.bytes < gone) return {};
        std::optional<node_pair> pair;
        if (sizes.patches && !node.node.in_memory()) { // else it would be written beside it
            pair = detail::patched_leaf(source, sink, node.pair(), base, std::span(changes_),
                                        entries_);
        }
        if (!pair) pair = folded(sink, sizes.leaf_bytes);
        if (!pair) return {};
        return subtree{pair->base, entries_, node.bytes - gone + pair->size_bytes() + come_bytes_,
                       pair->patch};
    }

  private:
    [[nodiscard]] static bool is_same(format::stored_value const& a,
                                      format::stored_value const& b) noexcept {
        return a.raw == b.raw && a.out_of_line == b.out_of_line;
    }

    /// Keeps the changes of the old patch before `key`. @return what the key had
    [[nodiscard]] std::optional<format::stored_value> take_until(std::string_view key,
                                                                 std::optional<std::size_t> index) {
        if (leaf_.is_patched()) {
            auto const patch = leaf_.patch();
            auto const [place, same] = patch.changed().lower_bound(key);
            keep_changes(place);
            if (same) {
                next_ = std::max(next_, place + 1);
                return patch.erased(place) ? std::nullopt
                                           : std::optional(patch.changed().value(place));
            }
        }
        if (!index) return {};
        return leaf_.base().value(*index);
    }
    void keep_changes(std::size_t until) {
        auto const patch = leaf_.patch();
        for (; next_ < until; ++next_) {
            changes_.push_back({patch.base_index(next_),
                                patch.replaces(next_),
                                patch.erased(next_),
                                {patch.changed().key(next_), patch.changed().value(next_)}});
        }
    }

    template <node_sink Sink>
    [[nodiscard]] std::optional<node_pair> folded(Sink& sink, std::size_t limit_bytes) {
        items_.clear();
        items_.reserve(entries_);
        format::leaf_measure measure;
        auto const add = [&](std::string_view key, format::stored_value const& value) {
            if (!items_.empty()) detail::check_order(items_.back().key, key);
            items_.push_back({key, value});
            measure.add(key.size(), value);
        };
        auto const& base = leaf_.base();
        std::size_t at = 0;
        for (auto const& change : changes_) {
            for (; at < change.base_index; ++at) add(base.key(at), base.value(at));
            at += change.replaces ? 1U : 0U;
            if (!change.erased) add(change.item.key, change.item.value);
        }
        for (; at < base.count(); ++at) add(base.key(at), base.value(at));
        if (measure.node_bytes() > limit_bytes) return {};
        auto const to = sink.allocate_node(measure.node_bytes());
        format::write_leaf(items_, to);
        return node_pair{sink.seal_node(to)};
    }

    leaf_node leaf_;
    std::vector<format::leaf_change> changes_;
    std::vector<format::leaf_item> items_;
    std::size_t next_ = 0; // the first change of the old patch that is not looked at yet
    std::size_t entries_ = 0;
    std::size_t new_bytes_ = 0;
    std::uint64_t gone_bytes_ = 0; // out of line, what was there before
    std::uint64_t come_bytes_ = 0;
};

using format::changed_child;

namespace detail {

/// What has to be changed in the base of an inner node once some of its children are other ones.
/// @param children by index in base and patch together, which ascends
[[nodiscard]] inline std::vector<format::inner_change> inner_changes_with(
    inner_node const& inner, std::span<changed_child const> children) {
    std::vector<format::inner_change> changes;
    auto const count = inner.is_patched() ? inner.patch().count() : 0;
    changes.reserve(count + 2 * children.size());
    std::size_t k = 0;
    std::size_t added = 0; // before the child
    auto const keep = [&](format::inner_patch_view const& patch) {
        changes.push_back({patch.base_index(k), patch.what(k), patch.node(k), patch.entries(k),
                           patch.bytes(k), patch.separator(k)});
        added += patch.adds(k) ? 1U : 0U;
        ++k;
    };
    auto const about = [&](format::inner_patch_view const& patch) {
        return patch.base_index(k) + added + (patch.adds(k) ? 1U : 0U);
    };
    for (auto const& [index, child] : children) {
        while (k < count && about(inner.patch()) < index) keep(inner.patch());
        if (k < count && about(inner.patch()) == index && inner.patch().adds(k)) {
            auto const place = inner.patch().base_index(k);
            auto const& [node, entries, bytes, patch] = child;
            changes.push_back({place, format::child_change::added, node, entries, bytes,
                               inner.patch().separator(k)});
            if (!patch.is_null()) {
                changes.push_back(
                    {place, format::child_change::patched, patch, entries, bytes, {}});
            }
            ++added;
            ++k;
        } else {
            add_child_changes(changes, index - added, inner.base().child(index - added), child);
        }
        // What was said about the child so far; of an added one, only its patch can be left.
        while (k < count && about(inner.patch()) == index && !inner.patch().adds(k)) ++k;
    }
    while (k < count) keep(inner.patch());
    return changes;
}

template <node_sink Sink>
[[nodiscard]] std::optional<node_pair> folded_inner(Sink& sink, std::size_t limit_bytes,
                                                    unsigned level, subtree const& node,
                                                    inner_node const& inner,
                                                    std::span<changed_child const> children) {
    auto const as_patched = [&](changed_child const& changed) {
        return inner.base().is_patched(changed.index) == !changed.child.patch.is_null();
    };
    if (!inner.is_patched() && std::all_of(children.begin(), children.end(), as_patched)) {
        auto const size = node.node.size_bytes();
        if (size > limit_bytes) return {};
        auto const to = sink.allocate_node(size);
        format::write_inner_with(inner.base(), children, to);
        return node_pair{sink.seal_node(to)};
    }
    pending_inner parts;
    std::string buffer;
    auto next = children.begin();
    for (format::inner_walk each(inner); !each.done(); each.next()) {
        auto const changed = next != children.end() && next->index == each.index();
        parts.add(each.low(buffer), changed ? next->child : each.child());
        if (changed) ++next;
    }
    auto const items = parts.items(parts.count());
    auto const size = format::inner_node_bytes(items);
    if (size > limit_bytes) return {};
    auto const to = sink.allocate_node(size);
    format::write_inner(level, items, to);
    return node_pair{sink.seal_node(to)};
}

} // namespace detail

/// The inner node, with totals, that takes the place of `node` once some of its children are other
/// ones, where it stays one that need not be merged.
/// @param inner the old one, @param children by index, which ascends
/// @param ends_tree does nothing in the tree come behind it?
template <node_source Source, node_sink Sink>
[[nodiscard]] std::optional<subtree> changed_inner(Source const& source, Sink& sink,
                                                   node_sizes const& sizes, unsigned level,
                                                   subtree const& node, inner_node const& inner,
                                                   std::span<changed_child const> children,
                                                   bool ends_tree) {
    auto entries = node.entries;
    auto bytes = node.bytes;
    if (bytes < node.pair().size_bytes()) return {};
    bytes -= node.pair().size_bytes();
    for (auto const& changed : children) {
        auto const before = inner.child(changed.index);
        if (entries < before.entries || bytes < before.bytes) return {};
        entries -= before.entries;
        bytes -= before.bytes;
    }
    for (auto const& changed : children) {
        entries += changed.child.entries;
        bytes += changed.child.bytes;
    }
    auto const changes = detail::inner_changes_with(inner, children);
    auto const [least, most] = detail::bounds_of(inner.base(), changes);
    auto const limit = sizes.inner_bytes;
    if ((!ends_tree && least < limit / 4) || most > limit + limit / 4) return {};
    std::optional<node_pair> pair;
    if (sizes.patches && !node.node.in_memory()) { // else it would be written beside it
        pair = detail::patched_inner(source, sink, node.pair(), inner.base(), std::span(changes),
                                     inner.count());
    }
    if (!pair) pair = detail::folded_inner(sink, limit, level, node, inner, children);
    if (!pair) return {};
    return subtree{pair->base, entries, bytes + pair->size_bytes(), pair->patch};
}

} // namespace coppice::inline COPPICE_ABI::tree
