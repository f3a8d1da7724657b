// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/relocate.hpp: a tree whose newest nodes are in memory -> one at final offsets.
// Owns: the order of writing, leaf to root: a leaf's values, the leaf, then its parent.
// Invariant: only what the given tree reaches is written, each node once; sizes do not change, so
//   the totals stand. The memory tree is not changed. The recursion is as deep as the tree.

#include <coppice/bytes.hpp>
#include <coppice/format/inner.hpp>
#include <coppice/format/leaf.hpp>
#include <coppice/tree/tree.hpp>

#include <concepts>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <vector>

namespace coppice::inline COPPICE_ABI::tree {

/// A sink that takes values as well.
template <typename S>
concept relocation_sink = node_sink<S> && requires(S& sink, std::string_view value) {
    { sink.add_extent(value) } -> std::same_as<extent_ref>;
};

namespace detail {

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

template <relocation_sink Sink> node_ref relocate_node(Sink& sink, node_ref node, unsigned level) {
    if (!node.in_memory()) return node;
    if (level == 0) return relocate_leaf(sink, node);
    auto const* const from = node.memory();
    format::inner_view const inner(from);
    std::vector<node_ref> children(inner.count());
    for (std::size_t i = 0; i < inner.count(); ++i) {
        children[i] = relocate_node(sink, inner.node(i), level - 1);
    }
    auto const to = sink.allocate_node(static_cast<std::size_t>(node.size_bytes()));
    std::memcpy(to.data(), from, to.size());
    auto* const hot =
        to.data() + format::node_header_bytes + format::inner_view::heads_bytes(inner.count());
    for (std::size_t i = 0; i < inner.count(); ++i) {
        format::store(hot + 8 * i, children[i].hot);
        format::store(hot + 8 * (inner.count() + i), children[i].checksum);
    }
    return sink.seal_node(to);
}

} // namespace detail

/// Copies every memory node and memory value that `tree` reaches to the sink.
/// @return the same tree, named by the sink's references
template <relocation_sink Sink> [[nodiscard]] tree_ref relocate(Sink& sink, tree_ref const& tree) {
    if (tree.height == 0) return tree;
    auto result = tree;
    result.root.node = detail::relocate_node(sink, tree.root.node, tree.height - 1U);
    return result;
}

} // namespace coppice::inline COPPICE_ABI::tree
