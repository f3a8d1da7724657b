// SPDX-License-Identifier: BSL-1.0
#pragma once
// tools/coppice/file_map.hpp: what each byte of a database file is, seen from one commit.
// Owns: the classes of bytes, the walk over records and tree, and the cells into which a file of
// any
//   size is summed up.
// Invariant: every byte is counted once: as a part of the newest tree, else as what the transaction
//   that wrote it left behind. A file that contradicts this is errc::corrupt. Memory: 56 bytes for
//   each commit, whatever the size of the tree; each node is read once.

#include <coppice/error.hpp>
#include <coppice/format/extent.hpp>
#include <coppice/snapshot.hpp>
#include <coppice/store/history.hpp>
#include <coppice/tree/open_node.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace tool {

/// What a byte is. What a commit left behind is counted by the quarter of the commits it is from.
enum class byte_class : std::uint8_t {
    header,
    slots,
    record,
    leaf,
    inner,
    value,
    garbage_newest,
    garbage_newer,
    garbage_older,
    garbage_oldest,
    old_record,
    gap,
    ahead,
};
inline constexpr std::size_t byte_classes = 13;

/// A run of the file, summed up.
struct map_cell {
    std::array<std::uint64_t, byte_classes> bytes{};
    std::uint64_t first_commit = 0; ///< that wrote here; 0: none
    std::uint64_t last_commit = 0;
    std::uint64_t nodes = 0; ///< of the newest tree that begin here
    std::string key{}; ///< the first key of the first leaf of the newest tree that begins here
    bool has_key = false;
};

/// The nodes of one level of the tree; level 0 has the leaves.
struct map_level {
    std::uint64_t nodes = 0;
    std::uint64_t bytes = 0;
    std::array<std::uint64_t, 10> fill{}; ///< nodes by tenths of the size at which one is cut
};

/// A commit, and the size of the file at its end.
struct map_moment {
    std::uint64_t commit_id = 0;
    std::uint64_t time_us = 0;
    std::uint64_t entries = 0;
    std::uint64_t live_bytes = 0;
    std::uint64_t begin_offset = 0;
    std::uint64_t record_offset = 0;
    std::uint64_t end_offset = 0;
};

/// A file, seen from one commit.
struct file_map {
    std::uint64_t file_bytes = 0;
    std::uint64_t cell_bytes = 0;
    std::vector<map_cell> cells;
    std::vector<map_level> levels;   ///< leaves first
    std::vector<map_moment> moments; ///< oldest first
    std::uint64_t extents = 0;

    [[nodiscard]] std::uint64_t total(byte_class of) const noexcept {
        std::uint64_t sum = 0;
        for (auto const& cell : cells) sum += cell.bytes[static_cast<std::size_t>(of)];
        return sum;
    }
};

/// Fills a map.
class map_maker {
  public:
    map_maker(coppice::snapshot const& of, std::uint64_t file_bytes, std::uint64_t most_cells)
        : state_(of.state()) {
        map_.file_bytes = std::max(file_bytes, state_->limit_offset());
        auto const least = (map_.file_bytes + most_cells - 1) / most_cells;
        map_.cell_bytes = std::max<std::uint64_t>(64, coppice::align8(least));
        map_.cells.resize((map_.file_bytes + map_.cell_bytes - 1) / map_.cell_bytes);
    }

    [[nodiscard]] file_map run() {
        count(0, coppice::format::block_bytes, byte_class::header);
        count(coppice::format::block_bytes, coppice::format::data_begin_offset, byte_class::slots);
        count_commits();
        count(state_->limit_offset(), map_.file_bytes, byte_class::ahead);
        left_bytes_ = state_->limit_offset();
        walk(state_->user());
        walk(state_->system());
        return std::move(map_);
    }

  private:
    [[noreturn]] static void contradiction(std::uint64_t offset) {
        throw coppice::error(coppice::errc::corrupt, "parts of the file overlap", {}, offset);
    }

    /// Calls visit(cell, bytes) for each cell that a run of bytes touches.
    template <typename Visit> void spread(std::uint64_t begin, std::uint64_t end, Visit visit) {
        while (begin < end) {
            auto const index = begin / map_.cell_bytes;
            auto const stop = std::min(end, (index + 1) * map_.cell_bytes);
            visit(map_.cells[static_cast<std::size_t>(index)], stop - begin);
            begin = stop;
        }
    }
    void count(std::uint64_t begin, std::uint64_t end, byte_class as) {
        spread(begin, end, [&](map_cell& cell, std::uint64_t size) {
            cell.bytes[static_cast<std::size_t>(as)] += size;
        });
    }

    void count_commits() {
        for (auto at = state_; at; at = coppice::store::previous_state(*at)) {
            auto const& record = at->record();
            map_.moments.push_back({record.commit_id, record.time_us, record.user.root.entries,
                                    record.user.root.bytes + record.system.root.bytes,
                                    record.begin_offset, at->at().offset, at->limit_offset()});
        }
        std::reverse(map_.moments.begin(), map_.moments.end());
        auto end = coppice::format::data_begin_offset;
        for (std::size_t i = 0; i < map_.moments.size(); ++i) {
            auto const& moment = map_.moments[i];
            if (moment.begin_offset < end) contradiction(moment.begin_offset);
            count(end, moment.begin_offset, byte_class::gap);
            count(moment.begin_offset, moment.record_offset, left_by(i));
            auto const newest = i + 1 == map_.moments.size();
            count(moment.record_offset, moment.end_offset,
                  newest ? byte_class::record : byte_class::old_record);
            spread(moment.begin_offset, moment.end_offset, [&](map_cell& cell, std::uint64_t) {
                if (cell.first_commit == 0) cell.first_commit = moment.commit_id;
                cell.last_commit = moment.commit_id;
            });
            end = moment.end_offset;
        }
    }

    /// What the bytes are that commit number `i` wrote, as far as they are not live.
    [[nodiscard]] byte_class left_by(std::size_t i) const noexcept {
        auto const newer = map_.moments.size() - 1 - i;
        auto const quarter = 4 * newer / map_.moments.size();
        return static_cast<byte_class>(static_cast<std::size_t>(byte_class::garbage_newest) +
                                       quarter);
    }

    /// Counts a part of the newest tree as what it is.
    void count_live(std::uint64_t begin, std::uint64_t size, byte_class as) {
        if (size > left_bytes_) contradiction(begin);
        left_bytes_ -= size;
        auto const after = std::upper_bound(
            map_.moments.begin(), map_.moments.end(), begin,
            [](std::uint64_t offset, map_moment const& m) { return offset < m.begin_offset; });
        auto const i = static_cast<std::size_t>(after - map_.moments.begin());
        if (i == 0 || begin + size > map_.moments[i - 1].record_offset) contradiction(begin);
        auto const was = static_cast<std::size_t>(left_by(i - 1));
        spread(begin, begin + size, [&](map_cell& cell, std::uint64_t part) {
            if (cell.bytes[was] < part) contradiction(begin);
            cell.bytes[was] -= part;
            cell.bytes[static_cast<std::size_t>(as)] += part;
        });
    }

    void walk(coppice::format::tree_ref const& tree) {
        if (tree.height == 0) return;
        map_.levels.resize(std::max<std::size_t>(map_.levels.size(), tree.height));
        std::vector<std::pair<coppice::format::node_pair, unsigned>> open{
            {tree.root.pair(), tree.height - 1U}};
        while (!open.empty()) {
            auto const [node, level] = open.back();
            open.pop_back();
            auto const as = level == 0 ? byte_class::leaf : byte_class::inner;
            auto& cell = count_node(node.base, as);
            if (node.is_patched()) count_node(node.patch, as);
            count_fill(level, node.size_bytes());
            if (level == 0) {
                count_leaf(coppice::tree::open_leaf(*state_, node), cell);
                continue;
            }
            auto const inner = coppice::tree::open_inner(*state_, node, level);
            for (auto i = inner.count(); i > 0; --i)
                open.emplace_back(inner.pair(i - 1), level - 1);
        }
    }

    /// Counts a node or a patch. @return the cell that it begins in
    map_cell& count_node(coppice::format::node_ref ref, byte_class as) {
        count_live(ref.offset(), ref.size_bytes(), as);
        auto& cell = map_.cells[static_cast<std::size_t>(ref.offset() / map_.cell_bytes)];
        ++cell.nodes;
        return cell;
    }

    void count_fill(unsigned level, std::uint64_t size) {
        auto const& sizes = state_->image().header.nodes;
        auto const full = std::uint64_t{level == 0 ? sizes.leaf_bytes : sizes.inner_bytes};
        auto& at = map_.levels[level];
        ++at.nodes;
        at.bytes += size;
        ++at.fill[static_cast<std::size_t>(std::min<std::uint64_t>(9, size * 10 / full))];
    }

    void count_leaf(coppice::tree::leaf_node const& leaf, map_cell& cell) {
        if (!cell.has_key) {
            cell.has_key = true;
            cell.key = leaf.key(0).substr(0, most_key_bytes);
        }
        for (std::size_t i = 0; i < leaf.count(); ++i) {
            auto const value = leaf.value(i);
            if (!value.out_of_line) continue;
            auto const extent = value.extent();
            count_live(extent.offset, coppice::format::extent_stored_bytes(extent.length_bytes),
                       byte_class::value);
            ++map_.extents;
        }
    }

    static constexpr std::size_t most_key_bytes = 48;

    coppice::store::revision_ptr state_;
    file_map map_;
    std::uint64_t left_bytes_ = 0; ///< that parts of the tree may have together
};

/// Looks at a file as it was at a commit.
/// @param of the commit, @param file_bytes the size of the file
/// @throws coppice::error: errc::corrupt where a record or a node is damaged, or parts overlap
[[nodiscard]] inline file_map map_of(coppice::snapshot const& of, std::uint64_t file_bytes,
                                     std::uint64_t most_cells = 4096) {
    return map_maker(of, file_bytes, most_cells).run();
}

} // namespace tool
