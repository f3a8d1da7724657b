// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tell.hpp: calling the callbacks of a user.
// Owns: `tell`. Invariant: what a callback throws never undoes what has happened, and never leaves
//   a destructor. Thread safety: as the callback's.

#include <coppice/options.hpp>

#include <exception>
#include <string>

namespace coppice {

/// Calls `events.*event` with the arguments, if it is set. What it throws goes to `events.log`.
template <typename Event, typename... Arguments>
void tell(events const& all, Event events::*event, Arguments const&... arguments) noexcept {
    try {
        if (all.*event) (all.*event)(arguments...);
    } catch (...) {
        try {
            if (all.log) all.log(log_level::error, "a callback of the user threw");
        } catch (...) { // there is nobody left to tell
            return;
        }
    }
}

} // namespace coppice
