// SPDX-License-Identifier: BSL-1.0
// A disk in one file that remembers everything that was done to it, in order: what block_states.py
// puts under a loop device, so that real file systems write to it and it knows what a power cut at
// any moment may leave. (The kernel's dm-log-writes does this where there is a device mapper.)
//   coppice_block_log FOLDER IMAGE LOG     the last two are descriptors
// Mounts on FOLDER, until it is unmounted: `disk`, with the content of IMAGE, and `said`. The log
// is records of {kind, offset, length} in native 64 bits, with as many bytes behind a 'w' or 's':
//   w  a write, as it arrives     f  a flush, which all writes before it have passed
//   s  something was said by a write to `said`; it was said before whatever follows

#define FUSE_USE_VERSION 31
#include <fuse.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

constexpr std::string_view disk_name = "/disk";
constexpr std::string_view said_name = "/said";

int image_file = -1;
int log_file = -1;

/// @return 0, or what the request fails with: a log with gaps would show what cannot be
int remember(char kind, std::uint64_t offset, char const* bytes, std::size_t size) {
    std::array<std::uint64_t, 3> record{static_cast<std::uint64_t>(kind), offset, size};
    std::array<iovec, 2> parts{{{record.data(), sizeof record}, {const_cast<char*>(bytes), size}}};
    auto const whole = static_cast<ssize_t>(sizeof record + size);
    return ::writev(log_file, parts.data(), parts.size()) == whole ? 0 : -EIO;
}

int get_attributes(char const* path, struct stat* to, fuse_file_info*) {
    std::string_view const name = path;
    *to = {};
    to->st_nlink = 1;
    to->st_mode = name == "/" ? S_IFDIR | 0700 : S_IFREG | 0600;
    if (name == "/" || name == said_name) return 0;
    if (name != disk_name) return -ENOENT;
    struct stat image {};
    if (::fstat(image_file, &image) != 0) return -errno;
    to->st_size = image.st_size;
    return 0;
}

int open_file(char const*, fuse_file_info* file) {
    file->direct_io = 1; // what is written arrives here before the write returns
    return 0;
}

int read_file(char const*, char* to, std::size_t size, off_t offset, fuse_file_info*) {
    auto const got = ::pread(image_file, to, size, offset);
    return got < 0 ? -errno : static_cast<int>(got);
}

int write_file(char const* path, char const* from, std::size_t size, off_t offset,
               fuse_file_info*) {
    bool const to_disk = path == disk_name;
    auto const place = to_disk ? static_cast<std::uint64_t>(offset) : 0;
    if (auto const failure = remember(to_disk ? 'w' : 's', place, from, size)) return failure;
    if (!to_disk) return static_cast<int>(size);
    auto const written = ::pwrite(image_file, from, size, offset);
    return written < 0 ? -errno : static_cast<int>(written);
}

int sync_file(char const*, int, fuse_file_info*) { return remember('f', 0, nullptr, 0); }

} // namespace

int main(int count, char** words) {
    if (count != 4) return 2;
    image_file = std::atoi(words[2]);
    log_file = std::atoi(words[3]);
    // Nobody else would unmount it.
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return 1;
    fuse_operations calls{};
    calls.getattr = get_attributes;
    calls.open = open_file;
    calls.read = read_file;
    calls.write = write_file;
    calls.fsync = sync_file;
    // One thread: the order in which requests are answered is that of the log.
    std::array<char, 3> foreground{"-f"};
    std::array<char, 3> one_thread{"-s"};
    std::array<char*, 4> arguments{words[0], foreground.data(), one_thread.data(), words[1]};
    return fuse_main(static_cast<int>(arguments.size()), arguments.data(), &calls, nullptr);
}
