// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/commit_id.hpp: the number of a commit, as a type of its own.
// Owns: `commit_id`. Ids strictly increase over the life of a database, also over compactions;
//   an id is not reused after a commit was lost to a power cut in the same boot.
// Invariant: 0 is no commit; the commit that creates a database is 1.

#include <compare>
#include <cstdint>

namespace coppice {

/// The number of a commit.
struct commit_id {
    std::uint64_t value = 0; ///< the number; 0 names no commit

    friend constexpr auto operator<=>(commit_id, commit_id) noexcept = default;
};

} // namespace coppice
