// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/format/inner.hpp: the layout of an inner node, and the way down from one.
// Owns: the only way from the bytes of an inner node to its separators and children.
//   header | heads u32[n-1], padded to 8 | hot u64[n] | checksum u64[n] | patches, if any |
//   positions [n] | entries u48[n] | bytes u48[n] | prefix | suffixes of the n-1 separators
//   Patches, of p children: bits u64[ceil(n/64)], which children | hot u64[p] | checksum u64[p]
//   Separator i (of n-1) is the lowest key that child i+1 may hold: prefix, then suffix i.
// Invariant: an `inner_view` stands only on bytes for which `check_inner` returned, or that
//   `inner_writer` made. Every inner node has at least two children, all at lower offsets.

#include <coppice/assert.hpp>
#include <coppice/bytes.hpp>
#include <coppice/format/heads.hpp>
#include <coppice/format/leaf.hpp>
#include <coppice/format/node.hpp>
#include <coppice/options.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace coppice::inline COPPICE_ABI::format {

/// An inner node. A small value; copying it copies no bytes.
class inner_view {
  public:
    inner_view() = default;

    /// REQUIRES: the bytes of an inner node that was checked, or made by `inner_writer`.
    explicit inner_view(std::byte const* node) noexcept : node_(node) {
        auto const header = load_node_header(node);
        COPPICE_ASSERT(!header.leaf());
        count_ = header.count;
        patched_ = header.patched;
        hot_ = node + node_header_bytes + heads_bytes(count_);
    }

    [[nodiscard]] std::byte const* bytes() const noexcept { return node_; }
    [[nodiscard]] std::size_t count() const noexcept { return count_; }
    [[nodiscard]] unsigned level() const noexcept { return load_node_header(node_).level; }
    [[nodiscard]] std::string_view prefix() const noexcept {
        return {reinterpret_cast<char const*>(totals() + 2 * u48_bytes * count_),
                load_node_header(node_).prefix_bytes};
    }

    /// The bytes that the heads take, padded.
    [[nodiscard]] static constexpr std::size_t heads_bytes(std::size_t count) noexcept {
        return static_cast<std::size_t>(align8(4 * (count - 1)));
    }

    /// The bytes that the patches of so many children take.
    [[nodiscard]] static constexpr std::size_t patches_bytes(std::size_t count,
                                                             std::size_t patched) noexcept {
        return patched == 0 ? 0 : 8 * ((count + 63) / 64) + 16 * patched;
    }

    /// The node of child `i`, or its base, without its totals. REQUIRES: `i < count()`.
    [[nodiscard]] node_ref node(std::size_t i) const noexcept {
        COPPICE_ASSERT(i < count_);
        return {load<std::uint64_t>(hot_ + 8 * i), load<std::uint64_t>(hot_ + 8 * (count_ + i))};
    }
    /// How many children have a patch.
    [[nodiscard]] std::size_t patched() const noexcept { return patched_; }
    /// Has child `i` one? REQUIRES: `i < count()`.
    [[nodiscard]] bool is_patched(std::size_t i) const noexcept {
        COPPICE_ASSERT(i < count_);
        if (patched_ == 0) return false;
        auto const word = load<std::uint64_t>(hot_ + 16 * count_ + 8 * (i / 64));
        return (word >> (i % 64) & 1U) != 0;
    }
    /// The patch of child `i`, or null. REQUIRES: `i < count()`.
    [[nodiscard]] node_ref patch(std::size_t i) const noexcept {
        return is_patched(i) ? patch_among(i) : node_ref{};
    }
    /// Child `i` without its totals. REQUIRES: `i < count()`.
    [[nodiscard]] node_pair pair(std::size_t i) const noexcept { return {node(i), patch(i)}; }
    [[nodiscard]] std::uint64_t entries(std::size_t i) const noexcept {
        return load_u48(totals() + u48_bytes * i);
    }
    /// Child `i` with its totals. REQUIRES: `i < count()`.
    [[nodiscard]] subtree child(std::size_t i) const noexcept {
        return {node(i), entries(i), load_u48(totals() + u48_bytes * (count_ + i)), patch(i)};
    }

    /// Where the references of the children are, and of their patches, from the start of the node.
    [[nodiscard]] std::size_t refs_begin() const noexcept {
        return node_header_bytes + heads_bytes(count_);
    }
    [[nodiscard]] std::size_t patch_refs_begin() const noexcept {
        return refs_begin() + 16 * count_ + 8 * ((count_ + 63) / 64);
    }
    /// Where the totals of the children are, from the start of the node.
    [[nodiscard]] std::size_t totals_begin() const noexcept {
        return static_cast<std::size_t>(totals() - node_);
    }
    /// Which of the patches is that of child `i`: as many bits as are set before its own.
    /// REQUIRES: it has one.
    [[nodiscard]] std::size_t patch_slot(std::size_t i) const noexcept {
        auto const* const bits = hot_ + 16 * count_;
        auto const word = load<std::uint64_t>(bits + 8 * (i / 64));
        auto const before = word & ((std::uint64_t{1} << (i % 64)) - 1);
        auto slot = static_cast<std::size_t>(std::popcount(before));
        for (std::size_t w = 0; w < i / 64; ++w) {
            slot += static_cast<std::size_t>(std::popcount(load<std::uint64_t>(bits + 8 * w)));
        }
        return slot;
    }

    /// The part of separator `i` after the prefix. REQUIRES: `i + 1 < count()`.
    [[nodiscard]] std::string_view suffix(std::size_t i) const noexcept {
        COPPICE_ASSERT(i + 1 < count_);
        auto const at = positions();
        return {reinterpret_cast<char const*>(node_ + at[i]), at[i + 1] - at[i]};
    }
    /// Separator `i`, put together: the lowest key that child `i + 1` may hold. Allocates.
    [[nodiscard]] std::string separator(std::size_t i) const {
        std::string whole(prefix());
        whole += suffix(i);
        return whole;
    }
    /// How separator `i` compares with a key, without being put together. REQUIRES: as `suffix`.
    [[nodiscard]] int compare_separator(std::size_t i, std::string_view key) const noexcept {
        auto const common = prefix();
        auto const order = detail::compare_prefix(key, common);
        if (order != 0) return order < 0 ? 1 : -1;
        return suffix(i).compare(key.substr(common.size()));
    }
    [[nodiscard]] std::uint32_t head(std::size_t i) const noexcept {
        return load<std::uint32_t>(node_ + node_header_bytes + 4 * i);
    }

    /// The child whose range holds `key`: as many separators are not above the key.
    [[nodiscard]] std::size_t child_for(std::string_view key) const noexcept;

  private:
    // A search needs none of these in most nodes, so they are not kept.
    [[nodiscard]] position_array positions() const noexcept {
        return {hot_ + 16 * count_ + patches_bytes(count_, patched_),
                load_node_header(node_).wide()};
    }
    [[nodiscard]] std::byte const* totals() const noexcept {
        auto const width = position_array::width(load_node_header(node_).wide());
        return hot_ + 16 * count_ + patches_bytes(count_, patched_) + width * count_;
    }

    [[nodiscard]] node_ref patch_among(std::size_t i) const noexcept {
        auto const slot = patch_slot(i);
        auto const* const patches = hot_ + 16 * count_ + 8 * ((count_ + 63) / 64);
        return {load<std::uint64_t>(patches + 8 * slot),
                load<std::uint64_t>(patches + 8 * (patched_ + slot))};
    }

    std::byte const* node_ = nullptr;
    std::byte const* hot_ = nullptr;
    std::size_t count_ = 0;
    std::size_t patched_ = 0;
};

inline std::size_t inner_view::child_for(std::string_view key) const noexcept {
    auto const separators = count_ - 1;
    auto rest = key;
    if (auto const prefix_bytes = load_node_header(node_).prefix_bytes; prefix_bytes != 0) {
        auto const order = detail::compare_prefix(key, prefix());
        if (order != 0) return order < 0 ? 0 : separators;
        rest.remove_prefix(prefix_bytes);
    }
    auto const wanted = key_head(rest);
    auto const first = first_head_from(node_ + node_header_bytes, separators, wanted);
    if (first == separators || head(first) != wanted) return first;
    if (first + 1 == separators || head(first + 1) != wanted) { // one compare tells all, mostly
        return suffix(first) <= rest ? first + 1 : first;
    }
    auto const last =
        partition_index(first, separators, [&](std::size_t i) { return head(i) == wanted; });
    return partition_index(first, last, [&](std::size_t i) { return suffix(i) <= rest; });
}

namespace detail {

/// Could this be the reference of a node below `offset`?
[[nodiscard]] inline bool lies_below(node_ref child, std::uint64_t offset) noexcept {
    return !child.in_memory() && child.offset() >= data_begin_offset &&
           child.size_bytes() >= node_header_bytes && child.end_offset() <= offset;
}

/// Checks the bits that say which children have a patch. REQUIRES: they lie within the node.
inline void check_patch_bits(std::byte const* bits, node_header const& header,
                             std::uint64_t offset) {
    if (header.patched == 0) return;
    std::size_t set = 0;
    for (std::size_t i = 0; i < (header.count + std::size_t{63}) / 64; ++i) {
        set += static_cast<std::size_t>(std::popcount(load<std::uint64_t>(bits + 8 * i)));
    }
    auto const last = load<std::uint64_t>(bits + 8 * ((header.count - std::size_t{1}) / 64));
    auto const beyond = header.count % 64 == 0 ? 0 : last >> (header.count % 64);
    if (set != header.patched || beyond != 0) damaged("its patches are not counted", offset);
}

} // namespace detail

/// Is this an inner node that can be read without leaving its bytes, and do its children lie below
/// it? Order and heads are not looked at.
/// @param node the whole node as its reference names it
/// @param offset where it lies: children end at or before it, which rules out every cycle
/// @throws error corrupt, unsupported_feature. Cost: O(count).
inline void check_inner(bytes node, std::uint64_t offset) {
    auto const header = detail::checked_header(node, offset);
    std::size_t const count = header.count;
    if (header.leaf() || header.patch()) {
        detail::damaged("another node where an inner node should be", offset);
    }
    if (count < 2) detail::damaged("an inner node with fewer than two children", offset);
    if (header.entry_flags != 0 || header.has_flag_array != 0) {
        throw error(errc::unsupported_feature, "flags in an inner node", {}, offset);
    }
    auto const width = position_array::width(header.wide());
    auto const patches_begin = node_header_bytes + inner_view::heads_bytes(count) + 16 * count;
    auto const positions_begin = patches_begin + inner_view::patches_bytes(count, header.patched);
    auto const pool_begin = positions_begin + width * count + 2 * u48_bytes * count;
    if (pool_begin + header.prefix_bytes > node.size()) {
        detail::damaged("its arrays pass its end", offset);
    }
    detail::check_patch_bits(node.data() + patches_begin, header, offset);
    position_array const positions(node.data() + positions_begin, header.wide());
    if (positions[0] != pool_begin + header.prefix_bytes) {
        detail::damaged("its separators do not follow its arrays", offset);
    }
    if (positions[count - 1] > node.size() || node.size() - positions[count - 1] >= 8) {
        detail::damaged("its separators do not end at its end", offset);
    }
    for (std::size_t i = 0; i + 1 < count; ++i) {
        if (positions[i] > positions[i + 1]) detail::damaged("positions descend", offset);
        // Longer ones would make nodes beyond `max_node_bytes` when they are written again.
        if (header.prefix_bytes + (positions[i + 1] - positions[i]) > max_key_bytes) {
            detail::damaged("a separator longer than any key", offset);
        }
    }
    inner_view const inner(node.data());
    std::size_t patched = 0;
    for (std::size_t i = 0; i < count; ++i) {
        auto const [base, patch] = inner.pair(i);
        patched += patch.is_null() ? 0U : 1U;
        if (!detail::lies_below(base, offset) ||
            (!patch.is_null() &&
             (!detail::lies_below(patch, offset) || patch.offset() < base.end_offset()))) {
            detail::damaged("a child reference points outside", offset);
        }
    }
    if (patched != header.patched) detail::damaged("its patches are not counted", offset);
}

} // namespace coppice::inline COPPICE_ABI::format
