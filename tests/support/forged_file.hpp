// SPDX-License-Identifier: BSL-1.0
#pragma once
// The bytes of a database file seen as its parts, and made whole again after someone has changed
// them: every checksum that can be found is computed anew, from the leaves up to the slots. So a
// test or a fuzzer gets past the checksums. Whatever the bytes are, nothing here leaves them.

#include <coppice/format/commit_record.hpp>
#include <coppice/format/extent.hpp>
#include <coppice/format/file_header.hpp>
#include <coppice/format/inner.hpp>
#include <coppice/format/leaf.hpp>
#include <coppice/format/superblock.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace forged {

using coppice::bytes;
using file_bytes = std::vector<std::byte>;
namespace format = coppice::format;

template <typename T> [[nodiscard]] T load(file_bytes const& file, std::uint64_t offset) {
    return format::load<T>(file.data() + offset);
}
template <typename T> void store(file_bytes& file, std::uint64_t offset, T value) {
    format::store(file.data() + offset, value);
}
[[nodiscard]] inline bool inside(file_bytes const& file, std::uint64_t offset, std::uint64_t size) {
    return offset <= file.size() && size <= file.size() - offset;
}
[[nodiscard]] inline bytes part(file_bytes const& file, std::uint64_t offset, std::uint64_t size) {
    return bytes{file}.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(size));
}

/// A run of bytes with a meaning of its own.
struct place {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    std::string what{};
    std::uint64_t parent = 0; ///< offset of the node that names it; 0 for a root
    std::size_t index = 0;    ///< which of the parent's children, or entries, it is
    unsigned level = 0;       ///< of a node
};

/// The newest slot whose checksum holds; which one, and what it says.
[[nodiscard]] inline std::optional<unsigned> newest_slot(file_bytes const& file) {
    std::optional<unsigned> best;
    if (!inside(file, 0, format::data_begin_offset)) return best;
    std::uint64_t counter = 0;
    for (unsigned i = 0; i < 2; ++i) {
        auto const at = format::slot_offset(i);
        if (load<std::uint64_t>(file, at) != format::superblock_magic) continue;
        if (load<std::uint64_t>(file, at + 8) <= counter) continue;
        counter = load<std::uint64_t>(file, at + 8);
        best = i;
    }
    return best;
}

[[nodiscard]] inline std::uint64_t newest_record(file_bytes const& file) {
    return load<std::uint64_t>(file, format::slot_offset(newest_slot(file).value()) + 24);
}

namespace detail {

inline void collect(file_bytes const& file, std::uint64_t hot, unsigned level, place at,
                    std::vector<place>& into) {
    format::node_ref const ref{hot, 0};
    at.offset = ref.offset();
    at.size = ref.size_bytes();
    at.level = level;
    at.what = level == 0 ? "leaf" : "inner";
    into.push_back(at);
    if (level > 0) {
        format::inner_view const inner(file.data() + at.offset);
        for (std::size_t i = 0; i < inner.count(); ++i) {
            collect(file, inner.node(i).hot, level - 1, {0, 0, {}, at.offset, i}, into);
        }
        return;
    }
    format::leaf_view const leaf(file.data() + at.offset);
    for (std::size_t i = 0; i < leaf.count(); ++i) {
        if (!leaf.value(i).out_of_line) continue;
        auto const extent = leaf.value(i).extent();
        auto const size = format::extent_table_bytes(extent.length_bytes) + extent.length_bytes;
        into.push_back({extent.offset, size, "extent", at.offset, i});
    }
}

} // namespace detail

/// All that the newest commit of a sound file relies on.
[[nodiscard]] inline std::vector<place> reachable(file_bytes const& file) {
    auto const slot = newest_slot(file).value();
    auto const record = newest_record(file);
    std::vector<place> result{{0, format::file_header::encoded_bytes, "header"},
                              {format::slot_offset(slot), format::superblock_bytes, "slot"},
                              {record, load<std::uint16_t>(file, record + 4), "record"}};
    auto const height = std::to_integer<unsigned>(file[record + 6]);
    if (height > 0) {
        detail::collect(file, load<std::uint64_t>(file, record + 32), height - 1, {}, result);
    }
    auto const system_height = std::to_integer<unsigned>(file[record + 7]);
    if (system_height > 0) {
        auto const root = load<std::uint64_t>(file, record + 128);
        detail::collect(file, root, system_height - 1, {}, result);
    }
    return result;
}

/// Computes checksums anew.
class fixer {
  public:
    explicit fixer(file_bytes& file) : file_(file) {}

    void run() {
        if (!inside(file_, 0, format::data_begin_offset)) return;
        store(file_, 64, format::checksum(part(file_, 0, 64)));
        for (unsigned i = 0; i < 2; ++i) gather(load<std::uint64_t>(file_, slot(i) + 24));
        for (auto const& [offset, sum] : records_) {
            fix_root(offset + 32);
            auto const system = (load<std::uint16_t>(file_, offset + 22) & 1U) != 0;
            if (system && size_of_record(offset) >= 176) fix_root(offset + 128);
        }
        for (auto& [offset, sum] : records_) sum = fix_record(offset);
        for (unsigned i = 0; i < 2; ++i) fix_slot(slot(i));
    }

  private:
    static constexpr unsigned most_records = 64;
    static constexpr unsigned most_levels = 48;
    static constexpr unsigned most_nodes = 4096;

    [[nodiscard]] static std::uint64_t slot(unsigned i) { return format::slot_offset(i); }

    /// The size of the record at an offset; 0 where there can be none.
    [[nodiscard]] std::uint64_t size_of_record(std::uint64_t offset) const {
        if (offset < format::data_begin_offset || !inside(file_, offset, 136)) return 0;
        if (load<std::uint32_t>(file_, offset) != format::commit_record_magic) return 0;
        std::uint64_t const size = load<std::uint16_t>(file_, offset + 4);
        return size >= 136 && inside(file_, offset, size) ? size : 0;
    }
    void gather(std::uint64_t offset) {
        while (records_.size() < most_records && size_of_record(offset) != 0) {
            if (!records_.emplace(offset, 0).second) return;
            offset = load<std::uint64_t>(file_, offset + 80);
        }
    }
    void fix_root(std::uint64_t at) {
        auto const hot = load<std::uint64_t>(file_, at);
        if (hot != 0) store(file_, at + 8, fix_node(hot, 0));
    }
    [[nodiscard]] std::uint64_t fix_record(std::uint64_t offset) {
        auto const size = size_of_record(offset);
        if (size == 0) return 0;
        for (auto const at : {offset + 80, offset + 96}) {
            auto const known = records_.find(load<std::uint64_t>(file_, at));
            if (known != records_.end() && known->first < offset) {
                store(file_, at + 8, known->second);
            }
        }
        auto const begin = load<std::uint64_t>(file_, offset + 64);
        if (begin <= offset && (load<std::uint16_t>(file_, offset + 22) & 2U) != 0) {
            store(file_, offset + 72, format::checksum(part(file_, begin, offset - begin)));
        }
        auto const sum = format::checksum(part(file_, offset, size - 8));
        store(file_, offset + size - 8, sum);
        return sum;
    }
    void fix_slot(std::uint64_t at) {
        if (load<std::uint64_t>(file_, at) != format::superblock_magic) return;
        auto const known = records_.find(load<std::uint64_t>(file_, at + 24));
        if (known != records_.end()) store(file_, at + 40, known->second);
        std::copy_n(file_.begin() + 24, 24, file_.begin() + static_cast<std::ptrdiff_t>(at) + 72);
        store(file_, at + 120, format::checksum(part(file_, at, 120)));
    }
    /// @return the checksum of the node
    [[nodiscard]] std::uint64_t fix_node(std::uint64_t hot, unsigned depth) {
        format::node_ref const ref{hot, 0};
        if (ref.in_memory() || !inside(file_, ref.offset(), ref.size_bytes())) return 0;
        if (auto const known = nodes_.find(hot); known != nodes_.end()) return known->second;
        if (depth < most_levels && nodes_.size() < most_nodes) fix_below(ref, depth);
        return nodes_[hot] = format::checksum(part(file_, ref.offset(), ref.size_bytes()));
    }
    void fix_below(format::node_ref ref, unsigned depth) {
        auto const node = part(file_, ref.offset(), ref.size_bytes());
        try {
            if (node.size() > 1 && node[1] != std::byte{0}) {
                format::check_inner(node, ref.offset());
                fix_children(ref, depth);
            } else {
                format::check_leaf(node, ref.offset());
                fix_extents(ref);
            }
        } catch (coppice::error const&) { // nobody will look for checksums inside it either
            return;
        }
    }
    void fix_children(format::node_ref ref, unsigned depth) {
        format::inner_view const inner(file_.data() + ref.offset());
        auto const sums = ref.offset() + format::node_header_bytes +
                          format::inner_view::heads_bytes(inner.count()) + 8 * inner.count();
        for (std::size_t i = 0; i < inner.count(); ++i) {
            store(file_, sums + 8 * i, fix_node(inner.node(i).hot, depth + 1));
        }
    }
    void fix_extents(format::node_ref ref) {
        format::leaf_view const leaf(file_.data() + ref.offset());
        for (std::size_t i = 0; i < leaf.count(); ++i) {
            auto const value = leaf.value(i);
            if (!value.out_of_line) continue;
            auto const extent = value.extent();
            auto const table = format::extent_table_bytes(extent.length_bytes);
            if (!inside(file_, extent.offset, table + extent.length_bytes)) continue;
            auto const sum = table == 0
                                 ? format::checksum(part(file_, extent.offset, extent.length_bytes))
                                 : format::extent_table_checksum(extent.length_bytes,
                                                                 part(file_, extent.offset, table));
            auto const at = reinterpret_cast<std::byte const*>(value.raw.data()) - file_.data();
            store(file_, static_cast<std::uint64_t>(at) + 16, sum);
        }
    }

    file_bytes& file_;
    std::map<std::uint64_t, std::uint64_t> records_; // offset, checksum
    std::map<std::uint64_t, std::uint64_t> nodes_;   // hot word, checksum
};

/// Makes all checksums of a file hold, as far as there is something that they could belong to.
inline void fix_checksums(file_bytes& file) { fixer(file).run(); }

} // namespace forged
