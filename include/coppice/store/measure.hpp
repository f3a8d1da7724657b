// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/measure.hpp: the figures of a database.
// Owns: how live, garbage and unsynced bytes are counted.
// Invariant: live + garbage = valid bytes; live is what the newest commit reaches plus the three
//   fixed blocks and its own record. Reads only.

#include <coppice/format/superblock.hpp>
#include <coppice/statistics.hpp>
#include <coppice/store/history.hpp>
#include <coppice/store/store.hpp>

#include <cstdint>

namespace coppice::inline COPPICE_ABI::store {

/// What a commit reaches, with the fixed blocks and its own record.
[[nodiscard]] inline std::uint64_t live_bytes(commit_record const& record) noexcept {
    return format::data_begin_offset + record.user.root.bytes + record.system.root.bytes +
           format::encoded_bytes(record);
}

/// Measures the newest visible commit; where it is deferred, the file as it is without it.
template <storage::medium Medium> [[nodiscard]] statistics measure(store<Medium>& from) {
    auto const state = from.current();
    auto const file = from.file();
    auto const durable = from.durable();
    statistics result;
    result.newest = {state->record().commit_id};
    result.durable = {durable.commit_id};
    result.entries = state->user().root.entries;
    result.height = state->user().height;
    if (state->is_deferred()) result.deferred_commits = state->record().id_span + 1;
    auto const in_file = state_in_file(state);
    auto const& record = in_file->record();
    result.commits = record.index + 1;
    result.file_bytes = file.storage->size();
    result.valid_bytes = in_file->limit_offset();
    result.live_bytes = live_bytes(record);
    result.garbage_bytes = result.valid_bytes - result.live_bytes;
    if (durable.end_offset != 0 && durable.end_offset < result.valid_bytes) {
        result.unsynced_bytes = result.valid_bytes - durable.end_offset;
    }
    result.pinned_bytes = from.pinned_bytes();
    result.generation = file.header().generation;
    result.nodes = file.header().nodes;
    return result;
}

} // namespace coppice::inline COPPICE_ABI::store
