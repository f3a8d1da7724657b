// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/posix.hpp: the system calls of this room, with their rules in one place.
// Owns: `descriptor`, and whole reads, writes, syncs and name operations.
// Invariants: a descriptor is above 2 and closed on exec; an interrupted or short transfer goes on
//   where it stopped; a sync is never tried again; each failure is an `error` with its errno.

#include <coppice/bytes.hpp>
#include <coppice/error.hpp>
#include <coppice/storage/concepts.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <unistd.h>

namespace coppice::storage::posix {

/// Throws what the operating system said.
/// @param code an errno
/// @param what what was being done
/// @param path the file concerned
/// @param kind for callers that know more than "the operating system refused"
[[noreturn]] inline void fail(int code, char const* what, std::string const& path,
                              errc kind = errc::io_failed) {
    throw error(std::error_code(code, std::system_category()), what, path, kind);
}

/// Owns one file descriptor, closed at the end. Not shared between threads while it is moved.
class descriptor {
  public:
    descriptor() noexcept = default;
    explicit descriptor(int owned) noexcept : value_(owned) {}
    descriptor(descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
    descriptor& operator=(descriptor&& other) noexcept {
        descriptor(std::move(other)).swap(*this);
        return *this;
    }
    descriptor(descriptor const&) = delete;
    descriptor& operator=(descriptor const&) = delete;
    // After close fails the descriptor is gone all the same, so it is never tried again.
    ~descriptor() {
        if (value_ >= 0) ::close(value_);
    }

    void swap(descriptor& other) noexcept { std::swap(value_, other.value_); }
    [[nodiscard]] int get() const noexcept { return value_; }
    [[nodiscard]] explicit operator bool() const noexcept { return value_ >= 0; }

  private:
    int value_ = -1;
};

/// Keeps 0, 1 and 2 occupied while it lives, so that what is opened meanwhile lies above them.
class low_descriptors {
  public:
    low_descriptors() noexcept {
        for (int low = 0; low <= 2; ++low) {
            if (::fcntl(low, F_GETFD) >= 0) continue;
            descriptor filler(::open("/dev/null", O_PATH | O_CLOEXEC));
            if (filler && filler.get() <= 2) fillers_[filler.get()].swap(filler);
        }
    }

  private:
    descriptor fillers_[3];
};

/// A descriptor, or the errno that says why there is none.
struct open_result {
    descriptor file;
    int failure = 0;
};

/// Opens relative to a directory. Interruptions are retried. Never throws.
/// @param flags of open(2); O_CLOEXEC is added
[[nodiscard]] inline open_result try_open_at(int directory, char const* name, int flags,
                                             mode_t mode = 0) noexcept {
    int opened = -1;
    do {
        opened = ::openat(directory, name, flags | O_CLOEXEC, mode);
    } while (opened < 0 && errno == EINTR);
    if (opened < 0) return {descriptor(), errno};
    descriptor low(opened);
    if (opened > 2) return {std::move(low), 0};
    // A stray write to standard output must never reach a database.
    descriptor high(::fcntl(opened, F_DUPFD_CLOEXEC, 3));
    int const failure = high ? 0 : errno;
    return {std::move(high), failure};
}

/// The same, throwing. @param what what was being done
[[nodiscard]] inline descriptor open_at(int directory, std::string const& name, int flags,
                                        mode_t mode, char const* what, std::string const& path) {
    auto result = try_open_at(directory, name.c_str(), flags, mode);
    if (!result.file) fail(result.failure, what, path);
    return std::move(result.file);
}

/// What is asked of files and names.
struct file_status {
    file_identity identity;
    mode_t mode = 0;
    std::uint64_t links = 0;
    uid_t owner = 0;
    gid_t group = 0;
    std::uint64_t size_bytes = 0;

    [[nodiscard]] bool is_plain_file() const noexcept { return S_ISREG(mode); }
};

/// Nothing is asked about times: where Linux (6.13 and later) has told somebody a file's times, the
/// next write has to give it new ones, and on some file systems the next sync then writes its inode
/// too. Commits ask for statuses between any two writes; durable ones took 220 us instead of 180.
/// @param flags of fstatat(2)
/// @return 0, or the errno
[[nodiscard]] inline int ask_status(int directory, char const* name, int flags,
                                    file_status& found) noexcept {
#ifdef STATX_BASIC_STATS
    constexpr unsigned times = STATX_ATIME | STATX_MTIME | STATX_CTIME;
    struct statx answer {};
    if (::statx(directory, name, flags, STATX_BASIC_STATS & ~times, &answer) == 0) {
        auto const device = ::makedev(answer.stx_dev_major, answer.stx_dev_minor);
        found = {{static_cast<std::uint64_t>(device), answer.stx_ino},
                 answer.stx_mode,
                 answer.stx_nlink,
                 answer.stx_uid,
                 answer.stx_gid,
                 answer.stx_size};
        return 0;
    }
    bool const unknown = errno == ENOSYS || errno == EPERM; // EPERM: old sandboxes say so
    if (!unknown) return errno;
#endif
    struct stat status {};
    if (::fstatat(directory, name, &status, flags) != 0) return errno;
    found = {{static_cast<std::uint64_t>(status.st_dev), static_cast<std::uint64_t>(status.st_ino)},
             status.st_mode,
             static_cast<std::uint64_t>(status.st_nlink),
             status.st_uid,
             status.st_gid,
             static_cast<std::uint64_t>(status.st_size)};
    return 0;
}

[[nodiscard]] inline file_status status_of(int file, std::string const& path) {
    file_status found;
    if (int const failure = ask_status(file, "", AT_EMPTY_PATH, found)) {
        fail(failure, "asking for the status of a file", path);
    }
    return found;
}

/// The status of a name, which is not followed if it is a symbolic link; nothing if missing.
[[nodiscard]] inline std::optional<file_status> status_at(int directory, std::string const& name,
                                                          std::string const& path) {
    file_status found;
    int const failure = ask_status(directory, name.c_str(), AT_SYMLINK_NOFOLLOW, found);
    if (failure == ENOENT) return {};
    if (failure != 0) fail(failure, "asking for the status of a name", path);
    return found;
}

/// Throws EFBIG unless the range has an off_t at both ends.
inline void require_range(std::uint64_t offset, std::uint64_t size_bytes, std::string const& path) {
    constexpr auto limit = static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());
    if (offset > limit || size_bytes > limit - offset) {
        fail(EFBIG, "an offset is beyond what a file can have", path);
    }
}

/// Reads until the buffer is full or the file ends.
/// @param read_some a call like pread without its descriptor: (buffer, size, offset) -> ssize_t
/// @return bytes read, less than the buffer only where the file ends
template <typename ReadSome>
std::size_t read_whole(ReadSome&& read_some, std::uint64_t offset, mutable_bytes buffer,
                       std::string const& path) {
    require_range(offset, buffer.size(), path);
    std::size_t done = 0;
    while (done < buffer.size()) {
        auto const rest = buffer.subspan(done);
        ssize_t const got = read_some(rest.data(), rest.size(), static_cast<off_t>(offset + done));
        if (got == 0) break;
        if (got < 0 && errno != EINTR) fail(errno, "reading", path);
        if (got > 0) done += static_cast<std::size_t>(got);
    }
    return done;
}

/// Writes all of the data, in pieces: for a long write Linux takes its cache in blocks of 2 MiB,
/// and where a virtual machine gives free ones back to its host, each of these is a fault there:
/// 640 MiB took 1.5 s in calls of 6 MiB and 0.15 s in calls of 0.25 MiB. A call that writes nothing
/// without saying why is tried again a few times, and then it is an EIO.
/// @param write_some a call like pwrite without its descriptor: (data, size, offset) -> ssize_t
template <typename WriteSome>
void write_whole(WriteSome&& write_some, std::uint64_t offset, bytes data,
                 std::string const& path) {
    constexpr int most_idle_calls = 8;
    constexpr auto most_bytes = std::size_t{256} << 10U;
    require_range(offset, data.size(), path);
    int idle_calls = 0;
    while (!data.empty()) {
        auto const piece = data.first(std::min(data.size(), most_bytes));
        ssize_t const put = write_some(piece.data(), piece.size(), static_cast<off_t>(offset));
        if (put < 0 && errno != EINTR) fail(errno, "writing", path);
        if (put == 0 && ++idle_calls == most_idle_calls) fail(EIO, "writing has no effect", path);
        if (put <= 0) continue;
        idle_calls = 0;
        data = data.subspan(static_cast<std::size_t>(put));
        offset += static_cast<std::uint64_t>(put);
    }
}

[[nodiscard]] inline std::size_t read_at(int file, std::uint64_t offset, mutable_bytes buffer,
                                         std::string const& path) {
    auto const some = [file](void* to, std::size_t size_bytes, off_t at) {
        return ::pread(file, to, size_bytes, at);
    };
    return read_whole(some, offset, buffer, path);
}

inline void write_at(int file, std::uint64_t offset, bytes data, std::string const& path) {
    auto const some = [file](void const* from, std::size_t size_bytes, off_t at) {
        return ::pwrite(file, from, size_bytes, at);
    };
    write_whole(some, offset, data, path);
}

/// Once only, even if interrupted: after a failure the kernel may call lost bytes clean.
inline void sync_data(int file, std::string const& path) {
    if (::fdatasync(file) != 0) fail(errno, "syncing", path);
}

/// Hands bytes to the device, and waits only until it takes them. A hint: what goes wrong the next
/// sync tells, as it does where the kernel hands them over by itself.
inline void begin_write_back([[maybe_unused]] int file, [[maybe_unused]] std::uint64_t begin_offset,
                             [[maybe_unused]] std::uint64_t end_offset) noexcept {
#ifdef SYNC_FILE_RANGE_WRITE
    static_cast<void>(::sync_file_range(file, static_cast<off64_t>(begin_offset),
                                        static_cast<off64_t>(end_offset - begin_offset),
                                        SYNC_FILE_RANGE_WRITE));
#endif
}

inline void truncate(int file, std::uint64_t size_bytes, std::string const& path) {
    require_range(size_bytes, 0, path);
    int result = 0;
    do {
        result = ::ftruncate(file, static_cast<off_t>(size_bytes));
    } while (result != 0 && errno == EINTR);
    if (result != 0) fail(errno, "setting the size of a file", path);
}

/// Makes a file share all blocks of another one, which costs neither time nor space.
/// @return false where the file system cannot, or the files are on two
[[nodiscard]] inline bool share_blocks(int to, int from) noexcept {
    // FICLONE by its number: <linux/fs.h> would bring macros like BLOCK_SIZE to whoever includes
    // us.
    constexpr unsigned long share_all = _IOW(0x94, 9, int);
    return ::ioctl(to, share_all, from) == 0;
}

/// Makes a file at least so long, with space for all of it on the device: a page of a mapping that
/// has none is a SIGBUS on a full tmpfs. What others wrote meanwhile stays.
inline void reserve(int file, std::uint64_t size_bytes, std::string const& path) {
    require_range(size_bytes, 0, path);
    int result = 0;
    do {
        result = ::fallocate(file, 0, 0, static_cast<off_t>(size_bytes));
    } while (result != 0 && errno == EINTR);
    if (result == 0) return;
    if (errno != EOPNOTSUPP && errno != ENOSYS) fail(errno, "reserving space for a file", path);
    truncate(file, size_bytes, path); // A file system without the call: it has to be in two steps.
}

/// A descriptor of a directory: one that can be synced, where the directory may be read.
[[nodiscard]] inline descriptor open_directory(std::string const& name, char const* what,
                                               std::string const& path) {
    auto readable = try_open_at(AT_FDCWD, name.c_str(), O_RDONLY | O_DIRECTORY);
    if (readable.file) return std::move(readable.file);
    return open_at(AT_FDCWD, name, O_PATH | O_DIRECTORY, 0, what, path);
}

/// Puts the names of a directory on the device. It needs no further descriptor where the directory
/// can be read: after a rename it would be too late to be refused one.
inline void sync_directory(int directory, std::string const& path) {
    if (::fsync(directory) == 0) return;
    if (errno != EBADF) fail(errno, "syncing a folder", path); // EBADF: one by O_PATH
    auto const readable =
        open_at(directory, ".", O_RDONLY | O_DIRECTORY, 0, "opening a folder to sync it", path);
    if (::fsync(readable.get()) != 0) fail(errno, "syncing a folder", path);
}

inline void rename_at(int directory, std::string const& from, std::string const& to,
                      std::string const& path) {
    if (::renameat(directory, from.c_str(), directory, to.c_str()) != 0) {
        fail(errno, "renaming a fresh file to the database", path);
    }
}

/// Removes a name. @return false if there was none
inline bool unlink_at(int directory, std::string const& name, std::string const& path) {
    if (::unlinkat(directory, name.c_str(), 0) == 0) return true;
    if (errno == ENOENT) return false;
    fail(errno, "removing a file", path);
}

/// Gives a file the permissions of another, and its owner and group as far as this process may.
inline void take_over_rights(int file, file_status const& of, std::string const& path) {
    auto const refused = [](int result) { return result != 0 && errno != EPERM; };
    if (::fchown(file, of.owner, of.group) != 0) {
        auto const unchanged = static_cast<uid_t>(-1);
        if (errno != EPERM || refused(::fchown(file, unchanged, of.group))) {
            fail(errno, "taking over the owner of a file", path);
        }
    }
    // The owner comes first: changing it may clear bits of the mode.
    if (::fchmod(file, of.mode & 07777U) != 0) {
        fail(errno, "taking over the permissions of a file", path);
    }
}

} // namespace coppice::storage::posix
