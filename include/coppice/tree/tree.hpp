// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/tree.hpp: what the tree algorithms stand on.
// Owns: the concepts `node_source` (reference -> checked bytes) and `node_sink` (bytes ->
//   reference). A tree itself is the small value `format::tree_ref` {root, totals, height}.
// Invariant: every operation takes a tree and returns one; nobody mutates one. "Nothing changed"
//   is an equality of two values.

#include <coppice/bytes.hpp>
#include <coppice/format/commit_record.hpp>
#include <coppice/format/reference.hpp>

#include <concepts>
#include <cstddef>

namespace coppice::inline COPPICE_ABI::tree {

using format::extent_ref;
using format::node_pair;
using format::node_ref;
using format::subtree;
using format::tree_ref;

/// Where nodes are read from. `node(ref, level)` gives bytes that were checked, of a node of that
/// level, or throws errc::corrupt; they live as long as the source's owner says. A patch is asked
/// for with `format::patch_level_bit` in the level.
template <typename S>
concept node_source = requires(S const& source, node_ref ref, unsigned level) {
    { source.node(ref, level) } -> std::same_as<std::byte const*>;
};

/// Where nodes are made. The bytes of `allocate_node` are filled by the caller and sealed before
/// the next call; the sealed node can be read through the source that goes with the sink.
template <typename S>
concept node_sink = requires(S& sink, std::size_t size_bytes, mutable_bytes node) {
    { sink.allocate_node(size_bytes) } -> std::same_as<mutable_bytes>;
    { sink.seal_node(node) } -> std::same_as<node_ref>;
};

} // namespace coppice::inline COPPICE_ABI::tree
