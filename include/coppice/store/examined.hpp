// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/examined.hpp: what a writer finds when it has the lock.
// Owns: the look at the path, at the live page and at the slots; and when the last look is enough.
// Invariant: nothing is written. What was not looked at again is what looking would come to, see
//   last_tenure.hpp; before anything is appended the slots are read in any case
//   (`tenure::check_undisturbed`).

#include <coppice/error.hpp>
#include <coppice/format/live_page.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/store/last_tenure.hpp>
#include <coppice/store/opened_file.hpp>
#include <coppice/store/recovery.hpp>
#include <coppice/store/revision.hpp>
#include <coppice/store/slot_keeper.hpp>
#include <coppice/store/store.hpp>
#include <coppice/store/takeover.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

namespace coppice::inline COPPICE_ABI::store {

/// The newest state, and what is owed to those who wrote before.
template <storage::medium Medium> struct examined {
    opened_file<typename Medium::storage_type> file;
    slot_keeper<typename Medium::storage_type, typename Medium::lock_type> slots;
    takeover_plan plan;
    std::uint64_t append_offset = 0; ///< where new bytes begin
    revision_ptr newest;
    bool resumed = false; ///< is all as this handle left it?
};

namespace detail {

/// Reads the slots, and what the newest of them relies on: others may have written since this
/// handle last looked.
template <storage::medium Medium>
void look_anew(store<Medium>& owner, std::optional<format::live_page> const& page,
               examined<Medium>& into) {
    auto& file = into.file;
    auto found = recover(*file.storage, file.header(), page && !page->busy, owner.path());
    into.plan = plan_takeover(found, page, owner.lock()->identity().boot_id,
                              owner.page_of_other_boot(), owner.chosen().pad_commits);
    into.slots = {file, owner.lock(), found, into.plan, page};
    into.append_offset = into.plan.append_offset;
    auto const& slot = into.slots.newest();
    auto& newest = into.newest;
    if (newest->at() != record_of(slot) || newest->image().identity != file.image->identity) {
        newest = file.state(std::move(found.record), record_of(slot), slot.end_offset);
    }
    if (!page) into.slots.set_visible(store<Medium>::visible_of(*newest));
}

} // namespace detail

/// REQUIRES: the lock. @throws errc::sync_failed after a failure in this process, file_missing,
///   file_replaced, corrupt, and errno of the system
template <storage::medium Medium>
[[nodiscard]] examined<Medium> examine_file(store<Medium>& owner) {
    if (owner.lock()->poison_count() != owner.poison_count()) {
        throw error(errc::sync_failed,
                    "an earlier sync of this file failed in this process; open it again",
                    owner.path());
    }
    examined<Medium> result;
    result.file = owner.file();
    switch (owner.medium().compare(*result.file.storage)) {
    case storage::standing::missing:
        throw error(errc::file_missing, "a write transaction", owner.path());
    case storage::standing::replaced:
        result.file = owner.reopen(storage::access::read_write);
        break;
    case storage::standing::same: break;
    }
    auto const page = owner.believed_page(result.file);
    result.newest = owner.shown();
    if (auto known = owner.last().recall(result.file, page, *owner.lock(), *result.newest)) {
        result.slots = std::move(known->slots);
        result.append_offset = known->append_offset;
        result.plan.marked = true; // nothing is owed: the page is idle
        result.resumed = true;
    } else {
        detail::look_anew(owner, page, result);
    }
    if (std::max(result.slots.last_counter(), result.slots.last_id()) >= format::max_counter) {
        throw error(errc::corrupt, "the counters of the database are exhausted", owner.path());
    }
    return result;
}

} // namespace coppice::inline COPPICE_ABI::store
