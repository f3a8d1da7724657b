// SPDX-License-Identifier: BSL-1.0
#pragma once
// The bytes of a database file seen as its parts, and made whole again after someone has changed
// them: every checksum that can be found is computed anew, from the leaves up to the slots. So a
// test or a fuzzer gets past the checksums. Whatever the bytes are, nothing here leaves them.

#include <coppice/format/commit_record.hpp>
#include <coppice/format/extent.hpp>
#include <coppice/format/file_header.hpp>
#include <coppice/format/inner_patch.hpp>
#include <coppice/format/leaf_patch.hpp>
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

/// A node with all below it, and its patch, whose parent is told as the node.
inline void collect(file_bytes const& file, format::node_pair const& pair, unsigned level, place at,
                    std::vector<place>& into) {
    at.offset = pair.base.offset();
    at.size = pair.base.size_bytes();
    at.level = level;
    at.what = level == 0 ? "leaf" : "inner";
    into.push_back(at);
    auto const* const base = file.data() + at.offset;
    std::byte const* patch = nullptr;
    if (pair.is_patched()) {
        patch = file.data() + pair.patch.offset();
        into.push_back({pair.patch.offset(), pair.patch.size_bytes(), at.what + " patch", at.offset,
                        at.index, level});
    }
    if (level > 0) {
        format::inner_node const inner(base, patch);
        for (std::size_t i = 0; i < inner.count(); ++i) {
            collect(file, inner.pair(i), level - 1, {0, 0, {}, at.offset, i}, into);
        }
        return;
    }
    format::leaf_node const leaf(base, patch);
    for (std::size_t i = 0; i < leaf.count(); ++i) {
        auto const run = leaf.run(i);
        auto const value = run.in.value(run.index);
        if (!value.out_of_line) continue;
        auto const owner = static_cast<std::uint64_t>(run.in.bytes() - file.data());
        auto const extent = value.extent();
        auto const size = format::extent_table_bytes(extent.length_bytes) + extent.length_bytes;
        into.push_back({extent.offset, size, "extent", owner, run.index});
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
        format::node_pair root{{load<std::uint64_t>(file, record + 32), 0}};
        auto const flags = load<std::uint16_t>(file, record + 22);
        if ((flags & 4U) != 0) {
            root.patch.hot = load<std::uint64_t>(file, record + ((flags & 1U) != 0 ? 160 : 128));
        }
        detail::collect(file, root, height - 1, {}, result);
    }
    auto const system_height = std::to_integer<unsigned>(file[record + 7]);
    if (system_height > 0) {
        format::node_pair const root{{load<std::uint64_t>(file, record + 128), 0}};
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
            auto const flags = load<std::uint16_t>(file_, offset + 22);
            auto const system = (flags & 1U) != 0 && size_of_record(offset) >= 176;
            auto const patch = offset + (system ? 160 : 128);
            if (system) fix_root(offset + 128);
            if ((flags & 4U) != 0 && size_of_record(offset) >= (system ? 192 : 152))
                fix_root(patch);
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
            format::check_node(node, ref.offset());
            auto const level = std::to_integer<unsigned>(node[1]);
            if ((level & ~format::patch_level_bit) == 0) {
                fix_extents(ref);
            } else if (level < format::patch_level_bit) {
                fix_children(ref, depth);
            } else {
                fix_changed_children(ref, depth);
            }
        } catch (coppice::error const&) { // nobody will look for checksums inside it either
            return;
        }
    }
    void fix_children(format::node_ref ref, unsigned depth) {
        format::inner_view const inner(file_.data() + ref.offset());
        auto const sums = ref.offset() + inner.refs_begin() + 8 * inner.count();
        auto const patch_sums = ref.offset() + inner.patch_refs_begin() + 8 * inner.patched();
        std::size_t slot = 0;
        for (std::size_t i = 0; i < inner.count(); ++i) {
            store(file_, sums + 8 * i, fix_node(inner.node(i).hot, depth + 1));
            auto const patch = inner.patch(i).hot;
            if (patch != 0) store(file_, patch_sums + 8 * slot++, fix_node(patch, depth + 1));
        }
    }
    void fix_changed_children(format::node_ref ref, unsigned depth) {
        format::inner_patch_view const patch(file_.data() + ref.offset());
        auto const sums = ref.offset() + format::inner_patch_view::fixed_bytes + 8 * patch.count();
        for (std::size_t k = 0; k < patch.count(); ++k) {
            store(file_, sums + 8 * k, fix_node(patch.node(k).hot, depth + 1));
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
