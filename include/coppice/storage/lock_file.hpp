// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/lock_file.hpp: the lock file, opened here and nowhere else in the library.
// Owns: opening and making it, the record of its owner, and the kernel's lock on it.
// Invariants: it is a regular file with one name, of at least 4096 bytes. Closing any descriptor of
//   it drops the kernel's lock of this whole process, so whoever opens one here hands it to the
//   registry. Bytes 0 to 2047 are the store's; the record is at 2048; 2080 is kept for a waiter.

#include <coppice/storage/boost_files.hpp>
#include <coppice/storage/growing_pause.hpp>
#include <coppice/storage/live_page.hpp>
#include <coppice/storage/process.hpp>

#include <boost/interprocess/sync/file_lock.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>

namespace coppice::storage {

inline constexpr std::uint64_t owner_record_offset = live_page_store_bytes;

/// Where a lock file is: a name in a directory that stays open, and its path for messages.
struct lock_place {
    std::shared_ptr<posix::descriptor const> directory;
    std::string name;
    std::string path;
};

/// Who took the lock last: four little-endian words, of which the last is stored bound to the
/// others. All zero: nobody, or it ended well.
struct owner_record {
    std::uint64_t pid = 0;
    std::uint64_t start_time = 0;
    std::uint64_t token = 0;
    std::uint64_t image = 0; ///< process_state::image

    friend bool operator==(owner_record const&, owner_record const&) noexcept = default;
};

/// The record that this process writes.
[[nodiscard]] inline owner_record record_of(process_state const& process) noexcept {
    auto const& who = process.identity;
    return {who.pid, who.start_time, who.token, process.image};
}

namespace detail {

[[nodiscard]] constexpr std::uint64_t little_endian(std::uint64_t word) noexcept {
    if constexpr (std::endian::native == std::endian::little) return word;
    std::uint64_t swapped = 0;
    for (unsigned i = 0; i < 8; ++i) swapped |= ((word >> (8U * i)) & 0xFFU) << (56U - 8U * i);
    return swapped;
}

using owner_words = std::array<std::uint64_t, 4>;

/// What the fourth word is combined with, so that words of two records never make a third one:
/// children of one process may differ in pid and token alone. Zeros stay zeros.
[[nodiscard]] constexpr std::uint64_t binding(owner_words const& words) noexcept {
    std::uint64_t mixed = 0;
    for (std::size_t i = 0; i < 3; ++i) {
        mixed = (mixed ^ words[i]) * 0x9E37'79B9'7F4A'7C15U;
        mixed ^= mixed >> 32U;
    }
    return mixed;
}

[[nodiscard]] inline owner_words words_of(owner_record const& record) noexcept {
    owner_words words{record.pid, record.start_time, record.token, 0};
    words[3] = record.image ^ binding(words);
    for (auto& word : words) word = little_endian(word);
    return words;
}
/// What words say that were read from a file.
[[nodiscard]] inline owner_record record_in(owner_words words) noexcept {
    for (auto& word : words) word = little_endian(word);
    return {words[0], words[1], words[2], words[3] ^ binding(words)};
}

} // namespace detail

/// Reads the record; all zero where the file is too short to have one.
[[nodiscard]] inline owner_record read_owner(int file, std::string const& path) {
    detail::owner_words words{};
    auto const got =
        posix::read_at(file, owner_record_offset, std::as_writable_bytes(std::span(words)), path);
    return got < sizeof words ? owner_record() : detail::record_in(words);
}

/// The record at an 8-aligned place in a mapping of the file, which others may be writing: a torn
/// one is nobody's name.
[[nodiscard]] inline owner_record owner_at(std::byte const* at) noexcept {
    detail::owner_words words{};
    for (std::size_t i = 0; i < words.size(); ++i) {
        auto* const word = reinterpret_cast<std::uint64_t*>(const_cast<std::byte*>(at + 8 * i));
        words[i] = std::atomic_ref<std::uint64_t>(*word).load(std::memory_order_acquire);
    }
    return detail::record_in(words);
}

inline void write_owner(int file, owner_record const& record, std::string const& path) {
    auto const words = detail::words_of(record);
    posix::write_at(file, owner_record_offset, std::as_bytes(std::span(words)), path);
}

/// Was the record written by a second copy of this library in this very process?
[[nodiscard]] inline bool is_second_copy(owner_record const& record,
                                         process_state const& process) noexcept {
    auto expected = record_of(process);
    expected.token = record.token;
    return record == expected && record.token != process.identity.token;
}

/// Throws `errc::lock_unusable` unless the status is that of a plain file with one name.
inline void require_plain_lock_file(posix::file_status const& status, std::string const& path) {
    if (!status.is_plain_file()) {
        throw error(errc::lock_unusable, "the lock file is not a regular file", path);
    }
    if (status.links > 1) {
        throw error(errc::lock_unusable, "the lock file has a second hard link", path);
    }
}

namespace detail {

[[noreturn]] inline void fail_to_open_lock(int failure, std::string const& path) {
    bool const kind_of_file = failure == ELOOP || failure == EISDIR || failure == ENXIO ||
                              failure == EACCES || failure == EPERM;
    posix::fail(failure, "opening the lock file", path,
                kind_of_file ? errc::lock_unusable : errc::io_failed);
}

/// Makes the lock file; nothing where somebody else made it meanwhile.
inline posix::descriptor make_lock_file(lock_place const& place,
                                        std::optional<posix::file_status> const& database) {
    int const flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK;
    auto made = posix::try_open_at(place.directory->get(), place.name.c_str(), flags, 0666);
    if (!made.file && made.failure == EEXIST) return {};
    if (!made.file) fail_to_open_lock(made.failure, place.path);
    // Whoever may write the database must be able to lock it.
    if (database) posix::take_over_rights(made.file.get(), *database, place.path);
    return std::move(made.file);
}

} // namespace detail

/// Opens the lock file for writing, made if missing. Never waits, never follows a link.
/// @param database the status of the database, whose rights a new lock file takes over
/// @return what is open now may be anything: REQUIRES require_plain_lock_file, once the registry
///     knows whether it may be closed. Throws `lock_unusable`, `io_failed`.
[[nodiscard]] inline posix::descriptor open_lock_file(
    lock_place const& place, std::optional<posix::file_status> const& database) {
    constexpr int most_races = 100;
    posix::low_descriptors const occupied;
    int const flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK;
    for (int race = 0; race < most_races; ++race) {
        auto opened = posix::try_open_at(place.directory->get(), place.name.c_str(), flags);
        if (opened.file) return std::move(opened.file);
        if (opened.failure != ENOENT) detail::fail_to_open_lock(opened.failure, place.path);
        if (auto made = detail::make_lock_file(place, database)) return made;
    }
    throw error(errc::lock_unusable, "the lock file comes and goes", place.path);
}

/// Opens an existing lock file for reading; nothing where it is missing or may not be read.
/// Throws `io_failed` where that says nothing about the file, such as too many open files.
[[nodiscard]] inline posix::descriptor open_lock_file_read_only(lock_place const& place) {
    posix::low_descriptors const occupied;
    int const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
    auto opened = posix::try_open_at(place.directory->get(), place.name.c_str(), flags);
    int const why = opened.failure;
    bool const absent = why == ENOENT || why == EACCES || why == EPERM || why == ELOOP ||
                        why == EISDIR || why == ENXIO;
    if (!opened.file && !absent) detail::fail_to_open_lock(why, place.path);
    return std::move(opened.file);
}

/// The kernel's lock, which excludes other processes and dies with this one. It knows nothing of
/// threads. See Boost.Interprocess for why there must be one object for each file and process.
class kernel_lock {
  public:
    /// @param file the lock file, open for writing
    kernel_lock(int file, std::string const& path)
        : lock_(open_with_boost(
              file, path, [](char const* name) { return boost::interprocess::file_lock(name); })) {}

    /// Takes the lock, or says false when the deadline has passed. A signal does not end it.
    /// Throws `would_deadlock` where the kernel sees a cycle, `lock_unusable` where the file system
    /// has no locks.
    [[nodiscard]] bool acquire(deadline until, std::string const& path) {
        if (until) return poll(*until, path);
        for (;;) {
            int const failure = attempt([this] { return lock_.lock(), true; });
            if (failure == 0) return true;
            if (failure == EINTR) continue;
            // The kernel's view is of processes: where other threads hold the locks of the cycle,
            // they may soon let go of them.
            if (failure == EDEADLK && poll(clock::now() + deadlock_patience, path)) return true;
            fail(failure, path);
        }
    }

    /// Gives the lock back. There is nothing to be done about a failure.
    void release() noexcept {
        static_cast<void>(attempt([this] { return lock_.unlock(), true; }));
    }

  private:
    using clock = std::chrono::steady_clock;
    static constexpr std::chrono::milliseconds deadlock_patience{300};
    static constexpr std::chrono::microseconds longest_pause{2000};

    /// @return 0 when done, EAGAIN when somebody else has the lock, or the errno
    template <typename Call> [[nodiscard]] static int attempt(Call&& call) noexcept {
        try {
            return call() ? 0 : EAGAIN;
        } catch (boost::interprocess::interprocess_exception const& e) {
            return errno_of(e);
        } catch (...) {
            return EIO;
        }
    }

    [[nodiscard]] bool poll(clock::time_point until, std::string const& path) {
        growing_pause pause(longest_pause);
        for (;;) {
            int const failure = attempt([this] { return lock_.try_lock(); });
            if (failure == 0) return true;
            if (failure != EAGAIN && failure != EINTR) fail(failure, path);
            if (!pause.rest(until)) return false;
        }
    }

    [[noreturn]] static void fail(int failure, std::string const& path) {
        auto kind = errc::io_failed;
        if (failure == EDEADLK) kind = errc::would_deadlock;
        if (failure == ENOLCK || failure == ENOSYS || failure == EOPNOTSUPP) {
            kind = errc::lock_unusable;
        }
        posix::fail(failure, "locking the lock file", path, kind);
    }

    boost::interprocess::file_lock lock_;
};

} // namespace coppice::storage
