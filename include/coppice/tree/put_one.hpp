// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/put_one.hpp: a tree and one entry -> a tree, in which every node stays one node.
// Owns: the short way of the commonest commit: one node of each level, from the leaf to the root.
// Invariant: what it makes of a sound tree is, byte for byte, what `apply` makes of the same edit.
//   Where it cannot tell, where a node may have to be cut or merged, it gives up.

#include <coppice/options.hpp>
#include <coppice/tree/changed_node.hpp>
#include <coppice/tree/open_node.hpp>
#include <coppice/tree/tree.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace coppice::inline COPPICE_ABI::tree {

namespace detail {

template <node_source Source, node_sink Sink> class one_put {
  public:
    one_put(Source const& source, Sink& sink, node_sizes const& sizes, std::string_view key,
            format::stored_value const& value)
        : source_(source), sink_(sink), sizes_(sizes), key_(key), value_(value) {}

    [[nodiscard]] std::optional<tree_ref> run(tree_ref const& tree) {
        if (tree.height < 2) return {};
        auto node = tree.root;
        auto at_right_edge = true;
        for (auto level = tree.height - 1U; level > 0; --level) {
            auto const inner = open_inner(source_, node.pair(), level);
            auto const child = inner.child_for(key_);
            path_[level] = {node, inner, child, at_right_edge};
            at_right_edge = at_right_edge && child + 1 == inner.count();
            node = inner.child(child);
        }
        auto made = put_into(node, at_right_edge);
        for (auto level = 1U; made && level < tree.height; ++level) {
            made = replace_child(level, path_[level], *made);
        }
        if (!made) return {};
        return tree_ref{*made, tree.height};
    }

  private:
    struct step {
        subtree node{};
        inner_node inner{};
        std::size_t child = 0;
        bool at_right_edge = false; ///< Does nothing in the tree come behind the node?
    };

    [[nodiscard]] std::optional<subtree> put_into(subtree const& node, bool at_right_edge) {
        auto const leaf = open_leaf(source_, node.pair());
        leaf_changes_so_far changes;
        changes.begin(leaf);
        changes.edit(key_, &value_);
        auto const appends = at_right_edge && key_ > leaf.key(leaf.count() - 1);
        return changes.finish(source_, sink_, sizes_, node, at_right_edge, appends);
    }

    [[nodiscard]] std::optional<subtree> replace_child(unsigned level, step const& at,
                                                       subtree const& child) {
        changed_child const changed{at.child, child};
        return changed_inner(source_, sink_, sizes_, level, at.node, at.inner, {&changed, 1},
                             at.at_right_edge);
    }

    Source const& source_;
    Sink& sink_;
    node_sizes sizes_;
    std::string_view key_;
    format::stored_value value_;
    std::array<step, format::max_height + 1> path_; // [0] is not used
};

} // namespace detail

/// The tree after an entry is put, made the short way; nothing where it takes `apply`. Opens and
/// writes O(height) nodes. Nodes that it made before it gave up stay in the sink, unused.
/// @param source reads `tree`
/// @throws errc::corrupt from the source, std::bad_alloc; `tree` stays good
template <node_source Source, node_sink Sink>
[[nodiscard]] std::optional<tree_ref> put_one(Source const& source, Sink& sink,
                                              node_sizes const& sizes, tree_ref const& tree,
                                              std::string_view key,
                                              format::stored_value const& value) {
    return detail::one_put<Source, Sink>(source, sink, sizes, key, value).run(tree);
}

} // namespace coppice::inline COPPICE_ABI::tree
