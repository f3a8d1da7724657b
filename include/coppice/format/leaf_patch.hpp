// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/format/leaf_patch.hpp: a small change of a leaf, and a leaf read together with one.
// Owns: the layout of a leaf patch, its check, and `leaf_node`, which numbers the entries of both
//   as if they were one leaf.
//   as a leaf up to the flags, which are always there | spent u32 | writes u16 | entries u16 |
//   places u16[m] | records. Place: index in the base * 2, + 1 if the entry stands for the one
//   there, else it is a new one before it. `spent`, `writes`: of patches of this base so far.
// Invariant: places ascend so that base and patch never leave each other, whatever the keys say.

#include <coppice/assert.hpp>
#include <coppice/bytes.hpp>
#include <coppice/format/leaf.hpp>
#include <coppice/format/node.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace coppice::inline COPPICE_ABI::format {

/// A leaf with more entries than this has no patch: its places could not be told.
inline constexpr std::size_t most_patched_entries = 32767;

/// A leaf patch. A small value; copying it copies no bytes.
class leaf_patch_view {
  public:
    /// What the patch adds to the fields of a leaf, before the places.
    static constexpr std::size_t fixed_bytes = 8;

    /// REQUIRES: the bytes of a leaf patch that was checked, or made by `write_leaf_patch`.
    explicit leaf_patch_view(std::byte const* node) noexcept
        : changed_(node), base_count_(load_node_header(node).patched) {
        fields_ = node + detail::leaf_arrays_end(load_node_header(node));
    }

    /// The changed entries: their keys, values and flags.
    [[nodiscard]] leaf_view const& changed() const noexcept { return changed_; }
    [[nodiscard]] std::size_t count() const noexcept { return changed_.count(); }
    /// Bytes of the patches of this base before this one, and how many they were.
    [[nodiscard]] std::uint64_t spent_bytes() const noexcept {
        return load<std::uint32_t>(fields_);
    }
    [[nodiscard]] std::uint64_t writes() const noexcept { return load<std::uint16_t>(fields_ + 4); }
    /// Entries of base and patch together.
    [[nodiscard]] std::size_t entries() const noexcept { return load<std::uint16_t>(fields_ + 6); }
    /// Entries of the base.
    [[nodiscard]] std::size_t base_count() const noexcept { return base_count_; }

    /// The entry of the base that change `k` stands for or before. REQUIRES: `k < count()`.
    [[nodiscard]] std::size_t base_index(std::size_t k) const noexcept { return place(k) / 2; }
    /// Does change `k` stand for an entry of the base?
    [[nodiscard]] bool replaces(std::size_t k) const noexcept { return place(k) % 2 != 0; }
    [[nodiscard]] bool erased(std::size_t k) const noexcept {
        return (changed_.flags(k) & entry_erased) != 0;
    }

  private:
    [[nodiscard]] unsigned place(std::size_t k) const noexcept {
        COPPICE_ASSERT(k < count());
        return load<std::uint16_t>(fields_ + fixed_bytes + 2 * k);
    }

    leaf_view changed_;
    std::size_t base_count_;
    std::byte const* fields_;
};

/// Entries that follow each other in the same node: what a cursor steps through.
struct leaf_run {
    leaf_view in;
    std::size_t index = 0; ///< of the entry that was asked for, in that node
    std::size_t first = 0; ///< the run is [first, last) of that node
    std::size_t last = 0;
};

/// A leaf, read together with its patch if it has one. A small value.
class leaf_node {
  public:
    leaf_node() = default;
    /// REQUIRES: the bytes of a checked leaf, and of a checked leaf patch whose `base_count` is the
    /// leaf's, or null.
    leaf_node(std::byte const* base, std::byte const* patch) noexcept
        : base_(base), patch_(patch), count_(base_.count()) {
        if (patch_ == nullptr) return;
        COPPICE_ASSERT(this->patch().base_count() == count_);
        count_ = this->patch().entries();
    }

    [[nodiscard]] std::size_t count() const noexcept { return count_; }
    [[nodiscard]] bool is_patched() const noexcept { return patch_ != nullptr; }
    [[nodiscard]] leaf_view const& base() const noexcept { return base_; }
    /// REQUIRES: `is_patched()`.
    [[nodiscard]] leaf_patch_view patch() const noexcept { return leaf_patch_view(patch_); }

    /// Key number `i`. REQUIRES: `i < count()`. O(changes of the patch), as the next two.
    [[nodiscard]] std::string_view key(std::size_t i) const noexcept {
        if (patch_ == nullptr) return base_.key(i);
        auto const at = run(i);
        return at.in.key(at.index);
    }
    [[nodiscard]] stored_value value(std::size_t i) const noexcept {
        if (patch_ == nullptr) return base_.value(i);
        auto const at = run(i);
        return at.in.value(at.index);
    }
    /// The run that entry `i` lies in. REQUIRES: `i < count()`.
    [[nodiscard]] leaf_run run(std::size_t i) const noexcept {
        if (patch_ == nullptr) return {base_, i, 0, count_};
        return run_between(i);
    }

    /// Asks for the records that a search for `key` will look at: only a hint.
    void prefetch(std::string_view key) const noexcept {
        if (patch_ != nullptr) patch().changed().prefetch(key);
        base_.prefetch(key);
    }
    /// The first entry whose key is not before `key`.
    [[nodiscard]] search_result lower_bound(std::string_view key) const noexcept {
        return patch_ == nullptr ? base_.lower_bound(key) : patched_lower_bound(key);
    }
    /// The value of a key, or nothing.
    [[nodiscard]] std::optional<stored_value> find(std::string_view key) const noexcept {
        if (patch_ != nullptr) {
            auto const change = patch();
            auto const [k, found] = change.changed().lower_bound(key);
            if (found) {
                return change.erased(k) ? std::nullopt : std::optional(change.changed().value(k));
            }
        }
        auto const [index, found] = base_.lower_bound(key);
        if (!found) return {};
        return base_.value(index);
    }

  private:
    [[nodiscard]] leaf_run run_between(std::size_t i) const noexcept;
    [[nodiscard]] search_result patched_lower_bound(std::string_view key) const noexcept;

    leaf_view base_;
    std::byte const* patch_ = nullptr;
    std::size_t count_ = 0;
};

inline leaf_run leaf_node::run_between(std::size_t i) const noexcept {
    COPPICE_ASSERT(i < count_);
    auto const change = patch();
    std::size_t first = 0;  // of the base, the first entry behind the changes so far
    std::size_t passed = 0; // entries before it
    for (std::size_t k = 0; k < change.count(); ++k) {
        auto const place = change.base_index(k);
        if (i < passed + (place - first)) return {base_, first + (i - passed), first, place};
        passed += place - first;
        first = place + (change.replaces(k) ? 1U : 0U);
        if (change.erased(k)) continue;
        if (i == passed) return {change.changed(), k, k, k + 1};
        ++passed;
    }
    return {base_, first + (i - passed), first, base_.count()};
}

inline search_result leaf_node::patched_lower_bound(std::string_view key) const noexcept {
    auto const change = patch();
    auto const [before, changed] = change.changed().lower_bound(key);
    std::size_t inserted = 0;
    std::size_t erased = 0;
    for (std::size_t k = 0; k < before; ++k) {
        inserted += change.replaces(k) ? 0U : 1U;
        erased += change.erased(k) ? 1U : 0U;
    }
    if (changed) return {change.base_index(before) + inserted - erased, !change.erased(before)};
    auto const [index, found] = base_.lower_bound(key);
    // A damaged order must not lead outside.
    auto const whole = std::min(index + inserted - std::min(erased, index + inserted), count_);
    return {whole, found && whole < count_};
}

/// Is this a leaf patch that can be read without leaving its bytes, and without leading out of a
/// base of the count that it names? Order and heads are not looked at.
/// @param node the whole node, @param offset where it lies
/// @throws error corrupt, unsupported_feature. Cost: O(count).
inline void check_leaf_patch(bytes node, std::uint64_t offset) {
    auto const header = detail::checked_header(node, offset);
    if (header.kind != node_kind::leaf_patch) {
        detail::damaged("another node where a leaf patch should be", offset);
    }
    if (header.has_flag_array != 1 || header.entry_flags != 0) {
        detail::damaged("a patch without flags of each entry", offset);
    }
    std::size_t const count = header.count;
    std::size_t const base_count = header.patched;
    if (count > max_patch_changes) detail::damaged("a patch of too many changes", offset);
    auto const records_begin =
        detail::leaf_arrays_end(header) + leaf_patch_view::fixed_bytes + 2 * count;
    detail::check_records(node, header, records_begin, known_entry_flags | entry_erased, offset);
    leaf_patch_view const patch(node.data());
    auto entries = base_count;
    std::size_t first = 0; // the lowest index of the base that a change may still speak of
    for (std::size_t k = 0; k < count; ++k) {
        auto const index = patch.base_index(k);
        auto const replaces = patch.replaces(k);
        if (index < first || index + (replaces ? 1U : 0U) > base_count) {
            detail::damaged("its places do not ascend", offset);
        }
        if (patch.erased(k) && !replaces) detail::damaged("it erases what is not there", offset);
        first = index + (replaces ? 1U : 0U);
        if (!replaces) ++entries;
        if (patch.erased(k)) --entries;
    }
    if (entries == 0 || entries != patch.entries()) {
        detail::damaged("its entries are not counted", offset);
    }
}

} // namespace coppice::inline COPPICE_ABI::format
