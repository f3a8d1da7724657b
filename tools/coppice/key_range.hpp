// SPDX-License-Identifier: BSL-1.0
#pragma once
// tools/coppice/key_range.hpp: the keys that --from, --to and --prefix ask for together.

#include "tools/coppice/arguments.hpp"

#include <coppice/cursor.hpp>
#include <coppice/tree/rank.hpp>

#include <algorithm>
#include <optional>
#include <string>

namespace tool {

/// The keys in [from, to).
struct key_range {
    std::string from;
    std::optional<std::string> to;

    /// The same for the library. Lives as long as this.
    [[nodiscard]] coppice::key_bound lower() const noexcept { return coppice::including(from); }
    [[nodiscard]] coppice::key_bound upper() const noexcept {
        return to ? coppice::excluding(*to) : coppice::unbounded();
    }
};

[[nodiscard]] inline key_range range_of(arguments const& given) {
    key_range range{given.from.value_or(""), given.to};
    if (given.prefix) {
        range.from = std::max(range.from, *given.prefix);
        auto const end = coppice::tree::prefix_end(*given.prefix);
        if (end && (!range.to || *end < *range.to)) range.to = end;
    }
    return range;
}

} // namespace tool
