// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/slot_keeper.hpp: which slot is in force, which is durable, and who was told.
// Owns: the two slots as they are in the file, the live page as it is in the lock file, and the
//   three steps that a commit is made of: write the slot, sync, tell.
// Invariant: a slot write never targets the last slot known to be durable (R3); counters and ids
//   only grow (R7); a sync is followed by the mark before anybody is told (R6).

#include <coppice/assert.hpp>
#include <coppice/format/live_page.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/store/opened_file.hpp>
#include <coppice/store/recovery.hpp>
#include <coppice/store/takeover.hpp>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>

namespace coppice::inline COPPICE_ABI::store {

/// The state of the commit protocol on one file, under the writer's lock.
template <storage::storage Storage, storage::writer_lock Lock> class slot_keeper {
  public:
    slot_keeper() = default;

    /// What was found under the lock.
    /// @param plan says which slot is, or will be, durable
    slot_keeper(opened_file<Storage> const& file, std::shared_ptr<Lock> lock,
                recovered const& found, takeover_plan const& plan,
                std::optional<format::live_page> const& page)
        : storage_(file.storage),
          lock_(std::move(lock)),
          slots_(found.slots),
          newest_(found.slot()),
          newest_index_(found.index),
          durable_(slots_.slots[plan.durable_index].slot),
          durable_index_(plan.durable_index),
          page_(page.value_or(format::live_page{})) {
        for (auto const& seen : slots_.slots) {
            if (seen.state != slot_state::good) continue;
            last_counter_ = std::max(last_counter_, seen.slot.counter);
            last_id_ = std::max(last_id_, seen.slot.commit_id);
        }
        if (page) visible_ = format::load_visible(lock_->page());
        speak_of(*file.image);
        page_.busy = false;
    }

    /// A fresh file whose only slot is durable.
    slot_keeper(opened_file<Storage> const& file, std::shared_ptr<Lock> lock,
                superblock const& slot)
        : lock_(std::move(lock)) {
        move_to(file, slot);
    }

    [[nodiscard]] slot_pair const& slots() const noexcept { return slots_; }
    [[nodiscard]] superblock const& newest() const noexcept { return newest_; }
    [[nodiscard]] unsigned newest_index() const noexcept { return newest_index_; }
    [[nodiscard]] superblock const& durable() const noexcept { return durable_; }
    /// Below it all is on the device. No less than the newest slot says: where the device has that
    /// one alone, what it believes must not be written again by a take-over, which may tear it.
    [[nodiscard]] std::uint64_t synced_end() const noexcept {
        return std::max(durable_.end_offset, newest_.verify_from);
    }
    [[nodiscard]] bool all_durable() const noexcept { return newest_.counter == durable_.counter; }
    [[nodiscard]] std::uint64_t last_counter() const noexcept { return last_counter_; }
    [[nodiscard]] std::uint64_t last_id() const noexcept { return last_id_; }
    [[nodiscard]] bool busy() const noexcept { return page_.busy; }
    [[nodiscard]] bool name_synced() const noexcept { return page_.name_synced; }
    void set_name_synced() noexcept { page_.name_synced = true; }
    void set_visible(format::visible_state visible) noexcept { visible_ = visible; }

    /// A slot like the newest one, for the next commit to fill in.
    [[nodiscard]] superblock next_slot() const noexcept {
        auto slot = newest_;
        slot.counter = last_counter_ + 1;
        slot.boot_id = lock_->identity().boot_id;
        return slot;
    }

    /// Writes a slot over the one that is not durable.
    void write_slot(superblock slot) {
        auto const index = 1U - durable_index_;
        COPPICE_ASSERT(slot.counter > last_counter_ && slot.end_offset >= durable_.end_offset);
        auto const image = format::encode(slot);
        try {
            storage_->write(format::slot_offset(index), image);
        } catch (...) {
            if (index == newest_index_) put_back(slot.counter + 1);
            throw;
        }
        newest_ = slot;
        newest_index_ = index;
        is_untold_ = false;
        last_counter_ = slot.counter;
        last_id_ = std::max(last_id_, slot.commit_id);
        slots_.slots[index] = {slot_state::good, slot};
    }

    /// Writes the newest slot once more, with an end that is further on: bytes of no commit stay as
    /// they are below it. Safe whether or not it survives, since it names nothing new. Nothing is
    /// written but the slot: with padding, no block that a durable commit lies in.
    /// @param end_offset the end of the file where that is less, since else the slot did not hold
    void move_end(std::uint64_t end_offset) {
        auto slot = next_slot();
        slot.end_offset = std::min(end_offset, storage_->size()) / 8 * 8;
        if (slot.end_offset <= newest_.end_offset) return;
        if (!page_.busy) write_page(true);
        if (all_durable()) slot.verify_from = slot.end_offset;
        write_slot(slot);
        is_untold_ = true;
    }

    /// Cuts off what is behind both slots.
    void trim() {
        auto end_offset = newest_.end_offset;
        for (auto const& seen : slots_.slots) {
            end_offset = std::max(end_offset, seen.slot.end_offset);
        }
        if (storage_->size() > end_offset) storage_->truncate(end_offset);
    }

    /// One device sync: what is newest is durable from then on, and marked.
    /// @param guard is open while the device works. REQUIRES: nobody writes a slot meanwhile (R3)
    void sync(std::unique_lock<std::mutex>& guard) {
        {
            struct open_gate {
                std::unique_lock<std::mutex>& guard;
                explicit open_gate(std::unique_lock<std::mutex>& of) : guard(of) { of.unlock(); }
                ~open_gate() { guard.lock(); }
            } const open(guard);
            storage_->sync();
        }
        durable_ = newest_;
        durable_index_ = newest_index_;
        is_untold_ = false; // the mark tells of it
        mark_durable();
    }

    /// Vouches for the durable slot in the live page.
    void mark_durable() {
        page_.mark_counter = durable_.counter;
        page_.mark_checksum = durable_.checksum;
        write_page(true);
    }
    /// Writes the live page. @param busy are there bytes that nobody vouches for? It stays busy as
    /// long as nothing in it tells of the newest slot, so that other handles of the process look.
    void write_page(bool busy) {
        auto next = page_;
        next.busy = busy || is_untold_;
        lock_->write_page(0, format::encode(next, visible_));
        page_ = next; // not before: who could not say busy must not say idle in going away
    }

    /// Tells readers, where they do not know yet or something else is to be told.
    void show(format::visible_state visible) {
        if (!page_.busy && visible_ == visible) return;
        visible_ = visible;
        write_page(false);
    }

    /// Is the live page this one, and idle? The first half of it says which file it speaks of.
    [[nodiscard]] bool has_told(format::live_page const& page,
                                format::visible_state visible) const noexcept {
        return !page.busy && page == page_ && visible == visible_;
    }
    /// Keeps no file open until `take_up`.
    void let_go() noexcept { storage_.reset(); }
    void take_up(std::shared_ptr<Storage> storage) noexcept { storage_ = std::move(storage); }

    /// Forgets the slots that a recovery has zeroed.
    void forget(std::array<bool, 2> const& zeroed) noexcept {
        for (unsigned i = 0; i < 2; ++i) {
            if (zeroed[i]) slots_.slots[i] = {};
        }
    }

    /// Begins anew on a fresh file whose only slot is durable.
    void move_to(opened_file<Storage> const& file, superblock const& slot) {
        storage_ = file.storage;
        slots_ = {};
        slots_.slots[0] = {slot_state::good, slot};
        newest_ = durable_ = slot;
        newest_index_ = durable_index_ = 0;
        is_untold_ = false;
        last_counter_ = slot.counter;
        last_id_ = std::max(last_id_, slot.commit_id);
        speak_of(*file.image);
        page_.name_synced = true;
    }

  private:
    /// A write that failed may have left a part of itself, or all, in the place of the newest slot:
    /// that of lazy commits, which are to survive this process. What it said is said again. Where
    /// that fails too they are lost, as in a power cut.
    void put_back(std::uint64_t counter) noexcept {
        auto before = newest_;
        before.counter = counter;
        try {
            storage_->write(format::slot_offset(newest_index_), format::encode(before));
        } catch (std::exception const&) { // the failure that is told is the first
        }
    }
    void speak_of(file_image const& image) {
        page_.boot_id = lock_->identity().boot_id;
        page_.uuid = image.header.uuid;
        page_.generation = image.header.generation;
        page_.device = image.identity.device;
        page_.inode = image.identity.inode;
    }

    std::shared_ptr<Storage> storage_;
    std::shared_ptr<Lock> lock_;
    slot_pair slots_;           // as they are in the file
    superblock newest_;         // the slot in force
    unsigned newest_index_ = 0; // which of the two it is
    bool is_untold_ = false;    // does it differ from one before it in its end alone?
    superblock durable_;        // the last slot known to be durable
    unsigned durable_index_ = 0;
    std::uint64_t last_counter_ = 0;
    std::uint64_t last_id_ = 0;
    format::live_page page_; // as it is in the lock file, or will be
    format::visible_state visible_;
};

} // namespace coppice::inline COPPICE_ABI::store
