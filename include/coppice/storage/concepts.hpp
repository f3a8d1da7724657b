// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/concepts.hpp: the two concepts the engine is written against.
// Owns: `storage` (bytes at offsets), `medium` (the place of a database), `writer_lock` (one
//   writer, in this process and on this machine), each with its table of semantics.
// Invariant: the engine reaches the outside world through these expressions and no others, so a
//   simulated medium exercises the very code that ships. Nothing here knows what bytes mean.

#include <coppice/bytes.hpp>
#include <coppice/error.hpp>
#include <coppice/storage/deadline.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>

namespace coppice::storage {

/// A stable, read-only view of the first `size_bytes` of a storage. Later writes within that range
/// appear in it. Bytes beyond the storage's size must not be touched. Whoever holds `data` keeps
/// the bytes alive, also when the file is renamed over, removed, or the storage is gone.
struct mapped_view {
    std::shared_ptr<std::byte const> data;
    std::uint64_t size_bytes = 0;
};

/// Who this process is, for the live page. `token` is random, one per copy of the library.
struct process_identity {
    std::array<std::byte, 16> boot_id{};
    std::uint64_t pid = 0;
    std::uint64_t start_time = 0;
    std::uint64_t token = 0;
};

/// Which file a storage is: enough to tell whether a path still names it.
struct file_identity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;

    friend constexpr bool operator==(file_identity, file_identity) noexcept = default;
};

/// What the path of a database names now, compared with a storage that was opened there.
enum class standing : std::uint8_t { same, replaced, missing };

/// How a medium opens what is at its path.
enum class access : std::uint8_t { read_only, read_write };

// clang-format off
/// Bytes at offsets.
///
/// | expression        | result          | semantics; what a failure leaves behind              |
/// |-------------------|-----------------|------------------------------------------------------|
/// | `c.size()`        | `uint64_t`      | bytes now, asked anew at every call                  |
/// | `c.read(o, to)`   | `size_t`        | fills the buffer from offset o; less only where the  |
/// |                   |                 | file ends. Short and interrupted reads are continued |
/// | `s.write(o, data)`| `void`          | all of data at offset o, growing the file. Short     |
/// |                   |                 | writes are continued. A failure leaves any part      |
/// | `s.sync()`        | `void`          | on return all earlier writes and the size are on the |
/// |                   |                 | device. EINTR is a failure. After a failure nothing  |
/// |                   |                 | is known, and it must not be called again            |
/// | `s.truncate(n)`   | `void`          | cuts or grows (with zeros) to n bytes                |
/// | `c.map(n)`        | `mapped_view`   | at least n bytes, maybe beyond the end               |
/// | `c.identity()`    | `file_identity` | which file this is                                   |
///
/// All failures are `error` with `errc::io_failed`. Safe for concurrent reads beside one writer.
// clang-format on
template <typename S>
concept storage = requires(S& s, S const& c, std::uint64_t n, bytes data, mutable_bytes buffer) {
    { c.size() } -> std::same_as<std::uint64_t>;
    { c.read(n, buffer) } -> std::same_as<std::size_t>;
    { s.write(n, data) } -> std::same_as<void>;
    { s.sync() } -> std::same_as<void>;
    { s.truncate(n) } -> std::same_as<void>;
    { c.map(n) } -> std::same_as<mapped_view>;
    { c.identity() } -> std::same_as<file_identity>;
};

/// A storage that says it may be synced by a thread beside the one that works on it. One that says
/// nothing is worked on by one thread: so a simulated machine sees the same calls each time.
template <typename S>
concept takes_helpers = storage<S> && requires {
    requires S::with_helpers;
};

// clang-format off
/// One writer at a time, in this process and on this machine, and the live page beside it.
///
/// | expression           | result  | semantics                                                 |
/// |----------------------|---------|-----------------------------------------------------------|
/// | `l.acquire(until)`   | `bool`  | first the turn (between threads), then the file lock      |
/// |                      |         | (between processes); false when the deadline passed. A    |
/// |                      |         | deadline in the past means try once. Throws               |
/// |                      |         | `would_deadlock` when this thread is bound, `forked`,     |
/// |                      |         | `second_copy`, `lock_lost` when the lock file is not the  |
/// |                      |         | one at the path, `lock_unusable`                          |
/// | `l.bind(t)`          | `void`  | noexcept; while it is held: `acquire` refuses thread t    |
/// |                      |         | too, with `would_deadlock`, as it refuses who took it     |
/// | `l.unbind(t)`        | `void`  | noexcept; takes one `bind`, or the taking, of t back      |
/// | `l.release()`        | `void`  | noexcept; from any thread of the process                  |
/// | `l.is_forked()`      | `bool`  | noexcept; is this a child of the process that opened it?  |
/// | `l.check_held()`     | `void`  | throws `lock_lost` unless the lock file is still at its   |
/// |                      |         | path, `forked` in a child                                 |
/// | `l.page()`           | pointer | 4096 bytes of live page, 8-aligned, mapped; or null where |
/// |                      |         | there is none. Words in it may change at any time         |
/// | `l.write_page(o, d)` | `void`  | writes data at offset o of the page, under the lock; o    |
/// |                      |         | and size are multiples of 8, aligned words appear whole   |
/// | `l.identity()`       |         | who this process is                                       |
/// | `l.owner_changes()`  | number  | noexcept; under the lock: another one than before, if     |
/// |                      |         | another process had the lock meanwhile                    |
/// | `l.poison()`         | `void`  | noexcept; ends writing for every handle that was opened   |
/// |                      |         | so far on this lock in this process                       |
/// | `l.poison_count()`   | number  | how often that happened                                   |
// clang-format on
template <typename L>
concept writer_lock = requires(L& l, L const& c, deadline until, std::thread::id thread,
                               std::uint64_t n, bytes data) {
    { l.acquire(until) } -> std::same_as<bool>;
    { l.bind(thread) }
    noexcept;
    { l.unbind(thread) }
    noexcept;
    { l.release() }
    noexcept;
    { c.is_forked() }
    noexcept->std::same_as<bool>;
    { l.check_held() } -> std::same_as<void>;
    { c.page() } -> std::same_as<std::byte const*>;
    { l.write_page(n, data) } -> std::same_as<void>;
    { c.identity() } -> std::same_as<process_identity const&>;
    { c.owner_changes() }
    noexcept->std::same_as<std::uint64_t>;
    { l.poison() }
    noexcept;
    { c.poison_count() } -> std::same_as<std::uint64_t>;
};

// clang-format off
/// The place of a database: a name that resolves to a storage, a companion for fresh files, a lock.
///
/// | expression          | result       | semantics                                             |
/// |---------------------|--------------|-------------------------------------------------------|
/// | `m.open(access)`    | shared_ptr   | what is at the path now. Throws `not_found`,          |
/// |                     | to a storage | `unusable_path`, and for writing `hard_linked`        |
/// | `m.fresh()`         | the same     | a new empty file beside it, for writing; a leftover   |
/// |                     |              | is removed first; takes over permissions and owner of |
/// |                     |              | the file at the path, if any                          |
/// | `m.replace(fresh)`  | `void`       | the path names `fresh` from now on (rename)           |
/// | `m.sync_name()`     | `void`       | on return the name itself is on the device            |
/// | `m.discard_fresh()` | `bool`       | removes the companion; true if there was one          |
/// | `m.companion()`     | optional     | which file the companion is, if there is one          |
/// | `m.compare(s)`      | `standing`   | is the path still that file?                          |
/// | `m.remove()`        | `bool`       | removes the file at the path; false if missing        |
/// | `m.lock()`          | shared_ptr   | the lock, opened for writing; made if missing.        |
/// |                     | to a lock    | Throws `lock_unusable`, `second_copy`                 |
/// | `m.reader_lock()`   | or null      | the lock for its live page only; makes nothing        |
/// | `m.compaction_lock()`| shared_ptr  | another lock of the same kind, without a live page of |
/// |                     | to a lock    | its own meaning: whoever compacts holds it            |
/// | `m.random()`        | `uint64_t`   | 64 random bits, for uuids and nonces                  |
/// | `m.path()`          | `string`     | for messages                                          |
// clang-format on
template <typename M>
concept medium = storage<typename M::storage_type> && writer_lock<typename M::lock_type> &&
    requires(M& m, M const& c, typename M::storage_type& s, access a) {
    { m.open(a) } -> std::same_as<std::shared_ptr<typename M::storage_type>>;
    { m.fresh() } -> std::same_as<std::shared_ptr<typename M::storage_type>>;
    { m.replace(s) } -> std::same_as<void>;
    { m.sync_name() } -> std::same_as<void>;
    { m.discard_fresh() } -> std::same_as<bool>;
    { m.companion() } -> std::same_as<std::optional<file_identity>>;
    { m.compare(s) } -> std::same_as<standing>;
    { m.remove() } -> std::same_as<bool>;
    { m.lock() } -> std::same_as<std::shared_ptr<typename M::lock_type>>;
    { m.reader_lock() } -> std::same_as<std::shared_ptr<typename M::lock_type>>;
    { m.compaction_lock() } -> std::same_as<std::shared_ptr<typename M::lock_type>>;
    { m.random() } -> std::same_as<std::uint64_t>;
    { c.path() } -> std::same_as<std::string const&>;
};

} // namespace coppice::storage
