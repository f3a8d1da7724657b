// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/format/leaf.hpp: the layout of a leaf, and the search inside one.
// Owns: the only way from the bytes of a leaf to its keys and values.
//   header | heads u32[n] | positions [n+1] | key sizes u16[n] | flags u8[n], if any | records
//   Record i is key and value in [position i, position i+1). Heads are taken after the prefix.
// Invariant: a `leaf_view` stands only on bytes for which `check_leaf` returned, or that
//   `leaf_writer` made; it then reads within them, whatever they say. Views live as the bytes do.

#include <coppice/assert.hpp>
#include <coppice/bytes.hpp>
#include <coppice/format/heads.hpp>
#include <coppice/format/node.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace coppice::inline COPPICE_ABI::format {

/// The value part of a leaf's record: the value itself, or a reference to an extent.
struct stored_value {
    std::string_view raw;     ///< the value, or 24 bytes of reference
    bool out_of_line = false; ///< which of the two

    /// REQUIRES: `out_of_line`.
    [[nodiscard]] extent_ref extent() const noexcept {
        return extent_ref::decode(reinterpret_cast<std::byte const*>(raw.data()));
    }
    /// The length of the value in bytes, wherever it lies.
    [[nodiscard]] std::uint64_t length_bytes() const noexcept {
        return out_of_line ? extent().length_bytes : raw.size();
    }
};

/// Where a key is, or would be, in a node.
struct search_result {
    std::size_t index = 0; ///< the first entry that is not before the key
    bool found = false;    ///< is it the key itself?
};

/// A leaf. A small value; copying it copies no bytes.
class leaf_view {
  public:
    leaf_view() = default;

    /// REQUIRES: the bytes of a leaf that was checked, or made by `leaf_writer`; or of a leaf
    /// patch, of which this reads what it has in common with a leaf (see format/leaf_patch.hpp).
    explicit leaf_view(std::byte const* node) noexcept : node_(node) {
        auto const header = load_node_header(node);
        COPPICE_ASSERT(header.leaf() || header.kind == node_kind::leaf_patch);
        count_ = header.count;
        prefix_bytes_ = header.prefix_bytes;
        common_flags_ = header.entry_flags;
        auto const* at = node + node_header_bytes + 4 * count_;
        positions_ = position_array(at, header.wide());
        at += position_array::width(header.wide()) * (count_ + 1);
        key_sizes_ = at;
        flags_ = header.has_flag_array != 0 ? at + 2 * count_ : nullptr;
    }

    [[nodiscard]] std::size_t count() const noexcept { return count_; }
    [[nodiscard]] std::byte const* bytes() const noexcept { return node_; }
    [[nodiscard]] std::size_t prefix_bytes() const noexcept { return prefix_bytes_; }

    /// Key number `i`, whole and contiguous. REQUIRES: `i < count()`.
    [[nodiscard, gnu::always_inline]] std::string_view key(std::size_t i) const noexcept {
        COPPICE_ASSERT(i < count_);
        return {text(positions_[i]), load<std::uint16_t>(key_sizes_ + 2 * i)};
    }

    /// The stored form of value number `i`. REQUIRES: `i < count()`.
    [[nodiscard, gnu::always_inline]] stored_value value(std::size_t i) const noexcept {
        COPPICE_ASSERT(i < count_);
        auto const begin = positions_[i] + load<std::uint16_t>(key_sizes_ + 2 * i);
        return {{text(begin), positions_[i + 1] - begin}, (flags(i) & entry_out_of_line) != 0};
    }

    [[nodiscard]] std::uint8_t flags(std::size_t i) const noexcept {
        return flags_ != nullptr ? std::to_integer<std::uint8_t>(flags_[i]) : common_flags_;
    }

    [[nodiscard]] std::uint32_t head(std::size_t i) const noexcept {
        return load<std::uint32_t>(node_ + node_header_bytes + 4 * i);
    }

    /// Asks for the record that a search for `key` will look at: only a hint.
    void prefetch(std::string_view key) const noexcept;

    /// The first entry whose key is not before `key`. O(log count) compares, mostly of heads.
    [[nodiscard]] search_result lower_bound(std::string_view key) const noexcept;

  private:
    [[nodiscard]] std::string_view behind_prefix(std::size_t i) const noexcept {
        auto whole = key(i);
        whole.remove_prefix(prefix_bytes_);
        return whole;
    }
    [[nodiscard]] char const* text(std::uint32_t position) const noexcept {
        return reinterpret_cast<char const*>(node_ + position);
    }

    std::byte const* node_ = nullptr;
    std::size_t count_ = 0;
    std::size_t prefix_bytes_ = 0;
    position_array positions_;
    std::byte const* key_sizes_ = nullptr;
    std::byte const* flags_ = nullptr;
    std::uint8_t common_flags_ = 0;
};

namespace detail {

/// Compares the first bytes of `key` with the prefix that all keys of a node share.
[[nodiscard]] inline int compare_prefix(std::string_view key, std::string_view prefix) noexcept {
    auto const order = key.substr(0, prefix.size()).compare(prefix);
    return order;
}

} // namespace detail

inline void leaf_view::prefetch(std::string_view key) const noexcept {
    auto const rest = key.substr(std::min(prefix_bytes_, key.size()));
    auto const first = first_head_from(node_ + node_header_bytes, count_, key_head(rest));
    if (first < count_) __builtin_prefetch(text(positions_[first]));
}

inline search_result leaf_view::lower_bound(std::string_view key) const noexcept {
    auto rest = key;
    if (prefix_bytes_ != 0) {
        auto const order = detail::compare_prefix(key, this->key(0).substr(0, prefix_bytes_));
        if (order != 0) return {order < 0 ? 0 : count_, false};
        rest.remove_prefix(prefix_bytes_);
    }
    auto const wanted = key_head(rest);
    auto const first = first_head_from(node_ + node_header_bytes, count_, wanted);
    if (first == count_ || head(first) != wanted) return {first, false};
    if (first + 1 == count_ || head(first + 1) != wanted) { // one compare tells all, mostly
        auto const order = behind_prefix(first).compare(rest);
        return {order < 0 ? first + 1 : first, order == 0};
    }
    auto const last =
        partition_index(first, count_, [&](std::size_t i) { return head(i) == wanted; });
    auto const index =
        partition_index(first, last, [&](std::size_t i) { return behind_prefix(i) < rest; });
    return {index, index < last && this->key(index) == key};
}

namespace detail {

/// Where the arrays end that each leaf begins with.
[[nodiscard]] inline std::size_t leaf_arrays_end(node_header const& header) noexcept {
    std::size_t const count = header.count;
    auto const width = position_array::width(header.wide());
    return node_header_bytes + 4 * count + width * (count + 1) + 2 * count +
           (header.has_flag_array != 0 ? count : 0);
}

/// Checks the records of a leaf, or of a patch of one, behind `records_begin`.
inline void check_records(bytes node, node_header const& header, std::size_t records_begin,
                          std::uint8_t known_flags, std::uint64_t offset) {
    std::size_t const count = header.count;
    auto const unknown_flags = [&](unsigned flags) {
        throw error(errc::unsupported_feature, "entry flags " + std::to_string(flags), {}, offset);
    };
    if ((header.entry_flags & ~known_flags) != 0) unknown_flags(header.entry_flags);
    if (header.has_flag_array > 1) damaged("unknown flag array", offset);
    if (count == 0) damaged("a leaf without entries", offset);
    if (records_begin > node.size()) damaged("its arrays pass its end", offset);
    position_array const positions(node.data() + node_header_bytes + 4 * count, header.wide());
    if (positions[0] != records_begin) damaged("its records do not follow its arrays", offset);
    if (positions[count] > node.size() || node.size() - positions[count] >= 8) {
        damaged("its records do not end at its end", offset);
    }
    for (std::size_t i = 0; i < count; ++i) {
        if (positions[i] > positions[i + 1]) damaged("positions descend", offset);
    }
    leaf_view const leaf(node.data());
    for (std::size_t i = 0; i < count; ++i) {
        auto const record_bytes = positions[i + 1] - positions[i];
        auto const key_bytes = leaf.key(i).size();
        if (key_bytes > record_bytes || header.prefix_bytes > key_bytes) {
            damaged("a key passes its record", offset);
        }
        auto const flags = leaf.flags(i);
        if ((flags & ~known_flags) != 0) unknown_flags(flags);
        if ((flags & entry_erased) != 0 && (flags != entry_erased || key_bytes != record_bytes)) {
            damaged("an erased entry has a value", offset);
        }
        if ((flags & entry_out_of_line) != 0) {
            if (record_bytes - key_bytes != extent_ref::encoded_bytes) {
                damaged("a value's reference has a wrong size", offset);
            }
            auto const extent = leaf.value(i).extent();
            if (extent.offset % 8 != 0 || extent.offset < data_begin_offset ||
                extent.offset >= offset || extent.length_bytes >= max_file_bytes) {
                damaged("a value's reference points outside", offset);
            }
        }
    }
}

} // namespace detail

/// Is this a leaf that can be read without leaving its bytes? Order and heads are not looked at,
/// a wrong one gives a wrong answer, not a wrong access (`check` finds them).
/// @param node the whole node as its reference names it
/// @param offset where it lies, for messages and for the extents, which must lie below it
/// @throws error corrupt, unsupported_feature. Cost: O(count).
inline void check_leaf(bytes node, std::uint64_t offset) {
    auto const header = detail::checked_header(node, offset);
    if (!header.leaf()) detail::damaged("another node where a leaf should be", offset);
    if (header.patched != 0) detail::damaged("a leaf with patched children", offset);
    detail::check_records(node, header, detail::leaf_arrays_end(header), known_entry_flags, offset);
}

} // namespace coppice::inline COPPICE_ABI::format
