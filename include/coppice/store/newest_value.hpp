// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/newest_value.hpp: the value of a key in the newest commit.
// Owns: the short way to it where commits are deferred, which makes no tree of them.
// Invariant: what it shows is what a snapshot of the same moment has.

#include <coppice/store/store.hpp>
#include <coppice/tree/find.hpp>

#include <concepts>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace coppice::inline COPPICE_ABI::store {

/// A value that outlives what it was read from.
[[nodiscard]] inline std::optional<std::string> copy_of(std::optional<std::string_view> value) {
    return value ? std::optional<std::string>(*value) : std::nullopt;
}

/// Shows the value of a key in the newest commit whose promise was kept.
/// @param visit called once with the value, or nothing; the view lives as long as the call
/// @return what `visit` returns. @throws as `store::current`, errc::corrupt, std::bad_alloc
template <storage::medium Medium, std::invocable<std::optional<std::string_view>> Visit>
decltype(auto) visit_newest(store<Medium>& from, std::string_view key, Visit&& visit) {
    auto& postponed = from.postponed();
    auto const edit = postponed.any() ? postponed.find(key, from.may_wait()) : std::nullopt;
    auto const state = edit ? edit->below : from.current();
    auto const stored = edit ? edit->stored(key) : tree::find(*state, state->user(), key);
    std::optional<std::string_view> value;
    if (stored) value = state->value(*stored);
    return std::invoke(std::forward<Visit>(visit), value);
}

} // namespace coppice::inline COPPICE_ABI::store
