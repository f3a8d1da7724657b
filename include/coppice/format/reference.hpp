// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/format/reference.hpp: how the file names its parts.
// Owns: `node_ref` (a node: place, size, checksum), `node_pair` (a node, maybe with a patch of it),
//   `subtree` (such a pair with the totals below it), `extent_ref` (a value that lies out of line).
// Invariant: a reference whose offset has its top bit set names memory of this process, is made
//   only from a live pointer, and is never written to a file; readers of a file refuse it.

#include <coppice/assert.hpp>
#include <coppice/bytes.hpp>
#include <coppice/format/endian.hpp>

#include <cstddef>
#include <cstdint>

namespace coppice::inline COPPICE_ABI::format {

/// Where the first transaction begins: behind the header and the two superblock slots.
inline constexpr std::uint64_t data_begin_offset = 12288;
/// No offset of a file reaches this.
inline constexpr std::uint64_t max_file_bytes = std::uint64_t{1} << 47U;
/// Set in a hot word or an extent's offset: "memory of this process".
inline constexpr std::uint64_t memory_bit = std::uint64_t{1} << 63U;
/// The largest node in bytes; the all-ones size is kept for other uses.
inline constexpr std::uint64_t max_node_bytes = ((std::uint64_t{1} << 19U) - 2) * 8;

/// A node: 45 bits of offset and 19 bits of size in units of 8 bytes in one hot word, and the
/// checksum of its bytes. Zero is the root of an empty tree.
struct node_ref {
    std::uint64_t hot = 0;      ///< offset / 8 << 19 | size / 8
    std::uint64_t checksum = 0; ///< of the node's bytes; 0 in a memory reference

    /// Names a node of a file. REQUIRES: both multiples of 8, within the format's limits.
    [[nodiscard]] static node_ref at(std::uint64_t offset, std::uint64_t size_bytes,
                                     std::uint64_t checksum) noexcept {
        COPPICE_ASSERT(offset % 8 == 0 && offset < max_file_bytes);
        COPPICE_ASSERT(size_bytes % 8 == 0 && size_bytes <= max_node_bytes);
        return {(offset / 8) << 19U | size_bytes / 8, checksum};
    }

    /// Names a node in memory. REQUIRES: 16-aligned, an address below 2^48, `size_bytes` as above.
    [[nodiscard]] static node_ref in_memory_at(std::byte const* node,
                                               std::uint64_t size_bytes) noexcept {
        auto const address = reinterpret_cast<std::uintptr_t>(node);
        COPPICE_ASSERT(address % 16 == 0 && (address >> 48U) == 0);
        return {memory_bit | (address / 16) << 19U | size_bytes / 8, 0};
    }

    [[nodiscard]] bool is_null() const noexcept { return hot == 0; }
    [[nodiscard]] bool in_memory() const noexcept { return (hot & memory_bit) != 0; }
    /// The byte offset in the file. REQUIRES: `!in_memory()`.
    [[nodiscard]] std::uint64_t offset() const noexcept { return (hot >> 19U) * 8; }
    [[nodiscard]] std::uint64_t size_bytes() const noexcept { return (hot & 0x7FFFFU) * 8; }
    [[nodiscard]] std::uint64_t end_offset() const noexcept { return offset() + size_bytes(); }

    /// The node itself. REQUIRES: `in_memory()`, and its owner alive.
    [[nodiscard]] std::byte const* memory() const noexcept {
        return reinterpret_cast<std::byte const*>(
            static_cast<std::uintptr_t>(((hot & ~memory_bit) >> 19U) * 16));
    }

    friend bool operator==(node_ref, node_ref) noexcept = default;
};

/// A node as its parent names it: a base, and maybe a patch, which is a small change of it. A patch
/// never names its base, nor another patch.
struct node_pair {
    node_ref base;
    node_ref patch{}; ///< null: the base is the node

    [[nodiscard]] bool is_patched() const noexcept { return !patch.is_null(); }
    /// Is any of it memory? A base in memory has no patch.
    [[nodiscard]] bool in_memory() const noexcept { return base.in_memory() || patch.in_memory(); }
    [[nodiscard]] std::uint64_t size_bytes() const noexcept {
        return base.size_bytes() + patch.size_bytes();
    }

    friend bool operator==(node_pair const&, node_pair const&) noexcept = default;
};

/// A node together with what lies below it, as a parent or a commit record names it.
struct subtree {
    node_ref node;             ///< the node, or the base of it
    std::uint64_t entries = 0; ///< entries in it and below
    std::uint64_t bytes = 0;   ///< bytes of it, of its patch, of all nodes below, and of extents
    node_ref patch{};          ///< what is changed in the base; null: nothing

    [[nodiscard]] node_pair pair() const noexcept { return {node, patch}; }

    friend bool operator==(subtree const&, subtree const&) noexcept = default;
};

/// A value that lies out of line. Its place is 8-aligned; `length_bytes` is exact.
struct extent_ref {
    std::uint64_t offset = 0;       ///< byte offset, or address | memory_bit
    std::uint64_t length_bytes = 0; ///< bytes of the value
    std::uint64_t checksum = 0;     ///< see format/extent.hpp; 0 in a memory reference

    /// The bytes a reference takes inside a leaf.
    static constexpr std::size_t encoded_bytes = 24;

    [[nodiscard]] bool in_memory() const noexcept { return (offset & memory_bit) != 0; }

    /// The value itself. REQUIRES: `in_memory()`, and its owner alive.
    [[nodiscard]] std::byte const* memory() const noexcept {
        return reinterpret_cast<std::byte const*>(
            static_cast<std::uintptr_t>(offset & ~memory_bit));
    }

    /// Names a value in memory.
    [[nodiscard]] static extent_ref in_memory_at(bytes value) noexcept {
        auto const address = reinterpret_cast<std::uintptr_t>(value.data());
        return {address | memory_bit, value.size(), 0};
    }

    void encode(std::byte* to) const noexcept {
        store(to, offset);
        store(to + 8, length_bytes);
        store(to + 16, checksum);
    }

    [[nodiscard]] static extent_ref decode(std::byte const* from) noexcept {
        return {load<std::uint64_t>(from), load<std::uint64_t>(from + 8),
                load<std::uint64_t>(from + 16)};
    }

    friend bool operator==(extent_ref const&, extent_ref const&) noexcept = default;
};

static_assert(sizeof(node_ref) == 16 && sizeof(subtree) == 48 && sizeof(extent_ref) == 24);

} // namespace coppice::inline COPPICE_ABI::format
