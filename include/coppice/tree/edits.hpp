// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/edits.hpp: pending changes of single keys, in key order.
// Owns: the map of a transaction from key to new value or erasure, and the walk over it.
// Invariant: keys and values are views into an arena that outlives the map; a later edit of a key
//   replaces the earlier one and frees nothing, so views of the earlier value stay good.

#include <coppice/format/leaf.hpp>
#include <coppice/tree/apply.hpp>

#include <map>
#include <optional>
#include <string_view>

namespace coppice::inline COPPICE_ABI::tree {

/// Edits that wait to be applied.
class edit_map {
  public:
    /// What is pending for a key.
    enum class pending : std::uint8_t { none, put, erased };

    [[nodiscard]] bool empty() const noexcept { return edits_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return edits_.size(); }
    void clear() noexcept { edits_.clear(); }
    /// What the map itself takes, about: keys and values lie elsewhere.
    [[nodiscard]] std::size_t held_bytes() const noexcept {
        constexpr auto links_bytes = 5 * sizeof(void*); // three, a colour, and the allocator's own
        return edits_.size() * (sizeof(decltype(edits_)::value_type) + links_bytes);
    }

    /// What is pending for `key`; `value` is set where something was put.
    [[nodiscard]] pending find(std::string_view key, format::stored_value& value) const {
        auto const found = edits_.find(key);
        if (found == edits_.end()) return pending::none;
        if (!found->second) return pending::erased;
        value = *found->second;
        return pending::put;
    }

    [[nodiscard]] bool has(std::string_view key) const { return edits_.contains(key); }

    /// Puts a value. @param key used only if there is no edit of it yet; must outlive the map
    void put(std::string_view key, format::stored_value const& value) {
        edits_.insert_or_assign(key, value);
    }
    /// Erases a key that the tree below has.
    void erase(std::string_view key) { edits_.insert_or_assign(key, std::nullopt); }
    /// Forgets the edit of a key.
    void forget(std::string_view key) { edits_.erase(key); }

    /// Walks the edits in order. Models `lasting_edit_source`.
    class walk {
      public:
        explicit walk(edit_map const& edits) noexcept
            : at_(edits.edits_.begin()), end_(edits.edits_.end()) {}
        [[nodiscard]] bool done() const noexcept { return at_ == end_; }
        [[nodiscard]] std::string_view key() const noexcept { return at_->first; }
        [[nodiscard]] format::stored_value const* value() const noexcept {
            return at_->second ? &*at_->second : nullptr;
        }
        void next() noexcept { ++at_; }

      private:
        using iterator =
            std::map<std::string_view, std::optional<format::stored_value>>::const_iterator;
        iterator at_;
        iterator end_;
    };

  private:
    std::map<std::string_view, std::optional<format::stored_value>> edits_;
};

static_assert(lasting_edit_source<edit_map::walk>);

} // namespace coppice::inline COPPICE_ABI::tree
