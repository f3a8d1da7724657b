// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/format/node_writer.hpp: sorted items -> the image of one node.
// Owns: how many bytes a node of given items takes, and the bytes themselves.
// Invariant: what is written here passes `check_leaf` or `check_inner` once its references name a
//   file, and the same items always give the same bytes.
// Thread safety: pure. Allocates: nothing.

#include <coppice/assert.hpp>
#include <coppice/bytes.hpp>
#include <coppice/format/inner.hpp>
#include <coppice/format/leaf.hpp>
#include <coppice/format/node.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

namespace coppice::inline COPPICE_ABI::format {

/// An entry as a leaf stores it. The views must live until the node is written.
struct leaf_item {
    std::string_view key;
    stored_value value;
};

/// A child as an inner node stores it. `low` of the first child of a node is not stored.
struct inner_item {
    std::string_view low; ///< the lowest key that the child may hold
    subtree child;
};

/// How many bytes the two share at their beginning.
[[nodiscard]] inline std::size_t common_prefix(std::string_view a, std::string_view b) noexcept {
    auto const limit = std::min(a.size(), b.size());
    return static_cast<std::size_t>(
        std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(limit), b.begin()).first -
        a.begin());
}

/// The shortest text that is above `left` and not above `right`: a beginning of `right`.
/// REQUIRES: `left < right`.
[[nodiscard]] inline std::string_view shortest_separator(std::string_view left,
                                                         std::string_view right) noexcept {
    COPPICE_ASSERT(left < right);
    return right.substr(0, common_prefix(left, right) + 1);
}

namespace detail {

/// Adds the padding and, where the node is wide, the wider positions.
[[nodiscard]] constexpr std::size_t node_size(std::size_t narrow_bytes,
                                              std::size_t positions) noexcept {
    auto const narrow = static_cast<std::size_t>(align8(narrow_bytes));
    if (narrow < wide_node_bytes) return narrow;
    return static_cast<std::size_t>(align8(narrow_bytes + 2 * positions));
}

class node_image {
  public:
    explicit node_image(mutable_bytes to) noexcept : to_(to) {}

    void put_position(std::size_t at, std::size_t i, std::size_t value, bool wide) noexcept {
        if (wide) {
            store(to_.data() + at + 4 * i, static_cast<std::uint32_t>(value));
        } else {
            store(to_.data() + at + 2 * i, static_cast<std::uint16_t>(value));
        }
    }
    std::size_t put_text(std::size_t at, std::string_view text) noexcept {
        if (!text.empty()) std::memcpy(to_.data() + at, text.data(), text.size());
        return at + text.size();
    }
    void put_padding(std::size_t from) noexcept {
        std::fill(to_.begin() + static_cast<std::ptrdiff_t>(from), to_.end(), std::byte{0});
    }

  private:
    mutable_bytes to_;
};

} // namespace detail

/// What a set of leaf entries adds up to; grows by one entry at a time.
struct leaf_measure {
    std::size_t count = 0;
    std::size_t record_bytes = 0;
    std::size_t out_of_line = 0;

    void add(std::size_t key_bytes, stored_value const& value) noexcept {
        ++count;
        record_bytes += key_bytes + value.raw.size();
        out_of_line += value.out_of_line ? 1U : 0U;
    }
    [[nodiscard]] bool mixed() const noexcept { return out_of_line != 0 && out_of_line != count; }
    /// The exact size of the leaf in bytes.
    [[nodiscard]] std::size_t node_bytes() const noexcept {
        return detail::node_size(
            node_header_bytes + 8 * count + 2 + (mixed() ? count : 0) + record_bytes, count + 1);
    }
};

/// Writes a leaf. REQUIRES: 1 to 65,535 items with ascending keys, and `to` of the size that
/// `leaf_measure` gives.
inline void write_leaf(std::span<leaf_item const> items, mutable_bytes to) noexcept {
    leaf_measure measure;
    for (auto const& item : items) measure.add(item.key.size(), item.value);
    COPPICE_ASSERT(!items.empty() && items.size() <= 65535 && to.size() == measure.node_bytes());
    auto const count = items.size();
    auto const wide = to.size() >= wide_node_bytes;
    auto const prefix = common_prefix(items.front().key, items.back().key);
    auto const all_out_of_line = measure.out_of_line == count;
    store_node_header(to.data(),
                      {wide ? node_kind::wide_leaf : node_kind::leaf, 0,
                       static_cast<std::uint16_t>(count), static_cast<std::uint32_t>(to.size()),
                       static_cast<std::uint16_t>(prefix), 0,
                       all_out_of_line ? entry_out_of_line : std::uint8_t{0},
                       static_cast<std::uint8_t>(measure.mixed())});
    auto const heads = node_header_bytes;
    auto const positions = heads + 4 * count;
    auto const key_sizes = positions + position_array::width(wide) * (count + 1);
    auto const flags = key_sizes + 2 * count;
    auto at = flags + (measure.mixed() ? count : 0);
    detail::node_image image(to);
    for (std::size_t i = 0; i < count; ++i) {
        auto const& [key, value] = items[i];
        store(to.data() + heads + 4 * i, key_head(key.substr(prefix)));
        store(to.data() + key_sizes + 2 * i, static_cast<std::uint16_t>(key.size()));
        if (measure.mixed()) to[flags + i] = std::byte{value.out_of_line};
        image.put_position(positions, i, at, wide);
        at = image.put_text(image.put_text(at, key), value.raw);
    }
    image.put_position(positions, count, at, wide);
    image.put_padding(at);
}

/// The exact size in bytes of an inner node.
/// @param count of its children, at least two
/// @param prefix_bytes that all separators share, @param separator_bytes of all of them together
/// @param patched how many of the children have a patch
[[nodiscard]] inline std::size_t inner_node_bytes(std::size_t count, std::size_t prefix_bytes,
                                                  std::size_t separator_bytes,
                                                  std::size_t patched) noexcept {
    COPPICE_ASSERT(count >= 2 && separator_bytes >= (count - 1) * prefix_bytes);
    auto const suffixes = separator_bytes - (count - 1) * prefix_bytes;
    return detail::node_size(node_header_bytes + inner_view::heads_bytes(count) +
                                 inner_view::patches_bytes(count, patched) +
                                 (16 + 2 + 2 * u48_bytes) * count + prefix_bytes + suffixes,
                             count);
}

/// How many of the children have a patch.
[[nodiscard]] inline std::size_t patched_children(std::span<inner_item const> items) noexcept {
    return static_cast<std::size_t>(std::count_if(
        items.begin(), items.end(), [](auto const& item) { return !item.child.patch.is_null(); }));
}

/// The exact size in bytes of an inner node. REQUIRES: at least two items.
[[nodiscard]] inline std::size_t inner_node_bytes(std::span<inner_item const> items) noexcept {
    COPPICE_ASSERT(items.size() >= 2);
    std::size_t separators = 0;
    for (auto const& item : items.subspan(1)) separators += item.low.size();
    return inner_node_bytes(items.size(), common_prefix(items[1].low, items.back().low), separators,
                            patched_children(items));
}

namespace detail {

/// Writes which of the children have a patch, and the patches, at `begin` of a node.
inline void write_patches(std::span<inner_item const> items, std::size_t begin, std::size_t patched,
                          mutable_bytes to) noexcept {
    auto const words = (items.size() + 63) / 64;
    auto* const bits = to.data() + begin;
    auto* const hot = bits + 8 * words;
    std::uint64_t word = 0;
    std::size_t slot = 0;
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (auto const& patch = items[i].child.patch; !patch.is_null()) {
            word |= std::uint64_t{1} << (i % 64);
            store(hot + 8 * slot, patch.hot);
            store(hot + 8 * (patched + slot), patch.checksum);
            ++slot;
        }
        if (i % 64 == 63 || i + 1 == items.size()) {
            store(bits + 8 * (i / 64), std::exchange(word, 0));
        }
    }
}

} // namespace detail

/// Writes an inner node. REQUIRES: 2 to 65,535 items with ascending lows, and `to` of the size
/// that `inner_node_bytes` gives.
inline void write_inner(unsigned level, std::span<inner_item const> items,
                        mutable_bytes to) noexcept {
    COPPICE_ASSERT(items.size() <= 65535 && level > 0 && level < 256);
    COPPICE_ASSERT(to.size() == inner_node_bytes(items));
    auto const count = items.size();
    auto const wide = to.size() >= wide_node_bytes;
    auto const patched = patched_children(items);
    auto const prefix = items[1].low.substr(0, common_prefix(items[1].low, items.back().low));
    store_node_header(
        to.data(),
        {wide ? node_kind::wide_inner : node_kind::inner, static_cast<std::uint8_t>(level),
         static_cast<std::uint16_t>(count), static_cast<std::uint32_t>(to.size()),
         static_cast<std::uint16_t>(prefix.size()), static_cast<std::uint16_t>(patched), 0, 0});
    auto const heads = node_header_bytes;
    auto const hot = heads + inner_view::heads_bytes(count);
    if (patched != 0) detail::write_patches(items, hot + 16 * count, patched, to);
    auto const positions = hot + 16 * count + inner_view::patches_bytes(count, patched);
    auto const totals = positions + position_array::width(wide) * count;
    detail::node_image image(to);
    auto at = image.put_text(totals + 2 * u48_bytes * count, prefix);
    if (count % 2 == 0) store(to.data() + heads + 4 * (count - 1), std::uint32_t{0});
    for (std::size_t i = 0; i < count; ++i) {
        auto const& child = items[i].child;
        store(to.data() + hot + 8 * i, child.node.hot);
        store(to.data() + hot + 8 * (count + i), child.node.checksum);
        store_u48(to.data() + totals + u48_bytes * i, child.entries);
        store_u48(to.data() + totals + u48_bytes * (count + i), child.bytes);
        if (i == 0) continue;
        auto const suffix = items[i].low.substr(prefix.size());
        store(to.data() + heads + 4 * (i - 1), key_head(suffix));
        image.put_position(positions, i - 1, at, wide);
        at = image.put_text(at, suffix);
    }
    image.put_position(positions, count - 1, at, wide);
    image.put_padding(at);
}

/// A child that takes the place of another one.
struct changed_child {
    std::size_t index = 0;
    subtree child;
};

/// Writes an inner node that differs from another one in some children.
/// REQUIRES: the others had a patch if and only if the new ones have; `to` of its size.
inline void write_inner_with(inner_view const& like, std::span<changed_child const> children,
                             mutable_bytes to) noexcept {
    COPPICE_ASSERT(to.size() == load_node_header(like.bytes()).size_bytes);
    std::memcpy(to.data(), like.bytes(), to.size());
    auto const put = [&](std::size_t refs, std::size_t count, std::size_t at, node_ref node) {
        store(to.data() + refs + 8 * at, node.hot);
        store(to.data() + refs + 8 * (count + at), node.checksum);
    };
    auto* const totals = to.data() + like.totals_begin();
    for (auto const& [i, child] : children) {
        COPPICE_ASSERT(i < like.count() && like.patch(i).is_null() == child.patch.is_null());
        put(like.refs_begin(), like.count(), i, child.node);
        if (!child.patch.is_null()) {
            put(like.patch_refs_begin(), like.patched(), like.patch_slot(i), child.patch);
        }
        store_u48(totals + u48_bytes * i, child.entries);
        store_u48(totals + u48_bytes * (like.count() + i), child.bytes);
    }
}

} // namespace coppice::inline COPPICE_ABI::format
