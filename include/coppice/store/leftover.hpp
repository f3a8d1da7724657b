// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/leftover.hpp: what a compaction has left whose process has died.
// Owns: telling it from what a compaction that lives is at work on, and removing it.
// Invariant: whoever makes a companion does so under the writers' lock and has the lock of
//   compactions by then. So under the writers' lock a companion without a holder is nobody's.

#include <coppice/error.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/storage/held_lock.hpp>
#include <coppice/store/courtesy.hpp>

namespace coppice::inline COPPICE_ABI::store {

/// Removes a companion whose maker is dead; waits for nobody. REQUIRES: the writers' lock.
/// Cost: one look, where there is none. @throws error
template <storage::medium Medium> void discard_leftover(Medium& medium) {
    if (!medium.companion()) return;
    auto const lock = medium.compaction_lock();
    try {
        storage::held_lock const held(*lock, courtesy::clock::now());
        if (held.is_held()) static_cast<void>(medium.discard_fresh());
    } catch (error const& e) {
        if (e.kind() != errc::would_deadlock) throw; // this very thread compacts
    }
}

} // namespace coppice::inline COPPICE_ABI::store
