// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/cursor.hpp: a place in a snapshot, and the iterators and ranges made of it.
// Owns: `entry`, `cursor`, `entry_iterator`, `entry_range`, `key_bound`.
// Invariant: whatever is here holds a share of its snapshot, so what it points at stays alive;
//   keys and values are views that live as long as the snapshot, or anything made from it, does.
// Thread safety: each object belongs to one thread at a time; copies are independent.

#include <coppice/assert.hpp>
#include <coppice/store/revision.hpp>
#include <coppice/tree/cursor.hpp>
#include <coppice/tree/rank.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace coppice::inline COPPICE_ABI {

/// A key and its value, as views into the snapshot.
struct entry {
    std::string_view key;
    std::string_view value;

    friend bool operator==(entry const&, entry const&) noexcept = default;
};

/// A movable place in a snapshot. Reading the key costs nothing, the value is fetched when asked.
class [[nodiscard]] cursor {
  public:
    cursor() = default;
    /// At the end of the state. Use `snapshot::cursor()`.
    explicit cursor(store::revision_ptr state)
        : state_(std::move(state)), at_(*state_, state_->user()) {}

    /// Is it at an entry?
    [[nodiscard]] bool valid() const noexcept { return at_.valid(); }
    /// The key. REQUIRES: `valid()`. The view lives as long as the snapshot.
    [[nodiscard]] std::string_view key() const noexcept { return at_.key(); }
    /// The value. REQUIRES: `valid()`. @throws errc::corrupt for a damaged large value
    [[nodiscard]] std::string_view value() const { return state_->value(at_.value()); }
    /// The length of the value in bytes, without touching it. REQUIRES: `valid()`.
    [[nodiscard]] std::uint64_t value_bytes() const noexcept { return at_.value().length_bytes(); }

    /// To the first entry, or the end. Every step is O(height) nodes at most, `next` and `prev`
    /// within a leaf cost nothing. @throws errc::corrupt
    void first() { at_.first(); }
    /// To the last entry, or the end.
    void last() { at_.last(); }
    /// To the first entry whose key is not before `key`; true if it is the key itself.
    bool seek(std::string_view key) { return at_.seek(key); }
    /// To the entry with `index` entries before it, or the end.
    void seek_nth(std::uint64_t index) { at_.seek_nth(index); }
    /// To the next entry, or the end. REQUIRES: `valid()`.
    void next() { at_.next(); }
    /// To the previous entry; from the first to the end, from the end to the last.
    void prev() { at_.prev(); }

    /// How many entries of the snapshot come before it; at the end, all. O(height) nodes.
    [[nodiscard]] std::uint64_t index() const {
        if (valid()) return tree::rank(*state_, state_->user(), key());
        return state_ ? state_->user().root.entries : 0;
    }

    /// Do both stand at the same entry, or both at the end?
    friend bool operator==(cursor const& a, cursor const& b) noexcept { return a.at_ == b.at_; }

  private:
    store::revision_ptr state_;
    tree::cursor<store::revision> at_;
};

/// A C++20 bidirectional iterator over entries, forwards or backwards. Dereferencing gives an
/// `entry` by value; its views live as long as the snapshot. It holds a path of the tree, some 1.2
/// KB, so prefer `++i` to `i++`.
template <bool Reverse> class basic_entry_iterator {
  public:
    using iterator_concept = std::bidirectional_iterator_tag;
    using iterator_category = std::input_iterator_tag; // the reference is no reference
    using value_type = entry;
    using difference_type = std::ptrdiff_t;
    using reference = entry;

    /// Holds the entry that `operator->` points at.
    class pointer {
      public:
        explicit pointer(entry const& held) noexcept : held_(held) {}
        [[nodiscard]] entry const* operator->() const noexcept { return &held_; }

      private:
        entry held_;
    };

    basic_entry_iterator() = default;
    explicit basic_entry_iterator(coppice::cursor at) : at_(std::move(at)) {}

    /// @throws errc::corrupt for a damaged large value
    [[nodiscard]] entry operator*() const { return {at_.key(), at_.value()}; }
    [[nodiscard]] pointer operator->() const { return pointer(**this); }

    basic_entry_iterator& operator++() {
        if constexpr (Reverse) {
            at_.prev();
        } else {
            at_.next();
        }
        return *this;
    }
    basic_entry_iterator operator++(int) {
        auto before = *this;
        ++*this;
        return before;
    }
    basic_entry_iterator& operator--() {
        if constexpr (!Reverse) {
            at_.prev();
        } else if (at_.valid()) {
            at_.next();
        } else { // going backwards, the end lies before the first entry
            at_.first();
        }
        return *this;
    }
    basic_entry_iterator operator--(int) {
        auto before = *this;
        --*this;
        return before;
    }

    friend bool operator==(basic_entry_iterator const& a, basic_entry_iterator const& b) noexcept {
        return a.at_ == b.at_;
    }

    /// Where it stands. Good as long as the iterator is.
    [[nodiscard]] coppice::cursor const& place() const noexcept { return at_; }

  private:
    coppice::cursor at_;
};

using entry_iterator = basic_entry_iterator<false>;
using reverse_entry_iterator = basic_entry_iterator<true>;

/// One end of a range of keys. Does not own the key: good as long as its text is. Ranges and
/// differences copy what they need of it.
struct key_bound {
    std::optional<std::string_view> key; ///< nothing: no bound
    bool inclusive = true;               ///< does the range hold the key itself?
};
/// A range that begins or ends with this key.
[[nodiscard]] inline key_bound including(std::string_view key) noexcept { return {key, true}; }
/// A range that begins after or ends before this key.
[[nodiscard]] inline key_bound excluding(std::string_view key) noexcept { return {key, false}; }
/// A range that is open at this end.
[[nodiscard]] inline key_bound unbounded() noexcept { return {}; }

/// A range of entries. Owns a share of its snapshot, so it can outlive it:
/// `for (auto [key, value] : db.read().prefix("user/"))` is sound.
template <bool Reverse> class [[nodiscard]] basic_entry_range {
  public:
    using iterator = basic_entry_iterator<Reverse>;

    /// From `first` up to, not including, `last`, in the order of the iteration.
    basic_entry_range(iterator first, iterator last)
        : first_(std::move(first)), last_(std::move(last)) {}

    [[nodiscard]] iterator begin() const& { return first_; }
    [[nodiscard]] iterator end() const& { return last_; }
    iterator begin() const&& = delete; // its entries would dangle at the end of the statement
    iterator end() const&& = delete;
    [[nodiscard]] bool empty() const noexcept { return first_ == last_; }

  protected:
    [[nodiscard]] cursor const& first() const noexcept { return first_.place(); }
    [[nodiscard]] cursor const& last() const noexcept { return last_.place(); }

  private:
    iterator first_;
    iterator last_;
};

/// Forwards, and the same range backwards.
class [[nodiscard]] entry_range : public basic_entry_range<false> {
  public:
    /// @param state of the snapshot, @param from and @param to in ascending order
    entry_range(store::revision_ptr const& state, key_bound const& from, key_bound const& to)
        : entry_range(lower(state, from), upper(state, from, to)) {}

    /// The same entries in descending order. O(height) nodes.
    [[nodiscard]] basic_entry_range<true> reversed() const {
        auto rbegin = last();
        auto rend = first();
        rbegin.prev();
        rend.prev();
        return {reverse_entry_iterator(rbegin), reverse_entry_iterator(rend)};
    }

    /// How many entries it has. O(height) nodes, whatever the number.
    [[nodiscard]] std::uint64_t count() const { return last().index() - first().index(); }

    /// The same entries as ranges that follow each other, for threads to work on side by side.
    /// Their numbers of entries differ by one at most. O(parts * height) nodes.
    /// @param parts how many are wanted, at least 1; fewer come where there are fewer entries, none
    ///   where there is none
    [[nodiscard]] std::vector<entry_range> split(std::size_t parts) const {
        COPPICE_ASSERT(parts != 0);
        auto end_index = first().index();
        auto const entries = last().index() - end_index;
        auto const pieces = std::min<std::uint64_t>(parts, entries);
        std::vector<entry_range> result;
        result.reserve(static_cast<std::size_t>(pieces));
        auto begin = first();
        for (std::uint64_t i = 0; i < pieces; ++i) {
            end_index += entries / pieces + (i < entries % pieces ? 1 : 0);
            auto end = begin;
            end.seek_nth(end_index);
            result.push_back({begin, end});
            begin = std::move(end);
        }
        return result;
    }

  private:
    entry_range(cursor first, cursor last)
        : basic_entry_range(entry_iterator(std::move(first)), entry_iterator(std::move(last))) {}

    [[nodiscard]] static cursor lower(store::revision_ptr const& state, key_bound const& from) {
        cursor at(state);
        if (!from.key) {
            at.first();
        } else if (at.seek(*from.key) && !from.inclusive) {
            at.next();
        }
        return at;
    }
    [[nodiscard]] static cursor upper(store::revision_ptr const& state, key_bound const& from,
                                      key_bound const& to) {
        if (from.key && to.key && *to.key <= *from.key) {
            auto const one_key = *to.key == *from.key && from.inclusive && to.inclusive;
            if (!one_key) return lower(state, from); // empty
        }
        cursor at(state);
        if (to.key && at.seek(*to.key) && to.inclusive) at.next();
        return at;
    }
};

static_assert(std::bidirectional_iterator<entry_iterator>);
static_assert(std::bidirectional_iterator<reverse_entry_iterator>);

} // namespace coppice::inline COPPICE_ABI
