// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/open_node.hpp: a reference -> a node that can be read, with its patch if it has one.
// Owns: the one place where a base and a patch come together, and the hints that both are read
//   soon.
// Invariant: what is returned was checked by the source, and base and patch are of one level and
//   fit each other, so reading leaves neither. Allocates: nothing. Thread safety: as the source's.

#include <coppice/error.hpp>
#include <coppice/format/inner_patch.hpp>
#include <coppice/format/leaf_patch.hpp>
#include <coppice/tree/tree.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace coppice::inline COPPICE_ABI::tree {

using format::inner_node;
using format::leaf_node;

namespace detail {

/// The bytes of a patch, which fits a base of `base_count`. @throws errc::corrupt
template <node_source Source>
[[nodiscard]] std::byte const* open_patch(Source const& source, node_ref patch, unsigned level,
                                          std::size_t base_count) {
    auto const* const node = source.node(patch, level | format::patch_level_bit);
    if (format::load_node_header(node).patched == base_count) return node;
    throw error(errc::corrupt, "a patch of another node than its base", {},
                patch.in_memory() ? std::nullopt : std::optional(patch.offset()));
}

} // namespace detail

/// What a search in a node looks at first: header, heads, and most of the arrays behind them.
inline constexpr std::uint64_t searched_bytes = 384;
/// More of a node than this is never asked for.
inline constexpr std::uint64_t read_ahead_bytes = 8192;

/// Asks for a node that is opened soon, and its patch: only a hint, and nothing where the source
/// takes none. @param most_bytes of each of them
template <node_source Source>
void prefetch(Source const& source, node_pair const& node, std::uint64_t most_bytes) {
    if constexpr (requires { source.prefetch(node.base, most_bytes); }) {
        source.prefetch(node.base, most_bytes);
        if (node.is_patched()) source.prefetch(node.patch, most_bytes);
    }
}

/// Opens a leaf. @throws errc::corrupt, and what the source throws
template <node_source Source>
[[nodiscard]] leaf_node open_leaf(Source const& source, node_pair const& node) {
    if (!node.is_patched()) return {source.node(node.base, 0), nullptr};
    auto const* const base = source.node(node.base, 0);
    auto const count = format::load_node_header(base).count;
    return {base, detail::open_patch(source, node.patch, 0, count)};
}

/// Opens an inner node. REQUIRES: `level > 0`. @throws errc::corrupt, and what the source throws
template <node_source Source>
[[nodiscard]] inner_node open_inner(Source const& source, node_pair const& node, unsigned level) {
    if (!node.is_patched()) return {source.node(node.base, level), nullptr};
    auto const* const base = source.node(node.base, level);
    auto const count = format::load_node_header(base).count;
    return {base, detail::open_patch(source, node.patch, level, count)};
}

} // namespace coppice::inline COPPICE_ABI::tree
