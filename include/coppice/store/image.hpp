// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/image.hpp: a file as readers see it: mapped, checked at first touch.
// Owns: the one place where bytes of a file become nodes, values and commit records.
// Invariant: nothing is handed out that was not checked: structure always (memory safety rests on
//   it), checksums as `verify` says. Every place is compared with `limit_offset`, the end of the
//   valid bytes, before it is touched. Thread safety: all functions, from any number of threads.

#include <coppice/error.hpp>
#include <coppice/format/commit_record.hpp>
#include <coppice/format/extent.hpp>
#include <coppice/format/file_header.hpp>
#include <coppice/format/inner_patch.hpp>
#include <coppice/options.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/store/verified.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace coppice::inline COPPICE_ABI::store {

using format::commit_record;
using format::extent_ref;
using format::node_ref;
using format::record_ref;

/// A mapped file with its header. Immutable; growth of the file makes another image that shares
/// the table of what is verified.
struct file_image {
    format::file_header header;
    storage::file_identity identity;
    storage::mapped_view map;
    std::shared_ptr<verified_table> verified;
    coppice::verify verify = coppice::verify::first_touch;
    std::string path;

    /// The bytes [offset, offset + size). @throws errc::corrupt unless they end by `limit_offset`
    [[nodiscard]] bytes range(std::uint64_t offset, std::uint64_t size_bytes,
                              std::uint64_t limit_offset, char const* what) const {
        auto const limit = std::min(limit_offset, map.size_bytes);
        if (offset > limit || size_bytes > limit - offset) refuse_end(offset, what);
        return {map.data.get() + offset, static_cast<std::size_t>(size_bytes)};
    }

    /// A node of `level`. @throws errc::corrupt, errc::unsupported_feature
    [[nodiscard]] std::byte const* node(node_ref ref, unsigned level,
                                        std::uint64_t limit_offset) const {
        if (ref.end_offset() > std::min(limit_offset, map.size_bytes)) {
            refuse_end(ref.offset(), "a node");
        }
        auto const* const node = map.data.get() + ref.offset();
        if (verify == coppice::verify::every_read || !verified->contains(ref.hot)) {
            verify_node(ref, {node, static_cast<std::size_t>(ref.size_bytes())});
        }
        if (std::to_integer<unsigned>(node[1]) != level) refuse_level(ref);
        return node;
    }

    /// Asks for the first bytes of a node that is read soon, and for what says that it was
    /// verified: a hint, for any reference at all.
    void prefetch(node_ref ref, std::uint64_t most_bytes) const noexcept {
        if (ref.end_offset() > map.size_bytes) return;
        verified->prefetch(ref.hot);
        prefetch_lines(map.data.get() + ref.offset(), std::min(ref.size_bytes(), most_bytes));
    }

    /// A whole value that lies out of line. @throws errc::corrupt
    [[nodiscard]] std::string_view value(extent_ref const& ref, std::uint64_t limit_offset) const {
        return value_part(ref, 0, ref.length_bytes, limit_offset);
    }

    /// Part of a value; only the pieces that it touches are verified.
    /// REQUIRES: offset and size within the length.
    [[nodiscard]] std::string_view value_part(extent_ref const& ref, std::uint64_t part_offset,
                                              std::uint64_t part_bytes,
                                              std::uint64_t limit_offset) const;

    /// The record at `ref`. @throws errc::corrupt unless it is whole and the one that is meant
    [[nodiscard]] commit_record record(record_ref ref, std::uint64_t limit_offset) const {
        auto const most =
            std::min<std::uint64_t>(format::commit_record_max_bytes,
                                    limit_offset > ref.offset ? limit_offset - ref.offset : 0);
        auto const image = range(ref.offset, most, limit_offset, "a commit record");
        auto record = format::decode_record(image, ref.offset);
        if (!record ||
            format::record_checksum(image.first(format::encoded_bytes(*record))) != ref.checksum) {
            throw error(errc::corrupt, "a commit record does not hold", path, ref.offset);
        }
        return *std::move(record);
    }

  private:
    // What follows is apart from what comes before so that a read that finds all well stays short.
    [[noreturn, gnu::cold]] void refuse_end(std::uint64_t offset, char const* what) const;
    [[noreturn, gnu::cold]] void refuse_level(node_ref ref) const;
    [[gnu::noinline]] void verify_node(node_ref ref, bytes whole) const {
        check_node(ref, whole);
        verified->insert(ref.hot);
    }
    void check_node(node_ref ref, bytes whole) const;
    void check_piece(std::uint64_t offset, bytes piece, std::uint64_t expected) const;
};

inline void file_image::refuse_end(std::uint64_t offset, char const* what) const {
    throw error(errc::corrupt, std::string(what) + " passes the end of the valid bytes", path,
                offset);
}

inline void file_image::refuse_level(node_ref ref) const {
    throw error(errc::corrupt, "a node of the wrong level", path, ref.offset());
}

inline void file_image::check_node(node_ref ref, bytes whole) const {
    if (ref.size_bytes() > format::max_node_bytes) {
        throw error(errc::corrupt, "a node of a size that no node has", path, ref.offset());
    }
    if (verify != coppice::verify::never && format::checksum(whole) != ref.checksum) {
        throw error(errc::corrupt, "the checksum of a node does not hold", path, ref.offset());
    }
    try {
        format::check_node(whole, ref.offset());
    } catch (error const& e) {
        throw error(e.kind(), e.what(), path, ref.offset());
    }
}

inline void file_image::check_piece(std::uint64_t offset, bytes piece,
                                    std::uint64_t expected) const {
    if (verify == coppice::verify::never) return;
    auto const tag = verified_table::extent_tag(offset);
    if (verify == coppice::verify::first_touch && verified->contains(tag)) return;
    if (format::checksum(piece) != expected) {
        throw error(errc::corrupt, "the checksum of a value does not hold", path, offset);
    }
    verified->insert(tag);
}

inline std::string_view file_image::value_part(extent_ref const& ref, std::uint64_t part_offset,
                                               std::uint64_t part_bytes,
                                               std::uint64_t limit_offset) const {
    auto const table_bytes = format::extent_table_bytes(ref.length_bytes);
    auto const stored = range(ref.offset, table_bytes + ref.length_bytes, limit_offset, "a value");
    auto const value = stored.subspan(static_cast<std::size_t>(table_bytes));
    auto const part = as_text(
        value.subspan(static_cast<std::size_t>(part_offset), static_cast<std::size_t>(part_bytes)));
    if (table_bytes == 0) {
        check_piece(ref.offset, value, ref.checksum);
        return part;
    }
    auto const table = stored.first(static_cast<std::size_t>(table_bytes));
    auto const table_tag = verified_table::extent_tag(ref.offset);
    if (verify != coppice::verify::never &&
        (verify == coppice::verify::every_read || !verified->contains(table_tag))) {
        if (format::extent_table_checksum(ref.length_bytes, table) != ref.checksum) {
            throw error(errc::corrupt, "the checksum of a value's table does not hold", path,
                        ref.offset);
        }
        verified->insert(table_tag);
    }
    if (part_bytes == 0) return part;
    auto const last_piece = (part_offset + part_bytes - 1) / format::extent_piece_bytes;
    for (auto piece = part_offset / format::extent_piece_bytes; piece <= last_piece; ++piece) {
        auto const begin = piece * format::extent_piece_bytes;
        auto const size = format::extent_piece_size(ref.length_bytes, piece);
        check_piece(ref.offset + table_bytes + begin,
                    value.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(size)),
                    format::load<std::uint64_t>(table.data() + 8 * piece));
    }
    return part;
}

} // namespace coppice::inline COPPICE_ABI::store
