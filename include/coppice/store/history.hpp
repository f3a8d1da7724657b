// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/history.hpp: the chain of commit records, newest to oldest.
// Owns: finding the record of a commit, by id, place or time, in O(log n) steps over skip pointers.
// Invariant: every step goes to a lower offset, so it ends in any file; a state found here shares
//   mapping and verified table with the one it was found from.

#include <coppice/commit_id.hpp>
#include <coppice/options.hpp>
#include <coppice/store/clock.hpp>
#include <coppice/store/revision.hpp>

#include <cstdint>
#include <string>
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

namespace detail {

/// Looking back from `newest`, the first state that is not too new; the first one of the file where
/// all are. O(log n) steps.
/// @param too_new of a record; true of all that are newer than one of which it is true
template <typename TooNew>
[[nodiscard]] revision_ptr look_back(revision_ptr const& newest, TooNew too_new) {
    auto record = newest->record();
    auto at = newest->at();
    auto const limit = newest->limit_offset();
    while (too_new(record) && !record.previous.is_null()) {
        if (record.skip != record.previous && !record.skip.is_null()) {
            auto skipped = newest->image().record(record.skip, limit);
            if (too_new(skipped)) {
                at = record.skip;
                record = std::move(skipped);
                continue;
            }
        }
        at = record.previous;
        record = newest->image().record(at, limit);
    }
    if (at == newest->at()) return newest;
    auto const end_offset = at.offset + format::encoded_bytes(record);
    return revision_ptr(new revision(newest->shared_image(), std::move(record), at, end_offset));
}

} // namespace detail

/// The state with `index` commits before it in its file, looking back from `newest`. O(log n).
/// @throws errc::corrupt where the chain of records is not one, history_gone beyond `newest`
[[nodiscard]] inline revision_ptr state_number(revision_ptr const& newest, std::uint64_t index) {
    if (index > newest->record().index) {
        throw error(errc::history_gone, "there is no such commit yet", newest->image().path);
    }
    auto found = detail::look_back(newest, [&](auto const& r) { return r.index > index; });
    if (found->record().index != index) {
        throw error(errc::corrupt, "the chain of commit records has a gap", newest->image().path,
                    found->at().offset);
    }
    return found;
}

/// The newest state that is in the file, looking back from `shown`, which may be deferred.
[[nodiscard]] inline revision_ptr state_in_file(revision_ptr const& shown) {
    return shown->is_deferred() ? previous_state(*shown) : shown;
}

/// The state that commit `id` made, looking back from `newest`. Where a record stands for several
/// commits, the state is that of the last one; those before it were never in the file. O(log n).
/// @throws errc::history_gone if the file does not hold it, errc::corrupt
[[nodiscard]] inline revision_ptr state_at(revision_ptr const& newest, commit_id id) {
    auto found = detail::look_back(
        newest, [&](auto const& r) { return id.value < r.commit_id - r.id_span; });
    auto const& record = found->record();
    if (id.value != record.commit_id) {
        auto what = "commit " + std::to_string(id.value);
        if (id.value < record.commit_id && id.value >= record.commit_id - record.id_span) {
            what += " was deferred and became one with " + std::to_string(record.commit_id);
        }
        throw error(errc::history_gone, what, newest->image().path);
    }
    return found;
}

/// The state that the last commit until a time made; null where all are later. O(log n).
/// @throws errc::corrupt
[[nodiscard]] inline revision_ptr last_state_until(revision_ptr const& newest,
                                                   std::uint64_t time_us) {
    auto found = detail::look_back(newest, [&](auto const& r) { return r.time_us > time_us; });
    return found->record().time_us > time_us ? revision_ptr() : found;
}

/// The same where there must be one. @throws errc::history_gone, errc::corrupt
[[nodiscard]] inline revision_ptr state_at_time(revision_ptr const& newest, std::uint64_t time_us) {
    auto found = last_state_until(newest, time_us);
    if (!found) {
        throw error(errc::history_gone, "all commits of the file are later", newest->image().path);
    }
    return found;
}

} // namespace coppice::inline COPPICE_ABI::store
