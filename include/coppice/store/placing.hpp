// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/placing.hpp: a whole database file at a place where nothing is.
// Owns: the order in which such a file gets its name: filled, synced, renamed, the name synced; and
//   the first live page.
// Invariant: nothing that is there is written over; a failure leaves nothing behind, but for a
//   whole file whose name alone could not be synced.

#include <coppice/error.hpp>
#include <coppice/format/live_page.hpp>
#include <coppice/options.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/storage/held_lock.hpp>
#include <coppice/store/opened_file.hpp>
#include <coppice/store/slot_keeper.hpp>

#include <utility>

namespace coppice::inline COPPICE_ABI::store {

namespace detail {

/// Is there something else than the empty file that `touch` makes?
template <storage::medium Medium> [[nodiscard]] bool occupied(Medium& medium) {
    try {
        return medium.open(storage::access::read_only)->size() != 0;
    } catch (error const& e) {
        if (e.kind() != errc::not_found) throw;
        return false;
    }
}

} // namespace detail

/// Makes a database file at a place of its own, atomically.
/// @param fill called as fill(storage, slot) with a fresh storage and a slot that has the boot id;
///   writes all of the file, syncs it, and returns the slot that it wrote
/// @return that slot
/// @throws errc::already_exists, what `fill` throws, and errno of the system
template <storage::medium Medium, typename Fill> superblock place_file(Medium medium, Fill fill) {
    auto const lock = medium.lock();
    storage::held_lock const held(*lock);
    if (detail::occupied(medium)) {
        throw error(errc::already_exists, "a copy is made at a place of its own", medium.path());
    }
    auto fresh = medium.fresh();
    superblock slot;
    slot.counter = 1;
    slot.boot_id = lock->identity().boot_id;
    try {
        slot = fill(*fresh, slot);
        medium.replace(*fresh);
    } catch (...) {
        try {
            static_cast<void>(medium.discard_fresh());
        } catch (error const&) { // the first failure is the one to tell
        }
        throw;
    }
    medium.sync_name();
    try { // the page may still speak of a file that was here before and had the same inode
        auto const file = recognise(fresh, verify::first_touch, medium.path());
        slot_keeper<typename Medium::storage_type, typename Medium::lock_type> slots(file, lock,
                                                                                     slot);
        slots.set_visible({slot.commit_id, format::file_tag_of(file.header())});
        slots.mark_durable();
        slots.write_page(false);
    } catch (error const&) { // without the page the first writer only looks more closely
    }
    return slot;
}

} // namespace coppice::inline COPPICE_ABI::store
