// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/find.hpp: one descent from the root to a leaf.
// Owns: the order of steps of a point read. Knows nodes through leaf_node and inner_node only.
// Invariant: the level counts down by one a node, so a read opens `height` nodes, also in a
//   damaged file. Throws: errc::corrupt from the source. Allocates: nothing. Thread safety: as
//   the source's.

#include <coppice/tree/open_node.hpp>
#include <coppice/tree/tree.hpp>

#include <optional>
#include <string_view>

namespace coppice::inline COPPICE_ABI::tree {

/// The stored value of a key; nothing where the key is absent. O(height) nodes.
template <node_source Source>
[[nodiscard]] std::optional<format::stored_value> find(Source const& source, tree_ref const& tree,
                                                       std::string_view key) {
    if (tree.height == 0) return {};
    auto node = tree.root.pair();
    for (unsigned level = tree.height - 1U; level > 0; --level) {
        node = open_inner(source, node, level).child_of(key);
        prefetch(source, node, searched_bytes);
    }
    return open_leaf(source, node).find(key);
}

} // namespace coppice::inline COPPICE_ABI::tree
