// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/copy.hpp: a committed state with its history, as the bytes of another file.
// Owns: what such a file begins with, making it at a place where nothing is, and bringing an older
//   copy up to date with the bytes that were appended since.
// Invariant: what lies below the end of a state never changes, so copying waits for nobody. A copy
//   has its name only when all of it is durable; a failure leaves nothing, or the older copy.

#include <coppice/commit_id.hpp>
#include <coppice/error.hpp>
#include <coppice/format/file_header.hpp>
#include <coppice/format/superblock.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/storage/file_medium.hpp>
#include <coppice/store/history.hpp>
#include <coppice/store/placing.hpp>
#include <coppice/store/revision.hpp>
#include <coppice/store/store.hpp>
#include <coppice/store/writer.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace coppice::inline COPPICE_ABI::store {

/// What copying a state came to.
struct copy_report {
    commit_identity newest;         ///< the commit that is in the copy now
    std::uint64_t copied_bytes = 0; ///< how much was written, or shared, for it
    std::uint64_t whole_bytes = 0;  ///< how large the copy is
};

/// How a copy begins. With the header of the original it is the same database as it was then; with
/// a fresh one it is another database.
struct copy_head {
    format::file_header header;
    std::uint64_t features = 0; ///< of the slots of the original
};

namespace detail {

/// @throws errc::invalid_argument for what a transaction has not committed, or has deferred
inline void require_committed(revision const& state) {
    auto const in_file = state.user() == state.record().user && !state.is_deferred();
    if (in_file) return;
    throw error(errc::invalid_argument,
                "what is not in the file cannot be copied: commit, or flush and read again",
                state.image().path);
}

/// The one slot of a fresh copy. Everything in it is durable before anybody sees it.
[[nodiscard]] inline superblock slot_of(revision const& state, copy_head const& head) {
    superblock slot;
    slot.counter = 1;
    name_record(slot, state.record(), state.at());
    slot.verify_from = slot.end_offset;
    slot.features = head.features;
    slot.uuid = head.header.uuid;
    slot.generation = head.header.generation;
    return slot;
}

/// Calls `put(offset, bytes)` for what a state has from an offset on, in order.
template <typename Put> void copy_range(revision const& state, std::uint64_t from, Put put) {
    constexpr std::uint64_t piece_bytes = std::uint64_t{1} << 20U;
    auto const end = state.limit_offset();
    while (from < end) {
        auto const size = std::min(piece_bytes, end - from);
        put(from, state.image().range(from, size, end, "the end of a commit"));
        from += size;
    }
}

/// The blocks before the first transaction. @param slot gets its checksum
[[nodiscard]] inline std::vector<std::byte> head_blocks(format::file_header const& header,
                                                        superblock& slot) {
    std::vector<std::byte> blocks(format::data_begin_offset);
    auto const first = format::encode(header);
    std::copy(first.begin(), first.end(), blocks.begin());
    auto const image = format::encode(slot);
    std::copy(image.begin(), image.end(), blocks.begin() + format::slot_offset(0));
    return blocks;
}

/// What an interrupted `continue_copy` has left is the same, or not there yet; what somebody else
/// has written to the copy is not, and readers may hold it.
template <storage::storage Storage>
void require_unchanged(Storage const& in, std::uint64_t offset, bytes next,
                       std::string const& path) {
    std::vector<std::byte> there(next.size());
    there.resize(in.read(offset, there));
    for (std::size_t i = 0; i < there.size(); ++i) {
        if (there[i] == next[i] || there[i] == std::byte{0}) continue;
        throw error(errc::history_gone,
                    "a commit that the copy has lost lies in the way; a new and full one is needed",
                    path, offset + i);
    }
}

} // namespace detail

/// How a copy of a state begins that is the same database.
/// @throws errc::invalid_argument for a state of another database
template <storage::medium Medium>
[[nodiscard]] copy_head head_for(store<Medium> const& of, revision const& state) {
    auto const file = of.file();
    if (state.image().header.uuid != file.header().uuid) {
        throw error(errc::invalid_argument, "a snapshot of another database", of.path());
    }
    auto const slots = read_slots(*file.storage, file.header());
    auto const newest = slots.newest();
    return {state.image().header, newest ? slots.slots[*newest].slot.features : 0};
}

/// The file of a state, where its blocks can be shared with a copy in another file; else null.
template <storage::medium Medium>
[[nodiscard]] std::shared_ptr<storage::file_storage const> original_of(store<Medium> const& of,
                                                                       revision const& state) {
    if constexpr (std::same_as<Medium, storage::file_medium>) {
        auto const file = of.file();
        if (file.image->identity == state.image().identity) return file.storage;
    }
    return {};
}

/// Gives the whole copy to `put(bytes)`, from its first byte to its last.
/// @throws what `put` throws, errc::invalid_argument for a transaction's view
template <typename Put> void copy_to_sink(revision const& state, copy_head const& head, Put put) {
    detail::require_committed(state);
    auto slot = detail::slot_of(state, head);
    auto const blocks = detail::head_blocks(head.header, slot);
    put(bytes{blocks});
    detail::copy_range(state, format::data_begin_offset,
                       [&](std::uint64_t, bytes piece) { put(piece); });
}

/// Makes a copy at a place where no database is, atomically, as a database is made.
/// @param original the file of the state, whose blocks are shared where the medium can; or null
/// @throws errc::already_exists, and errno of the system; then nothing is left behind, but for a
///   whole copy whose name alone could not be synced
template <storage::medium Medium>
copy_report copy_to_medium(revision const& state, copy_head const& head, Medium medium,
                           std::shared_ptr<typename Medium::storage_type const> const& original) {
    detail::require_committed(state);
    using storage_type = typename Medium::storage_type;
    auto const slot = place_file(std::move(medium), [&](storage_type& fresh, superblock first) {
        auto const boot_id = first.boot_id;
        first = detail::slot_of(state, head);
        first.boot_id = boot_id;
        auto shared = false;
        if constexpr (requires { fresh.share_blocks(*original); }) {
            shared = original && fresh.share_blocks(*original);
        }
        if (shared) {
            fresh.truncate(state.limit_offset());
        } else {
            detail::copy_range(state, format::data_begin_offset,
                               [&](std::uint64_t at, bytes piece) { fresh.write(at, piece); });
        }
        fresh.write(0, detail::head_blocks(head.header, first));
        fresh.sync();
        return first;
    });
    auto const whole = state.limit_offset();
    return {{{slot.commit_id}, slot.record_checksum}, whole, whole};
}

/// Opens a copy in a file, to be continued. @throws errc::not_found
[[nodiscard]] inline std::shared_ptr<store<storage::file_medium>> open_copy(
    std::filesystem::path const& path) {
    options chosen;
    chosen.create = create::never;
    return std::make_shared<store<storage::file_medium>>(storage::file_medium(path, false), chosen);
}

/// Appends to a copy what was committed since. @param copy open for writing
/// @return what was copied; nothing where the copy is up to date
/// @throws errc::invalid_argument for a copy of another database; errc::history_gone where the
///   state does not continue what the copy has: a new one is needed; errc::sync_failed, as a commit
template <storage::medium Medium>
copy_report continue_copy(revision_ptr const& state, std::shared_ptr<store<Medium>> const& copy) {
    detail::require_committed(*state);
    auto const session = writer<Medium>::acquire(copy, {});
    auto const base = session->base();
    if (base->image().header.uuid != state->image().header.uuid) {
        throw error(errc::invalid_argument, "it is a copy of another database", copy->path());
    }
    // The same record at the same place names the same bytes before it: by place and checksum.
    auto continues = false;
    try {
        continues = state_at(state, {base->record().commit_id})->at() == base->at();
    } catch (error const& e) {
        if (e.kind() != errc::history_gone) throw;
    }
    if (!continues) {
        throw error(errc::history_gone,
                    "the database does not continue this copy, it was compacted or went another "
                    "way; a new and full copy is needed",
                    copy->path());
    }
    auto const begin = base->limit_offset();
    auto const end = state->limit_offset();
    copy_report const report{{{state->record().commit_id}, state->at().checksum}, end - begin, end};
    if (begin == end) {
        session->sync(); // whoever wrote it may have died before it was durable
        return report;
    }
    auto const free_from = session->append().begin_offset(); // else nothing goes through it
    session->within().check_undisturbed();
    detail::copy_range(*state, begin, [&](std::uint64_t at, bytes piece) {
        auto& to = *session->file().storage;
        // Before this readers may hold bytes of a lost commit, which must not become others (R4).
        if (at < free_from) detail::require_unchanged(to, at, piece, copy->path());
        to.write(at, piece); // nothing refers to these bytes yet
    });
    auto record = state->record();
    auto const end_offset = state->at().offset + format::encoded_bytes(record);
    session->follow(session->file().state(std::move(record), state->at(), end_offset));
    return report;
}

} // namespace coppice::inline COPPICE_ABI::store
