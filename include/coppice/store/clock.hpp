// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/clock.hpp: wall-clock time as commit records hold it.
// Owns: the conversion between time points and microseconds since 1970 UTC.
// Invariant: a time before 1970 is 1970. Pure.

#include <coppice/version.hpp>

#include <chrono>
#include <cstdint>

namespace coppice::inline COPPICE_ABI::store {

/// Microseconds since 1970 UTC, as commit records hold them.
[[nodiscard]] inline std::uint64_t to_microseconds(std::chrono::system_clock::time_point time) {
    auto const since =
        std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch());
    return since.count() < 0 ? 0 : static_cast<std::uint64_t>(since.count());
}

[[nodiscard]] inline std::chrono::system_clock::time_point to_time_point(std::uint64_t time_us) {
    return std::chrono::system_clock::time_point(
        std::chrono::duration_cast<std::chrono::system_clock::duration>(
            std::chrono::microseconds(time_us)));
}

} // namespace coppice::inline COPPICE_ABI::store
