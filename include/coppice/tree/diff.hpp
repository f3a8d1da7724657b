// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/diff.hpp: what has changed from one tree to another, in key order.
// Owns: the rule which of two walks goes on: a subtree that both have is skipped, else the higher
//   one is opened, and an entry is told when the other side is behind it.
// Invariant: what is told ascends, and applied to the first tree it gives the second. Nodes opened
//   are proportional to the changed leaves times the height where both trees are of one store. A
//   step that throws leaves it at its end. Allocates: nothing. The sources must outlive it.

#include <coppice/assert.hpp>
#include <coppice/bytes.hpp>
#include <coppice/format/leaf.hpp>
#include <coppice/tree/subtree_walk.hpp>
#include <coppice/tree/tree.hpp>

#include <optional>
#include <string_view>
#include <utility>

namespace coppice::inline COPPICE_ABI::tree {

/// Do references of both trees name the same nodes? Of two files the same reference names two
/// things, and everything has to be compared by content.
enum class stores : bool { one, two };

/// A walk over the changes between two trees.
/// @tparam SameValue tells of two stored values, (before, after), whether they are the same
template <node_source Source, typename SameValue> class diff {
  public:
    /// At the first change. @throws errc::corrupt. REQUIRES: both sources outlive it.
    diff(subtree_walk<Source> before, subtree_walk<Source> after, stores of, SameValue same)
        : before_(std::move(before)),
          after_(std::move(after)),
          one_store_(of == stores::one),
          same_(std::move(same)) {
        find();
    }

    /// Is it behind the last change?
    [[nodiscard]] bool done() const noexcept { return !in_before_ && !in_after_; }
    /// The key that changed. REQUIRES: `!done()`. Views live as long as the sources say.
    [[nodiscard]] std::string_view key() const noexcept {
        COPPICE_ASSERT(!done());
        return in_before_ ? before_.key() : after_.key();
    }
    /// Its value in the first tree, or nothing.
    [[nodiscard]] std::optional<format::stored_value> before() const noexcept {
        return in_before_ ? std::optional(before_.value()) : std::nullopt;
    }
    /// Its value in the second tree, or nothing.
    [[nodiscard]] std::optional<format::stored_value> after() const noexcept {
        return in_after_ ? std::optional(after_.value()) : std::nullopt;
    }

    /// To the next change. REQUIRES: `!done()`. @throws errc::corrupt
    void next() {
        auto const from_before = std::exchange(in_before_, false);
        auto const from_after = std::exchange(in_after_, false);
        COPPICE_ASSERT(from_before || from_after);
        if (from_before) before_.next();
        if (from_after) after_.next();
        find();
    }

  private:
    void find() {
        while (!before_.at_end() || !after_.at_end()) {
            if (settle()) return;
        }
    }

    /// Takes one step. @return is there a change to tell?
    [[nodiscard]] bool settle() {
        if (before_.at_end()) return settle_alone(after_, in_after_);
        if (after_.at_end()) return settle_alone(before_, in_before_);
        return before_.at_subtree() ? settle_subtree() : settle_entry();
    }

    /// What one side has behind the end of the other, or before all that is left of it.
    [[nodiscard]] static bool settle_alone(subtree_walk<Source>& side, bool& told) {
        if (side.at_entry()) return told = true;
        side.open();
        return false;
    }

    /// The first side is at a subtree.
    [[nodiscard]] bool settle_subtree() {
        if (after_.at_entry()) return settle_beside(after_, in_after_, before_);
        if (one_store_ && before_.node() == after_.node()) {
            before_.skip();
            after_.skip();
        } else if (before_.level() < after_.level()) { // what is lower may be a part of the higher
            after_.open();
        } else {
            before_.open();
        }
        return false;
    }

    /// The first side is at an entry.
    [[nodiscard]] bool settle_entry() {
        if (after_.at_subtree()) return settle_beside(before_, in_before_, after_);
        auto const order = compare_keys(before_.key(), after_.key());
        if (order == 0 && same_(before_.value(), after_.value())) {
            before_.next();
            after_.next();
            return false;
        }
        in_before_ = order <= 0;
        in_after_ = order >= 0;
        return true;
    }

    /// An entry of one side, a subtree of the other: the entry is alone if it lies before it.
    [[nodiscard]] static bool settle_beside(subtree_walk<Source> const& at_entry, bool& told,
                                            subtree_walk<Source>& at_subtree) {
        auto const& low = at_subtree.low();
        if (low && compare(*low, at_entry.key()) > 0) return told = true;
        at_subtree.open();
        return false;
    }

    subtree_walk<Source> before_;
    subtree_walk<Source> after_;
    bool one_store_;
    SameValue same_;
    bool in_before_ = false; // is what is told at this side's entry?
    bool in_after_ = false;
};

} // namespace coppice::inline COPPICE_ABI::tree
