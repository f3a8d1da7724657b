// SPDX-License-Identifier: BSL-1.0
#pragma once
// bench/syncs.hpp: how often this process has asked the device to make something durable.
// Owns: one count for all engines: fsync, fdatasync, msync(MS_SYNC), and each write to a file that
//   was opened with O_SYNC or O_DSYNC.
// Invariant: what is counted is done as before; engines in shared libraries are counted too.

#include <cstdint>

namespace bench {

/// The syncs of this process so far.
[[nodiscard]] std::uint64_t syncs_so_far() noexcept;

} // namespace bench
