// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/snapshot.hpp: one moment of a database, for as long as you keep it. All reading.
// Owns: the vocabulary of std::map over a state: get, find, ranges, order statistics.
// Invariant: a snapshot never changes; what it hands out lives as long as it, or a copy of it, or
//   anything made from it. It takes no lock, blocks nobody, and may outlive its database.
// Thread safety: a snapshot may be read by any number of threads at once, and copied to others.

#include <coppice/commit_id.hpp>
#include <coppice/cursor.hpp>
#include <coppice/store/clock.hpp>
#include <coppice/store/revision.hpp>
#include <coppice/tree/find.hpp>
#include <coppice/tree/find_many.hpp>
#include <coppice/tree/rank.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <ranges>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

namespace coppice::inline COPPICE_ABI {

/// What a range of keys may give: a string_view, or a reference to something that stays where it is
/// and converts to one. A temporary string would be gone before it is looked up.
template <typename T>
concept key_reference = std::convertible_to<T, std::string_view> &&
    (std::is_lvalue_reference_v<T> || std::same_as<std::remove_cv_t<T>, std::string_view> ||
     std::is_pointer_v<T>);

/// A moment of a database. A value: copying costs one reference count, comparing compares roots.
/// Every reading function throws errc::corrupt where it meets damage. Unless said otherwise a call
/// costs O(height) nodes and allocates nothing.
class [[nodiscard]] snapshot {
  public:
    using iterator = entry_iterator;

    /// Use `database::read()` or `transaction::view()`.
    explicit snapshot(store::revision_ptr state) noexcept : state_(std::move(state)) {}

    /// The value of a key; nothing where it is absent. The view lives as long as the snapshot.
    [[nodiscard]] std::optional<std::string_view> get(std::string_view key) const& {
        auto const stored = tree::find(*state_, state_->user(), key);
        if (!stored) return {};
        return state_->value(*stored);
    }
    std::optional<std::string_view> get(std::string_view key) const&& = delete;

    /// Gets several keys, faster than one after the other: their descents go on side by side.
    /// @param keys any number, in any order, as anything that is a string_view or refers to
    ///   something that converts to one
    /// @param visit called with (key, optional value) for each of them, in their order; the view
    ///   of a value lives as long as the snapshot. If it throws, the rest is not visited
    template <std::ranges::forward_range Keys,
              std::invocable<std::string_view, std::optional<std::string_view>> Visit>
        requires key_reference<std::ranges::range_reference_t<Keys>>
    void get_many(Keys&& keys, Visit&& visit) const& {
        std::array<std::string_view, tree::find_batch> batch;
        std::array<std::optional<format::stored_value>, tree::find_batch> found;
        auto next = std::ranges::begin(keys);
        auto const last = std::ranges::end(keys);
        while (next != last) {
            std::size_t count = 0;
            for (; count < batch.size() && next != last; ++next) batch[count++] = *next;
            tree::find_many(*state_, state_->user(), std::span(batch).first(count),
                            std::span(found).first(count));
            for (std::size_t i = 0; i < count; ++i) {
                std::optional<std::string_view> value;
                if (found[i]) value = state_->value(*found[i]);
                std::invoke(visit, batch[i], value);
            }
        }
    }

    /// Is the key there? A large value is not touched.
    [[nodiscard]] bool contains(std::string_view key) const {
        return tree::find(*state_, state_->user(), key).has_value();
    }
    /// The length of a value in bytes, without touching it; nothing where the key is absent.
    [[nodiscard]] std::optional<std::uint64_t> value_bytes(std::string_view key) const {
        auto const stored = tree::find(*state_, state_->user(), key);
        if (!stored) return {};
        return stored->length_bytes();
    }
    /// Copies part of a value. Only the pieces of 1 MiB that it touches are verified.
    /// @param offset where in the value to begin; at or behind its end gives 0
    /// @return how many bytes were copied, or nothing where the key is absent
    [[nodiscard]] std::optional<std::size_t> read(std::string_view key, std::uint64_t offset,
                                                  std::span<std::byte> to) const;

    /// How many entries there are. O(1).
    [[nodiscard]] std::uint64_t size() const noexcept { return state_->user().root.entries; }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    /// 1 where the key is there, else 0, as in std::map.
    [[nodiscard]] std::uint64_t count(std::string_view key) const { return contains(key) ? 1 : 0; }
    /// How many keys are in [from, to). O(height) nodes, whatever the number.
    [[nodiscard]] std::uint64_t count(std::string_view from, std::string_view to) const {
        return from < to ? rank(to) - rank(from) : 0;
    }
    /// How many keys begin with `prefix`. Allocates for the prefix.
    [[nodiscard]] std::uint64_t count_prefix(std::string_view prefix) const {
        auto const end = tree::prefix_end(prefix);
        return (end ? rank(*end) : size()) - rank(prefix);
    }
    /// How many keys are before `key`.
    [[nodiscard]] std::uint64_t rank(std::string_view key) const {
        return tree::rank(*state_, state_->user(), key);
    }
    /// The entry with `index` entries before it; `end()` beyond the last.
    [[nodiscard]] iterator nth(std::uint64_t index) const& {
        auto at = cursor();
        at.seek_nth(index);
        return iterator(std::move(at));
    }
    iterator nth(std::uint64_t index) const&& = delete;

    /// The entry with the lowest key; nothing in an empty snapshot.
    [[nodiscard]] std::optional<entry> first() const& {
        auto at = cursor();
        at.first();
        return at.valid() ? std::optional(entry{at.key(), at.value()}) : std::nullopt;
    }
    std::optional<entry> first() const&& = delete;
    /// The entry with the highest key; nothing in an empty snapshot.
    [[nodiscard]] std::optional<entry> last() const& {
        auto at = cursor();
        at.last();
        return at.valid() ? std::optional(entry{at.key(), at.value()}) : std::nullopt;
    }
    std::optional<entry> last() const&& = delete;

    [[nodiscard]] iterator begin() const& {
        auto at = cursor();
        at.first();
        return iterator(std::move(at));
    }
    [[nodiscard]] iterator end() const& { return iterator(cursor()); }
    iterator begin() const&& = delete;
    iterator end() const&& = delete;
    /// The entry of a key, or `end()`.
    [[nodiscard]] iterator find(std::string_view key) const& {
        auto at = cursor();
        return at.seek(key) ? iterator(std::move(at)) : end();
    }
    iterator find(std::string_view key) const&& = delete;
    /// The first entry whose key is not before `key`.
    [[nodiscard]] iterator lower_bound(std::string_view key) const& {
        auto at = cursor();
        at.seek(key);
        return iterator(std::move(at));
    }
    iterator lower_bound(std::string_view key) const&& = delete;
    /// The first entry whose key is after `key`.
    [[nodiscard]] iterator upper_bound(std::string_view key) const& {
        auto at = cursor();
        if (at.seek(key)) at.next();
        return iterator(std::move(at));
    }
    iterator upper_bound(std::string_view key) const&& = delete;

    /// A cursor of its own, at the end.
    [[nodiscard]] coppice::cursor cursor() const { return coppice::cursor(state_); }

    /// All entries.
    [[nodiscard]] entry_range all() const { return range(unbounded(), unbounded()); }
    /// The entries of [from, to); empty unless from < to. "" is a key, not infinity.
    [[nodiscard]] entry_range range(std::string_view from, std::string_view to) const {
        return range(including(from), excluding(to));
    }
    /// The entries from a key on.
    [[nodiscard]] entry_range range_from(std::string_view from) const {
        return range(including(from), unbounded());
    }
    /// The entries before a key.
    [[nodiscard]] entry_range range_to(std::string_view to) const {
        return range(unbounded(), excluding(to));
    }
    /// The entries between two bounds: `range(excluding("a"), including("b"))`.
    [[nodiscard]] entry_range range(key_bound const& from, key_bound const& to) const {
        return {state_, from, to};
    }
    /// The entries whose keys begin with `prefix`. Allocates for the prefix.
    [[nodiscard]] entry_range prefix(std::string_view prefix) const {
        auto const end = tree::prefix_end(prefix);
        return range(including(prefix), end ? excluding(*end) : unbounded());
    }

    /// The commit that this is. For a transaction's view, the one it began from.
    [[nodiscard]] commit_id id() const noexcept { return {state_->record().commit_id}; }
    /// The same with the checksum of its record, which no other commit has; 0 for a deferred
    /// commit, which has no record before it is written.
    [[nodiscard]] commit_identity identity() const noexcept {
        return {id(), state_->at().checksum};
    }
    /// When that was committed.
    [[nodiscard]] std::chrono::system_clock::time_point time() const noexcept {
        return store::to_time_point(state_->record().time_us);
    }
    /// The note of that commit; lives as long as the snapshot.
    [[nodiscard]] std::string_view note() const& noexcept { return state_->record().note; }
    std::string_view note() const&& = delete;

    /// Have both the same content, by their roots in the same file? Two commits may, such as those
    /// before and after a tag. False is no proof that contents differ.
    friend bool operator==(snapshot const& a, snapshot const& b) noexcept {
        return a.state_.get() == b.state_.get() ||
               (a.state_->image().identity == b.state_->image().identity &&
                a.state_->user() == b.state_->user());
    }

    /// The state underneath, for those who build on coppice.
    [[nodiscard]] store::revision_ptr const& state() const noexcept { return state_; }

  private:
    store::revision_ptr state_;
};

inline std::optional<std::size_t> snapshot::read(std::string_view key, std::uint64_t offset,
                                                 std::span<std::byte> to) const {
    auto const stored = tree::find(*state_, state_->user(), key);
    if (!stored) return {};
    auto const length = stored->length_bytes();
    if (offset >= length || to.empty()) return 0;
    auto const wanted = std::min<std::uint64_t>(to.size(), length - offset);
    auto const part = stored->out_of_line ? state_->value_part(stored->extent(), offset, wanted)
                                          : stored->raw.substr(static_cast<std::size_t>(offset),
                                                               static_cast<std::size_t>(wanted));
    std::memcpy(to.data(), part.data(), part.size());
    return part.size();
}

} // namespace coppice::inline COPPICE_ABI
