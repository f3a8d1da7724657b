// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/growing_pause.hpp: how long whoever waits for another process rests.
// Owns: the lengths of the rests between looks.
// Invariant: each is twice as long as the one before, up to a longest. The first ones are short, so
//   that who comes soon is met soon; the longest cost no measurable time.

#include <algorithm>
#include <chrono>
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

  private:
    duration longest_;
    duration pause_ = shortest;
};

} // namespace coppice::storage
