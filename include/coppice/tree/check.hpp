// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/check.hpp: does a tree keep to everything that the other headers rely on?
// Owns: the list of the invariants of a tree, and the walk that lists what breaks them.
// Invariant: reads only, and goes on behind what it finds. Each node is visited at most once and
//   the recursion is as deep as the tree is high, whatever the bytes say. Throws for lack of memory
//   alone, and what is not an `error`.
//
// What holds in a sound tree:
//   shape      height 0 and a null root, or height 1 to `max_height`; a node's level counts down
//              from height - 1 to 0, its kind is its level's, its size is its reference's
//   counts     a leaf has one entry or more, an inner node two children or more
//   order      keys ascend strictly within a leaf; separators ascend strictly
//   bounds     every key and every separator lies inside the bounds that the separators above give:
//              not below the one to the left, below the one to the right; so keys also ascend
//              strictly from leaf to leaf, and every descent finds them
//   search     a leaf's prefix begins each of its keys; heads are what keys and suffixes say
//   padding    every byte that has no meaning is zero
//   totals     entries and bytes of a reference are those found below it; bytes are the node's, its
//              children's, and what its values take out of line, tables and padding included
//   places     a child, and a value out of line, ends at or before its parent; no two parts of the
//              file overlap, so none is named twice; a node of a file names no memory
//   cuts       a leaf above `leaf_bytes` holds one entry, an inner node above `inner_bytes` has at
//              most three children
//   values     a value out of line is not empty, and can be read
//   patches    a patch is of its base's level and count; each change stands where its key belongs;
//              base and patch keep to the above themselves, and together in order, bounds, totals

#include <coppice/error.hpp>
#include <coppice/format/extent.hpp>
#include <coppice/options.hpp>
#include <coppice/tree/check_report.hpp>
#include <coppice/tree/open_node.hpp>
#include <coppice/tree/tree.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

namespace coppice::inline COPPICE_ABI::tree {

/// For a check that does not read the values that lie out of line.
struct skip_extents {
    void operator()(extent_ref const&) const noexcept {}
};

namespace detail {

/// The keys that a node may hold: not below `low`, and below `high` if there is one.
struct key_bounds {
    std::string_view low;
    std::optional<std::string_view> high;

    [[nodiscard]] bool contain(std::string_view key) const noexcept {
        return key >= low && (!high || key < *high);
    }
};

template <node_source Source, typename VerifyExtent> class tree_check {
  public:
    tree_check(Source const& source, node_sizes const& sizes, VerifyExtent& verify_extent)
        : source_(source), sizes_(sizes), verify_extent_(verify_extent) {}

    [[nodiscard]] check_report run(tree_ref const& tree) && {
        if (tree.root.node.is_null() || tree.height == 0) {
            require(tree == tree_ref{}, "an empty tree that names a root, a height or totals", 0);
            return std::move(report_);
        }
        if (tree.height > format::max_height) {
            found("a tree above the greatest height", place_of(tree.root.node));
            return std::move(report_);
        }
        visit(tree.root, tree.height - 1U, {});
        check_extents();
        check_overlaps();
        return std::move(report_);
    }

  private:
    /// A run of bytes of the file that has one owner.
    struct part {
        std::uint64_t begin = 0;
        std::uint64_t end = 0;
        bool node = false;
    };

    [[nodiscard]] static std::uint64_t place_of(node_ref ref) noexcept {
        return ref.in_memory() ? 0 : ref.offset();
    }
    void found(std::string what, std::uint64_t offset) {
        if (report_.findings.size() < check_report::max_findings) {
            report_.findings.push_back({std::move(what), offset});
        } else {
            ++report_.unlisted_findings;
        }
    }
    bool require(bool holds, char const* what, std::uint64_t offset) {
        if (!holds) found(what, offset);
        return holds;
    }

    /// Checks a node and what is below it.
    void visit(subtree const& whole, unsigned level, key_bounds const& bounds) {
        auto const* const base = take(whole.node, level);
        if (base == nullptr) return;
        std::byte const* patch = nullptr;
        if (!whole.patch.is_null()) {
            patch = take(whole.patch, level | format::patch_level_bit);
            if (patch == nullptr) return;
            auto const fits =
                format::load_node_header(patch).patched == format::load_node_header(base).count;
            if (!require(fits, "a patch of another node than its base", place_of(whole.patch))) {
                return;
            }
            ++report_.patches;
        }
        if (level == 0) {
            check_totals(whole, check_leaf_node(whole.pair(), {base, patch}, bounds));
        } else {
            check_totals(whole, check_inner_node(whole.pair(), {base, patch}, level, bounds));
        }
    }

    /// Counts a node or a patch. @return its bytes; null, and a finding, where they cannot be had
    [[nodiscard]] std::byte const* take(node_ref ref, unsigned level) {
        auto const offset = place_of(ref);
        if (!require(
                seen_.insert(ref.in_memory() ? ref.hot & ~std::uint64_t{0x7FFFF} : offset).second,
                "a node that is named twice", offset)) {
            return nullptr;
        }
        if (!ref.in_memory()) parts_.push_back({offset, ref.end_offset(), true});
        auto const* const node = read(ref, level);
        if (node == nullptr) return nullptr;
        ++report_.nodes;
        report_.bytes += ref.size_bytes();
        return node;
    }

    /// The bytes of a node; null, and a finding, where they cannot be had or are another's.
    [[nodiscard]] std::byte const* read(node_ref ref, unsigned level) {
        try {
            auto const* const node = source_.node(ref, level);
            auto const header = format::load_node_header(node);
            auto const patch = level >= format::patch_level_bit;
            auto const least = level == 0 || patch ? 1U : 2U;
            auto const fits = header.level == level && header.leaf() == (level == 0) &&
                              header.patch() == patch && header.size_bytes == ref.size_bytes() &&
                              header.count >= least;
            if (!require(fits, "a node of the wrong kind, level, size or count", place_of(ref))) {
                return nullptr;
            }
            auto const reserved = format::load<std::uint16_t>(node + 14);
            require(reserved == 0 && (level != 0 || header.patched == 0),
                    "reserved bytes of a node are not zero", place_of(ref));
            return node;
        } catch (error const& e) {
            found(e.what(), e.offset().value_or(place_of(ref)));
            return nullptr;
        }
    }

    void check_totals(subtree const& stated, subtree const& actual) {
        auto const offset = place_of(stated.node);
        if (stated.entries != actual.entries) {
            found("a reference says " + std::to_string(stated.entries) + " entries where " +
                      std::to_string(actual.entries) + " are",
                  offset);
        }
        if (stated.bytes != actual.bytes) {
            found("a reference says " + std::to_string(stated.bytes) + " bytes where " +
                      std::to_string(actual.bytes) + " are",
                  offset);
        }
    }

    void check_padding(std::byte const* from, std::byte const* to, std::uint64_t offset) {
        auto const zero = [](std::byte b) { return b == std::byte{0}; };
        require(std::all_of(from, to, zero), "the padding of a node is not zero", offset);
    }

    // ---- leaves --------------------------------------------------------------------------------

    [[nodiscard]] subtree check_leaf_node(node_pair const& ref, leaf_node const& leaf,
                                          key_bounds const& bounds) {
        auto const offset = place_of(ref.base);
        subtree actual{ref.base, leaf.count(), ref.size_bytes(), ref.patch};
        bool ordered = true;
        bool inside = true;
        std::string_view before;
        for (std::size_t i = 0; i < leaf.count(); ++i) {
            auto const run = leaf.run(i);
            auto const key = run.in.key(run.index);
            ordered = ordered && (i == 0 || before < key);
            inside = inside && bounds.contain(key);
            before = key;
            auto const value = run.in.value(run.index);
            auto const owner = run.in.bytes() == leaf.base().bytes() ? ref.base : ref.patch;
            if (value.out_of_line) actual.bytes += check_reference(owner, value.extent());
        }
        require(ordered, "the keys of a leaf do not ascend", offset);
        require(inside, "a key outside the bounds that the separators above give", offset);
        check_records(ref.base, leaf.base());
        auto const header = format::load_node_header(leaf.base().bytes());
        require(header.has_flag_array == 0 || header.entry_flags == 0,
                "a leaf with flags for each entry and for all", offset);
        require(ref.base.size_bytes() <= sizes_.leaf_bytes || leaf.base().count() == 1,
                "a leaf that should have been cut", offset);
        if (leaf.is_patched()) check_leaf_patch(ref.patch, leaf);
        ++report_.leaves;
        report_.entries += leaf.count();
        report_.leaf_bytes += ref.size_bytes();
        return actual;
    }

    /// Checks what the search in a leaf, or in a leaf patch, relies on.
    void check_records(node_ref ref, format::leaf_view const& leaf) {
        bool ordered = true;
        bool searchable = true;
        auto const prefix = leaf.key(0).substr(0, leaf.prefix_bytes());
        for (std::size_t i = 0; i < leaf.count(); ++i) {
            auto const key = leaf.key(i);
            ordered = ordered && (i == 0 || leaf.key(i - 1) < key);
            searchable = searchable && key.starts_with(prefix) &&
                         leaf.head(i) == format::key_head(key.substr(prefix.size()));
        }
        require(ordered, "the keys of a node do not ascend", place_of(ref));
        require(searchable, "the prefix or a head of a leaf is not what its keys say",
                place_of(ref));
        auto const last = leaf.value(leaf.count() - 1).raw;
        check_padding(reinterpret_cast<std::byte const*>(last.data() + last.size()),
                      leaf.bytes() + ref.size_bytes(), place_of(ref));
    }

    /// Checks that each change of a leaf stands at the place where its key belongs.
    void check_leaf_patch(node_ref ref, leaf_node const& leaf) {
        auto const patch = leaf.patch();
        auto const& base = leaf.base();
        check_records(ref, patch.changed());
        bool placed = true;
        for (std::size_t k = 0; k < patch.count(); ++k) {
            auto const [index, found] = base.lower_bound(patch.changed().key(k));
            placed = placed && index == patch.base_index(k) && found == patch.replaces(k);
        }
        require(placed, "a change of a leaf patch is not where its key belongs", place_of(ref));
    }

    /// Checks a leaf's reference to a value. @return the bytes that the value takes
    [[nodiscard]] std::uint64_t check_reference(node_ref leaf, extent_ref const& extent) {
        auto const offset = place_of(leaf);
        require(extent.length_bytes != 0, "an empty value that lies out of line", offset);
        auto const stored_bytes = format::extent_stored_bytes(extent.length_bytes);
        report_.bytes += stored_bytes;
        if (extent.in_memory()) {
            require(leaf.in_memory(), "a node of a file names memory", offset);
            return stored_bytes;
        }
        auto const below =
            leaf.in_memory() || (extent.offset < offset && stored_bytes <= offset - extent.offset);
        require(below, "a value that does not lie before its leaf", offset);
        extents_.push_back(extent);
        return stored_bytes;
    }

    // ---- inner nodes ---------------------------------------------------------------------------

    [[nodiscard]] subtree check_inner_node(node_pair const& ref, inner_node const& inner,
                                           unsigned level, key_bounds const& bounds) {
        auto const offset = place_of(ref.base);
        require(ref.base.size_bytes() <= sizes_.inner_bytes || inner.base().count() <= 3,
                "an inner node that should have been cut", offset);
        check_separators(ref.base, inner.base());
        if (inner.is_patched()) check_inner_patch_padding(ref.patch, inner.patch());
        auto const last_part = inner.is_patched() ? ref.patch : ref.base;
        subtree actual{ref.base, 0, ref.size_bytes(), ref.patch};
        std::string low(bounds.low);
        for (std::size_t i = 0; i < inner.count(); ++i) {
            auto const child = inner.child(i);
            actual.entries += child.entries;
            actual.bytes += child.bytes;
            if (i + 1 == inner.count()) {
                follow(last_part, child, level, {low, bounds.high});
                break;
            }
            auto separator = inner.separator(i);
            std::string_view const bound = separator; // clang 14 cannot compare the two types
            require(bound > low && (!bounds.high || bound < *bounds.high),
                    "a separator that does not ascend, or passes the bounds above it", offset);
            follow(last_part, child, level, {low, separator});
            low = std::move(separator);
        }
        return actual;
    }

    void follow(node_ref parent, subtree const& child, unsigned level, key_bounds const& bounds) {
        auto const offset = place_of(parent);
        if (!parent.in_memory()) {
            if (!require(!child.pair().in_memory(), "a node of a file names memory", offset)) {
                return;
            }
            auto const below = child.node.end_offset() <= offset &&
                               (child.patch.is_null() || child.patch.end_offset() <= offset);
            if (!require(below, "a child that does not lie before its parent", offset)) return;
        }
        visit(child, level - 1, bounds);
    }

    /// Checks what the search in an inner node relies on, and its padding.
    void check_separators(node_ref ref, format::inner_view const& inner) {
        bool searchable = true;
        for (std::size_t i = 0; i + 1 < inner.count(); ++i) {
            searchable = searchable && inner.head(i) == format::key_head(inner.suffix(i)) &&
                         (i == 0 || inner.suffix(i - 1) < inner.suffix(i));
        }
        require(searchable, "a head of an inner node is not what its separator says",
                place_of(ref));
        auto const heads_end = format::node_header_bytes + 4 * (inner.count() - 1);
        auto const hot = format::node_header_bytes + format::inner_view::heads_bytes(inner.count());
        check_padding(inner.bytes() + heads_end, inner.bytes() + hot, place_of(ref));
        auto const last = inner.suffix(inner.count() - 2);
        check_padding(reinterpret_cast<std::byte const*>(last.data() + last.size()),
                      inner.bytes() + ref.size_bytes(), place_of(ref));
    }

    void check_inner_patch_padding(node_ref ref, format::inner_patch_view const& patch) {
        auto const last = patch.separator(patch.count() - 1);
        auto const* const end = reinterpret_cast<std::byte const*>(last.data() + last.size());
        check_padding(end, end + (ref.size_bytes() - patch.end(patch.count() - 1)), place_of(ref));
    }

    // ---- the file as a whole -------------------------------------------------------------------

    /// Reads the values. What begins inside another is left to `check_overlaps`, so that no byte
    /// is read twice: a damaged tree may name one large value from every leaf.
    void check_extents() {
        std::sort(extents_.begin(), extents_.end(),
                  [](auto const& a, auto const& b) { return a.offset < b.offset; });
        std::uint64_t read_up_to = 0;
        for (auto const& extent : extents_) {
            auto const end = extent.offset + format::extent_stored_bytes(extent.length_bytes);
            parts_.push_back({extent.offset, end, false});
            if (extent.offset < read_up_to) continue;
            read_up_to = end;
            try {
                verify_extent_(extent);
            } catch (error const& e) {
                found(e.what(), e.offset().value_or(extent.offset));
            }
        }
    }

    void check_overlaps() {
        std::sort(parts_.begin(), parts_.end(),
                  [](part const& a, part const& b) { return a.begin < b.begin; });
        std::uint64_t end = 0;
        for (auto const& next : parts_) {
            require(next.begin >= end,
                    next.node ? "a node overlaps another part of the tree"
                              : "a value overlaps another part of the tree, or is named twice",
                    next.begin);
            end = std::max(end, next.end);
        }
    }

    Source const& source_;
    node_sizes const& sizes_;
    VerifyExtent& verify_extent_;
    check_report report_;
    std::unordered_set<std::uint64_t> seen_;
    std::vector<part> parts_;
    std::vector<extent_ref> extents_;
};

} // namespace detail

/// Walks the whole tree and lists what is not as it should be. An unreadable node is one finding,
/// and its siblings are walked.
/// @param sizes at which nodes of this tree are cut
/// @param verify_extent called once for each value of the file that lies out of line; throws
///   `error` where it cannot be read
template <node_source Source, typename VerifyExtent = skip_extents>
[[nodiscard]] check_report check(Source const& source, tree_ref const& tree,
                                 node_sizes const& sizes, VerifyExtent verify_extent = {}) {
    return detail::tree_check<Source, VerifyExtent>(source, sizes, verify_extent).run(tree);
}

} // namespace coppice::inline COPPICE_ABI::tree
