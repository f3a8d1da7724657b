// SPDX-License-Identifier: BSL-1.0
#pragma once
// Which kind of error a call throws, as a value to compare.

#include <coppice/error.hpp>

#include <optional>
#include <utility>

namespace support {

/// The kind of the error that a call throws; nothing where it throws none.
template <typename Call> [[nodiscard]] std::optional<coppice::errc> kind_of(Call&& call) {
    try {
        std::forward<Call>(call)();
    } catch (coppice::error const& e) {
        return e.kind();
    }
    return {};
}

} // namespace support
