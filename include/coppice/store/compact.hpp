// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/compact.hpp: the newest state, written densely into a fresh file.
// Owns: the copy (cursor in, builder out), and the order: everything synced, then the rename, then
//   the sync of the name, then readers and writers move over.
// Invariant: until the rename the database is untouched; a failure leaves no companion file
//   behind. The commit keeps its id, unless the filter dropped entries: that is a new commit.

#include <coppice/error.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/store/appended_source.hpp>
#include <coppice/store/appender.hpp>
#include <coppice/store/writer.hpp>
#include <coppice/tree/builder.hpp>
#include <coppice/tree/cursor.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>

namespace coppice::inline COPPICE_ABI::store {

/// What a compaction may be told.
struct compaction_hooks {
    /// Is an entry kept? Empty keeps all. The value is whole, also where it is large.
    std::function<bool(std::string_view key, std::string_view value)> keep = {};
    /// Called now and then with entries done and in all; false ends the compaction undone.
    std::function<bool(std::uint64_t done, std::uint64_t all)> progress = {};
    /// How long it may wait for another writer; empty waits for ever.
    std::optional<std::chrono::nanoseconds> longest_wait = {};
};

namespace detail {

/// Thrown inside, when `progress` says stop.
struct compaction_stopped {};

/// Copies one tree into a fresh file.
template <storage::storage Storage>
[[nodiscard]] tree_ref copy_tree(revision const& from, tree_ref const& tree, appender<Storage>& to,
                                 Storage const& storage, compaction_hooks const& hooks) {
    appended_source<Storage> const source(nullptr, to, storage);
    tree::builder builder(source, to, from.image().header.nodes);
    tree::cursor<revision> cursor(from, tree);
    std::uint64_t done = 0;
    constexpr std::uint64_t report_every = 4096;
    for (cursor.first(); cursor.valid(); cursor.next()) {
        if (done++ % report_every == 0 && hooks.progress &&
            !hooks.progress(done - 1, tree.root.entries)) {
            throw compaction_stopped{};
        }
        auto stored = cursor.value();
        if (hooks.keep && !hooks.keep(cursor.key(), from.value(stored))) continue;
        std::array<std::byte, format::extent_ref::encoded_bytes> reference{};
        if (stored.out_of_line) {
            to.add_extent(from.value(stored)).encode(reference.data());
            stored.raw = as_text(reference);
        }
        builder.add(cursor.key(), stored);
    }
    if (hooks.progress) static_cast<void>(hooks.progress(tree.root.entries, tree.root.entries));
    return builder.finish();
}

} // namespace detail

/// Rewrites the database into a fresh file that holds its newest state and nothing else.
/// @param session the write lock, with nothing appended yet
/// @return false if `progress` stopped it; then nothing has changed
template <storage::medium Medium>
bool compact(writer<Medium>& session, compaction_hooks const& hooks) {
    // Until the new name is durable, a power cut brings the old file back: what readers see under
    // the new name must be durable there.
    auto& within = session.within();
    session.sync();
    auto& medium = session.owner().medium();
    auto const base = within.newest();
    auto fresh = medium.fresh();
    try {
        auto header = base->image().header;
        ++header.generation;
        appender<typename Medium::storage_type> to(*fresh, format::data_begin_offset);
        to.spill();
        commit_record record = base->record();
        record.system = detail::copy_tree(*base, base->system(), to, *fresh, {});
        record.user = detail::copy_tree(*base, base->user(), to, *fresh, hooks);
        to.flush();
        if (record.user.root.entries != base->user().root.entries) {
            record.commit_id = within.next_id();
            record.time_us = std::max(session.owner().now_us(), record.time_us + 1);
            record.note.clear();
        }
        record.id_span = 0;
        record.begin_offset = format::data_begin_offset;
        record.data_summed = false;
        record.data_checksum = 0;
        record.previous = record.skip = {};
        record.index = 0;
        record.nonce = medium.random();
        auto const slot =
            seal_fresh_file(*fresh, header, record, to.end_offset(), within.next_slot());
        within.check_undisturbed();
        // All that may fail comes before the rename: a call that throws has changed nothing.
        auto file = recognise(fresh, session.owner().chosen().verify, session.owner().path());
        auto const state = file.state(std::move(record), record_of(slot), slot.end_offset);
        medium.replace(*fresh);
        within.adopt(std::move(file), slot, state);
        return true;
    } catch (...) {
        // After the rename there is no companion any more, and this does nothing.
        try {
            static_cast<void>(medium.discard_fresh());
        } catch (error const&) { // the first failure is the one to tell
        }
        try {
            throw;
        } catch (detail::compaction_stopped const&) {
            return false;
        }
    }
}

} // namespace coppice::inline COPPICE_ABI::store
