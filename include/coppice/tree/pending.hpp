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

    /// Makes room for so many bytes of entries.
    void reserve(std::size_t pool_bytes) { pool_.reserve(pool_bytes); }

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

/// A child that is moved from one place to another.
struct pending_child {
    std::string low; ///< the lowest key that it may hold
    format::subtree child;
};

/// Children that wait to become inner nodes of one level. Their lowest keys are copied.
class pending_inner {
  public:
    [[nodiscard]] bool empty() const noexcept { return children_.empty(); }
    [[nodiscard]] std::size_t count() const noexcept { return children_.size(); }
    [[nodiscard]] format::inner_item item(std::size_t i) const noexcept {
        return {low(i), children_[i].child};
    }

    /// The size of the node that all of them would make. REQUIRES: at least two.
    [[nodiscard]] std::size_t node_bytes() const noexcept {
        return bytes_of(count(), lows_.size() - low(0).size(), patched_);
    }
    /// No less than `node_bytes()`, and quicker to tell. REQUIRES: at least two.
    [[nodiscard]] std::size_t most_node_bytes() const noexcept {
        return format::inner_node_bytes(count(), 0, lows_.size(), patched_);
    }

    /// @throws errc::corrupt unless its low is above those of all before it
    void add(std::string_view low, format::subtree const& child) {
        if (empty()) {
            children_.reserve(usual_count);
        } else {
            detail::check_order(this->low(count() - 1), low);
        }
        children_.push_back({lows_.size(), low.size(), child});
        lows_.append(low);
        patched_ += is_patched(children_.back());
    }
    /// @throws errc::corrupt unless all lows ascend
    void prepend(std::vector<pending_child> const& before) {
        auto const after = std::exchange(*this, {});
        for (auto const& [low, child] : before) add(low, child);
        for (std::size_t i = 0; i < after.count(); ++i) add(after.low(i), after.children_[i].child);
    }
    [[nodiscard]] pending_child take_back() {
        auto const last = children_.back();
        pending_child result{std::string(low(count() - 1)), last.child};
        children_.pop_back();
        lows_.resize(last.low_begin);
        patched_ -= is_patched(last);
        return result;
    }

    /// How many children from the front fit into a node of `limit_bytes`, at least two, and such
    /// that one child never stays behind alone. REQUIRES: at least two.
    [[nodiscard]] std::size_t fitting(std::size_t limit_bytes) const noexcept {
        std::size_t fit = 2;
        auto separator_bytes = children_[1].low_bytes;
        auto patched = is_patched(children_[0]) + is_patched(children_[1]);
        for (; fit < count(); ++fit) {
            separator_bytes += children_[fit].low_bytes;
            patched += is_patched(children_[fit]);
            if (bytes_of(fit + 1, separator_bytes, patched) > limit_bytes) break;
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
        for (std::size_t i = 0; i < first_count; ++i) result.push_back(item(i));
        return result;
    }

    void drop_front(std::size_t drop_count) {
        COPPICE_ASSERT(drop_count <= count());
        auto const cut = drop_count == count() ? lows_.size() : children_[drop_count].low_begin;
        for (std::size_t i = 0; i < drop_count; ++i) patched_ -= is_patched(children_[i]);
        children_.erase(children_.begin(),
                        children_.begin() + static_cast<std::ptrdiff_t>(drop_count));
        lows_.erase(0, cut);
        for (auto& each : children_) each.low_begin -= cut;
    }

  private:
    static constexpr std::size_t usual_count = 32;

    struct child_at {
        std::size_t low_begin;
        std::size_t low_bytes;
        format::subtree child;
    };

    [[nodiscard]] std::string_view low(std::size_t i) const noexcept {
        return {lows_.data() + children_[i].low_begin, children_[i].low_bytes};
    }
    [[nodiscard]] static std::size_t is_patched(child_at const& at) noexcept {
        return at.child.patch.is_null() ? 0 : 1;
    }
    /// The size of a node of the first children, whose separators have so many bytes, and of which
    /// so many have a patch.
    [[nodiscard]] std::size_t bytes_of(std::size_t first_count, std::size_t separator_bytes,
                                       std::size_t patched) const noexcept {
        auto const prefix = format::common_prefix(low(1), low(first_count - 1));
        return format::inner_node_bytes(first_count, prefix, separator_bytes, patched);
    }

    std::vector<child_at> children_;
    std::string lows_;        ///< of all of them, one behind the other
    std::size_t patched_ = 0; ///< how many of them have a patch
};

} // namespace coppice::inline COPPICE_ABI::tree
