// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/check_report.hpp: what a check of a tree found, and what it counted.
// Owns: `finding`, `check_report`.
// Invariant: a damaged tree gives no more than `max_findings` findings; how many more there were is
//   counted.

#include <coppice/options.hpp>
#include <coppice/version.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace coppice::inline COPPICE_ABI::tree {

/// Something that is not as it should be.
struct finding {
    std::string what;         ///< in words
    std::uint64_t offset = 0; ///< of the node or value concerned; 0 where it is in memory
};

/// What a check saw. Empty `findings` means that the tree is sound.
struct check_report {
    std::vector<finding> findings;       ///< at most `max_findings`
    std::uint64_t unlisted_findings = 0; ///< how many there were beyond those
    std::uint64_t nodes = 0;             ///< nodes that could be read
    std::uint64_t leaves = 0;            ///< leaves among them
    std::uint64_t patches = 0;           ///< patches among them
    std::uint64_t entries = 0;           ///< entries of those leaves
    std::uint64_t bytes = 0;             ///< of those nodes, and of their values out of line
    std::uint64_t leaf_bytes = 0;        ///< of those leaves alone

    static constexpr std::size_t max_findings = 1000;

    /// How full the leaves are on average; 1 is full, an empty tree is full.
    [[nodiscard]] double leaf_fill(node_sizes const& sizes) const noexcept {
        if (leaves == 0) return 1.0;
        return static_cast<double>(leaf_bytes) /
               (static_cast<double>(leaves) * static_cast<double>(sizes.leaf_bytes));
    }
};

} // namespace coppice::inline COPPICE_ABI::tree
