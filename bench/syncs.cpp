// SPDX-License-Identifier: BSL-1.0
// bench/syncs.cpp: functions of the C library that stand before the real ones, and count.
// Shared libraries find them as well, since a program's own symbols come first. LMDB writes its
// meta page to a file that it has opened with O_DSYNC, so opening and writing are looked at too.

#include "bench/syncs.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdarg>
#include <cstddef>

namespace {

std::atomic<std::uint64_t> count{0};
std::array<std::atomic<bool>, 4096> synchronous{}; // by file descriptor; higher ones do not count

void opened(long file, int flags) noexcept {
    if (file < 0 || static_cast<std::size_t>(file) >= synchronous.size()) return;
    synchronous[static_cast<std::size_t>(file)] = (flags & O_DSYNC) != 0; // O_SYNC has that bit
}
void written(int file) noexcept {
    auto const at = static_cast<std::size_t>(file);
    if (at < synchronous.size() && synchronous[at].load(std::memory_order_relaxed)) ++count;
}
[[nodiscard]] int open_and_note(int folder, char const* path, int flags, unsigned mode) noexcept {
    auto const file = syscall(SYS_openat, folder, path, flags, mode);
    opened(file, flags);
    return static_cast<int>(file);
}

} // namespace

namespace bench {

std::uint64_t syncs_so_far() noexcept { return count; }

} // namespace bench

// The names and types are those of the C library.
// NOLINTBEGIN(cert-dcl50-cpp,readability-identifier-naming)
extern "C" {

int fsync(int file) {
    ++count;
    return static_cast<int>(syscall(SYS_fsync, file));
}
int fdatasync(int file) {
    ++count;
    return static_cast<int>(syscall(SYS_fdatasync, file));
}
int msync(void* address, std::size_t bytes, int flags) {
    if ((flags & MS_SYNC) != 0) ++count;
    return static_cast<int>(syscall(SYS_msync, address, bytes, flags));
}

int open(char const* path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    auto const file = open_and_note(AT_FDCWD, path, flags, va_arg(rest, unsigned));
    va_end(rest);
    return file;
}
int open64(char const* path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    auto const file = open_and_note(AT_FDCWD, path, flags, va_arg(rest, unsigned));
    va_end(rest);
    return file;
}
ssize_t pwrite(int file, void const* bytes, std::size_t size, off_t offset) {
    written(file);
    return syscall(SYS_pwrite64, file, bytes, size, offset);
}
ssize_t pwrite64(int file, void const* bytes, std::size_t size, off64_t offset) {
    written(file);
    return syscall(SYS_pwrite64, file, bytes, size, offset);
}

} // extern "C"
// NOLINTEND(cert-dcl50-cpp,readability-identifier-naming)
