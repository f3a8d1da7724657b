// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/testing/fault.hpp: what shall go wrong on a simulated machine, and when.
// Owns: the calls that can fail, the ways in which a sync fails, the plan of one fault.
// Invariant: a plan is consumed by the call it is for; a plan that never fires says so.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <system_error>

namespace coppice::testing {

/// The calls of a storage, a medium and a lock that can fail.
enum class call : std::uint8_t {
    read,
    write,
    sync,
    truncate,
    map,
    open,
    fresh,
    rename,
    sync_name,
    discard,
    remove,
    lock,
    page
};
inline constexpr std::size_t kinds_of_calls = 13;

[[nodiscard]] constexpr char const* name_of(call what) noexcept {
    constexpr std::array<char const*, kinds_of_calls> names{
        "read",   "write",     "sync",    "truncate", "map",  "open", "fresh",
        "rename", "sync_name", "discard", "remove",   "lock", "page"};
    return names[static_cast<std::size_t>(what)];
}

/// The known ways in which a sync loses data.
enum class sync_failure : std::uint8_t {
    clean,    ///< ext4, XFS: reported; what was lost stays visible and counts as clean
    reverted, ///< btrfs: reported; what was lost is read as it is on the disk
    late,     ///< ext4 with data=journal: this sync returns, the next one reports
    lying     ///< a disk that says yes and forgets: never reported
};

/// One thing that goes wrong.
struct fault {
    call what = call::write;
    std::uint64_t after = 0; ///< how many calls of that kind succeed first
    bool for_ever = false;   ///< do all later ones of that kind fail too?
    std::errc reason = std::errc::io_error;
    std::size_t bytes_done = 0;             ///< how much of a failing write is done all the same
    sync_failure how = sync_failure::clean; ///< of a failing sync
};

/// A fault that waits for its moment.
class fault_plan {
  public:
    fault_plan() = default;
    explicit fault_plan(fault const& planned) : planned_(planned), left_(planned.after) {}

    /// @return is this call the one that fails?
    [[nodiscard]] bool fires(call what) noexcept {
        if (!planned_ || planned_->what != what) return false;
        if (left_ != 0) {
            --left_;
            return false;
        }
        if (fired_ != 0 && !planned_->for_ever) return false;
        ++fired_;
        return true;
    }
    /// REQUIRES: made of a fault
    [[nodiscard]] fault const& planned() const noexcept { return *planned_; }
    /// How often it fired.
    [[nodiscard]] std::uint64_t fired() const noexcept { return fired_; }

  private:
    std::optional<fault> planned_;
    std::uint64_t left_ = 0;
    std::uint64_t fired_ = 0;
};

} // namespace coppice::testing
