// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/format/patch_writer.hpp: sorted changes -> the image of one patch.
// Owns: how many bytes a patch of given changes takes, and the bytes themselves.
// Invariant: what is written here passes `check_leaf_patch` or `check_inner_patch` once its
//   references name a file, and the same changes always give the same bytes.
// Thread safety: pure. Allocates: nothing.

#include <coppice/assert.hpp>
#include <coppice/bytes.hpp>
#include <coppice/format/inner_patch.hpp>
#include <coppice/format/leaf_patch.hpp>
#include <coppice/format/node_writer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

namespace coppice::inline COPPICE_ABI::format {

/// What the patches of a base have cost before the one that is written.
struct patch_history {
    std::uint64_t spent_bytes = 0;
    std::uint64_t writes = 0;

    /// With one more of them. Stays where the fields of a patch can hold no more.
    [[nodiscard]] patch_history with(std::uint64_t size_bytes) const noexcept {
        if (writes == std::numeric_limits<std::uint16_t>::max() ||
            spent_bytes + size_bytes > std::numeric_limits<std::uint32_t>::max()) {
            return *this;
        }
        return {spent_bytes + size_bytes, writes + 1};
    }
};

/// A changed entry, as a leaf patch stores it. The views must live until it is written.
struct leaf_change {
    std::size_t base_index = 0; ///< of the entry that it stands for, or that it comes before
    bool replaces = false;      ///< does it stand for one?
    bool erased = false;        ///< is that one gone? Then the value is empty
    leaf_item item{};
};

/// A changed child, as an inner patch stores it.
struct inner_change {
    std::size_t base_index = 0; ///< of the child that it is about, or that it comes behind
    child_change what = child_change::patched;
    node_ref node{};              ///< the new node, or the patch
    std::uint64_t entries = 0;    ///< totals of the child
    std::uint64_t bytes = 0;      ///< likewise
    std::string_view separator{}; ///< of an added child
};

/// The exact size in bytes of a leaf patch.
[[nodiscard]] inline std::size_t leaf_patch_bytes(std::span<leaf_change const> changes) noexcept {
    auto bytes = node_header_bytes + 2 + leaf_patch_view::fixed_bytes + 11 * changes.size();
    for (auto const& change : changes) {
        bytes += change.item.key.size() + change.item.value.raw.size();
    }
    return static_cast<std::size_t>(align8(bytes));
}

/// The exact size in bytes of an inner patch.
[[nodiscard]] inline std::size_t inner_patch_bytes(std::span<inner_change const> changes) noexcept {
    auto bytes = inner_patch_view::fixed_bytes + inner_patch_view::change_bytes * changes.size();
    for (auto const& change : changes) bytes += change.separator.size();
    return static_cast<std::size_t>(align8(bytes));
}

namespace detail {

/// Writes the header of a patch.
inline void store_patch_header(std::byte* to, node_kind kind, unsigned level, std::size_t count,
                               std::size_t size_bytes, std::size_t prefix_bytes,
                               std::size_t base_count) noexcept {
    store_node_header(
        to, {kind, static_cast<std::uint8_t>(level | patch_level_bit),
             static_cast<std::uint16_t>(count), static_cast<std::uint32_t>(size_bytes),
             static_cast<std::uint16_t>(prefix_bytes), static_cast<std::uint16_t>(base_count), 0,
             static_cast<std::uint8_t>(kind == node_kind::leaf_patch)});
}

inline void store_patch_fields(std::byte* to, patch_history const& before,
                               std::size_t count) noexcept {
    store(to, static_cast<std::uint32_t>(before.spent_bytes));
    store(to + 4, static_cast<std::uint16_t>(before.writes));
    store(to + 6, static_cast<std::uint16_t>(count));
}

} // namespace detail

/// Writes a leaf patch. REQUIRES: 1 to `max_patch_changes` changes whose keys and places ascend,
/// and `to` of the size that `leaf_patch_bytes` gives, which is not that of a wide node.
/// @param base_count entries of the base, at most `most_patched_entries`
/// @param entries of base and patch together
inline void write_leaf_patch(std::span<leaf_change const> changes, std::size_t base_count,
                             std::size_t entries, patch_history const& before,
                             mutable_bytes to) noexcept {
    COPPICE_ASSERT(!changes.empty() && changes.size() <= max_patch_changes);
    COPPICE_ASSERT(base_count <= most_patched_entries && to.size() < wide_node_bytes);
    COPPICE_ASSERT(to.size() == leaf_patch_bytes(changes));
    auto const count = changes.size();
    auto const prefix = common_prefix(changes.front().item.key, changes.back().item.key);
    detail::store_patch_header(to.data(), node_kind::leaf_patch, 0, count, to.size(), prefix,
                               base_count);
    auto const heads = node_header_bytes;
    auto const positions = heads + 4 * count;
    auto const key_sizes = positions + 2 * (count + 1);
    auto const flags = key_sizes + 2 * count;
    auto const fields = flags + count;
    auto const places = fields + leaf_patch_view::fixed_bytes;
    detail::store_patch_fields(to.data() + fields, before, entries);
    detail::node_image image(to);
    auto at = places + 2 * count;
    for (std::size_t k = 0; k < count; ++k) {
        auto const& change = changes[k];
        auto const& [key, value] = change.item;
        store(to.data() + heads + 4 * k, key_head(key.substr(prefix)));
        store(to.data() + key_sizes + 2 * k, static_cast<std::uint16_t>(key.size()));
        to[flags + k] = std::byte{change.erased       ? entry_erased
                                  : value.out_of_line ? entry_out_of_line
                                                      : std::uint8_t{0}};
        store(to.data() + places + 2 * k,
              static_cast<std::uint16_t>(2 * change.base_index + (change.replaces ? 1U : 0U)));
        image.put_position(positions, k, at, false);
        at = image.put_text(image.put_text(at, key), value.raw);
    }
    image.put_position(positions, count, at, false);
    image.put_padding(at);
}

/// Writes an inner patch. REQUIRES: 1 to `max_patch_changes` changes whose places ascend, and `to`
/// of the size that `inner_patch_bytes` gives, which is not that of a wide node.
/// @param base_count children of the base, at most `most_patched_children`
/// @param children of base and patch together
inline void write_inner_patch(unsigned level, std::span<inner_change const> changes,
                              std::size_t base_count, std::size_t children,
                              patch_history const& before, mutable_bytes to) noexcept {
    COPPICE_ASSERT(!changes.empty() && changes.size() <= max_patch_changes);
    COPPICE_ASSERT(base_count <= most_patched_children && to.size() < wide_node_bytes);
    COPPICE_ASSERT(to.size() == inner_patch_bytes(changes));
    auto const count = changes.size();
    detail::store_patch_header(to.data(), node_kind::inner_patch, level, count, to.size(), 0,
                               base_count);
    detail::store_patch_fields(to.data() + node_header_bytes, before, children);
    auto* const hot = to.data() + inner_patch_view::fixed_bytes;
    auto* const places = hot + 16 * count;
    auto* const ends = places + 2 * count;
    auto* const totals = ends + 2 * count;
    detail::node_image image(to);
    auto at = inner_patch_view::fixed_bytes + inner_patch_view::change_bytes * count;
    for (std::size_t k = 0; k < count; ++k) {
        auto const& change = changes[k];
        store(hot + 8 * k, change.node.hot);
        store(hot + 8 * (count + k), change.node.checksum);
        store(places + 2 * k, static_cast<std::uint16_t>(4 * change.base_index +
                                                         static_cast<unsigned>(change.what)));
        store_u48(totals + u48_bytes * k, change.entries);
        store_u48(totals + u48_bytes * (count + k), change.bytes);
        at = image.put_text(at, change.separator);
        store(ends + 2 * k, static_cast<std::uint16_t>(at));
    }
    image.put_padding(at);
}

} // namespace coppice::inline COPPICE_ABI::format
