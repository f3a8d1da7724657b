// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/writer.hpp: the one writer: lock, take-over, commit, sync.
// Owns: the order of durability (`make_newest`), what a writer does before its first append
//   (`prepare`: rules R4, R6, R8), what is poisoned (R5).
// Invariant: while a `writer` lives it holds the lock; nothing is written before `prepare`; nothing
//   is written after a failed sync. Belongs to one thread at a time.

#include <coppice/error.hpp>
#include <coppice/format/live_page.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/store/appender.hpp>
#include <coppice/store/recovery.hpp>
#include <coppice/store/slot_keeper.hpp>
#include <coppice/store/store.hpp>
#include <coppice/store/takeover.hpp>
#include <coppice/tree/relocate.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace coppice::inline COPPICE_ABI::store {

/// The right to write, held from construction to destruction.
template <storage::medium Medium> class writer {
  public:
    using store_type = store<Medium>;
    using storage_type = typename Medium::storage_type;
    using lock_type = typename Medium::lock_type;
    using appender_type = appender<storage_type>;

    /// Waits for the lock and finds the newest state.
    /// @return nothing where the deadline passed. @throws error, and the lock is free again
    [[nodiscard]] static std::unique_ptr<writer> acquire(std::shared_ptr<store_type> owner,
                                                         storage::deadline until) {
        if (owner->chosen().read_only) {
            throw error(errc::read_only, "a write transaction", owner->path());
        }
        auto const lock = owner->lock();
        if (!lock->acquire(until)) return nullptr;
        try {
            return std::unique_ptr<writer>(new writer(std::move(owner)));
        } catch (...) {
            lock->release();
            throw;
        }
    }

    writer(writer const&) = delete;
    writer& operator=(writer const&) = delete;
    /// Gives the lock back.
    ~writer() {
        if (slots_.busy() && !poisoned_) {
            try {
                slots_.write_page(false);
            } catch (std::exception const&) { // busy only makes the next writer look closely
            }
        }
        owner_->lock()->release();
    }

    /// The state that the transaction begins from.
    [[nodiscard]] revision_ptr const& base() const noexcept { return base_; }
    [[nodiscard]] store_type& owner() const noexcept { return *owner_; }
    [[nodiscard]] std::shared_ptr<store_type> const& shared_owner() const noexcept {
        return owner_;
    }
    [[nodiscard]] opened_file<storage_type>& file() noexcept { return file_; }
    /// A slot for the next commit to fill in, and the id of that commit.
    [[nodiscard]] superblock next_slot() const noexcept { return slots_.next_slot(); }
    [[nodiscard]] std::uint64_t next_id() const noexcept { return slots_.last_id() + 1; }

    /// Where this transaction's bytes go. Does what must be done before the first append.
    [[nodiscard]] appender_type& append() {
        if (!appender_) {
            prepare();
            appender_.emplace(*file_.storage, append_offset_);
        }
        return *appender_;
    }

    /// Makes a tree the newest state of the database.
    /// @throws errc::sync_failed when a sync or slot write failed: the outcome is unknown. Any
    ///   other error: nothing changed, and the call may be repeated.
    [[nodiscard]] revision_ptr commit(tree_ref const& user, durability how, std::string note);

    /// Makes a commit of another copy of this file the newest: the bytes up to it lie at the same
    /// places there. Two syncs.
    /// @param write called with (storage, offset), writes those that are missing here; before that
    ///   offset readers may hold bytes of a lost commit, which must not become others (R4)
    /// @throws as `commit`, and what `write` throws; then nothing has changed
    template <typename Write> void follow(commit_record record, record_ref at, Write write);

    /// Makes everything that is committed durable. One sync, or none where there is nothing to do.
    void sync();

    /// Shows a fresh file that stands at the path now instead of the old one.
    void adopt(opened_file<storage_type> fresh, superblock const& slot, revision_ptr const& state);

    /// @throws errc::lock_lost unless the lock and the slots are still as this writer found them
    void check_undisturbed() const;

    /// Cuts off what was written ahead or left behind the newest state. Only when all is well.
    void trim();

  private:
    explicit writer(std::shared_ptr<store_type> owner) : owner_(std::move(owner)) { examine(); }

    void examine();
    /// Where one may write behind what ends there. With padding no block is shared, also with what
    /// was not padded itself.
    [[nodiscard]] std::uint64_t behind(std::uint64_t end_offset) const noexcept {
        auto const over = owner_->chosen().pad_commits ? end_offset % format::block_bytes : 0;
        return over == 0 ? end_offset : end_offset - over + format::block_bytes;
    }
    void prepare();
    [[nodiscard]] commit_record next_record(durability how, std::string note) const;
    [[nodiscard]] revision_ptr write_transaction(appender_type& to, tree_ref const& user,
                                                 durability& how, std::string note,
                                                 superblock& slot);
    void make_newest(revision const& state, superblock slot, durability how);
    void preallocate(durability how);
    void finish(revision_ptr const& state);

    /// Runs what must not fail halfway. A failure ends writing on this file in this process (R5).
    template <typename Step> void critical(Step step) {
        try {
            step();
        } catch (std::exception const& e) {
            poisoned_ = true;
            owner_->lock()->poison();
            throw error(errc::sync_failed, e.what(), owner_->path());
        }
    }

    std::shared_ptr<store_type> owner_;
    opened_file<storage_type> file_;
    revision_ptr base_;
    slot_keeper<storage_type, lock_type> slots_;
    takeover_plan plan_;
    std::uint64_t append_offset_ = 0;
    std::optional<appender_type> appender_;
    bool prepared_ = false;
    bool poisoned_ = false;
};

/// Looks at everything anew: others may have written since this handle last looked.
template <storage::medium Medium> void writer<Medium>::examine() {
    auto& store = *owner_;
    if (store.lock()->poison_count() != store.poison_count()) {
        throw error(errc::sync_failed,
                    "an earlier sync of this file failed in this process; open it again",
                    store.path());
    }
    file_ = store.file();
    switch (store.medium().compare(*file_.storage)) {
    case storage::standing::missing:
        throw error(errc::file_missing, "a write transaction", store.path());
    case storage::standing::replaced: file_ = store.reopen(storage::access::read_write); break;
    case storage::standing::same: break;
    }
    auto const page = store.believed_page(file_);
    auto found = recover(*file_.storage, file_.header(), page && !page->busy, store.path());
    plan_ =
        plan_takeover(found, page, store.lock()->identity().boot_id, store.page_of_other_boot());
    slots_ = {file_, store.lock(), found, plan_, page};
    if (std::max(slots_.last_counter(), slots_.last_id()) >= format::max_counter) {
        throw error(errc::corrupt, "the counters of the database are exhausted", store.path());
    }
    append_offset_ = behind(plan_.append_offset);
    auto const& newest = slots_.newest();
    base_ = store.shown();
    if (base_->at() != record_of(newest) || base_->image().identity != file_.image->identity) {
        base_ = file_.state(std::move(found.record), record_of(newest), newest.end_offset);
    }
    if (!page) slots_.set_visible(store_type::visible_of(*base_));
}

/// What a writer owes to those before it, done before its own first byte (R4, R6, R8).
template <storage::medium Medium> void writer<Medium>::prepare() {
    if (prepared_) return;
    auto& medium = owner_->medium();
    owner_->lock()->check_held();
    static_cast<void>(medium.discard_fresh());
    slots_.write_page(true);
    critical([&] {
        if (!slots_.name_synced()) {
            medium.sync_name();
            slots_.set_name_synced();
        }
        carry_out(plan_, *file_.storage, slots_.newest(), slots_.newest_index());
        if (plan_.must_sync) file_.storage->sync();
        slots_.set_visible(store_type::visible_of(*base_));
        if (!plan_.marked) slots_.mark_durable();
    });
    for (unsigned i = 0; i < 2; ++i) {
        if (plan_.zero[i]) slots_.forget_slot(i);
    }
    prepared_ = true;
}

/// Between the look at the slots and the write of one, nobody else may have written.
template <storage::medium Medium> void writer<Medium>::check_undisturbed() const {
    owner_->lock()->check_held();
    if (read_slots(*file_.storage, file_.header()) != slots_.slots()) {
        throw error(errc::lock_lost, "another writer has committed under this one's lock",
                    owner_->path());
    }
}

template <storage::medium Medium>
commit_record writer<Medium>::next_record(durability how, std::string note) const {
    auto const& before = base_->record();
    commit_record record;
    record.commit_id = next_id();
    record.time_us = std::max(owner_->now_us(), before.time_us + 1);
    record.system = before.system;
    record.begin_offset = append_offset_;
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
revision_ptr writer<Medium>::commit(tree_ref const& user, durability how, std::string note) {
    auto& to = append();
    check_undisturbed();
    auto const spilled = to.spilled();
    try {
        // Nothing refers to these bytes yet: a failure here changes nothing.
        auto slot = slots_.next_slot();
        auto state = write_transaction(to, user, how, std::move(note), slot);
        // From here on the outcome is unknown if anything fails.
        critical([&] { make_newest(*state, slot, how); });
        finish(state);
        return state;
    } catch (...) {
        if (!spilled) appender_.reset();
        throw;
    }
}

template <storage::medium Medium>
template <typename Write>
void writer<Medium>::follow(commit_record record, record_ref at, Write write) {
    auto const free_from = append().begin_offset(); // else nothing goes through the appender
    check_undisturbed();
    write(*file_.storage, free_from); // nothing refers to these bytes yet
    auto slot = slots_.next_slot();
    slot.commit_id = record.commit_id;
    slot.record_offset = at.offset;
    slot.record_bytes = static_cast<std::uint32_t>(format::encoded_bytes(record));
    slot.record_checksum = at.checksum;
    slot.end_offset = at.offset + slot.record_bytes;
    auto const state = file_.state(std::move(record), at, slot.end_offset);
    critical([&] { make_newest(*state, slot, durability::two_sync); });
    finish(state);
}

/// Appends nodes, values and record. @return the new state; `slot` and `how` are set to go with it
template <storage::medium Medium>
revision_ptr writer<Medium>::write_transaction(appender_type& to, tree_ref const& user,
                                               durability& how, std::string note,
                                               superblock& slot) {
    auto const relocated = tree::relocate(to, user);
    auto const bytes_appended = to.end_offset() - to.begin_offset();
    // What went to the file early was not summed, so its sync must come before the slot.
    auto const is_large = bytes_appended > owner_->chosen().two_sync_above_bytes;
    if (to.spilled() || (is_large && how == durability::sync)) how = durability::two_sync;
    auto record = next_record(how, std::move(note));
    record.user = relocated;
    if (record.data_summed) record.data_checksum = format::checksum(to.buffered());
    auto const image = format::encode(record);
    slot.commit_id = record.commit_id;
    slot.record_offset = to.end_offset();
    slot.record_bytes = static_cast<std::uint32_t>(image.size());
    slot.record_checksum = format::record_checksum(image);
    to.append(image);
    slot.end_offset = to.end_offset();
    preallocate(how);
    to.flush();
    return file_.state(std::move(record), record_of(slot), slot.end_offset);
}

/// The order of durability. The transaction's bytes are written already. A `sync` commit syncs
/// once, after the slot; `two_sync` also before it, so that the slot has nothing to verify; `lazy`
/// not at all, unless too much would be left unsynced. Then everyone is told.
template <storage::medium Medium>
void writer<Medium>::make_newest(revision const& state, superblock slot, durability how) {
    auto const durable_end = behind(slots_.durable().end_offset);
    auto const unsynced_limit = owner_->chosen().unsynced_limit_bytes;
    if (how == durability::two_sync || slot.end_offset - durable_end > unsynced_limit) {
        slots_.sync();
        slot.verify_from = slot.end_offset;
    } else {
        slot.verify_from = durable_end;
    }
    slots_.write_slot(slot);
    if (how != durability::lazy) slots_.sync();
    slots_.set_visible(store_type::visible_of(state));
    slots_.write_page(false);
}

/// Writes zeros ahead for small durable commits: a sync that need not grow the file is cheaper.
template <storage::medium Medium> void writer<Medium>::preallocate(durability how) {
    // A small file gets little ahead, so that a process that commits once does not write 1 MiB.
    auto const end_offset = appender_->end_offset();
    auto const in_proportion = std::max(end_offset / 4, std::uint64_t{16} * format::block_bytes);
    auto const ahead = std::min(owner_->chosen().preallocate_bytes, in_proportion);
    if (ahead == 0 || how != durability::sync || end_offset <= file_.storage->size()) return;
    try {
        std::vector<std::byte> const zeros(static_cast<std::size_t>(ahead));
        file_.storage->write(end_offset, zeros);
    } catch (error const&) { // it only saves time; a full disk is told by the commit itself
    }
}

template <storage::medium Medium> void writer<Medium>::finish(revision_ptr const& state) {
    base_ = state;
    append_offset_ = behind(slots_.newest().end_offset);
    appender_.reset();
    plan_ = {};
    plan_.marked = true;
    owner_->publish(state, file_);
}

template <storage::medium Medium> void writer<Medium>::sync() {
    if (plan_.needed() || !slots_.all_durable()) prepare();
    if (!slots_.all_durable()) critical([&] { slots_.sync(); });
    // Whoever made it durable may have died before telling anybody.
    slots_.show(store_type::visible_of(*base_));
}

template <storage::medium Medium>
void writer<Medium>::adopt(opened_file<storage_type> fresh, superblock const& slot,
                           revision_ptr const& state) {
    file_ = std::move(fresh);
    critical([&] {
        owner_->medium().sync_name();
        slots_.move_to(file_, slot);
        slots_.set_visible(store_type::visible_of(*state));
        slots_.mark_durable();
        slots_.write_page(false);
    });
    finish(state);
}

template <storage::medium Medium> void writer<Medium>::trim() {
    if (plan_.needed() || poisoned_) return;
    auto end_offset = slots_.newest().end_offset;
    for (auto const& seen : slots_.slots().slots) {
        if (seen.state == slot_state::broken) return;
        end_offset = std::max(end_offset, seen.slot.end_offset);
    }
    owner_->lock()->check_held();
    if (file_.storage->size() > end_offset) file_.storage->truncate(end_offset);
}

} // namespace coppice::inline COPPICE_ABI::store
