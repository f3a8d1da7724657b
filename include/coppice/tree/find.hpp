// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/find.hpp: one descent from the root to a leaf.
// Owns: the order of steps of a point read. Knows nodes through leaf_view and inner_view only.
// Invariant: the level counts down by one a node, so a read opens `height` nodes, also in a
//   damaged file. Throws: errc::corrupt from the source. Allocates: nothing. Thread safety: as
//   the source's.

#include <coppice/format/inner.hpp>
#include <coppice/format/leaf.hpp>
#include <coppice/tree/tree.hpp>

#include <optional>
#include <string_view>

namespace coppice::inline COPPICE_ABI::tree {

/// The stored value of a key; nothing where the key is absent. O(height) nodes.
template <node_source Source>
[[nodiscard]] std::optional<format::stored_value> find(Source const& source, tree_ref const& tree,
                                                       std::string_view key) {
    if (tree.height == 0) return {};
    auto node = tree.root.node;
    for (unsigned level = tree.height - 1U; level > 0; --level) {
        format::inner_view const inner(source.node(node, level));
        node = inner.node(inner.child_for(key));
    }
    format::leaf_view const leaf(source.node(node, 0));
    auto const [index, found] = leaf.lower_bound(key);
    if (!found) return {};
    return leaf.value(index);
}

} // namespace coppice::inline COPPICE_ABI::tree
