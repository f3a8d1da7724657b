// SPDX-License-Identifier: BSL-1.0
#pragma once
// tools/coppice/arguments.hpp: the command line as the verbs see it.
// Owns: one field for each argument of any verb; what a verb does not know stays at its default.
// Invariant: keys and values are bytes here; --hex has been undone.

#include <coppice/options.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace tool {

/// A commit as a user names it.
struct commit_name {
    std::optional<std::uint64_t> number;
    std::string tag; ///< where it is no number
};

struct arguments {
    std::string verb;
    std::string file;
    std::string key;
    bool has_key = false;
    std::optional<std::string> keys_from;
    std::optional<std::string> value;
    std::optional<std::string> from;
    std::optional<std::string> to;
    std::optional<std::string> prefix;
    std::optional<std::string> since;
    std::optional<commit_name> at;
    std::optional<std::chrono::system_clock::time_point> as_of;
    std::optional<std::chrono::system_clock::time_point> since_time;
    std::optional<std::chrono::system_clock::time_point> until_time;
    std::optional<commit_name> first;
    std::optional<commit_name> last;
    std::optional<std::string> tag;
    std::optional<std::uint64_t> limit;
    std::optional<coppice::durability> durability;
    coppice::retention_policy retention;
    std::optional<double> wait_seconds;
    std::optional<double> mib_per_second;
    std::string note;
    std::string input = "-";
    std::string output = "-";
    bool hex = false;
    bool json = false;
    bool follow = false;
    bool incremental = false;
    bool for_lmdb = false;
    bool keys_only = false;
    bool print = false;
    bool raw = false;
    bool reverse = false;
    bool no_overwrite = false;
    bool no_hashes = false;
    bool unconfirmed = false;
    bool take_away = false;
};

/// Reads the command line. Help and the version are printed here.
/// @return the arguments, or nothing if all was done already. @throws failure with exit_code::usage
[[nodiscard]] std::optional<arguments> parse(int count, char const* const* words);

} // namespace tool
