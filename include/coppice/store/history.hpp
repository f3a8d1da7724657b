// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/history.hpp: the chain of commit records, newest to oldest.
// Owns: finding the record of a commit, by id or place, in O(log n) steps over skip pointers.
// Invariant: every step goes to a lower offset, so it ends in any file; a state found here shares
//   mapping and verified table with the one it was found from.

#include <coppice/commit_id.hpp>
#include <coppice/options.hpp>
#include <coppice/store/clock.hpp>
#include <coppice/store/revision.hpp>

#include <cstdint>
#include <utility>

namespace coppice::inline COPPICE_ABI::store {

/// A commit as events and the history tell it.
[[nodiscard]] inline commit_info describe(commit_record const& record, bool durable) {
    return {{record.commit_id},
            to_time_point(record.time_us),
            record.note,
            record.user.root.entries,
            record.user.root.bytes + record.system.root.bytes,
            durable};
}

/// The state before the given one; null where the file knows of none.
[[nodiscard]] inline revision_ptr previous_state(revision const& state) {
    auto const at = state.record().previous;
    if (at.is_null()) return {};
    auto record = state.image().record(at, state.limit_offset());
    auto const end_offset = at.offset + format::encoded_bytes(record);
    return revision_ptr(new revision(state.shared_image(), std::move(record), at, end_offset));
}

/// The state with `index` commits before it in its file, looking back from `newest`. O(log n).
/// @throws errc::corrupt where the chain of records is not one, history_gone beyond `newest`
[[nodiscard]] inline revision_ptr state_number(revision_ptr const& newest, std::uint64_t index) {
    auto record = newest->record();
    auto at = newest->at();
    auto const limit = newest->limit_offset();
    if (index > record.index) {
        throw error(errc::history_gone, "there is no such commit yet", newest->image().path);
    }
    while (record.index > index && !record.previous.is_null()) {
        if (record.skip != record.previous && !record.skip.is_null()) {
            auto skipped = newest->image().record(record.skip, limit);
            if (skipped.index >= index) {
                at = record.skip;
                record = std::move(skipped);
                continue;
            }
        }
        at = record.previous;
        record = newest->image().record(at, limit);
    }
    if (record.index != index) {
        throw error(errc::corrupt, "the chain of commit records has a gap", newest->image().path,
                    at.offset);
    }
    if (at == newest->at()) return newest;
    auto const end_offset = at.offset + format::encoded_bytes(record);
    return revision_ptr(new revision(newest->shared_image(), std::move(record), at, end_offset));
}

/// The newest state that is in the file, looking back from `shown`, which may be deferred.
[[nodiscard]] inline revision_ptr state_in_file(revision_ptr const& shown) {
    return shown->is_deferred() ? previous_state(*shown) : shown;
}

/// The state that commit `id` made, looking back from `newest`. Where a record stands for several
/// commits, the state is that of the last one; those before it were never in the file.
/// @throws errc::history_gone if the file does not hold it, errc::corrupt
[[nodiscard]] inline revision_ptr state_at(revision_ptr const& newest, commit_id id) {
    auto record = newest->record();
    auto at = newest->at();
    auto const limit = newest->limit_offset();
    auto const first_id = [&] { return record.commit_id - record.id_span; };
    while (id.value < first_id() && !record.previous.is_null()) {
        if (!record.skip.is_null() && record.skip != record.previous) {
            auto skipped = newest->image().record(record.skip, limit);
            if (skipped.commit_id >= id.value) {
                at = record.skip;
                record = std::move(skipped);
                continue;
            }
        }
        at = record.previous;
        record = newest->image().record(at, limit);
    }
    if (id.value != record.commit_id) {
        auto what = "commit " + std::to_string(id.value);
        if (id.value >= first_id() && id.value < record.commit_id) {
            what += " was deferred and became one with " + std::to_string(record.commit_id);
        }
        throw error(errc::history_gone, what, newest->image().path);
    }
    if (at == newest->at()) return newest;
    auto const end_offset = at.offset + format::encoded_bytes(record);
    return revision_ptr(new revision(newest->shared_image(), std::move(record), at, end_offset));
}

} // namespace coppice::inline COPPICE_ABI::store
