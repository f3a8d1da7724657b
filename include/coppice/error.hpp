// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/error.hpp: everything that can go wrong, grouped by when it does.
// Owns: `errc` with the meaning and the remedy of each value, its category, and `error`,
//   the one exception type of the library (a std::system_error).
// Invariant: a call that throws `error` has changed nothing, with one exception that is
//   told apart by its code: after `errc::sync_failed` the outcome of that commit is unknown.

#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace coppice {

/// What went wrong. Absence of a key is never an error.
enum class errc {
    // ---- any call -------------------------------------------------------------------------
    /// The operating system refused: `error::code()` is its errno in std::system_category(), so
    /// `e.code() == std::errc::no_space_on_device` works. Do: what that errno asks for.
    io_failed = 1,
    /// The handle was closed, or moved from. Do: open the database again.
    closed,
    /// This process is a fork of the one that opened the handle; only snapshots go on reading.
    /// Do: open the database in the child.
    forked,
    /// An option or argument makes no sense; the message says which. Do: correct the call.
    invalid_argument,

    // ---- opening --------------------------------------------------------------------------
    /// There is no database at the path and the options do not ask to make one, or its folder is
    /// missing (`create_directories`).
    not_found,
    /// There is a file at the path and the options ask for a new one (`create::must`).
    already_exists,
    /// The path names a directory, a device, a pipe, or the name is too long for companions.
    unusable_path,
    /// The file is not a coppice database: its first bytes are others. It is left untouched.
    not_a_database,
    /// The file's format version or checksum algorithm is unknown to this library.
    unsupported_version,
    /// The file uses a feature, node kind or entry flag that this library does not know.
    unsupported_feature,
    /// The newest commits need recovery and the options say `recovery::refuse`.
    recovery_needed,
    /// The file has more than one hard link; compaction would part them. Do: open it read-only,
    /// or remove the other links.
    hard_linked,
    /// The lock file cannot be used (a link, a pipe, another owner, locks not supported).
    lock_unusable,

    // ---- reading --------------------------------------------------------------------------
    /// Bytes of the file are damaged; `error::offset()` says where. Do: `check`, restore.
    corrupt,
    /// The commit asked for is not in this file: a compaction has dropped it, or the file is a copy
    /// that went another way. Do: begin from the newest state.
    history_gone,
    /// No commit has this name. Do: look at `tags()`.
    no_such_tag,

    // ---- writing --------------------------------------------------------------------------
    /// The database was opened read-only.
    read_only,
    /// The thread that asks for a write transaction has one already, or one whose commit is
    /// pending.
    would_deadlock,
    /// The transaction was committed or rolled back.
    finished,
    /// A key above 65,535 bytes.
    key_too_large,
    /// A value, or a file, of more than 2^47 - 1 bytes.
    value_too_large,
    /// A note above 4,096 bytes.
    note_too_large,
    /// The keys of a bulk load are not strictly ascending.
    not_sorted,
    /// A stream was committed before all the bytes it was opened for had been written.
    stream_unfinished,
    /// The file at the path was removed. Snapshots go on reading. Do: open the database again.
    file_missing,
    /// Another database is at the path now. Do: open the database again.
    file_replaced,
    /// The lock file was removed or replaced, or another writer's commit was found under the
    /// lock. Nothing was written. Do: open again; never delete the lock of a live database.
    lock_lost,
    /// Two copies of this library in one process (shared libraries with hidden symbols) use
    /// one database; their locks would not exclude each other. Do: share one copy.
    second_copy,
    /// A sync or the write of a superblock failed. The outcome of that commit is unknown: after
    /// reopening it is there whole, or not at all. Every handle of this process refuses writes
    /// on that file. Do: open the database again.
    sync_failed,
};

/// The category of `errc`, named "coppice".
[[nodiscard]] inline std::error_category const& error_category() noexcept;

/// Makes `errc` usable wherever a std::error_code is.
[[nodiscard]] inline std::error_code make_error_code(errc code) noexcept {
    return {static_cast<int>(code), error_category()};
}

/// A short lower-case sentence for a code; a static string.
[[nodiscard]] constexpr char const* describe(errc code) noexcept {
    switch (code) {
    case errc::io_failed: return "the operating system refused";
    case errc::closed: return "the handle is closed";
    case errc::forked: return "this process is a fork of the one that opened the database";
    case errc::invalid_argument: return "invalid argument";
    case errc::not_found: return "there is no database at the path";
    case errc::already_exists: return "there is a file at the path already";
    case errc::unusable_path: return "the path cannot hold a database";
    case errc::not_a_database: return "the file is not a coppice database";
    case errc::unsupported_version: return "the file's format version is not supported";
    case errc::unsupported_feature: return "the file uses a feature that is not supported";
    case errc::recovery_needed: return "the database needs recovery, which the options refuse";
    case errc::hard_linked: return "the database file has more than one hard link";
    case errc::lock_unusable: return "the lock file cannot be used";
    case errc::corrupt: return "the database is damaged";
    case errc::history_gone: return "the commit is not in this file any more";
    case errc::no_such_tag: return "there is no such tag";
    case errc::read_only: return "the database is open read-only";
    case errc::would_deadlock: return "this thread has the write transaction already";
    case errc::finished: return "the transaction is finished";
    case errc::key_too_large: return "the key is longer than 65535 bytes";
    case errc::value_too_large: return "the value or the file would be too large";
    case errc::note_too_large: return "the note is longer than 4096 bytes";
    case errc::not_sorted: return "the keys are not strictly ascending";
    case errc::stream_unfinished: return "a value stream is not complete";
    case errc::file_missing: return "the database file is not at its path any more";
    case errc::file_replaced: return "another database is at the path now";
    case errc::lock_lost: return "the lock file was removed or the lock was lost";
    case errc::second_copy: return "a second copy of coppice in this process uses the database";
    case errc::sync_failed: return "a sync failed; the outcome of the commit is unknown";
    }
    return "unknown coppice error";
}

namespace error_detail {

class category_type final : public std::error_category {
  public:
    [[nodiscard]] char const* name() const noexcept override { return "coppice"; }
    [[nodiscard]] std::string message(int code) const override {
        return describe(static_cast<errc>(code));
    }
};

} // namespace error_detail

inline std::error_category const& error_category() noexcept {
    static error_detail::category_type const category;
    return category;
}

/// The one exception type. `kind()` always says which `errc` it is: compare that. `code()` is the
/// same, or the errno where the system reported the failure: always so for `io_failed`, at times
/// for `unusable_path`, `lock_unusable` and `would_deadlock`.
class error : public std::system_error {
  public:
    /// A failure of the library's own kind.
    /// @param kind what went wrong
    /// @param what what was being done, where, and what to do
    /// @param path the file concerned, empty where there is none
    /// @param offset the byte offset concerned, where there is one
    explicit error(errc kind, std::string const& what, std::string path = {},
                   std::optional<std::uint64_t> offset = {})
        : std::system_error(make_error_code(kind), compose(what, path, offset)),
          kind_(kind),
          path_(std::move(path)),
          offset_(offset) {}

    /// A failure that the operating system reported.
    error(std::error_code os_code, std::string const& what, std::string path = {},
          errc kind = errc::io_failed)
        : std::system_error(os_code, compose(what, path, {})),
          kind_(kind),
          path_(std::move(path)) {}

    /// The kind of failure, also where `code()` is an errno.
    [[nodiscard]] errc kind() const noexcept { return kind_; }
    /// The file concerned; empty where there is none.
    [[nodiscard]] std::string const& path() const noexcept { return path_; }
    /// The byte offset concerned, where there is one.
    [[nodiscard]] std::optional<std::uint64_t> offset() const noexcept { return offset_; }

  private:
    [[nodiscard]] static std::string compose(std::string const& what, std::string const& path,
                                             std::optional<std::uint64_t> offset) {
        std::string text = what;
        if (!path.empty()) text += " [" + path + "]";
        if (offset) text += " at offset " + std::to_string(*offset);
        return text;
    }

    errc kind_;
    std::string path_;
    std::optional<std::uint64_t> offset_;
};

} // namespace coppice

template <> struct std::is_error_code_enum<coppice::errc> : std::true_type {};
