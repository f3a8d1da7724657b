// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/diff.hpp: what has changed between two snapshots, as a range.
// Owns: `change`, `difference`, `diff`, and when two values are the same.
// Invariant: a difference holds a share of both snapshots, so it may outlive them; its views live
//   as long as both do, or it. Applied to the first snapshot it gives the second.
// Thread safety: a difference may be used by any number of threads, an iterator by one.

#include <coppice/cursor.hpp>
#include <coppice/snapshot.hpp>
#include <coppice/store/revision.hpp>
#include <coppice/tree/diff.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace coppice::inline COPPICE_ABI {

/// One key whose value is not what it was. At least one of the values is there.
struct change {
    std::string_view key;                   ///< the key
    std::optional<std::string_view> before; ///< its value in the first snapshot, if it had one
    std::optional<std::string_view> after;  ///< its value in the second snapshot, if it has one

    friend bool operator==(change const&, change const&) noexcept = default;
};

namespace detail {

/// References name the same bytes within one file only, whoever holds it. What a transaction has
/// not committed lies in memory, where one address is one thing as well.
[[nodiscard]] inline tree::stores stores_of(store::revision const& a, store::revision const& b) {
    return a.image().identity == b.image().identity ? tree::stores::one : tree::stores::two;
}

/// Compares values by reference, then by length and checksum, and then by their bytes.
struct same_value {
    store::revision const* before;
    store::revision const* after;

    [[nodiscard]] bool operator()(format::stored_value const& a,
                                  format::stored_value const& b) const {
        if (!a.out_of_line && !b.out_of_line) return a.raw == b.raw;
        if (a.length_bytes() != b.length_bytes()) return false;
        if (a.out_of_line && b.out_of_line) {
            auto const [of_a, of_b] = std::pair{a.extent(), b.extent()};
            if (of_a == of_b && stores_of(*before, *after) == tree::stores::one) return true;
            auto const summed = !of_a.in_memory() && !of_b.in_memory();
            if (summed && of_a.checksum != of_b.checksum) return false;
        }
        // Piece by piece, as they are verified: what differs early is not read to its end.
        auto const length = a.length_bytes();
        for (std::uint64_t at = 0; at < length; at += format::extent_piece_bytes) {
            auto const size = std::min(length - at, format::extent_piece_bytes);
            if (part(*before, a, at, size) != part(*after, b, at, size)) return false;
        }
        return true;
    }

  private:
    [[nodiscard]] static std::string_view part(store::revision const& of,
                                               format::stored_value const& value, std::uint64_t at,
                                               std::uint64_t size) {
        if (value.out_of_line) return of.value_part(value.extent(), at, size);
        return value.raw.substr(static_cast<std::size_t>(at), static_cast<std::size_t>(size));
    }
};

/// The keys to compare, which the caller may not keep.
struct diff_keys {
    diff_keys(key_bound const& first, key_bound const& last)
        : from(first.key.value_or("")), to(last.key.value_or("")) {
        if (first.key) limits.from = from;
        if (last.key) limits.to = to;
        limits.with_from = first.inclusive;
        limits.with_to = last.inclusive;
    }
    diff_keys(diff_keys const&) = delete;
    diff_keys& operator=(diff_keys const&) = delete;
    ~diff_keys() = default;
    std::string from;
    std::string to;
    tree::key_limits limits; ///< refers to the strings
};

/// Two states and the keys to compare: all that a difference is.
struct diff_sides {
    store::revision_ptr before;
    store::revision_ptr after;
    std::shared_ptr<diff_keys const> keys;

    [[nodiscard]] tree::diff<store::revision, same_value> walk() const {
        return {{*before, before->user(), keys->limits},
                {*after, after->user(), keys->limits},
                stores_of(*before, *after),
                {before.get(), after.get()}};
    }
};

} // namespace detail

/// The changes from one snapshot to another, in key order. Nothing is materialised: each step
/// reads on in both trees, and passes over what they share.
class [[nodiscard]] difference {
  public:
    /// Walks from change to change. An input iterator.
    class iterator {
      public:
        using iterator_concept = std::input_iterator_tag;
        using value_type = change;
        using difference_type = std::ptrdiff_t;

        /// Use `difference::begin()`. @throws errc::corrupt
        explicit iterator(detail::diff_sides of) : of_(std::move(of)), at_(of_.walk()) {}

        /// The change; its views live as long as the snapshots. Reads a large value whole.
        /// @throws errc::corrupt for a damaged large value
        [[nodiscard]] change operator*() const {
            change result{at_.key(), {}, {}};
            if (auto const old = at_.before()) result.before = of_.before->value(*old);
            if (auto const now = at_.after()) result.after = of_.after->value(*now);
            return result;
        }
        /// The key alone. No value is read for it.
        [[nodiscard]] std::string_view key() const noexcept { return at_.key(); }
        /// @throws errc::corrupt, and is at the end then
        iterator& operator++() {
            at_.next();
            return *this;
        }
        void operator++(int) { ++*this; }
        [[nodiscard]] bool operator==(std::default_sentinel_t) const noexcept { return at_.done(); }

      private:
        detail::diff_sides of_;
        tree::diff<store::revision, detail::same_value> at_;
    };

    /// Use `diff()`.
    explicit difference(detail::diff_sides of) noexcept : of_(std::move(of)) {}

    /// To the first change. O(height) nodes for each changed leaf that is passed.
    /// @throws errc::corrupt
    [[nodiscard]] iterator begin() const { return iterator(of_); }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }
    /// Is there no change at all? Costs as much as finding the first one.
    [[nodiscard]] bool empty() const { return begin() == end(); }

  private:
    detail::diff_sides of_;
};

static_assert(std::input_iterator<difference::iterator>);

/// What has changed from one snapshot to another, in key order.
/// Of one database file, also of a transaction's view: costs O(changes * height) nodes, since a
/// subtree that both have is known by its reference and passed over. Snapshots of two files, as of
/// before and after a compaction, are compared by content: that reads both.
/// @param from, to  the keys to compare, copied; all keys if not given
/// @throws errc::corrupt, from the steps of the range
inline difference diff(snapshot const& before, snapshot const& after,
                       key_bound const& from = unbounded(), key_bound const& to = unbounded()) {
    return difference(
        {before.state(), after.state(), std::make_shared<detail::diff_keys const>(from, to)});
}

} // namespace coppice::inline COPPICE_ABI
