// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/last_tenure.hpp: what a handle knew when it gave the lock back.
// Owns: the slots and the live page as its last tenure left them.
// Invariant: what is recalled is what reading everything anew would come to: no other process had
//   the lock since, and the live page, in which every commit and every sync of this process leaves
//   a trace, is idle and the very same. It keeps no file open. All calls need the lock.

#include <coppice/format/live_page.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/store/opened_file.hpp>
#include <coppice/store/recovery.hpp>
#include <coppice/store/revision.hpp>
#include <coppice/store/slot_keeper.hpp>

#include <cstdint>
#include <optional>
#include <utility>

namespace coppice::inline COPPICE_ABI::store {

/// Of one handle.
template <storage::storage Storage, storage::writer_lock Lock> class last_tenure {
  public:
    /// What need not be looked at again.
    struct known {
        slot_keeper<Storage, Lock> slots;
        std::uint64_t append_offset = 0;
    };

    /// What a tenure leaves. REQUIRES: the page is written, nothing is owed to anybody.
    void remember(known left, Lock const& lock) noexcept {
        left_.emplace(std::move(left));
        left_->slots.let_go();
        owner_changes_ = lock.owner_changes();
    }

    /// Gives it back, once, if all is still so.
    /// @param page what is believed of the live page now, @param shown the state shown last
    [[nodiscard]] std::optional<known> recall(opened_file<Storage> const& file,
                                              std::optional<format::live_page> const& page,
                                              Lock const& lock, revision const& shown) {
        auto found = std::exchange(left_, std::nullopt);
        auto const unchanged = found && page && owner_changes_ == lock.owner_changes() &&
                               found->slots.has_told(*page, format::load_visible(lock.page()));
        if (!unchanged || shown.at() != record_of(found->slots.newest()) ||
            shown.image().identity != file.image->identity) {
            return {};
        }
        found->slots.take_up(file.storage);
        return found;
    }

  private:
    std::optional<known> left_;
    std::uint64_t owner_changes_ = 0;
};

} // namespace coppice::inline COPPICE_ABI::store
