// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/growing_pause.hpp: how long whoever waits for another process rests.
// Owns: the lengths of the rests between looks.
// Invariant: each is twice as long as the one before, up to a longest. The first ones are short, so
//   that who comes soon is met soon; the longest cost no measurable time.

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

namespace coppice::storage {

/// The rests of one wait.
class growing_pause {
  public:
    using duration = std::chrono::microseconds;
    static constexpr duration shortest{64};

    explicit constexpr growing_pause(duration longest) noexcept : longest_(longest) {}

    /// The next rest.
    [[nodiscard]] constexpr duration next() noexcept {
        return std::exchange(pause_, std::min(pause_ * 2, longest_));
    }
    /// Takes the next rest, or as much of it as there is time.
    /// @return false, at once, if there is none left
    [[nodiscard]] bool rest(std::chrono::steady_clock::time_point until) {
        auto const now = std::chrono::steady_clock::now();
        if (now >= until) return false;
        std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(next(), until - now));
        return true;
    }

  private:
    duration longest_;
    duration pause_ = shortest;
};

} // namespace coppice::storage
