// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/takeover.hpp: what a writer must do about those who wrote before it.
// Owns: the decision table of rules R4 and R6 (`plan_takeover`) and its writes (`carry_out`).
//   page believed, idle                     nothing: what is marked is durable, the rest complete
//     ... by a writer that pads its commits one sync, if the newest is not marked
//   page believed, busy, newest is marked   nothing: its sync returned
//   page or newest slot of another boot     one sync: all that was read came from the device
//   anything else                           write [verify_from, end) and the slot again, one sync
//   a slot that does not hold               zero it durably; begin behind its end in this boot
//   nothing known, and one slot is empty    the same: the one that is there is durable
// Invariant: nobody recomputes a checksum over bytes that failed one; what is rewritten is
//   identical to what was verified. Pure but for `carry_out`.

#include <coppice/error.hpp>
#include <coppice/format/live_page.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/store/recovery.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace coppice::inline COPPICE_ABI::store {

/// What to do before the first append.
struct takeover_plan {
    unsigned durable_index = 0;      ///< the slot that is durable, once the plan was carried out
    std::uint64_t append_offset = 0; ///< where new bytes begin
    std::array<bool, 2> zero{};      ///< slots to be zeroed (R4)
    bool rewrite = false;            ///< write the unsynced range and the slot again (R6 c)
    bool must_sync = false;          ///< one sync of the file
    bool marked = false;             ///< the live page names the durable slot already

    [[nodiscard]] bool needed() const noexcept { return must_sync || !marked; }
};

/// @param found what recovery took, @param page the live page if it speaks of this file
/// @param boot_id of the machine now
/// @param page_of_other_boot nobody has written under the lock since the machine was started
/// @param pads does every commit of this writer begin with a block? Then so does what its slots say
///   is to be verified, and commits that did not must not lie behind
[[nodiscard]] inline takeover_plan plan_takeover(recovered const& found,
                                                 std::optional<format::live_page> const& page,
                                                 std::array<std::byte, 16> const& boot_id,
                                                 bool page_of_other_boot, bool pads = false) {
    takeover_plan plan;
    auto const& newest = found.slot();
    plan.durable_index = found.index;
    plan.append_offset = newest.end_offset;
    if (found.any_rejected()) {
        // The chosen slot was durable when the rejected one was written (R3): no rewriting.
        plan.must_sync = true;
        for (unsigned i = 0; i < 2; ++i) {
            if (!found.rejected[i]) continue;
            plan.zero[i] = true;
            auto const& slot = found.slots.slots[i];
            auto const readable = slot.state == format::slot_state::good;
            if (page_of_other_boot || (readable && of_earlier_boot(slot.slot, boot_id))) continue;
            // Readers of this boot may hold bytes of the rejected commit: do not write over them.
            // What would lie behind the end of the file is not there, so nobody holds it.
            auto const its_end =
                readable ? std::min(slot.slot.end_offset, found.file_bytes) : found.file_bytes;
            plan.append_offset = std::max(plan.append_offset, align8(its_end));
        }
        return plan;
    }
    if (page) {
        for (unsigned i = 0; i < 2; ++i) {
            auto const& slot = found.slots.slots[i];
            if (slot.state != format::slot_state::good || slot.slot.counter != page->mark_counter ||
                slot.slot.checksum != page->mark_checksum) {
                continue;
            }
            if (page->busy && i != found.index) break;
            plan.must_sync = pads && i != found.index;
            if (plan.must_sync) return plan;
            plan.durable_index = i;
            plan.marked = true;
            return plan;
        }
    }
    plan.must_sync = true;
    if (page_of_other_boot) return plan;
    auto const other = 1U - found.index;
    if (found.slots.slots[other].state == slot_state::empty) {
        // A lone slot was durable before the file got its name, or before the other was zeroed; it
        // is not put at risk. Whether the zeros beside it have reached the device nobody knows.
        plan.zero[other] = true;
        plan.append_offset = std::max(plan.append_offset, align8(found.file_bytes));
        return plan;
    }
    plan.rewrite = !of_earlier_boot(newest, boot_id);
    return plan;
}

namespace detail {

/// A private copy of part of a storage, in front of the rest of it.
template <readable Storage> class private_range {
  public:
    private_range(Storage const& storage, std::uint64_t begin, std::uint64_t end)
        : storage_(storage), begin_(begin), copy_(static_cast<std::size_t>(end - begin)) {
        whole_ = storage.read(begin, copy_) == copy_.size();
    }
    [[nodiscard]] bool whole() const noexcept { return whole_; }
    [[nodiscard]] bytes copy() const noexcept { return copy_; }
    [[nodiscard]] std::uint64_t size() const { return storage_.size(); }
    [[nodiscard]] std::size_t read(std::uint64_t offset, mutable_bytes buffer) const {
        if (offset < begin_) return storage_.read(offset, buffer);
        auto const skip =
            static_cast<std::size_t>(std::min<std::uint64_t>(offset - begin_, copy_.size()));
        auto const part = bytes{copy_}.subspan(skip, std::min(buffer.size(), copy_.size() - skip));
        std::copy(part.begin(), part.end(), buffer.begin());
        return part.size();
    }

  private:
    Storage const& storage_;
    std::uint64_t begin_;
    std::vector<std::byte> copy_;
    bool whole_ = false;
};

} // namespace detail

/// Carries out the writes of a plan, without its sync.
/// @throws errc::corrupt if what was verified before does not read the same again
template <storage::storage Storage>
void carry_out(takeover_plan const& plan, Storage& storage, superblock newest, unsigned index) {
    std::array<std::byte, format::block_bytes> const zeros{};
    for (unsigned i = 0; i < 2; ++i) {
        if (plan.zero[i]) storage.write(format::slot_offset(i), zeros);
    }
    if (!plan.rewrite) return;
    // What is written is the very copy that was verified, not what a second read might give.
    detail::private_range const range(storage, newest.verify_from, newest.end_offset);
    if (!range.whole() || !verify_chain(range, newest)) {
        throw error(errc::corrupt, "unsynced bytes changed while they were taken over", {},
                    newest.verify_from);
    }
    storage.write(newest.verify_from, range.copy());
    storage.write(format::slot_offset(index), format::encode(newest));
}

} // namespace coppice::inline COPPICE_ABI::store
