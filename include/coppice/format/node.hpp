// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/format/node.hpp: what every node begins with, and the kinds of node.
// Owns: the 16-byte node header, the numbers of the kinds, the 16-bit or 32-bit position arrays.
// Invariant: a node is exactly as long as its content, padded with zeros to 8 bytes; a kind or a
//   flag that is not known here is refused by name, never guessed.
//   0 kind u8 | 1 level u8 | 2 count u16 | 4 size_bytes u32 | 8 prefix_bytes u16 | 10 patched u16 |
//   12 entry_flags u8 | 13 has_flag_array u8 | 14 zero u16. A patch has the level of its base with
//   the top bit set, so that neither can ever be taken for the other.

#include <coppice/bytes.hpp>
#include <coppice/error.hpp>
#include <coppice/format/endian.hpp>
#include <coppice/format/reference.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace coppice::inline COPPICE_ABI::format {

/// The kinds of node. Numbers are never reused. A wide node has 64 KiB or more, and 32-bit
/// positions. Kinds 7 to 9 are reserved: leaf patch by reference, compressed leaf, compressed
/// inner.
enum class node_kind : std::uint8_t {
    leaf = 1,
    inner = 2,
    wide_leaf = 3,
    wide_inner = 4,
    leaf_patch = 5,
    inner_patch = 6,
};

/// Set in the level of a patch.
inline constexpr unsigned patch_level_bit = 0x80;
/// No patch has more changes than this, so that passing over all of them is cheap.
inline constexpr std::size_t max_patch_changes = 64;

inline constexpr std::size_t node_header_bytes = 16;
/// From this size on a node is of the wide kind.
inline constexpr std::size_t wide_node_bytes = 65536;

/// Entry flags of a leaf. Bits not named here are refused.
inline constexpr std::uint8_t entry_out_of_line = 1;
inline constexpr std::uint8_t known_entry_flags = entry_out_of_line;
/// Only in a leaf patch: the entry is erased, and has no value.
inline constexpr std::uint8_t entry_erased = 0x80;

/// The header of a node. A small copy, so that it can be passed by value.
struct node_header {
    node_kind kind{};
    std::uint8_t level = 0;         ///< 0 for a leaf
    std::uint16_t count = 0;        ///< entries of a leaf, children of an inner node
    std::uint32_t size_bytes = 0;   ///< of the whole node, padding included
    std::uint16_t prefix_bytes = 0; ///< that all keys (or separators) begin with
    std::uint16_t patched = 0;      ///< inner: children that name a patch; patch: count of its base
    std::uint8_t entry_flags = 0;   ///< of every entry, where there is no flag array
    std::uint8_t has_flag_array = 0; ///< 1: one byte of flags for each entry

    [[nodiscard]] bool wide() const noexcept {
        return kind == node_kind::wide_leaf || kind == node_kind::wide_inner;
    }
    [[nodiscard]] bool leaf() const noexcept {
        return kind == node_kind::leaf || kind == node_kind::wide_leaf;
    }
    [[nodiscard]] bool patch() const noexcept {
        return kind == node_kind::leaf_patch || kind == node_kind::inner_patch;
    }
};

/// Reads a header. REQUIRES: 16 readable bytes. Nothing in it is checked.
[[nodiscard]] inline node_header load_node_header(std::byte const* from) noexcept {
    return {static_cast<node_kind>(from[0]),         std::to_integer<std::uint8_t>(from[1]),
            load<std::uint16_t>(from + 2),           load<std::uint32_t>(from + 4),
            load<std::uint16_t>(from + 8),           load<std::uint16_t>(from + 10),
            std::to_integer<std::uint8_t>(from[12]), std::to_integer<std::uint8_t>(from[13])};
}

inline void store_node_header(std::byte* to, node_header const& header) noexcept {
    to[0] = static_cast<std::byte>(header.kind);
    to[1] = std::byte{header.level};
    store(to + 2, header.count);
    store(to + 4, header.size_bytes);
    store(to + 8, header.prefix_bytes);
    store(to + 10, header.patched);
    to[12] = std::byte{header.entry_flags};
    to[13] = std::byte{header.has_flag_array};
    store(to + 14, std::uint16_t{0});
}

/// An array of positions inside a node, 16 or 32 bits each.
class position_array {
  public:
    position_array() = default;
    position_array(std::byte const* first, bool wide) noexcept : first_(first), wide_(wide) {}

    [[nodiscard]] std::uint32_t operator[](std::size_t i) const noexcept {
        return wide_ ? load<std::uint32_t>(first_ + 4 * i) : load<std::uint16_t>(first_ + 2 * i);
    }

    [[nodiscard]] static constexpr std::size_t width(bool wide) noexcept { return wide ? 4 : 2; }

  private:
    std::byte const* first_ = nullptr;
    bool wide_ = false;
};

namespace detail {

/// Throws `errc::corrupt` for a node at `offset`.
[[noreturn]] inline void damaged(char const* what, std::uint64_t offset) {
    throw error(errc::corrupt, std::string("damaged node: ") + what, {}, offset);
}

/// The part of the check that leaves and inner nodes share.
inline node_header checked_header(bytes node, std::uint64_t offset) {
    if (node.size() < node_header_bytes) damaged("shorter than its header", offset);
    auto const header = load_node_header(node.data());
    auto const kind = static_cast<unsigned>(header.kind);
    if (kind < 1 || kind > 6) {
        throw error(errc::unsupported_feature, "node kind " + std::to_string(kind), {}, offset);
    }
    if (header.size_bytes != node.size()) damaged("its size is not its reference's", offset);
    if (header.wide() != (node.size() >= wide_node_bytes)) damaged("wrong width", offset);
    auto const floor = header.level & ~patch_level_bit;
    auto const level_of_patch = floor != header.level;
    auto const kind_of_leaf = header.leaf() || header.kind == node_kind::leaf_patch;
    if (header.patch() != level_of_patch || kind_of_leaf != (floor == 0)) {
        damaged("its level is not its kind's", offset);
    }
    return header;
}

} // namespace detail

} // namespace coppice::inline COPPICE_ABI::format
