// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/commit_id.hpp: the number of a commit, as a type of its own.
// Owns: `commit_id`, `commit_identity`. Ids strictly increase over the life of a database, over
//   compactions too; an id is not reused after a commit was lost to a power cut in the same boot.
// Invariant: 0 is no commit; the commit that creates a database is 1.

#include <compare>
#include <cstdint>

namespace coppice {

/// The number of a commit.
struct commit_id {
    std::uint64_t value = 0; ///< the number; 0 names no commit

    // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 takes the 0 of a rewritten < for one.
    friend constexpr auto operator<=>(commit_id, commit_id) noexcept = default;
};

/// Which commit it is, whatever becomes of the file: an id may come back with another content after
/// a power cut, or in the copies of a database that went different ways; an identity does not.
struct commit_identity {
    commit_id id;               ///< its number; 0 names no commit
    std::uint64_t checksum = 0; ///< of its record

    friend constexpr bool operator==(commit_identity, commit_identity) noexcept = default;
};

} // namespace coppice
