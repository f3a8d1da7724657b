// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/tenure.hpp: the time for which a handle has the lock, and its commits in it.
// Owns: what is newest under the lock, the order of durability (`make_newest`), the group of
//   commits that one sync serves, what is done before the first append (R4, R6, R8), and what is
//   poisoned (R5).
// Invariants: the lock is held from construction to destruction, and whoever has appended keeps the
//   tenure until its commit is settled. No slot is written while a sync is under way (R3); nothing
//   is written before `prepare`, nor after a failed sync. Functions that say so need the turn; the
//   others may be called by any thread.

#include <coppice/assert.hpp>
#include <coppice/error.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/store/deferred.hpp>
#include <coppice/store/examined.hpp>
#include <coppice/store/leftover.hpp>
#include <coppice/store/recovery.hpp>
#include <coppice/store/slot_keeper.hpp>
#include <coppice/store/store.hpp>
#include <coppice/store/takeover.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace coppice::inline COPPICE_ABI::store {

/// A stretch of time in which only this handle writes to the file.
template <storage::medium Medium> class tenure {
  public:
    using store_type = store<Medium>;
    using storage_type = typename Medium::storage_type;
    using lock_type = typename Medium::lock_type;
    using file_type = opened_file<storage_type>;

    /// Finds the newest state. REQUIRES: the turn and the lock. @throws error; the lock stays held
    explicit tenure(std::shared_ptr<store_type> owner) : owner_(std::move(owner)) { examine(); }
    tenure(tenure const&) = delete;
    tenure& operator=(tenure const&) = delete;
    /// Says idle, and gives the lock back.
    ~tenure() {
        if (slots_.busy() && !poisoned_) {
            try {
                slots_.write_page(false);
            } catch (std::exception const&) { // busy only makes the next writer look closely
            }
        }
        if (leaves_all_well()) {
            owner_->last().remember({std::move(slots_), append_offset_}, *owner_->lock());
        }
        owner_->lock()->release();
        owner_->manners().after_release(courtesy::clock::now());
    }

    // ---- with the turn ---------------------------------------------------------------------

    /// The newest state, that the next transaction begins from: maybe deferred, or not settled yet.
    /// Makes a tree of what was postponed. @throws errc::corrupt, std::bad_alloc
    [[nodiscard]] revision_ptr const& newest() {
        see(owner_->take_postponed());
        return newest_;
    }
    /// The same, as far as it is a tree.
    [[nodiscard]] revision_ptr const& seen() const noexcept { return newest_; }
    /// The newest state whose bytes are appended.
    [[nodiscard]] revision_ptr const& written() const noexcept { return written_; }
    /// What came after that.
    [[nodiscard]] deferred_commits const& deferred() const noexcept { return deferred_; }
    [[nodiscard]] file_type& file() noexcept { return file_; }
    [[nodiscard]] std::uint64_t append_offset() const noexcept { return append_offset_; }
    [[nodiscard]] std::uint64_t next_id() const noexcept { return last_id_ + 1; }
    /// A slot for a fresh file. REQUIRES: all is settled.
    [[nodiscard]] superblock next_slot() const noexcept { return slots_.next_slot(); }

    /// What a writer owes to those before it, done before its own first byte (R4, R6, R8).
    void prepare() {
        if (!prepared_) prepare(guard_type(mutex_));
    }
    /// The same, where there is something to be made durable.
    void prepare_to_sync() {
        guard_type const guard(mutex_);
        if (plan_.needed() || !slots_.all_durable()) prepare(guard);
    }
    /// @throws errc::lock_lost unless the lock and the slots are still as this handle found or
    ///   wrote them
    void check_undisturbed();
    /// Bytes below an offset stay as they are though no commit names them, since somebody reads
    /// them: the slot says so to all who append or trim later. @throws as `settle`
    void keep_bytes_below(std::uint64_t end_offset);
    /// Takes note of a state whose bytes were appended, which has all that was deferred. The next
    /// transaction begins from it.
    void append(revision_ptr const& state, durability how);
    /// Settles what is appended, so that what stays in memory can be shown after it: while the
    /// result lives. @throws as `settle`
    [[nodiscard]] std::unique_lock<std::mutex> settle_written();
    /// Counts the next commit as one that stays in memory. @return its id
    std::uint64_t defer(std::shared_ptr<tree::arena> memory) noexcept {
        deferred_.add(std::move(memory), deferred_commits::clock::now());
        return ++last_id_;
    }
    /// A deferred state from which the next transaction begins; null changes nothing.
    void see(revision_ptr state) noexcept {
        if (!state) return;
        newest_ = std::move(state);
        deferred_.see(newest_);
    }
    /// Makes all that is appended durable, by one sync or none. REQUIRES: nothing is deferred.
    void sync();
    /// Shows a fresh file that stands at the path now instead of the old one. REQUIRES: `sync`.
    void adopt(file_type fresh, superblock const& slot, revision_ptr const& state);
    /// Cuts off what was written ahead or left behind the newest state. Only when all is well.
    void trim();

    // ---- any thread ------------------------------------------------------------------------

    /// Waits until a state that was appended has what it was promised. Whoever finds nobody at work
    /// does it for all who wait; while it waits for the device, others may append.
    /// @throws errc::sync_failed when a sync or slot write failed: the outcome is unknown
    void settle(std::uint64_t commit_id, durability how) {
        guard_type guard(mutex_);
        settle(guard, commit_id, how);
    }
    /// Is there nothing to wait for? Also after a failure, which `settle` throws.
    [[nodiscard]] bool is_settled(std::uint64_t commit_id, durability how) {
        guard_type const guard(mutex_);
        return poisoned_ || has_promise(commit_id, how);
    }
    /// The newest commit that is known to have reached the device; 0 where that is not known yet.
    [[nodiscard]] std::uint64_t durable_id() {
        guard_type const guard(mutex_);
        return plan_.needed() ? 0 : slots_.durable().commit_id;
    }
    /// @throws errc::sync_failed after a failure
    void check_sound() {
        guard_type const guard(mutex_);
        require_sound();
    }
    /// Counts those who keep the tenure without waiting: it does not end before they do.
    /// @param by 1 or -1, @param thread the one that has to end it, and is not to wait for it
    void hold_open(int by, std::thread::id thread = {}) noexcept {
        holders_.fetch_add(by, std::memory_order_relaxed);
        auto& lock = *owner_->lock();
        by > 0 ? lock.bind(thread) : lock.unbind(thread);
    }
    [[nodiscard]] bool is_held_open() const noexcept {
        return holders_.load(std::memory_order_relaxed) != 0;
    }

  private:
    using guard_type = std::unique_lock<std::mutex>;

    /// What one leader settles: a state, with all those before it.
    struct batch {
        revision_ptr state;
        file_type file;
        bool to_sync = false;  ///< one of them was promised to survive a power cut
        bool unsummed = false; ///< one of them must be on the device before a slot covers it
    };

    void examine();
    void lead(guard_type& guard, durability how);
    void prepare(guard_type const& guard);
    void settle(guard_type& guard, std::uint64_t id, durability how);
    void make_newest(guard_type& guard, batch const& what);
    /// The slot of a leader that still waits for the device is not yet to be seen.
    [[nodiscard]] bool has_promise(std::uint64_t id, durability how) const noexcept {
        return id <= (how == durability::lazy ? shown_id_ : slots_.durable().commit_id);
    }
    /// Where one may write behind what ends there. With padding no block is shared, also with what
    /// was not padded itself.
    [[nodiscard]] std::uint64_t behind(std::uint64_t end_offset) const noexcept {
        auto const over = owner_->chosen().pad_commits ? end_offset % format::block_bytes : 0;
        return over == 0 ? end_offset : end_offset - over + format::block_bytes;
    }
    /// Does the next tenure of this handle find what this one knows, if nobody comes between?
    [[nodiscard]] bool leaves_all_well() const noexcept {
        return (prepared_ || resumed_) && !poisoned_ && !disturbed_ && !plan_.needed() &&
               !slots_.busy() && written_->at() == record_of(slots_.newest());
    }
    void require_sound() const {
        if (poisoned_) throw error(errc::sync_failed, "an earlier sync failed", owner_->path());
    }

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
    std::atomic<int> holders_{0};

    // Of those who have the turn.
    file_type file_;
    revision_ptr newest_;
    revision_ptr written_;
    deferred_commits deferred_;
    takeover_plan plan_;
    std::uint64_t append_offset_ = 0;
    std::uint64_t last_id_ = 0;
    bool prepared_ = false;
    bool resumed_ = false;   // is all as this handle left it?
    bool disturbed_ = false; // has somebody else written?

    // Of all, under the mutex; the slots are written by the leader alone.
    std::mutex mutex_;
    std::condition_variable changed_;
    slot_keeper<storage_type, lock_type> slots_;
    batch appended_;             // what the next leader has to settle
    std::uint64_t shown_id_ = 0; // the newest commit in the file that readers may see
    bool leading_ = false;
    bool poisoned_ = false;
};

template <storage::medium Medium> void tenure<Medium>::examine() {
    auto found = examine_file(*owner_);
    file_ = std::move(found.file);
    slots_ = std::move(found.slots);
    plan_ = found.plan;
    resumed_ = found.resumed;
    last_id_ = slots_.last_id();
    append_offset_ = behind(found.append_offset);
    newest_ = written_ = std::move(found.newest);
    if (!plan_.needed()) owner_->note_first_durable(slots_.durable().commit_id);
    appended_ = {newest_, file_};
    shown_id_ = newest_->record().commit_id;
}

template <storage::medium Medium> void tenure<Medium>::prepare(guard_type const& /*held*/) {
    if (prepared_) return;
    auto& medium = owner_->medium();
    owner_->lock()->check_held();
    if (!resumed_) discard_leftover(medium);
    slots_.write_page(true);
    critical([&] {
        if (!slots_.name_synced()) {
            medium.sync_name();
            slots_.set_name_synced();
        }
        carry_out(plan_, *file_.storage, slots_.newest(), slots_.newest_index());
        if (plan_.must_sync) file_.storage->sync();
        slots_.set_visible(store_type::visible_of(*newest_));
        if (!plan_.marked) slots_.mark_durable();
    });
    slots_.forget(plan_.zero);
    // Readers of this handle may have been shown what did not hold.
    if (newest_->record().commit_id < owner_->shown()->record().commit_id)
        owner_->publish(newest_, file_);
    auto const end_offset = std::exchange(plan_, {}).append_offset;
    plan_.marked = true;
    prepared_ = true;
    // The slot that was zeroed no longer tells the next writer how far readers may look.
    if (end_offset > slots_.newest().end_offset) critical([&] { slots_.move_end(end_offset); });
}

template <storage::medium Medium> std::unique_lock<std::mutex> tenure<Medium>::settle_written() {
    prepare();
    guard_type guard(mutex_);
    require_sound();
    settle(guard, written_->record().commit_id, durability::lazy);
    return guard;
}

template <storage::medium Medium> void tenure<Medium>::keep_bytes_below(std::uint64_t end_offset) {
    auto guard = settle_written();
    while (leading_) changed_.wait(guard); // no slot is written while a sync is under way (R3)
    require_sound();
    critical([&] { slots_.move_end(end_offset); });
    append_offset_ = std::max(append_offset_, behind(slots_.newest().end_offset));
}

/// Between the look at the slots and the write of one, nobody else may have written.
template <storage::medium Medium> void tenure<Medium>::check_undisturbed() {
    guard_type const guard(mutex_);
    require_sound();
    owner_->lock()->check_held();
    if (read_slots(*file_.storage, file_.header()) != slots_.slots()) {
        disturbed_ = true;
        throw error(errc::lock_lost, "another writer has committed under this one's lock",
                    owner_->path());
    }
}

template <storage::medium Medium>
void tenure<Medium>::append(revision_ptr const& state, durability how) {
    newest_ = written_ = state;
    deferred_.clear();
    last_id_ = state->record().commit_id;
    append_offset_ = behind(state->limit_offset());
    guard_type const guard(mutex_);
    appended_ = {state, file_, appended_.to_sync || how != durability::lazy,
                 appended_.unsummed || how == durability::two_sync};
}

template <storage::medium Medium>
void tenure<Medium>::settle(guard_type& guard, std::uint64_t id, durability how) {
    while (!has_promise(id, how)) {
        require_sound();
        if (leading_) {
            changed_.wait(guard);
        } else {
            lead(guard, how);
        }
    }
}

/// Settles all that is appended now, with one sync or none, and tells everyone.
template <storage::medium Medium> void tenure<Medium>::lead(guard_type& guard, durability how) {
    struct leader {
        tenure& of;
        explicit leader(tenure& tenure) noexcept : of(tenure) { of.leading_ = true; }
        ~leader() {
            of.leading_ = false;
            of.changed_.notify_all();
        }
    } const role(*this);
    auto all = std::exchange(appended_, {appended_.state, appended_.file});
    all.to_sync = all.to_sync || how != durability::lazy;
    critical([&] { make_newest(guard, all); });
    owner_->publish(all.state, all.file);
    shown_id_ = all.state->record().commit_id;
}

/// The order of durability. The bytes of the transactions are written already. `sync` commits
/// share one sync, after the slot; `two_sync` takes one before it too, so that the slot has nothing
/// to verify; `lazy` takes none, unless too much would be left unsynced. Then everyone is told: of
/// a lazy commit only when those before it have what they were promised.
template <storage::medium Medium>
void tenure<Medium>::make_newest(guard_type& guard, batch const& what) {
    auto const& state = *what.state;
    if (!slots_.busy()) slots_.write_page(true);
    if (state.at() != record_of(slots_.newest())) {
        auto slot = slots_.next_slot();
        name_record(slot, state.record(), state.at());
        auto const synced_end = behind(slots_.synced_end());
        auto const unsynced_limit = owner_->chosen().unsynced_limit_bytes;
        if (what.unsummed || slot.end_offset - synced_end > unsynced_limit) {
            slots_.sync(guard);
            slot.verify_from = slot.end_offset;
        } else {
            slot.verify_from = synced_end;
        }
        slots_.write_slot(slot);
    }
    if (what.to_sync) slots_.sync(guard);
    slots_.set_visible(store_type::visible_of(state));
    slots_.write_page(false);
}

template <storage::medium Medium> void tenure<Medium>::sync() {
    COPPICE_ASSERT(deferred_.empty());
    prepare_to_sync();
    guard_type guard(mutex_);
    settle(guard, written_->record().commit_id, durability::sync);
    // Whoever made it durable may have died before telling anybody.
    slots_.show(store_type::visible_of(*newest_));
}

template <storage::medium Medium>
void tenure<Medium>::adopt(file_type fresh, superblock const& slot, revision_ptr const& state) {
    guard_type const guard(mutex_);
    file_ = std::move(fresh);
    critical([&] {
        owner_->medium().sync_name();
        slots_.move_to(file_, slot);
        slots_.set_visible(store_type::visible_of(*state));
        slots_.mark_durable();
        slots_.write_page(false);
    });
    newest_ = written_ = state;
    last_id_ = slots_.last_id();
    append_offset_ = behind(slots_.newest().end_offset);
    plan_ = {};
    plan_.marked = true;
    appended_ = {state, file_};
    shown_id_ = state->record().commit_id;
    owner_->publish(state, file_);
}

template <storage::medium Medium> void tenure<Medium>::trim() {
    guard_type const guard(mutex_);
    auto const settled = newest_->record().commit_id <= slots_.newest().commit_id;
    if (plan_.needed() || poisoned_ || leading_ || !settled) return;
    owner_->lock()->check_held();
    slots_.trim();
}

} // namespace coppice::inline COPPICE_ABI::store
