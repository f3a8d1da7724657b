// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/subtree_walk.hpp: a walk over a tree in key order that can pass over whole subtrees.
// Owns: `separator`, `key_limits`, and the place of the walk: at a subtree that is still closed, at
//   an entry, or at the end. `open` goes into a subtree, `skip` behind it, `next` to what follows.
// Invariant: what is passed ascends strictly: a separator or key that does not is errc::corrupt. So
//   no node is passed twice, and the walk ends, whatever the bytes say. A step that throws leaves
//   the walk at its end. Allocates: nothing. The source and the limits must outlive it.

#include <coppice/assert.hpp>
#include <coppice/bytes.hpp>
#include <coppice/error.hpp>
#include <coppice/format/commit_record.hpp>
#include <coppice/tree/open_node.hpp>
#include <coppice/tree/tree.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace coppice::inline COPPICE_ABI::tree {

/// A key in two pieces, one behind the other, as an inner node holds it.
struct separator {
    std::string_view prefix;
    std::string_view suffix;
};

/// The order of a separator and a key, as `compare_keys` tells it.
[[nodiscard]] inline int compare(separator const& a, std::string_view key) noexcept {
    auto const order = compare_keys(a.prefix, key.substr(0, a.prefix.size()));
    return order != 0 ? order : compare_keys(a.suffix, key.substr(a.prefix.size()));
}

/// The order of two separators.
[[nodiscard]] inline int compare(separator const& a, separator const& b) noexcept {
    auto const reversed = [](int order) { return order < 0 ? 1 : order > 0 ? -1 : 0; };
    if (a.prefix.size() > b.prefix.size()) return reversed(compare(b, a));
    auto const order = compare_keys(a.prefix, b.prefix.substr(0, a.prefix.size()));
    if (order != 0) return order;
    return reversed(compare(separator{b.prefix.substr(a.prefix.size()), b.suffix}, a.suffix));
}

/// Which keys a walk is for. The views must outlive it.
struct key_limits {
    std::optional<std::string_view> from; ///< nothing: from the first key on
    bool with_from = true;                ///< is that key itself among them?
    std::optional<std::string_view> to;   ///< nothing: to the last key
    bool with_to = false;                 ///< is that key itself among them?
};

/// A place in a tree, moving forwards.
template <node_source Source> class subtree_walk {
  public:
    /// At the whole tree, closed; at the end of an empty one. REQUIRES: the source outlives it.
    subtree_walk(Source const& source, tree_ref const& tree, key_limits const& limits) noexcept
        : source_(&source), limits_(limits), height_(tree.height), node_(tree.root.pair()) {
        COPPICE_ASSERT(height_ <= format::max_height);
        if (height_ == 0) return;
        level_ = height_ - 1U;
        state_ = state::subtree;
    }

    [[nodiscard]] bool at_end() const noexcept { return state_ == state::end; }
    [[nodiscard]] bool at_subtree() const noexcept { return state_ == state::subtree; }
    [[nodiscard]] bool at_entry() const noexcept { return state_ == state::entry; }

    /// The node of the subtree, which may be unread so far. REQUIRES: `at_subtree()`.
    [[nodiscard]] node_pair const& node() const noexcept { return node_; }
    [[nodiscard]] unsigned level() const noexcept { return level_; }
    /// No key of the subtree, or behind it, is below this; nothing: not known.
    [[nodiscard]] std::optional<separator> const& low() const noexcept { return low_; }
    /// The entry. REQUIRES: `at_entry()`. Views live as long as the source says.
    [[nodiscard]] std::string_view key() const noexcept { return leaf_.key(index_); }
    [[nodiscard]] format::stored_value value() const noexcept { return leaf_.value(index_); }

    /// Into the subtree: to its first child or entry within the limits. Reads one node.
    /// REQUIRES: `at_subtree()`. @throws errc::corrupt
    void open();
    /// Behind the subtree, without reading it. REQUIRES: `at_subtree()`. @throws errc::corrupt
    void skip() {
        COPPICE_ASSERT(at_subtree());
        state_ = state::end;
        go_behind(level_);
    }
    /// Behind the entry. REQUIRES: `at_entry()`. @throws errc::corrupt
    void next() {
        COPPICE_ASSERT(at_entry());
        state_ = state::end;
        if (index_ + 1 == leaf_.count()) return leave_leaf();
        auto const before = key();
        ++index_;
        if (compare_keys(before, key()) >= 0) disordered();
        enter(state::entry);
    }

  private:
    enum class state : std::uint8_t { end, subtree, entry };
    struct frame {
        std::byte const* base = nullptr;
        std::byte const* patch = nullptr;
        std::size_t index = 0;
    };

    [[nodiscard]] static separator separator_of(inner_node const& inner, std::size_t i) noexcept {
        auto const [prefix, suffix] = inner.separator_parts(i);
        return {prefix, suffix};
    }
    [[noreturn]] void disordered() const {
        throw error(errc::corrupt, "the keys or separators of a tree do not ascend", {},
                    node_.in_memory() ? std::nullopt : std::optional(node_.base.offset()));
    }

    /// Is this place behind the limits?
    [[nodiscard]] bool beyond(int of_place_and_limit) const noexcept {
        return of_place_and_limit > 0 || (of_place_and_limit == 0 && !limits_.with_to);
    }
    void enter(state next) noexcept {
        if (limits_.to) {
            auto const ends = next == state::entry ? beyond(compare_keys(key(), *limits_.to))
                                                   : low_ && beyond(compare(*low_, *limits_.to));
            if (ends) return;
        }
        state_ = next;
    }
    void pass(separator const& low) {
        if (passed_ && compare(low, *passed_) <= 0) disordered();
        low_ = passed_ = low;
    }
    void go_behind(unsigned level) {
        while (++level < height_) {
            auto& at = frames_[level];
            inner_node const inner(at.base, at.patch);
            if (at.index + 1 == inner.count()) continue;
            pass(separator_of(inner, at.index));
            ++at.index;
            node_ = inner.pair(at.index);
            level_ = level - 1;
            return enter(state::subtree);
        }
    }
    void leave_leaf() {
        passed_ = separator{leaf_.key(leaf_.count() - 1), {}};
        go_behind(0);
    }

    Source const* source_;
    key_limits limits_;
    unsigned height_ = 0;
    state state_ = state::end;
    node_pair node_; // the closed subtree, or the leaf of the entry
    unsigned level_ = 0;
    std::optional<separator> low_;    // of the subtree
    std::optional<separator> passed_; // the highest separator or key so far
    leaf_node leaf_;
    std::size_t index_ = 0;                        // in the leaf
    std::array<frame, format::max_height> frames_; // of the open nodes above, by level
};

template <node_source Source> void subtree_walk<Source>::open() {
    COPPICE_ASSERT(at_subtree());
    state_ = state::end;
    if (level_ > 0) {
        auto const inner = open_inner(*source_, node_, level_);
        auto const index = limits_.from ? inner.child_for(*limits_.from) : std::size_t{0};
        frames_[level_] = {inner.base().bytes(), inner.patch_bytes(), index};
        if (index > 0) pass(separator_of(inner, index - 1));
        node_ = inner.pair(index);
        --level_;
        return enter(state::subtree);
    }
    leaf_ = open_leaf(*source_, node_);
    index_ = 0;
    if (limits_.from) {
        auto const found = leaf_.lower_bound(*limits_.from);
        index_ = found.index + (found.found && !limits_.with_from ? 1U : 0U);
    }
    if (index_ == leaf_.count()) return leave_leaf();
    if (low_ && compare(*low_, key()) > 0) disordered();
    enter(state::entry);
}

} // namespace coppice::inline COPPICE_ABI::tree
