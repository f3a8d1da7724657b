// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/clock.hpp: wall-clock time as commit records hold it.
// Owns: the conversion between time points and microseconds since 1970 UTC.
// Invariant: a time before 1970 is 1970. Pure.

#include <coppice/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace coppice::inline COPPICE_ABI::store {

/// Microseconds since 1970 UTC, as commit records hold them.
[[nodiscard]] inline std::uint64_t to_microseconds(std::chrono::system_clock::time_point time) {
    auto const since =
        std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch());
    return since.count() < 0 ? 0 : static_cast<std::uint64_t>(since.count());
}

/// The same as a time point; the latest one there is for a time that no clock can show, as a forged
/// record may hold it.
[[nodiscard]] inline std::chrono::system_clock::time_point to_time_point(std::uint64_t time_us) {
    using system_clock = std::chrono::system_clock;
    constexpr auto latest =
        std::chrono::duration_cast<std::chrono::microseconds>(system_clock::duration::max());
    auto const shown = std::min(time_us, static_cast<std::uint64_t>(latest.count()));
    return system_clock::time_point(
        std::chrono::duration_cast<system_clock::duration>(std::chrono::microseconds(shown)));
}

} // namespace coppice::inline COPPICE_ABI::store
