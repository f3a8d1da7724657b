// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tell.hpp: calling the callbacks of a user.
// Owns: `tell`, `tell_by`.
// Invariant: what a callback throws never undoes what has happened, and never leaves a destructor.
//   Thread safety: as the callback's.

#include <coppice/options.hpp>

#include <concepts>

namespace coppice {

/// Lets `call` call `events.*event`, if it is set. What either of them throws goes to `events.log`:
/// where memory is too short for words, what they were to tell has happened all the same.
template <typename Event, std::invocable<Event const&> Call>
void tell_by(events const& all, Event events::*event, Call const& call) noexcept {
    try {
        if (all.*event) call(all.*event);
    } catch (...) {
        try {
            if (all.log) all.log(log_level::error, "a callback of the user threw");
        } catch (...) { // there is nobody left to tell
            return;
        }
    }
}

/// Calls `events.*event` with the arguments, if it is set. What it throws goes to `events.log`.
template <typename Event, typename... Arguments>
void tell(events const& all, Event events::*event, Arguments const&... arguments) noexcept {
    tell_by(all, event, [&](Event const& callback) { callback(arguments...); });
}

} // namespace coppice
