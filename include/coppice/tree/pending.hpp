// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/pending.hpp: the nodes that a builder has not cut yet, one for each level.
// Owns: what waits to become a leaf (entries, copied) or an inner node (children), how large the
//   node would be, and where it is cut.
// Invariant: a cut leaves at least one entry, or two children, on each side wherever that is
//   possible at all; items keep their order, and the lows of children ascend strictly.

#include <coppice/assert.hpp>
#include <coppice/error.hpp>
#include <coppice/format/node_writer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coppice::inline COPPICE_ABI::tree {

namespace detail {

/// Nodes are never made of what is out of order: a damaged tree may say so, with checksums that
/// hold. @throws errc::corrupt
inline void check_order(std::string_view before, std::string_view after) {
    if (before >= after) throw error(errc::corrupt, "the keys of a tree do not ascend");
}

} // namespace detail

/// Entries that wait to become leaves. Their bytes are copied, so feeders may let go of them.
class pending_leaf {
  public:
    [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
    [[nodiscard]] std::size_t count() const noexcept { return entries_.size(); }
    [[nodiscard]] std::size_t node_bytes() const noexcept { return measure_.node_bytes(); }

    void add(std::string_view key, format::stored_value const& value) {
        auto const begin = pool_.size();
        entries_.push_back({begin, key.size(), value.raw.size(), value.out_of_line});
        pool_.append(key).append(value.raw);
        measure_.add(key.size(), value);
    }

    [[nodiscard]] format::leaf_item item(std::size_t i) const noexcept {
        auto const& at = entries_[i];
        std::string_view const record(pool_.data() + at.begin, at.key_bytes + at.value_bytes);
        return {record.substr(0, at.key_bytes), {record.substr(at.key_bytes), at.out_of_line}};
    }

    /// How many entries from the front fit into a node of `limit_bytes`; at least one.
    [[nodiscard]] std::size_t fitting(std::size_t limit_bytes) const noexcept {
        format::leaf_measure front;
        for (std::size_t i = 0; i < count(); ++i) {
            auto const [key, value] = item(i);
            front.add(key.size(), value);
            if (i > 0 && front.node_bytes() > limit_bytes) return i;
        }
        return count();
    }

    /// All items, as the node writer takes them. Valid until the next change.
    [[nodiscard]] std::vector<format::leaf_item> items(std::size_t first_count) const {
        std::vector<format::leaf_item> result;
        result.reserve(first_count);
        for (std::size_t i = 0; i < first_count; ++i) result.push_back(item(i));
        return result;
    }

    void drop_front(std::size_t drop_count) {
        COPPICE_ASSERT(drop_count <= count());
        auto const cut = drop_count == count() ? pool_.size() : entries_[drop_count].begin;
        entries_.erase(entries_.begin(),
                       entries_.begin() + static_cast<std::ptrdiff_t>(drop_count));
        pool_.erase(0, cut);
        measure_ = {};
        for (auto& at : entries_) {
            at.begin -= cut;
            measure_.add(at.key_bytes, {{pool_.data(), at.value_bytes}, at.out_of_line});
        }
    }

    std::string low; ///< the lowest key that the first node of these may hold

  private:
    struct entry {
        std::size_t begin;
        std::size_t key_bytes;
        std::size_t value_bytes;
        bool out_of_line;
    };

    std::vector<entry> entries_;
    std::string pool_;
    format::leaf_measure measure_;
};

/// A child that waits to become part of an inner node.
struct pending_child {
    std::string low; ///< the lowest key that it may hold
    format::subtree child;
};

/// Children that wait to become inner nodes of one level.
class pending_inner {
  public:
    [[nodiscard]] bool empty() const noexcept { return children_.empty(); }
    [[nodiscard]] std::size_t count() const noexcept { return children_.size(); }
    [[nodiscard]] pending_child const& front() const noexcept { return children_.front(); }

    /// The size of the node that all of them would make. REQUIRES: at least two.
    [[nodiscard]] std::size_t node_bytes() const noexcept {
        return bytes_of(count(), low_bytes_ - front().low.size());
    }

    /// @throws errc::corrupt unless its low is above those of all before it
    void add(pending_child child) {
        if (!empty()) detail::check_order(children_.back().low, child.low);
        children_.push_back(std::move(child));
        low_bytes_ += children_.back().low.size();
    }
    /// @throws errc::corrupt unless all lows ascend
    void prepend(std::vector<pending_child> before) {
        auto after = std::exchange(children_, {});
        low_bytes_ = 0;
        for (auto* const part : {&before, &after}) {
            for (auto& child : *part) add(std::move(child));
        }
    }
    [[nodiscard]] pending_child take_back() {
        auto last = std::move(children_.back());
        children_.pop_back();
        low_bytes_ -= last.low.size();
        return last;
    }

    /// How many children from the front fit into a node of `limit_bytes`, at least two, and such
    /// that one child never stays behind alone. REQUIRES: at least two.
    [[nodiscard]] std::size_t fitting(std::size_t limit_bytes) const noexcept {
        std::size_t fit = 2;
        auto separator_bytes = children_[1].low.size();
        for (; fit < count(); ++fit) {
            separator_bytes += children_[fit].low.size();
            if (bytes_of(fit + 1, separator_bytes) > limit_bytes) break;
        }
        return legal_cut(fit);
    }

    /// A cut near `wanted` with at least two children on each side, or no cut at all.
    [[nodiscard]] std::size_t legal_cut(std::size_t wanted) const noexcept {
        if (count() < 4) return count();
        if (wanted == count()) return wanted;
        return std::clamp<std::size_t>(wanted, 2, count() - 2);
    }

    [[nodiscard]] std::vector<format::inner_item> items(std::size_t first_count) const {
        std::vector<format::inner_item> result;
        result.reserve(first_count);
        for (std::size_t i = 0; i < first_count; ++i) {
            result.push_back({children_[i].low, children_[i].child});
        }
        return result;
    }

    void drop_front(std::size_t drop_count) {
        for (std::size_t i = 0; i < drop_count; ++i) low_bytes_ -= children_[i].low.size();
        children_.erase(children_.begin(),
                        children_.begin() + static_cast<std::ptrdiff_t>(drop_count));
    }

  private:
    /// The size of a node of the first children, whose separators have so many bytes.
    [[nodiscard]] std::size_t bytes_of(std::size_t first_count,
                                       std::size_t separator_bytes) const noexcept {
        auto const prefix = format::common_prefix(children_[1].low, children_[first_count - 1].low);
        return format::inner_node_bytes(first_count, prefix, separator_bytes);
    }

    std::vector<pending_child> children_;
    std::size_t low_bytes_ = 0; ///< of the lows of all of them
};

} // namespace coppice::inline COPPICE_ABI::tree
