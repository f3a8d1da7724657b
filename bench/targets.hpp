// SPDX-License-Identifier: BSL-1.0
#pragma once
// bench/targets.hpp: what coppice is to reach.
// Owns: the targets of the figures that have one, as the tables show them. They are aims to look
//   at, never asserted.

#include <string_view>

namespace bench {

/// A ratio to the baseline that coppice is to reach.
struct target {
    std::string_view name;   ///< of the figure
    double ratio = 0;        ///< 0: the text says what it is
    std::string_view text{}; ///< where the target is not a ratio
};

/// The target of a figure, or null.
[[nodiscard]] target const* target_of(std::string_view name);

} // namespace bench
