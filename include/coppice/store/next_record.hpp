// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/next_record.hpp: what the record of the next commit says.
// Owns: the words that a commit has wherever it is kept, and those that its place in the file adds.
// Invariant: a record follows the newest one in the file, and stands for all commits that were
//   deferred since then: their ids are in its span. Pure.

#include <coppice/format/commit_record.hpp>
#include <coppice/options.hpp>
#include <coppice/store/revision.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

namespace coppice::inline COPPICE_ABI::store {

/// What a commit makes of both key spaces.
struct tree_pair {
    tree_ref user;
    tree_ref system; ///< coppice's own
};

/// What a commit with these trees is, whether or not it is deferred.
/// @param written the newest commit in the file, @param base the one that this builds on: the same,
///   or a deferred one, @param now_us the time, unless that is not after the base
[[nodiscard]] inline commit_record record_after(revision const& written, revision const& base,
                                                std::uint64_t id, std::uint64_t now_us,
                                                tree_pair const& trees, std::string note) {
    auto const& before = written.record();
    commit_record record;
    record.commit_id = id;
    if (base.is_deferred()) record.id_span = base.record().id_span + 1;
    record.time_us = std::max(now_us, base.record().time_us + 1);
    record.user = trees.user;
    record.system = trees.system;
    record.previous = written.at();
    record.index = before.index + 1;
    record.note = std::move(note);
    return record;
}

/// Gives a record its place behind the newest one in the file. @throws errc::corrupt
/// @param begin_offset where its transaction begins, @param nonce random
inline void place_record(commit_record& record, revision const& written, durability how,
                         std::uint64_t begin_offset, std::uint64_t nonce) {
    auto const& before = written.record();
    record.begin_offset = begin_offset;
    record.data_summed = how != durability::two_sync;
    record.skip = record.previous;
    if (auto const target = format::skip_target(record.index); target != before.index) {
        auto const skipped = written.image().record(before.skip, written.limit_offset());
        record.skip = skipped.index == target ? before.skip : skipped.skip;
    }
    record.nonce = nonce;
}

} // namespace coppice::inline COPPICE_ABI::store
