// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/tolerant_walk.hpp: what can be read of a tree, and where the rest of it was.
// Owns: the walk past damage: a node that cannot be read, or that contradicts what stands above
//   it, is left out whole, and the keys that it was responsible for are told as a range.
// Invariant: keys ascend strictly over the whole walk; ranges and entries come in the order of
//   their keys and never overlap. So no node is taken twice, whatever a file says, and it ends.

#include <coppice/error.hpp>
#include <coppice/tree/open_node.hpp>
#include <coppice/tree/tree.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coppice::inline COPPICE_ABI::tree {

/// Keys that a walk could not reach.
struct lost_range {
    std::string from;              ///< the keys from this one on
    std::optional<std::string> to; ///< up to this one, without it; nothing: to the last
    std::uint64_t entries = 0;     ///< how many the node above says there were
    std::string reason;            ///< of the first damage in it
    std::uint64_t offset = 0;      ///< where that is in the file
};

namespace detail {

/// See `walk_tolerantly`. Needs no stack of the thread: a path is at most `max_height` long.
template <node_source Source, typename Entry, typename Lost> class tolerant_walk {
  public:
    tolerant_walk(Source const& source, Entry& entry, Lost& lost)
        : source_(source), entry_(entry), lost_(lost) {}

    void run(tree_ref const& tree) {
        if (tree.height == 0) return;
        enter(tree.root, tree.height - 1U, {});
        while (!path_.empty()) {
            auto& at = path_.back();
            if (at.next == at.node.count()) {
                path_.pop_back();
                continue;
            }
            auto const i = at.next++;
            bounds within{i == 0 ? at.within.from : at.node.separator(i - 1), at.within.to};
            if (i + 1 < at.node.count()) within.to = at.node.separator(i);
            auto const level = at.level - 1U;
            enter(at.node.child(i), level, std::move(within)); // `at` is gone behind this
        }
    }

  private:
    struct bounds {
        std::string from;
        std::optional<std::string> to;
    };
    struct step {
        inner_node node;
        unsigned level = 0;
        bounds within;
        std::size_t next = 0; ///< which child comes next
    };

    void enter(subtree const& what, unsigned level, bounds within) {
        leaf_node leaf;
        inner_node inner;
        try {
            if (level == 0) {
                leaf = open_leaf(source_, what.pair());
            } else {
                inner = open_inner(source_, what.pair(), level);
            }
        } catch (error const& e) {
            if (e.kind() != errc::corrupt) throw;
            return lose(what, std::move(within), e.what());
        }
        if (level == 0) {
            if (!ascends(leaf, within)) return lose(what, std::move(within), disorder);
            for (std::size_t i = 0; i < leaf.count(); ++i) entry_(leaf.key(i), leaf.value(i));
            return;
        }
        if (!ascends(inner, within)) return lose(what, std::move(within), disorder);
        path_.push_back({inner, level, std::move(within), 0});
    }

    void lose(subtree const& what, bounds within, char const* reason) {
        lost_(lost_range{std::move(within.from), std::move(within.to), what.entries, reason,
                         what.node.offset()});
    }

    [[nodiscard]] static bool ascends(leaf_node const& leaf, bounds const& within) {
        if (leaf.key(0) < within.from) return false;
        for (std::size_t i = 1; i < leaf.count(); ++i) {
            if (leaf.key(i - 1) >= leaf.key(i)) return false;
        }
        return !within.to || leaf.key(leaf.count() - 1) < std::string_view(*within.to);
    }
    [[nodiscard]] static bool ascends(inner_node const& inner, bounds const& within) {
        auto before = within.from;
        for (std::size_t i = 0; i + 1 < inner.count(); ++i) {
            auto separator = inner.separator(i);
            if (separator <= before) return false;
            before = std::move(separator);
        }
        return !within.to || before < *within.to;
    }

    static constexpr char const* disorder = "the keys of a node do not ascend";

    Source const& source_;
    Entry& entry_;
    Lost& lost_;
    std::vector<step> path_;
};

} // namespace detail

/// Walks a tree in the order of its keys.
/// @param source says errc::corrupt of a node that it cannot give; other errors end the walk
/// @param entry called with (key, format::stored_value) for each entry that is there
/// @param lost called with a lost_range for each subtree that is not
/// Cost: asks the source once for each node that a readable node names.
template <node_source Source, typename Entry, typename Lost>
void walk_tolerantly(Source const& source, tree_ref const& tree, Entry entry, Lost lost) {
    detail::tolerant_walk<Source, Entry, Lost>(source, entry, lost).run(tree);
}

} // namespace coppice::inline COPPICE_ABI::tree
