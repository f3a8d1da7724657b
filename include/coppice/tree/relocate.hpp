// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/relocate.hpp: a tree whose newest nodes are in memory -> one at final offsets.
// Owns: the order of writing, leaf to root: a leaf's values, the leaf, then its parent.
// Invariant: only what the given tree reaches is written, each node once; sizes do not change, so
//   the totals stand. The memory tree is not changed. The recursion is as deep as the tree.

#include <coppice/bytes.hpp>
#include <coppice/format/inner_patch.hpp>
#include <coppice/format/leaf_patch.hpp>
#include <coppice/tree/tree.hpp>

#include <concepts>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace coppice::inline COPPICE_ABI::tree {

/// A sink that takes values as well.
template <typename S>
concept relocation_sink = node_sink<S> && requires(S& sink, std::string_view value) {
    { sink.add_extent(value) } -> std::same_as<extent_ref>;
};

namespace detail {

/// A leaf, or a patch of one.
template <relocation_sink Sink> node_ref relocate_leaf(Sink& sink, node_ref node) {
    auto const* const from = node.memory();
    format::leaf_view const leaf(from);
    std::vector<extent_ref> extents(leaf.count());
    for (std::size_t i = 0; i < leaf.count(); ++i) {
        auto const value = leaf.value(i);
        if (!value.out_of_line) continue;
        extents[i] = value.extent();
        if (!extents[i].in_memory()) continue;
        extents[i] = sink.add_extent(
            as_text({extents[i].memory(), static_cast<std::size_t>(extents[i].length_bytes)}));
    }
    auto const to = sink.allocate_node(static_cast<std::size_t>(node.size_bytes()));
    std::memcpy(to.data(), from, to.size());
    for (std::size_t i = 0; i < leaf.count(); ++i) {
        auto const value = leaf.value(i);
        if (!value.out_of_line) continue;
        auto const at = reinterpret_cast<std::byte const*>(value.raw.data()) - from;
        extents[i].encode(to.data() + at);
    }
    return sink.seal_node(to);
}

/// Writes references into a node: all hot words, then all checksums.
inline void store_refs(std::byte* to, std::span<node_ref const> refs) noexcept {
    for (std::size_t i = 0; i < refs.size(); ++i) {
        format::store(to + 8 * i, refs[i].hot);
        format::store(to + 8 * (refs.size() + i), refs[i].checksum);
    }
}

template <relocation_sink Sink>
node_pair relocate_node(Sink& sink, node_pair const& node, unsigned level);
template <relocation_sink Sink> node_ref relocate_patch(Sink& sink, node_ref patch, unsigned level);

template <relocation_sink Sink> node_ref relocate_inner(Sink& sink, node_ref node, unsigned level) {
    format::inner_view const inner(node.memory());
    std::vector<node_ref> bases(inner.count());
    std::vector<node_ref> patches;
    for (std::size_t i = 0; i < inner.count(); ++i) {
        auto const child = relocate_node(sink, inner.pair(i), level - 1);
        bases[i] = child.base;
        if (child.is_patched()) patches.push_back(child.patch);
    }
    auto const to = sink.allocate_node(static_cast<std::size_t>(node.size_bytes()));
    std::memcpy(to.data(), node.memory(), to.size());
    store_refs(to.data() + inner.refs_begin(), bases);
    if (!patches.empty()) store_refs(to.data() + inner.patch_refs_begin(), patches);
    return sink.seal_node(to);
}

/// A change names a node, or a patch of a child that is named before it or in the base.
template <relocation_sink Sink>
node_ref relocate_inner_patch(Sink& sink, node_ref node, unsigned level) {
    format::inner_patch_view const patch(node.memory());
    std::vector<node_ref> refs(patch.count());
    for (std::size_t k = 0; k < patch.count(); ++k) {
        refs[k] = patch.node(k);
        if (!refs[k].in_memory()) continue;
        auto const is_patch = patch.what(k) == format::child_change::patched;
        refs[k] = is_patch ? relocate_patch(sink, refs[k], level - 1)
                           : relocate_node(sink, {refs[k]}, level - 1).base;
    }
    auto const to = sink.allocate_node(static_cast<std::size_t>(node.size_bytes()));
    std::memcpy(to.data(), node.memory(), to.size());
    store_refs(to.data() + format::inner_patch_view::fixed_bytes, refs);
    return sink.seal_node(to);
}

template <relocation_sink Sink>
node_ref relocate_patch(Sink& sink, node_ref patch, unsigned level) {
    return level == 0 ? relocate_leaf(sink, patch) : relocate_inner_patch(sink, patch, level);
}

template <relocation_sink Sink>
node_pair relocate_node(Sink& sink, node_pair const& node, unsigned level) {
    auto result = node;
    if (node.base.in_memory()) {
        result.base =
            level == 0 ? relocate_leaf(sink, node.base) : relocate_inner(sink, node.base, level);
    }
    if (node.patch.in_memory()) result.patch = relocate_patch(sink, node.patch, level);
    return result;
}

} // namespace detail

/// Copies every memory node and memory value that `tree` reaches to the sink.
/// @return the same tree, named by the sink's references
template <relocation_sink Sink> [[nodiscard]] tree_ref relocate(Sink& sink, tree_ref const& tree) {
    if (tree.height == 0) return tree;
    auto result = tree;
    auto const root = detail::relocate_node(sink, tree.root.pair(), tree.height - 1U);
    result.root.node = root.base;
    result.root.patch = root.patch;
    return result;
}

} // namespace coppice::inline COPPICE_ABI::tree
