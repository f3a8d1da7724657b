// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/tagging.hpp: giving a commit a name, and taking it away.
// Owns: the commit that changes the system tree and leaves the user's tree as it is.
// Invariant: a tag that was given names a commit that the file holds, and no compaction drops it
//   afterwards: an older commit than the newest is tagged under the lock of compactions, since one
//   that is under way may have passed that commit already.

#include <coppice/commit_id.hpp>
#include <coppice/error.hpp>
#include <coppice/format/extent.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/storage/held_lock.hpp>
#include <coppice/store/history.hpp>
#include <coppice/store/tags.hpp>
#include <coppice/store/writer.hpp>
#include <coppice/tree/apply.hpp>
#include <coppice/tree/edits.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace coppice::inline COPPICE_ABI::store {

namespace detail {

/// Commits a system tree with one entry changed. @param value what the key gets; null erases it
template <storage::medium Medium>
[[nodiscard]] appended_commit<Medium> commit_system_entry(writer<Medium>& session,
                                                          std::string_view key,
                                                          std::string_view const* value,
                                                          durability how) {
    auto const base = session.base();
    auto const memory = session.memory();
    auto sizes = base->image().header.nodes;
    sizes.patches = false; // a record has room for the patch of the user's root alone
    std::array<std::byte, format::extent_ref::encoded_bytes> reference{};
    tree::edit_map edits;
    if (value == nullptr) {
        edits.erase(key);
    } else if (value->size() <= sizes.inline_value_bytes) {
        edits.put(key, {*value, false});
    } else {
        format::extent_ref::in_memory_at(as_bytes(memory->copy(*value))).encode(reference.data());
        edits.put(key, {as_text(reference), true});
    }
    tree::edit_map::walk walk(edits);
    auto const system = tree::apply(*base, *memory, sizes, base->system(), walk);
    if (how == durability::deferred) how = durability::lazy;
    return session.commit({base->user(), system}, how, {});
}

/// What a call that has nothing to change still owes: what a transaction without changes does.
template <storage::medium Medium>
[[nodiscard]] appended_commit<Medium> commit_nothing(writer<Medium>& session, durability how) {
    if (how == durability::sync || how == durability::two_sync) session.sync();
    auto const& base = session.base();
    return {nullptr, base->record().commit_id, base, how};
}

/// Names a commit, unless it is not the newest one and `also_older` is false.
template <storage::medium Medium>
[[nodiscard]] std::optional<appended_commit<Medium>> tag_commit(
    std::shared_ptr<store<Medium>> const& owner, std::string_view name, commit_id id,
    durability how, bool also_older) {
    auto const session = writer<Medium>::acquire(owner, {});
    session->flush(); // what is deferred is in no file
    auto const& base = session->base();
    if (id.value == 0) id.value = base->record().commit_id;
    if (!also_older && id.value != base->record().commit_id) return {};
    static_cast<void>(state_at(base, id));
    auto const before = find_tag(*base, name);
    if (before && *before == id) return commit_nothing(*session, how);
    auto const image = tag_value(id);
    auto const value = as_text(image);
    return commit_system_entry(*session, tag_key(name), &value, how);
}

} // namespace detail

/// Gives a commit a name; a name that another commit has moves to it. A commit of its own, unless
/// the commit has that name already.
/// @param id 0 for the newest one, @param how deferred is taken for lazy
/// @throws errc::history_gone where the file does not hold it, errc::invalid_argument for what
///   cannot be a name, errc::would_deadlock within a compaction of this thread, as a commit
template <storage::medium Medium>
[[nodiscard]] appended_commit<Medium> set_tag(std::shared_ptr<store<Medium>> const& owner,
                                              std::string_view name, commit_id id, durability how) {
    static_cast<void>(detail::tag_key(name));
    if (auto done = detail::tag_commit(owner, name, id, how, false)) return *std::move(done);
    // Never without a limit: see `compact`.
    auto const lock = owner->medium().compaction_lock();
    storage::held_lock const held(*lock, storage::asking_for_ever);
    if (!held.is_held()) throw error(errc::would_deadlock, "a compaction", owner->path());
    return *detail::tag_commit(owner, name, id, how, true);
}

/// Takes a name away. A commit of its own.
/// @param how deferred is taken for lazy, @param was_there was there such a tag?
/// @throws as a commit, and errc::invalid_argument for what cannot be a name
template <storage::medium Medium>
[[nodiscard]] appended_commit<Medium> remove_tag(std::shared_ptr<store<Medium>> const& owner,
                                                 std::string_view name, durability how,
                                                 bool& was_there) {
    auto const key = detail::tag_key(name);
    auto const session = writer<Medium>::acquire(owner, {});
    session->flush();
    was_there = tree::find(*session->base(), session->base()->system(), key).has_value();
    if (!was_there) return detail::commit_nothing(*session, how);
    return detail::commit_system_entry(*session, key, nullptr, how);
}

} // namespace coppice::inline COPPICE_ABI::store
