// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/edit_log.hpp: edits of many transactions, in the order in which they came.
// Owns: the run of them, sorting it by key once it is to be applied, and an index of the keys for
//   who looks for one before that.
// Invariant: of one key the last edit stands. Keys and values are views into memory that outlives
//   the log. A log costs less to add to than a sorted map, which is why it is one.

#include <coppice/tree/edits.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace coppice::inline COPPICE_ABI::tree {

/// Edits that wait to be applied, maybe with others.
class edit_log {
    struct edit {
        std::uint64_t head; // the first 8 bytes of the key, most significant first
        std::string_view key;
        std::optional<format::stored_value> value; // nothing erases
        std::uint64_t number;                      // in the order in which they came
    };
    using place = std::uint32_t; // in the run, counted from 1

  public:
    [[nodiscard]] bool empty() const noexcept { return edits_.empty(); }
    /// How many, those counted again that change the same key again.
    [[nodiscard]] std::size_t size() const noexcept { return edits_.size(); }
    /// Bytes of memory that it takes, without keys and values.
    [[nodiscard]] std::size_t held_bytes() const noexcept {
        return edits_.capacity() * sizeof(edit) + places_.capacity() * sizeof(place);
    }
    /// Forgets all, and gives the memory back.
    void clear() noexcept { *this = {}; }

    /// Moves all edits of a map here, which then is empty. @throws std::bad_alloc, and none is
    /// moved
    void take(edit_map& later) {
        if (edits_.capacity() - edits_.size() < later.size()) {
            edits_.reserve(std::max(2 * edits_.size(), edits_.size() + later.size()));
        }
        for (edit_map::walk at(later); !at.done(); at.next()) {
            auto const* const value = at.value();
            edits_.push_back({head_of(at.key()), at.key(),
                              value == nullptr ? std::nullopt : std::optional(*value), taken_++});
        }
        later.clear();
    }

    /// What the last edit of `key` was; `value` is set where it put something. Edits get into the
    /// index when a key is first looked for behind them: O(1), and O(1) for each of these.
    /// @throws std::bad_alloc
    [[nodiscard]] edit_map::pending find(std::string_view key, format::stored_value& value) {
        index_new();
        if (places_.empty()) return edit_map::pending::none;
        auto const found = place_of(head_of(key), key);
        if (found == 0) return edit_map::pending::none;
        auto const& last = edits_[found - 1].value;
        if (!last) return edit_map::pending::erased;
        value = *last;
        return edit_map::pending::put;
    }

    /// Sorts by key, and keeps the last edit of each. O(n log n), in place: `std::stable_sort`
    /// would need memory, and warns where newer compilers meet older libraries.
    void sort() {
        places_.clear();
        std::sort(edits_.begin(), edits_.end(), is_before);
        auto const is_older = [](edit const& newer, edit const& each) {
            return newer.key == each.key;
        };
        edits_.erase(std::unique(edits_.begin(), edits_.end(), is_older), edits_.end());
    }

    /// Walks the edits. REQUIRES: `sort` was called since the last `take`. Models
    /// `lasting_edit_source`.
    class walk {
      public:
        explicit walk(edit_log const& log) noexcept
            : at_(log.edits_.data()), end_(log.edits_.data() + log.edits_.size()) {}
        [[nodiscard]] bool done() const noexcept { return at_ == end_; }
        [[nodiscard]] std::string_view key() const noexcept { return at_->key; }
        [[nodiscard]] format::stored_value const* value() const noexcept {
            return at_->value ? &*at_->value : nullptr;
        }
        void next() noexcept { ++at_; }

      private:
        edit const* at_;
        edit const* end_;
    };

  private:
    [[nodiscard]] static std::uint64_t head_of(std::string_view key) noexcept {
        std::uint64_t head = 0;
        for (std::size_t i = 0; i < sizeof head; ++i) {
            head = head << 8U | (i < key.size() ? static_cast<unsigned char>(key[i]) : 0U);
        }
        return head;
    }
    /// By key, and the last edit of a key first.
    [[nodiscard]] static bool is_before(edit const& a, edit const& b) noexcept {
        if (a.head != b.head) return a.head < b.head;
        auto const order = a.key.compare(b.key);
        return order != 0 ? order < 0 : a.number > b.number;
    }

    /// The place of a key, or the free one that it would have.
    [[nodiscard]] place& place_of(std::uint64_t head, std::string_view key) noexcept {
        auto const mask = places_.size() - 1;
        for (auto at = std::hash<std::string_view>()(key) & mask;; at = (at + 1) & mask) {
            auto& there = places_[at];
            if (there == 0) return there;
            auto const& known = edits_[there - 1];
            if (known.head == head && known.key == key) return there;
        }
    }
    void index_new() {
        if (places_.size() < 2 * edits_.size()) {
            places_.assign(std::bit_ceil(4 * edits_.size()), 0);
            indexed_ = 0;
        }
        for (; indexed_ < edits_.size(); ++indexed_) {
            auto const& next = edits_[indexed_];
            place_of(next.head, next.key) = static_cast<place>(indexed_ + 1);
        }
    }

    std::vector<edit> edits_;
    std::uint64_t taken_ = 0;
    std::vector<place> places_; // of the last edit of each key, by its hash; half are 0 at least
    std::size_t indexed_ = 0;   // how many edits are in there
};

static_assert(lasting_edit_source<edit_log::walk>);

} // namespace coppice::inline COPPICE_ABI::tree
