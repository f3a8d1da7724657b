// SPDX-License-Identifier: BSL-1.0
#pragma once
// bench/arguments.hpp: the command line.
// Owns: its names and defaults, and which workloads a run has.

#include <cstddef>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace bench {

/// What was asked for.
struct arguments {
    std::size_t pairs = 200'000;
    std::size_t repetitions = 3;
    std::vector<std::string> engines; ///< only built ones
    std::set<std::string> workloads;
    std::filesystem::path folder;  ///< scratch folders are made in it
    std::string section = "table"; ///< what the tables are called in the file of `markdown`
    std::filesystem::path json;    ///< empty: none
    std::filesystem::path markdown;
    std::filesystem::path svg;
    // Of a worker, which the program starts itself:
    std::string group; ///< empty: this is not a worker
};

/// @param exit_code set where nothing is to be run: after --help, or a mistake
[[nodiscard]] std::optional<arguments> parse(int count, char const* const* words, int& exit_code);

} // namespace bench
