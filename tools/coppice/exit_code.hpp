// SPDX-License-Identifier: BSL-1.0
#pragma once
// tools/coppice/exit_code.hpp: what the tool's exit codes mean.
// Owns: the one table from the library's errors to exit codes, and `failure`, the tool's own error.
// Invariant: the table has no default, so that the compiler names an errc it does not know.

#include <coppice/error.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace tool {

/// How the tool ends.
enum class exit_code : std::uint8_t {
    done = 0,        ///< what was asked for was done
    no = 1,          ///< the key is absent, or damage was found
    usage = 2,       ///< the command line makes no sense
    unavailable = 3, ///< the file cannot be opened, read or written
    locked = 4,      ///< another process is writing and did not finish in time
    corrupt = 5,     ///< the database or the dump is damaged
};

/// The exit code of an error of the library.
[[nodiscard]] constexpr exit_code exit_code_of(coppice::errc kind) noexcept {
    using coppice::errc;
    switch (kind) {
    case errc::invalid_argument:
    case errc::history_gone:
    case errc::no_such_tag:
    case errc::key_too_large:
    case errc::value_too_large:
    case errc::note_too_large: return exit_code::usage;
    case errc::corrupt:
    case errc::not_sorted: return exit_code::corrupt;
    case errc::would_deadlock: return exit_code::locked;
    case errc::io_failed:
    case errc::closed:
    case errc::forked:
    case errc::not_found:
    case errc::already_exists:
    case errc::unusable_path:
    case errc::not_a_database:
    case errc::unsupported_version:
    case errc::unsupported_feature:
    case errc::recovery_needed:
    case errc::hard_linked:
    case errc::lock_unusable:
    case errc::read_only:
    case errc::finished:
    case errc::stream_unfinished:
    case errc::file_missing:
    case errc::file_replaced:
    case errc::lock_lost:
    case errc::second_copy:
    case errc::sync_failed: return exit_code::unavailable;
    }
    return exit_code::unavailable;
}

/// Ends the tool with a word on stderr.
class failure : public std::runtime_error {
  public:
    failure(exit_code code, std::string const& what) : std::runtime_error(what), code_(code) {}

    [[nodiscard]] exit_code code() const noexcept { return code_; }

  private:
    exit_code code_;
};

} // namespace tool
