// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/stray_leaves.hpp: the leaves of a file whose parents are gone.
// Owns: what looks like a leaf: structure, order of its keys, heads. No checksum can be compared,
//   since it stood in the parent; nor does anything say of which commit a leaf is, or that its
//   entries were not changed or erased later.
// Invariant: never reads beyond the bytes; of several values of a key the last in the file is kept.
//   Cost: O(bytes), and a map of all keys. What it gives refers to the bytes.

#include <coppice/bytes.hpp>
#include <coppice/error.hpp>
#include <coppice/format/leaf.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>

namespace coppice::inline COPPICE_ABI::store {

/// Entries that nothing vouches for, by their keys.
using stray_entries = std::map<std::string_view, format::stored_value>;

namespace detail {

/// Could a leaf begin here? Looks at its header alone.
[[nodiscard]] inline bool may_be_leaf(format::node_header const& header,
                                      std::uint64_t left_bytes) noexcept {
    constexpr std::uint64_t least_entry_bytes = 4 + 2 + 2; // head, position, key size
    return header.leaf() && header.level == 0 && header.count > 0 && header.size_bytes % 8 == 0 &&
           header.size_bytes <= left_bytes && header.size_bytes <= format::max_node_bytes &&
           format::node_header_bytes + header.count * least_entry_bytes <= header.size_bytes;
}

/// Is this a leaf in all that can be seen of it?
[[nodiscard]] inline bool is_leaf(bytes node, std::uint64_t offset) {
    try {
        format::check_leaf(node, offset);
    } catch (error const&) {
        return false;
    }
    format::leaf_view const leaf(node.data());
    for (std::size_t i = 0; i < leaf.count(); ++i) {
        if (leaf.head(i) != format::key_head(leaf.key(i).substr(leaf.prefix_bytes()))) return false;
        if (i > 0 && leaf.key(i - 1) >= leaf.key(i)) return false;
    }
    return true;
}

} // namespace detail

/// Collects the entries of all that looks like a leaf.
/// @param file the bytes of a whole file; they must outlive the result
[[nodiscard]] inline stray_entries find_stray_leaves(bytes file) {
    stray_entries found;
    // What looks like one costs its count; more than this only a forgery makes us look at.
    std::uint64_t left = file.size();
    for (std::uint64_t at = format::data_begin_offset;
         at + format::node_header_bytes <= file.size();) {
        auto const header = format::load_node_header(file.data() + at);
        auto const next = at + 8;
        if (detail::may_be_leaf(header, file.size() - at)) {
            if (header.count > left) break;
            left -= header.count;
            auto const node = file.subspan(static_cast<std::size_t>(at), header.size_bytes);
            if (detail::is_leaf(node, at)) {
                format::leaf_view const leaf(node.data());
                for (std::size_t i = 0; i < leaf.count(); ++i) {
                    found.insert_or_assign(leaf.key(i), leaf.value(i));
                }
                at += header.size_bytes;
                continue;
            }
        }
        at = next;
    }
    return found;
}

} // namespace coppice::inline COPPICE_ABI::store
