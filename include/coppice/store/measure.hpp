// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/measure.hpp: the figures of a database.
// Owns: how live, garbage and unsynced bytes are counted.
// Invariant: live + retained + garbage = valid bytes; live is what the newest commit reaches plus
//   the three fixed blocks and its own record; retained is what the last compaction wrote besides.
//   Reads only.

#include <coppice/format/superblock.hpp>
#include <coppice/statistics.hpp>
#include <coppice/store/durable.hpp>
#include <coppice/store/history.hpp>
#include <coppice/store/store.hpp>

#include <algorithm>
#include <cstdint>

namespace coppice::inline COPPICE_ABI::store {

/// What a commit reaches, with the fixed blocks and its own record.
[[nodiscard]] inline std::uint64_t live_bytes(commit_record const& record) noexcept {
    return format::data_begin_offset + record.user.root.bytes + record.system.root.bytes +
           format::encoded_bytes(record);
}

/// What the last compaction wrote of a file besides the commit that was newest then, where it kept
/// others too: no garbage, since it would write it again. O(log n) steps.
/// @return 0 also where the records of that time are damaged: it is only a figure
[[nodiscard]] inline std::uint64_t retained_bytes(revision_ptr const& newest) {
    try {
        auto const found = detail::look_back(newest, [](auto const& r) { return !r.kept; });
        auto const& record = found->record();
        if (!record.kept || record.index == 0) return 0;
        auto const written = found->limit_offset();
        return written - std::min(written, live_bytes(record));
    } catch (error const&) {
        return 0;
    }
}

/// Measures the newest visible commit; where it is deferred, the file as it is without it.
template <storage::medium Medium> [[nodiscard]] statistics measure(store<Medium>& from) {
    auto const state = from.current();
    auto const file = from.file();
    auto const durable = durable_slot(from);
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
    auto const beside = result.valid_bytes - result.live_bytes;
    result.retained_bytes = std::min(beside, retained_bytes(in_file));
    result.garbage_bytes = beside - result.retained_bytes;
    if (durable.end_offset != 0 && durable.end_offset < result.valid_bytes) {
        result.unsynced_bytes = result.valid_bytes - durable.end_offset;
    }
    result.pinned_bytes = from.pinned_bytes();
    result.generation = file.header().generation;
    result.nodes = file.header().nodes;
    return result;
}

} // namespace coppice::inline COPPICE_ABI::store
