// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/edit_log.hpp: edits of many transactions, in the order in which they came.
// Owns: the run of them, and sorting it by key once it is to be applied.
// Invariant: of one key the last edit stands. Keys and values are views into memory that outlives
//   the log. A log costs less to add to than a sorted map, which is why it is one.

#include <coppice/tree/edits.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
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

  public:
    [[nodiscard]] bool empty() const noexcept { return edits_.empty(); }
    /// How many, those counted again that change the same key again.
    [[nodiscard]] std::size_t size() const noexcept { return edits_.size(); }
    /// Bytes of memory that it takes, without keys and values.
    [[nodiscard]] std::size_t held_bytes() const noexcept {
        return edits_.capacity() * sizeof(edit);
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

    /// Sorts by key, and keeps the last edit of each. O(n log n), in place: `std::stable_sort`
    /// would need memory, and warns where newer compilers meet older libraries.
    void sort() {
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

    std::vector<edit> edits_;
    std::uint64_t taken_ = 0;
};

static_assert(lasting_edit_source<edit_log::walk>);

} // namespace coppice::inline COPPICE_ABI::tree
