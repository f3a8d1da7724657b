// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/find_many.hpp: descents for several keys at once.
// Owns: the order of their steps: all descents take one level together, and ask for the nodes of
//   the next level before any of them is looked at, so that the misses of memory overlap.
// Invariant: finds what `find` finds, key by key. Allocates: nothing. Thread safety and errors: as
//   `find`. Source: group prefetching of Chen, Gibbons and Mowry, "Improving Index Performance
//   through Prefetching", SIGMOD 2001, and of the batched lookups of databases in memory since.

#include <coppice/assert.hpp>
#include <coppice/tree/find.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace coppice::inline COPPICE_ABI::tree {

/// How many descents go on at once: about as many misses as a core can have under way.
inline constexpr std::size_t find_batch = 16;

/// The stored values of several keys. A source that takes hints is told what comes next.
/// @param found gets one answer for each key. REQUIRES: as many as keys, at most `find_batch`
template <node_source Source>
void find_many(Source const& source, tree_ref const& tree, std::span<std::string_view const> keys,
               std::span<std::optional<format::stored_value>> found) {
    COPPICE_ASSERT(keys.size() == found.size() && keys.size() <= find_batch);
    if (tree.height == 0) {
        for (auto& each : found) each.reset();
        return;
    }
    std::array<node_pair, find_batch> nodes;
    nodes.fill(tree.root.pair());
    for (unsigned level = tree.height - 1U; level > 0; --level) {
        for (std::size_t i = 0; i < keys.size(); ++i) {
            nodes[i] = open_inner(source, nodes[i], level).child_of(keys[i]);
            prefetch(source, nodes[i], searched_bytes);
        }
    }
    std::array<leaf_node, find_batch> leaves;
    for (std::size_t i = 0; i < keys.size(); ++i) {
        leaves[i] = open_leaf(source, nodes[i]);
        leaves[i].prefetch(keys[i]);
    }
    for (std::size_t i = 0; i < keys.size(); ++i) found[i] = leaves[i].find(keys[i]);
}

} // namespace coppice::inline COPPICE_ABI::tree
