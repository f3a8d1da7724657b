// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/boost_files.hpp: what stands between this room and the locks of Boost.
// Owns: how Boost is made to open a file that is open already, and how its failures read here.
// Invariants: Boost never sees a name that somebody could replace or that leads through a
//   symbolic link; its descriptors are above 2 and closed on exec, which it does not see to. A
//   program that another thread starts in between inherits one; no lock goes with it.

#include <coppice/storage/posix.hpp>

#include <boost/interprocess/exceptions.hpp>
#include <boost/interprocess/sync/file_lock.hpp>

#include <cerrno>
#include <string>
#include <type_traits>

namespace coppice::storage {

/// The name under which an open file can be opened once more, whatever happened to its path.
[[nodiscard]] inline std::string name_of_descriptor(int file) {
    return "/proc/self/fd/" + std::to_string(file);
}

/// The errno inside a Boost exception; EIO where it has none.
[[nodiscard]] inline int errno_of(boost::interprocess::interprocess_exception const& e) noexcept {
    return e.get_native_error() != 0 ? e.get_native_error() : EIO;
}

/// The descriptor inside a lock of Boost, which has no name for it: it is all that a lock is made
/// of, and so has its address ([basic.compound] of C++20). -1 where Boost makes locks otherwise.
[[nodiscard]] inline int descriptor_of(boost::interprocess::file_lock const& lock) noexcept {
    using boost::interprocess::file_lock;
    if constexpr (std::is_standard_layout_v<file_lock> && sizeof(file_lock) == sizeof(int)) {
        return *reinterpret_cast<int const*>(&lock);
    } else {
        return -1;
    }
}

/// Lets Boost open one more descriptor of the file `file`.
/// @param make calls Boost with the name it is given
/// @return what make returned. Throws `errc::io_failed`.
template <typename Make>
[[nodiscard]] auto open_with_boost(int file, std::string const& path, Make&& make) {
    posix::low_descriptors const occupied;
    try {
        auto made = make(name_of_descriptor(file).c_str());
        ::fcntl(descriptor_of(made), F_SETFD, FD_CLOEXEC);
        return made;
    } catch (boost::interprocess::interprocess_exception const& e) {
        posix::fail(errno_of(e), "opening a file once more through /proc/self/fd", path);
    }
}

} // namespace coppice::storage
