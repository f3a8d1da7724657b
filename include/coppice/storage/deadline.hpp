// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/deadline.hpp: when waiting ends.
// Owns: `deadline`, and the way from "so long" to "until then".
// Invariant: no length of time makes the sum with the present overflow.

#include <chrono>
#include <optional>

namespace coppice::storage {

/// When waiting ends; empty means never.
using deadline = std::optional<std::chrono::steady_clock::time_point>;

/// Never as well, but of one who asks again and again and does not wait in the kernel, which would
/// take two who wait for each other's locks in turn for a deadlock.
inline constexpr auto asking_for_ever = std::chrono::steady_clock::time_point::max();

/// The moment that is so far from now: now if it has passed, the last one there is if it is beyond.
template <typename Rep, typename Period>
[[nodiscard]] std::chrono::steady_clock::time_point moment_in(
    std::chrono::duration<Rep, Period> length) {
    using clock = std::chrono::steady_clock;
    // Only a floating-point number can hold hours::max() in seconds.
    using seconds = std::chrono::duration<double>;
    auto const now = clock::now();
    if (!(seconds(length) > seconds(0))) return now;
    if (seconds(length) >= seconds(clock::time_point::max() - now)) return clock::time_point::max();
    return now + std::chrono::ceil<clock::duration>(length);
}

} // namespace coppice::storage
