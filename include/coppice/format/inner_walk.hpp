// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/format/inner_walk.hpp: the children of an inner node and its patch, one after the other.
// Owns: the merge of both in order. `inner_node` finds any child in O(changes); this finds the
//   next one in O(1).
// Invariant: child and lowest key are those that `inner_node` gives for the same index.
// Thread safety: as a value. Allocates: nothing. Lives as long as the bytes of the nodes.

#include <coppice/assert.hpp>
#include <coppice/format/inner_patch.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace coppice::inline COPPICE_ABI::format {

/// A place among the children of an inner node, which moves forward.
class inner_walk {
  public:
    explicit inner_walk(inner_node const& node) noexcept : node_(node) {
        if (node_.is_patched()) changes_ = node_.patch().count();
        take_base();
    }

    /// The node whose children these are.
    [[nodiscard]] inner_node const& node() const noexcept { return node_; }
    [[nodiscard]] bool done() const noexcept { return index_ == node_.count(); }
    /// The number of the child, as `inner_node` counts them.
    [[nodiscard]] std::size_t index() const noexcept { return index_; }
    /// The child with its totals. REQUIRES: `!done()`.
    [[nodiscard]] subtree const& child() const noexcept { return child_; }
    /// The lowest key that it may hold, put together in `buffer`; empty for the first one, which
    /// has that of the node.
    [[nodiscard]] std::string_view low(std::string& buffer) const {
        COPPICE_ASSERT(!done());
        if (is_added_) return added_low_;
        if (base_index_ == 0) return {};
        buffer.assign(node_.base().prefix()).append(node_.base().suffix(base_index_ - 1));
        return buffer;
    }
    /// REQUIRES: `!done()`.
    void next() noexcept {
        COPPICE_ASSERT(!done());
        if (++index_ == node_.count()) return;
        is_added_ = change_ < changes_ && node_.patch().base_index(change_) == base_index_;
        if (is_added_) return take_added();
        ++base_index_;
        take_base();
    }

  private:
    /// The changes of the child of the base stand before those that add children behind it.
    void take_base() noexcept {
        child_ = node_.base().child(base_index_);
        while (change_ < changes_ && node_.patch().base_index(change_) == base_index_ &&
               !node_.patch().adds(change_)) {
            take_change();
        }
    }
    void take_added() noexcept {
        added_low_ = node_.patch().separator(change_);
        take_change();
        while (change_ < changes_ && node_.patch().base_index(change_) == base_index_ &&
               is_patch(change_)) {
            take_change();
        }
    }
    [[nodiscard]] bool is_patch(std::size_t change) const noexcept {
        return node_.patch().what(change) == child_change::patched;
    }
    void take_change() noexcept {
        auto const patch = node_.patch();
        if (is_patch(change_)) {
            child_.patch = patch.node(change_);
        } else {
            child_ = {patch.node(change_), 0, 0};
        }
        child_.entries = patch.entries(change_);
        child_.bytes = patch.bytes(change_);
        ++change_;
    }

    inner_node node_;
    subtree child_;
    std::string_view added_low_;
    std::size_t index_ = 0;
    std::size_t base_index_ = 0;
    std::size_t change_ = 0; // the first one that is not taken yet
    std::size_t changes_ = 0;
    bool is_added_ = false; // is the child one that the patch adds?
};

} // namespace coppice::inline COPPICE_ABI::format
