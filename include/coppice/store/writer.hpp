// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/writer.hpp: the one who appends: a transaction's turn.
// Owns: the turn among the threads of a handle, the bytes that were not yet committed, and what a
//   commit writes before its tenure settles it.
// Invariant: while a writer has the turn, no other thread of this handle appends. Its turn ends
//   when its commit is appended and before the device has answered, so that the next one's bytes
//   can share the next sync. Belongs to one thread at a time.

#include <coppice/error.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/store/appender.hpp>
#include <coppice/store/store.hpp>
#include <coppice/store/tenure.hpp>
#include <coppice/tree/relocate.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace coppice::inline COPPICE_ABI::store {

/// A commit whose bytes are appended, and which is still to be settled. It keeps the tenure.
template <storage::medium Medium> struct appended_commit {
    std::shared_ptr<tenure<Medium>> within;
    revision_ptr state;
    durability how{};

    /// Waits until the commit has what it was promised. @throws errc::sync_failed
    void settle() const { within->settle(*state, how); }
};

/// The right to append, held from construction to commit or destruction.
template <storage::medium Medium> class writer {
  public:
    using store_type = store<Medium>;
    using storage_type = typename Medium::storage_type;
    using appender_type = appender<storage_type>;

    /// @throws errc::read_only, errc::forked
    static void require_writable(store_type const& of) {
        if (of.chosen().read_only) throw error(errc::read_only, "a write transaction", of.path());
        if (of.lock()->is_forked()) throw error(errc::forked, "a write transaction", of.path());
    }

    /// Waits for the turn and, where this handle has it not, for the lock; then knows the newest
    /// state.
    /// @return nothing where the deadline passed. @throws error, and all is free again
    [[nodiscard]] static std::unique_ptr<writer> acquire(std::shared_ptr<store_type> owner,
                                                         storage::deadline until) {
        require_writable(*owner);
        if (!owner->turn().acquire(until, owner->path())) return nullptr;
        std::unique_ptr<writer> result;
        try {
            result.reset(new writer(owner));
        } catch (...) {
            owner->turn().release();
            throw;
        }
        return result->enter(until) ? std::move(result) : nullptr;
    }

    writer(writer const&) = delete;
    writer& operator=(writer const&) = delete;
    /// Ends the turn, and the tenure if nobody else is in it.
    ~writer() { end_turn(); }

    /// The state that the transaction begins from.
    [[nodiscard]] revision_ptr const& base() const noexcept { return base_; }
    [[nodiscard]] store_type& owner() const noexcept { return *owner_; }
    [[nodiscard]] std::shared_ptr<store_type> const& shared_owner() const noexcept {
        return owner_;
    }
    [[nodiscard]] opened_file<storage_type>& file() { return within().file(); }

    /// Where this transaction's bytes go. Does what must be done before the first append.
    [[nodiscard]] appender_type& append() {
        if (!appender_) {
            within().prepare();
            appender_.emplace(*file().storage, within().append_offset());
        }
        return *appender_;
    }

    /// Makes a tree the newest state of the database once it is settled, and ends the turn.
    /// @throws error: nothing changed, and the call may be repeated
    [[nodiscard]] appended_commit<Medium> commit(tree_ref const& user, durability how,
                                                 std::string note);

    /// Makes a commit of another copy of this file the newest: the bytes up to it lie at the same
    /// places there. Two syncs.
    /// @param write called with (storage, offset), writes those that are missing here; before that
    ///   offset readers may hold bytes of a lost commit, which must not become others (R4)
    /// @throws as `commit`, and what `write` throws; then nothing has changed
    template <typename Write> void follow(commit_record record, record_ref at, Write write);

    /// Makes everything that is committed durable. One sync, or none where there is nothing to do.
    void sync() { within().sync(); }

    /// The same of what is committed so far, at the end of the turn: other threads of this handle
    /// go on meanwhile.
    void sync_beside() {
        auto const state = within().newest();
        within().prepare_to_sync();
        end_turn();
        tenure_->settle(*state, durability::sync);
    }

    /// For those who do more than append.
    [[nodiscard]] tenure<Medium>& within() const {
        if (!has_turn_) throw error(errc::sync_failed, "an earlier sync failed", owner_->path());
        return *tenure_;
    }

  private:
    explicit writer(std::shared_ptr<store_type> owner) : owner_(std::move(owner)) {}

    [[nodiscard]] bool enter(storage::deadline until);
    void end_turn() noexcept;
    [[nodiscard]] commit_record next_record(durability how, std::string note) const;
    [[nodiscard]] revision_ptr write_transaction(appender_type& to, tree_ref const& user,
                                                 durability& how, std::string note);
    void preallocate(durability how);

    std::shared_ptr<store_type> owner_;
    std::shared_ptr<tenure<Medium>> tenure_;
    revision_ptr base_;
    std::optional<appender_type> appender_;
    bool has_turn_ = true;
};

/// Joins the tenure of this handle, or begins one. @return false where the deadline passed
template <storage::medium Medium> bool writer<Medium>::enter(storage::deadline until) {
    auto& running = owner_->running_tenure();
    auto& manners = owner_->manners();
    auto const now = courtesy::clock::now();
    auto const is_due = manners.is_due(now);
    tenure_ = running.lock();
    // Who keeps it open may be this very thread, which must not wait for itself.
    if (tenure_ && is_due && !tenure_->is_held_open()) tenure_.reset();
    if (!tenure_) {
        auto const lock = owner_->lock();
        auto const rests = is_due && (!until || *until > now + courtesy::pause_length);
        if (rests) {
            if (!lock->acquire(until)) return false; // those who are in the tenure end it
            lock->release();
            std::this_thread::sleep_for(courtesy::pause_length);
        }
        if (!lock->acquire(until)) return false;
        try {
            tenure_ = std::make_shared<tenure<Medium>>(owner_);
        } catch (...) {
            lock->release();
            throw;
        }
        running = tenure_;
        manners.after_lock(courtesy::clock::now(), rests);
    } else {
        tenure_->check_sound();
        owner_->lock()->set_owner(std::this_thread::get_id());
    }
    base_ = tenure_->newest();
    return true;
}

template <storage::medium Medium> void writer<Medium>::end_turn() noexcept {
    if (!std::exchange(has_turn_, false)) return;
    // In a fork neither lock nor turn is touched: they are the parent's.
    if (owner_->lock()->is_forked()) return;
    if (tenure_) owner_->lock()->set_owner({}); // others may still be in it
    owner_->turn().release();
}

template <storage::medium Medium>
commit_record writer<Medium>::next_record(durability how, std::string note) const {
    auto const& before = base_->record();
    commit_record record;
    record.commit_id = tenure_->next_id();
    record.time_us = std::max(owner_->now_us(), before.time_us + 1);
    record.system = before.system;
    record.begin_offset = appender_->begin_offset();
    record.data_summed = how != durability::two_sync;
    record.previous = base_->at();
    record.index = before.index + 1;
    record.skip = record.previous;
    if (auto const target = format::skip_target(record.index); target != before.index) {
        auto const skipped = base_->image().record(before.skip, base_->limit_offset());
        record.skip = skipped.index == target ? before.skip : skipped.skip;
    }
    record.nonce = owner_->medium().random();
    record.note = std::move(note);
    return record;
}

template <storage::medium Medium>
appended_commit<Medium> writer<Medium>::commit(tree_ref const& user, durability how,
                                               std::string note) {
    auto& to = append();
    within().check_undisturbed();
    revision_ptr state;
    auto const spilled = to.spilled();
    try {
        // Nothing refers to these bytes yet: a failure here changes nothing.
        state = write_transaction(to, user, how, std::move(note));
    } catch (...) {
        if (!spilled) appender_.reset();
        throw;
    }
    tenure_->append(state, how);
    end_turn();
    // From here on the outcome is unknown if anything fails.
    return {tenure_, std::move(state), how};
}

template <storage::medium Medium>
template <typename Write>
void writer<Medium>::follow(commit_record record, record_ref at, Write write) {
    auto const free_from = append().begin_offset(); // else nothing goes through the appender
    within().check_undisturbed();
    write(*file().storage, free_from); // nothing refers to these bytes yet
    auto const end_offset = at.offset + format::encoded_bytes(record);
    auto const state = file().state(std::move(record), at, end_offset);
    tenure_->append(state, durability::two_sync);
    end_turn();
    tenure_->settle(*state, durability::two_sync);
}

/// Appends nodes, values and record. @return the new state; `how` is what it turned out to need
template <storage::medium Medium>
revision_ptr writer<Medium>::write_transaction(appender_type& to, tree_ref const& user,
                                               durability& how, std::string note) {
    auto const relocated = tree::relocate(to, user);
    auto const bytes_appended = to.end_offset() - to.begin_offset();
    // What went to the file early was not summed, so its sync must come before the slot.
    auto const is_large = bytes_appended > owner_->chosen().two_sync_above_bytes;
    if (to.spilled() || (is_large && how == durability::sync)) how = durability::two_sync;
    auto record = next_record(how, std::move(note));
    record.user = relocated;
    if (record.data_summed) record.data_checksum = format::checksum(to.buffered());
    auto const image = format::encode(record);
    record_ref const at{to.end_offset(), format::record_checksum(image)};
    to.append(image);
    preallocate(how);
    to.flush();
    return file().state(std::move(record), at, to.end_offset());
}

/// Writes zeros ahead for small durable commits: a sync that need not grow the file is cheaper.
template <storage::medium Medium> void writer<Medium>::preallocate(durability how) {
    // A small file gets little ahead, so that a process that commits once does not write 1 MiB.
    auto const end_offset = appender_->end_offset();
    auto const in_proportion = std::max(end_offset / 4, std::uint64_t{16} * format::block_bytes);
    auto const ahead = std::min(owner_->chosen().preallocate_bytes, in_proportion);
    auto const& storage = file().storage;
    if (ahead == 0 || how != durability::sync || end_offset <= storage->size()) return;
    try {
        std::vector<std::byte> const zeros(static_cast<std::size_t>(ahead));
        storage->write(end_offset, zeros);
    } catch (error const&) { // it only saves time; a full disk is told by the commit itself
    }
}

} // namespace coppice::inline COPPICE_ABI::store
