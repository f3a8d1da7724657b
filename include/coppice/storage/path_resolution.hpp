// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/path_resolution.hpp: which file a path means.
// Owns: following symbolic links to the last part, which need not exist, and making folders.
// Invariants: the result is absolute and without links, so that all paths to a file come out the
//   same and a later chdir changes nothing.

#include <coppice/storage/posix.hpp>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>

namespace coppice::storage {

/// Where a file is, or would be made.
struct resolved_path {
    std::string folder; ///< absolute, without links
    std::string name;   ///< in that folder, not a link when it was looked at
};

namespace detail {

[[noreturn]] inline void fail_to_resolve(std::error_code code, std::string const& path) {
    if (code == std::errc::no_such_file_or_directory) {
        throw error(errc::not_found, "the folder is missing; create_directories makes it", path);
    }
    bool const of_the_path = code == std::errc::too_many_symbolic_link_levels ||
                             code == std::errc::not_a_directory ||
                             code == std::errc::filename_too_long;
    throw error(code, "resolving the path of the database", path,
                of_the_path ? errc::unusable_path : errc::io_failed);
}

/// Throws `errc::unusable_path` unless it can be the name of a file with companions.
inline void require_usable_name(std::string const& name, std::size_t suffix_bytes,
                                std::string const& path) {
    constexpr std::size_t longest_name_bytes = 255;
    if (name.empty() || name == "." || name == "..") {
        throw error(errc::unusable_path, "the path does not end in the name of a file", path);
    }
    if (name.find('\0') != std::string::npos) {
        throw error(errc::unusable_path, "the name has a zero byte in it", path);
    }
    if (name.size() + suffix_bytes > longest_name_bytes) {
        throw error(errc::unusable_path, "the name leaves no room for .compact", path);
    }
}

} // namespace detail

/// Follows the links of a path. Cost: some system calls for each link and folder.
/// @param suffix_bytes how much longer than the name the names of companions are
/// @param create_directories make the folders that are missing
/// Throws `unusable_path`, `not_found` where the folder is missing, `io_failed`.
[[nodiscard]] inline resolved_path resolve_path(std::filesystem::path path,
                                                std::size_t suffix_bytes, bool create_directories) {
    namespace fs = std::filesystem;
    constexpr int most_links = 40; // as the kernel has it
    auto const given = path.string();
    for (int link = 0; link <= most_links; ++link) {
        auto const name = path.filename().string();
        detail::require_usable_name(name, suffix_bytes, given);
        auto const above = path.has_parent_path() ? path.parent_path() : fs::path(".");
        std::error_code failure;
        if (create_directories) fs::create_directories(above, failure);
        if (failure) detail::fail_to_resolve(failure, given);
        auto const folder = fs::canonical(above, failure);
        if (failure) detail::fail_to_resolve(failure, given);
        auto const status = fs::symlink_status(folder / name, failure);
        if (status.type() == fs::file_type::none) detail::fail_to_resolve(failure, given);
        if (!fs::is_symlink(status)) return {folder.string(), name};
        auto const target = fs::read_symlink(folder / name, failure);
        if (failure) detail::fail_to_resolve(failure, given);
        path = folder / target; // which is the target alone if that is absolute
    }
    detail::fail_to_resolve(std::make_error_code(std::errc::too_many_symbolic_link_levels), given);
}

} // namespace coppice::storage
