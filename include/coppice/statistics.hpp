// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/statistics.hpp: what `database::stats()` tells.
// Owns: the figures of one moment of a database, with their units.
// Invariant: live and garbage bytes are exact, they are counted along with every commit.

#include <coppice/commit_id.hpp>
#include <coppice/options.hpp>

#include <cstdint>

namespace coppice {

/// Figures of one moment.
struct statistics {
    commit_id newest;                 ///< the newest commit
    commit_id durable;                ///< the newest one known to have reached the device
    std::uint64_t commits = 0;        ///< commit records in the file
    std::uint64_t deferred_commits{}; ///< commits of this handle that are in memory alone
    std::uint64_t entries = 0;        ///< entries in the newest commit
    unsigned height = 0;              ///< levels of nodes
    std::uint64_t file_bytes = 0;     ///< size of the file, with what was written ahead
    std::uint64_t valid_bytes = 0;    ///< of it, up to the end of the newest commit in it
    std::uint64_t live_bytes = 0;     ///< of these, what the newest commit reaches
    std::uint64_t retained_bytes = 0; ///< of these, what the last compaction kept for older commits
    std::uint64_t garbage_bytes = 0;  ///< of these, the rest
    std::uint64_t unsynced_bytes = 0; ///< of these, what no sync vouches for yet
    std::uint64_t pinned_bytes = 0;   ///< of replaced files that snapshots here still hold
    std::uint64_t generation = 0;     ///< of the file; each compaction adds one
    node_sizes nodes;                 ///< as chosen when the database was made
};

} // namespace coppice
