// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/fold.hpp: a tree and the edits that wait for it -> a tree.
// Owns: which way is taken: the short one for a lone entry, else one pass over all edits.
// Invariant: the same entries either way; the old tree is not changed.

#include <coppice/tree/apply.hpp>
#include <coppice/tree/put_one.hpp>
#include <coppice/tree/tree.hpp>

#include <cstddef>

namespace coppice::inline COPPICE_ABI::tree {

/// The tree after the edits. Costs what `put_one` or `apply` costs.
/// @param edits at their first one, @param count how many
/// @throws as `apply`; `tree` stays good
template <node_source Source, node_sink Sink, edit_source Edits>
[[nodiscard]] tree_ref fold(Source const& source, Sink& sink, node_sizes const& sizes,
                            tree_ref const& tree, Edits edits, std::size_t count) {
    if (count == 1 && edits.value() != nullptr) {
        auto const result = put_one(source, sink, sizes, tree, edits.key(), *edits.value());
        if (result) return *result;
    }
    return apply(source, sink, sizes, tree, edits);
}

} // namespace coppice::inline COPPICE_ABI::tree
