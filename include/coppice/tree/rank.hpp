// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/rank.hpp: how many entries lie before a key.
// Owns: the order statistics that need no cursor: rank, and counts of ranges as differences.
// Invariant: one descent of `height` nodes; the totals in the references say the rest.
// Allocates: nothing.

#include <coppice/tree/open_node.hpp>
#include <coppice/tree/tree.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace coppice::inline COPPICE_ABI::tree {

/// The number of entries whose key is before `key`.
template <node_source Source>
[[nodiscard]] std::uint64_t rank(Source const& source, tree_ref const& tree, std::string_view key) {
    if (tree.height == 0) return 0;
    std::uint64_t before = 0;
    auto node = tree.root.pair();
    for (unsigned level = tree.height - 1U; level > 0; --level) {
        auto const inner = open_inner(source, node, level);
        auto const child = inner.child_for(key);
        for (std::size_t i = 0; i < child; ++i) before += inner.entries(i);
        node = inner.pair(child);
    }
    return before + open_leaf(source, node).lower_bound(key).index;
}

/// The lowest text above all texts that begin with `prefix`; nothing where there is none.
[[nodiscard]] inline std::optional<std::string> prefix_end(std::string_view prefix) {
    std::string end(prefix);
    while (!end.empty() && end.back() == '\xff') end.pop_back();
    if (end.empty()) return {};
    end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1U);
    return end;
}

} // namespace coppice::inline COPPICE_ABI::tree
