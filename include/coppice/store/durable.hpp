// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/durable.hpp: the newest commit that has reached the device, as its readers see it.
// Owns: the way from the slot that a writer has vouched for to a state.
// Invariant: reads only. A state that was given is of a commit that no power cut takes back, as far
//   as the live page of this boot, or where there is none the device itself, says so.

#include <coppice/commit_id.hpp>
#include <coppice/error.hpp>
#include <coppice/store/history.hpp>
#include <coppice/store/recovery.hpp>
#include <coppice/store/store.hpp>

namespace coppice::inline COPPICE_ABI::store {

/// The slot that is known to have reached the device; where nothing is known of this boot, the
/// newest one, since it was read from there.
template <storage::medium Medium> [[nodiscard]] superblock durable_slot(store<Medium> const& of) {
    auto const file = of.file();
    auto const slots = read_slots(*file.storage, file.header());
    if (auto const page = of.believed_page(file)) {
        for (auto const& seen : slots.slots) {
            if (seen.state == slot_state::good && seen.slot.counter == page->mark_counter &&
                seen.slot.checksum == page->mark_checksum) {
                return seen.slot;
            }
        }
        return {};
    }
    auto const newest = slots.newest();
    return newest ? slots.slots[*newest].slot : superblock{};
}

/// The newest durable state; null where a writer is so busy that none could be made out now.
template <storage::medium Medium> [[nodiscard]] revision_ptr durable_state(store<Medium>& from) {
    // Slots and live page are two looks. Where a commit lies in between they do not go together,
    // and one more look helps; so it does where a compaction lies between slot and state.
    constexpr int most_looks = 1000;
    for (int i = 0; i < most_looks; ++i) {
        commit_id const durable{durable_slot(from).commit_id};
        auto newest = from.current();
        if (durable.value == 0) continue;
        // The mark comes before readers are told: what they see is durable then.
        if (newest->record().commit_id <= durable.value) return newest;
        try {
            return state_at(newest, durable);
        } catch (error const& e) {
            if (e.kind() != errc::history_gone) throw;
        }
    }
    return {};
}

} // namespace coppice::inline COPPICE_ABI::store
