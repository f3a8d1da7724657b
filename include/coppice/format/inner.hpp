// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/format/inner.hpp: the layout of an inner node, and the way down from one.
// Owns: the only way from the bytes of an inner node to its separators and children.
//   header | heads u32[n-1], padded to 8 | hot u64[n] | checksum u64[n] | positions [n] |
//   entries u48[n] | bytes u48[n] | prefix | suffixes of the n-1 separators
//   Separator i (of n-1) is the lowest key that child i+1 may hold: prefix, then suffix i.
// Invariant: an `inner_view` stands only on bytes for which `check_inner` returned, or that
//   `inner_writer` made. Every inner node has at least two children, all at lower offsets.

#include <coppice/assert.hpp>
#include <coppice/bytes.hpp>
#include <coppice/format/heads.hpp>
#include <coppice/format/leaf.hpp>
#include <coppice/format/node.hpp>
#include <coppice/options.hpp>

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
        level_ = header.level;
        count_ = header.count;
        hot_ = node + node_header_bytes + heads_bytes(count_);
        auto const* const positions = hot_ + 16 * count_;
        positions_ = position_array(positions, header.wide());
        totals_ = positions + position_array::width(header.wide()) * count_;
        prefix_ = {reinterpret_cast<char const*>(totals_ + 2 * u48_bytes * count_),
                   header.prefix_bytes};
    }

    [[nodiscard]] std::size_t count() const noexcept { return count_; }
    [[nodiscard]] unsigned level() const noexcept { return level_; }
    [[nodiscard]] std::string_view prefix() const noexcept { return prefix_; }

    /// The bytes that the heads take, padded.
    [[nodiscard]] static constexpr std::size_t heads_bytes(std::size_t count) noexcept {
        return static_cast<std::size_t>(align8(4 * (count - 1)));
    }

    /// The node of child `i`, without its totals. REQUIRES: `i < count()`.
    [[nodiscard]] node_ref node(std::size_t i) const noexcept {
        COPPICE_ASSERT(i < count_);
        return {load<std::uint64_t>(hot_ + 8 * i), load<std::uint64_t>(hot_ + 8 * (count_ + i))};
    }
    [[nodiscard]] std::uint64_t entries(std::size_t i) const noexcept {
        return load_u48(totals_ + u48_bytes * i);
    }
    /// Child `i` with its totals. REQUIRES: `i < count()`.
    [[nodiscard]] subtree child(std::size_t i) const noexcept {
        return {node(i), entries(i), load_u48(totals_ + u48_bytes * (count_ + i))};
    }

    /// The part of separator `i` after the prefix. REQUIRES: `i + 1 < count()`.
    [[nodiscard]] std::string_view suffix(std::size_t i) const noexcept {
        COPPICE_ASSERT(i + 1 < count_);
        auto const begin = positions_[i];
        return {reinterpret_cast<char const*>(node_ + begin), positions_[i + 1] - begin};
    }
    /// Separator `i`, put together: the lowest key that child `i + 1` may hold. Allocates.
    [[nodiscard]] std::string separator(std::size_t i) const {
        std::string whole(prefix_);
        whole += suffix(i);
        return whole;
    }
    [[nodiscard]] std::uint32_t head(std::size_t i) const noexcept {
        return load<std::uint32_t>(node_ + node_header_bytes + 4 * i);
    }

    /// The child whose range holds `key`: as many separators are not above the key.
    [[nodiscard]] std::size_t child_for(std::string_view key) const noexcept;

  private:
    std::byte const* node_ = nullptr;
    std::byte const* hot_ = nullptr;
    std::byte const* totals_ = nullptr;
    std::size_t count_ = 0;
    unsigned level_ = 0;
    position_array positions_;
    std::string_view prefix_;
};

inline std::size_t inner_view::child_for(std::string_view key) const noexcept {
    auto const separators = count_ - 1;
    if (auto const order = detail::compare_prefix(key, prefix_); order != 0) {
        return order < 0 ? 0 : separators;
    }
    auto const rest = key.substr(prefix_.size());
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

/// Is this an inner node that can be read without leaving its bytes, and do its children lie below
/// it? Order and heads are not looked at.
/// @param node the whole node as its reference names it
/// @param offset where it lies: children end at or before it, which rules out every cycle
/// @throws error corrupt, unsupported_feature. Cost: O(count).
inline void check_inner(bytes node, std::uint64_t offset) {
    auto const header = detail::checked_header(node, offset);
    std::size_t const count = header.count;
    if (header.leaf()) detail::damaged("a leaf where an inner node should be", offset);
    if (count < 2) detail::damaged("an inner node with fewer than two children", offset);
    if (header.entry_flags != 0 || header.has_flag_array != 0) {
        throw error(errc::unsupported_feature, "flags in an inner node", {}, offset);
    }
    auto const width = position_array::width(header.wide());
    auto const positions_begin = node_header_bytes + inner_view::heads_bytes(count) + 16 * count;
    auto const pool_begin = positions_begin + width * count + 2 * u48_bytes * count;
    if (pool_begin + header.prefix_bytes > node.size()) {
        detail::damaged("its arrays pass its end", offset);
    }
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
    for (std::size_t i = 0; i < count; ++i) {
        auto const child = inner.node(i);
        if (child.in_memory() || child.offset() < data_begin_offset ||
            child.size_bytes() < node_header_bytes || child.end_offset() > offset) {
            detail::damaged("a child reference points outside", offset);
        }
    }
}

} // namespace coppice::inline COPPICE_ABI::format
