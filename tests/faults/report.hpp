// SPDX-License-Identifier: BSL-1.0
#pragma once
// What the fault worker says: one line for each thing that happened, written at once, so that a
// killed worker has said all that it knew. The lines are read by the drivers in this folder.

#include <coppice/error.hpp>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <new>
#include <string>
#include <typeinfo>

#include <dirent.h>
#include <unistd.h>

namespace faults {

inline void say(std::string line) {
    line += '\n';
    if (::write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
        ::_exit(9);
    }
}

/// How a call of the library ended.
enum class ending { done, failed, unknown, no_memory };

/// Runs a call and says how it failed, if it did. Only what the library documents is an ending:
/// another exception goes on, and the worker ends with it.
/// @param what the call, for the line
[[nodiscard]] inline ending attempt(char const* what, std::function<void()> const& call) {
    try {
        call();
        return ending::done;
    } catch (coppice::error const& e) {
        bool const unknown = e.kind() == coppice::errc::sync_failed;
        say(std::string(unknown ? "unknown " : "failed ") + what + " " +
            std::to_string(static_cast<int>(e.kind())) + " " + e.what());
        return unknown ? ending::unknown : ending::failed;
    } catch (std::bad_alloc const&) {
        say(std::string("memory ") + what);
        return ending::no_memory;
    }
}

/// How many descriptors this process has open.
[[nodiscard]] inline unsigned open_descriptors() {
    unsigned count = 0;
    auto* const folder = ::opendir("/proc/self/fd");
    if (folder == nullptr) return 0;
    while (::readdir(folder) != nullptr) ++count;
    ::closedir(folder);
    return count;
}

} // namespace faults
