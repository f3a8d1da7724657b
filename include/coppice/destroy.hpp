// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/destroy.hpp: removing a database.
// Owns: the order in which its files go.
// Invariant: the lock file stays, since others may wait for it.

#include <coppice/storage/file_medium.hpp>
#include <coppice/storage/held_lock.hpp>
#include <coppice/version.hpp>

#include <filesystem>

namespace coppice::inline COPPICE_ABI {

/// Removes the database at a path, under its lock; its `.lock` and `.lock2` stay, since others may
/// wait for them, and are made where nothing is. Snapshots that are held go on reading. Waits for a
/// writer.
/// @return was there one? @throws errc::not_found where the folder is missing, unusable_path,
///   lock_unusable, would_deadlock, and errno of the system
inline bool destroy(std::filesystem::path const& path) {
    storage::file_medium medium(path, false);
    auto const lock = medium.lock();
    storage::held_lock const held(*lock);
    static_cast<void>(medium.discard_fresh());
    auto const removed = medium.remove();
    if (removed) medium.sync_name();
    return removed;
}

} // namespace coppice::inline COPPICE_ABI
