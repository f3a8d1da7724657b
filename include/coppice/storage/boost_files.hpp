// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/boost_files.hpp: what stands between this room and Boost.Interprocess.
// Owns: how Boost is made to open a file that is open already, and how its failures read here.
// Invariants: Boost never sees a name that somebody could replace or that leads through a
//   symbolic link; its descriptors are above 2 and closed on exec, which it does not see to.

#include <coppice/storage/posix.hpp>

#include <boost/interprocess/exceptions.hpp>

#include <cerrno>
#include <string>

namespace coppice::storage {

/// The name under which an open file can be opened once more, whatever happened to its path.
[[nodiscard]] inline std::string name_of_descriptor(int file) {
    return "/proc/self/fd/" + std::to_string(file);
}

/// The errno inside a Boost exception; EIO where it has none.
[[nodiscard]] inline int errno_of(boost::interprocess::interprocess_exception const& e) noexcept {
    return e.get_native_error() != 0 ? e.get_native_error() : EIO;
}

/// Calls `make`, which lets Boost open one descriptor of the file `file`, and tames that
/// descriptor. Which one it is can only be guessed, as the lowest that is free; where another
/// thread spoils the guess, the descriptor stays open across exec, which harms no lock.
/// @return what make returned. Throws `errc::io_failed`.
template <typename Make>
[[nodiscard]] auto open_with_boost(int file, std::string const& path, Make&& make) {
    posix::low_descriptors const occupied;
    int const guess = posix::try_open_at(AT_FDCWD, "/", O_PATH).file.get();
    try {
        auto made = make(name_of_descriptor(file).c_str());
        struct stat ours {};
        struct stat theirs {};
        if (::fstat(guess, &theirs) == 0 && ::fstat(file, &ours) == 0 &&
            posix::identity_of(ours) == posix::identity_of(theirs)) {
            ::fcntl(guess, F_SETFD, FD_CLOEXEC);
        }
        return made;
    } catch (boost::interprocess::interprocess_exception const& e) {
        posix::fail(errno_of(e), "opening a file once more through /proc/self/fd", path);
    }
}

} // namespace coppice::storage
