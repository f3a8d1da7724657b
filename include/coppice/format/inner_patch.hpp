// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/format/inner_patch.hpp: a small change of an inner node, and one read together with it.
// Owns: the layout of an inner patch, its check, and `inner_node`, which numbers the children of
//   both as if they were one node.
//   header | spent u32 | writes u16 | children u16 | hot u64[m] | checksum u64[m] | places u16[m] |
//   ends u16[m] | entries u48[m] | bytes u48[m] | separators. Place: index in the base * 4 + what.
//   A change gives the child a patch (0), another node (1), or adds a child behind it (2), whose
//   separator is the text from the end before to its own. A patch may follow a 1 or a 2.
// Invariant: places ascend so that base and patch never leave each other, whatever the keys say.

#include <coppice/assert.hpp>
#include <coppice/bytes.hpp>
#include <coppice/error.hpp>
#include <coppice/format/inner.hpp>
#include <coppice/format/leaf_patch.hpp>
#include <coppice/format/node.hpp>
#include <coppice/options.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace coppice::inline COPPICE_ABI::format {

/// What a change of an inner node does.
enum class child_change : std::uint8_t { patched = 0, replaced = 1, added = 2 };

/// An inner node with more children than this has no patch: its places could not be told.
inline constexpr std::size_t most_patched_children = 16383;

/// An inner patch. A small value; copying it copies no bytes.
class inner_patch_view {
  public:
    static constexpr std::size_t fixed_bytes = node_header_bytes + 8;
    static constexpr std::size_t change_bytes = 16 + 2 + 2 + 2 * u48_bytes;

    /// REQUIRES: the bytes of an inner patch that was checked, or made by `write_inner_patch`.
    explicit inner_patch_view(std::byte const* node) noexcept
        : node_(node), count_(load<std::uint16_t>(node + 2)) {}

    [[nodiscard]] std::size_t count() const noexcept { return count_; }
    /// Bytes of the patches of this base before this one, and how many they were.
    [[nodiscard]] std::uint64_t spent_bytes() const noexcept {
        return load<std::uint32_t>(node_ + node_header_bytes);
    }
    [[nodiscard]] std::uint64_t writes() const noexcept {
        return load<std::uint16_t>(node_ + node_header_bytes + 4);
    }
    /// Children of base and patch together.
    [[nodiscard]] std::size_t children() const noexcept {
        return load<std::uint16_t>(node_ + node_header_bytes + 6);
    }
    /// Children of the base.
    [[nodiscard]] std::size_t base_count() const noexcept {
        return load_node_header(node_).patched;
    }

    /// The child of the base that change `k` is about, or that it adds one behind.
    [[nodiscard]] std::size_t base_index(std::size_t k) const noexcept { return place(k) / 4; }
    /// What happens to it. REQUIRES: `has_known_change(k)`, which `check_inner_patch` has seen.
    [[nodiscard]] child_change what(std::size_t k) const noexcept {
        return static_cast<child_change>(place(k) % 4);
    }
    [[nodiscard]] bool has_known_change(std::size_t k) const noexcept { return place(k) % 4 != 3; }
    [[nodiscard]] bool adds(std::size_t k) const noexcept { return what(k) == child_change::added; }
    /// The new node, or patch. REQUIRES: `k < count()`.
    [[nodiscard]] node_ref node(std::size_t k) const noexcept {
        COPPICE_ASSERT(k < count_);
        auto const* const hot = node_ + fixed_bytes;
        return {load<std::uint64_t>(hot + 8 * k), load<std::uint64_t>(hot + 8 * (count_ + k))};
    }
    [[nodiscard]] std::uint64_t entries(std::size_t k) const noexcept {
        return load_u48(node_ + fixed_bytes + 20 * count_ + u48_bytes * k);
    }
    [[nodiscard]] std::uint64_t bytes(std::size_t k) const noexcept {
        return load_u48(node_ + fixed_bytes + 20 * count_ + u48_bytes * (count_ + k));
    }
    /// The lowest key that the added child may hold; empty for other changes.
    [[nodiscard]] std::string_view separator(std::size_t k) const noexcept {
        auto const begin = k == 0 ? fixed_bytes + change_bytes * count_ : end(k - 1);
        return {reinterpret_cast<char const*>(node_ + begin), end(k) - begin};
    }
    /// Where its separator ends, counted from the start of the patch.
    [[nodiscard]] std::size_t end(std::size_t k) const noexcept {
        return load<std::uint16_t>(node_ + fixed_bytes + 18 * count_ + 2 * k);
    }

  private:
    [[nodiscard]] unsigned place(std::size_t k) const noexcept {
        COPPICE_ASSERT(k < count_);
        return load<std::uint16_t>(node_ + fixed_bytes + 16 * count_ + 2 * k);
    }

    std::byte const* node_;
    std::size_t count_;
};

/// An inner node, read together with its patch if it has one. A small value.
class inner_node {
  public:
    inner_node() = default;
    /// REQUIRES: the bytes of a checked inner node, and of a checked inner patch whose `base_count`
    /// is the node's, or null.
    inner_node(std::byte const* base, std::byte const* patch) noexcept
        : base_(base), patch_(patch), count_(base_.count()) {
        if (patch_ == nullptr) return;
        COPPICE_ASSERT(this->patch().base_count() == count_);
        count_ = this->patch().children();
    }

    [[nodiscard]] std::size_t count() const noexcept { return count_; }
    [[nodiscard]] bool is_patched() const noexcept { return patch_ != nullptr; }
    [[nodiscard]] inner_view const& base() const noexcept { return base_; }
    /// Null where it has none.
    [[nodiscard]] std::byte const* patch_bytes() const noexcept { return patch_; }
    /// REQUIRES: `is_patched()`.
    [[nodiscard]] inner_patch_view patch() const noexcept { return inner_patch_view(patch_); }

    /// Child `i`, without its totals. REQUIRES: `i < count()`. O(changes), as what follows.
    [[nodiscard]] node_pair pair(std::size_t i) const noexcept {
        return patch_ == nullptr ? base_.pair(i) : patched_child(i).pair();
    }
    [[nodiscard]] std::uint64_t entries(std::size_t i) const noexcept {
        return patch_ == nullptr ? base_.entries(i) : patched_child(i).entries;
    }
    /// Child `i` with its totals. REQUIRES: `i < count()`.
    [[nodiscard]] subtree child(std::size_t i) const noexcept {
        return patch_ == nullptr ? base_.child(i) : patched_child(i);
    }
    /// Separator `i` in two pieces. REQUIRES: `i + 1 < count()`.
    [[nodiscard]] std::pair<std::string_view, std::string_view> separator_parts(
        std::size_t i) const noexcept {
        if (patch_ == nullptr) return {base_.prefix(), base_.suffix(i)};
        return patched_separator(i);
    }
    /// Separator `i`, put together: the lowest key that child `i + 1` may hold. Allocates.
    [[nodiscard]] std::string separator(std::size_t i) const {
        auto const [prefix, suffix] = separator_parts(i);
        std::string whole(prefix);
        whole += suffix;
        return whole;
    }

    /// The child whose range holds `key`: as many separators are not above the key.
    [[nodiscard]] std::size_t child_for(std::string_view key) const noexcept {
        return patch_ == nullptr ? base_.child_for(key) : patched_child_for(key);
    }
    /// `pair(child_for(key))`, in one pass over the changes: what a descent needs.
    [[nodiscard]] node_pair child_of(std::string_view key) const noexcept {
        auto const base_child = base_.child_for(key);
        return patch_ == nullptr ? base_.pair(base_child) : patched_child_of(key, base_child);
    }

  private:
    [[nodiscard]] subtree patched_child(std::size_t i) const noexcept;
    [[nodiscard]] std::pair<std::string_view, std::string_view> patched_separator(
        std::size_t i) const noexcept;
    [[nodiscard]] std::size_t patched_child_for(std::string_view key) const noexcept;
    [[nodiscard]] node_pair patched_child_of(std::string_view key,
                                             std::size_t base_child) const noexcept;

    inner_view base_;
    std::byte const* patch_ = nullptr;
    std::size_t count_ = 0;
};

inline subtree inner_node::patched_child(std::size_t i) const noexcept {
    COPPICE_ASSERT(i < count_);
    auto const change = patch();
    subtree result;
    std::size_t added = 0;
    std::size_t k = 0;
    bool replaced = false;
    for (; k < change.count(); ++k) {
        auto const adds = change.adds(k) ? 1U : 0U;
        auto const about = change.base_index(k) + added + adds;
        if (about > i) break;
        added += adds;
        if (about < i) continue;
        if (change.what(k) == child_change::patched) {
            if (!replaced) result = base_.child(i - added);
            result.patch = change.node(k);
        } else {
            result = {change.node(k), 0, 0};
        }
        replaced = true;
        result.entries = change.entries(k);
        result.bytes = change.bytes(k);
    }
    return replaced ? result : base_.child(i - added);
}

inline std::pair<std::string_view, std::string_view> inner_node::patched_separator(
    std::size_t i) const noexcept {
    COPPICE_ASSERT(i + 1 < count_);
    auto const change = patch();
    std::size_t added = 0;
    for (std::size_t k = 0; k < change.count(); ++k) {
        if (!change.adds(k)) continue;
        auto const about = change.base_index(k) + added + 1;
        if (about > i + 1) break;
        if (about == i + 1) return {std::string_view{}, change.separator(k)};
        ++added;
    }
    return {base_.prefix(), base_.suffix(i - added)};
}

inline std::size_t inner_node::patched_child_for(std::string_view key) const noexcept {
    auto const base_child = base_.child_for(key);
    auto const change = patch();
    std::size_t added = 0;
    for (std::size_t k = 0; k < change.count() && change.base_index(k) <= base_child; ++k) {
        if (!change.adds(k)) continue;
        if (change.base_index(k) == base_child && change.separator(k) > key) break;
        ++added;
    }
    return base_child + added;
}

inline node_pair inner_node::patched_child_of(std::string_view key,
                                              std::size_t base_child) const noexcept {
    auto const change = patch();
    std::size_t k = 0;
    while (k < change.count() && change.base_index(k) < base_child) ++k;
    node_pair result; // null as long as it is the base's own child
    for (; k < change.count() && change.base_index(k) == base_child; ++k) {
        if (change.adds(k) && change.separator(k) > key) break;
        if (change.what(k) != child_change::patched) {
            result = {change.node(k)};
        } else {
            if (result.base.is_null()) result.base = base_.node(base_child);
            result.patch = change.node(k);
        }
    }
    return result.base.is_null() ? base_.pair(base_child) : result;
}

/// Is this an inner patch that can be read without leaving its bytes, and without leading out of a
/// base of the count that it names, and do the nodes that it names lie below it?
/// @param node the whole node, @param offset where it lies
/// @throws error corrupt, unsupported_feature. Cost: O(count).
inline void check_inner_patch(bytes node, std::uint64_t offset) {
    auto const header = detail::checked_header(node, offset);
    std::size_t const count = header.count;
    if (header.kind != node_kind::inner_patch) {
        detail::damaged("another node where an inner patch should be", offset);
    }
    if (header.entry_flags != 0 || header.has_flag_array != 0 || header.prefix_bytes != 0) {
        throw error(errc::unsupported_feature, "flags in an inner patch", {}, offset);
    }
    if (count == 0 || count > max_patch_changes || header.patched < 2) {
        detail::damaged("a patch of no change, of too many, or of no node", offset);
    }
    auto before = inner_patch_view::fixed_bytes + inner_patch_view::change_bytes * count;
    if (before > node.size()) detail::damaged("its arrays pass its end", offset);
    inner_patch_view const patch(node.data());
    std::size_t children = header.patched;
    for (std::size_t k = 0; k < count; ++k) {
        auto const index = patch.base_index(k);
        auto const is_added = patch.adds(k);
        auto const same = k > 0 && index == patch.base_index(k - 1);
        // A patch comes once behind a node, a node that replaces another comes first.
        auto const in_turn =
            is_added || !same ||
            (patch.what(k) == child_change::patched && patch.what(k - 1) != child_change::patched);
        if (!patch.has_known_change(k) || index >= header.patched || !in_turn ||
            (k > 0 && index < patch.base_index(k - 1))) {
            detail::damaged("its places do not ascend", offset);
        }
        auto const end = patch.end(k);
        // No separator is longer than a key, since ends are of 16 bits.
        if (end < before || end > node.size() || (!is_added && end != before)) {
            detail::damaged("its separators pass its end", offset);
        }
        if (!detail::lies_below(patch.node(k), offset)) {
            detail::damaged("a child reference points outside", offset);
        }
        before = end;
        children += is_added ? 1U : 0U;
    }
    if (node.size() - before >= 8) detail::damaged("its separators do not end at its end", offset);
    if (children != patch.children()) detail::damaged("its children are not counted", offset);
}

/// Checks a node of any kind that stands for its level: see `check_leaf`, `check_inner`,
/// `check_leaf_patch` and `check_inner_patch`. @throws error corrupt, unsupported_feature
inline void check_node(bytes node, std::uint64_t offset) {
    auto const level = node.size() < 2 ? 0U : std::to_integer<unsigned>(node[1]);
    if (level == 0) return check_leaf(node, offset);
    if (level < patch_level_bit) return check_inner(node, offset);
    if (level == patch_level_bit) return check_leaf_patch(node, offset);
    check_inner_patch(node, offset);
}

} // namespace coppice::inline COPPICE_ABI::format
