// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/options.hpp: the aggregate a user fills when opening, and what the events tell.
// Owns: the defaults and limits, with their reasons; the enumerations of every choice.
// Invariant: an option changes how something is done, never whether a commit is atomic.

#include <coppice/commit_id.hpp>
#include <coppice/error.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace coppice {

/// What opening does where there is no database, or where there is one.
enum class create : std::uint8_t {
    never,      ///< open an existing database, else `errc::not_found`
    if_missing, ///< open it, or make it
    must,       ///< make it, or `errc::already_exists`
    replace,    ///< make a new one in the place of an old one (atomically, by rename)
};

/// What opening does when the newest commits were cut short.
enum class recovery : std::uint8_t {
    automatic, ///< take the newest whole commit; nothing is written until the next commit
    refuse,    ///< `errc::recovery_needed`, and nothing is touched
};

/// When the checksum of a node or value is compared.
enum class verify : std::uint8_t {
    first_touch, ///< when this process first touches it; 0.1 to 0.4 us for each 4 KiB, once
    every_read,  ///< at every read
    never,       ///< never; the structure is still checked, so reading stays memory safe
};

/// What a commit waits for.
enum class durability : std::uint8_t {
    sync,     ///< one sync of the device: the commit survives a power cut when it returns
    lazy,     ///< none, unless more than `unsynced_limit_bytes` would be unsynced: it survives the
              ///< death of the process; after a power cut the database is a whole earlier commit,
              ///< never damaged. Bulk loads, streams and transactions that are larger than
              ///< `transaction_bytes` are `two_sync` whatever is asked
    two_sync, ///< data, sync, superblock, sync: nothing rests on a checksum over the data
    deferred, ///< no write either: it is visible to this handle at once, and written with those
              ///< after it as one commit, by the next flush (`flush_policy`) or commit of another
              ///< kind. The death of the process loses what was not flushed, never a part of a
              ///< transaction. What is `two_sync` whatever is asked is not deferred
};

/// When deferred commits are written, at the latest. Until then this handle keeps the file locked
/// for others who want to write.
struct flush_policy {
    /// Memory that deferred commits may take, with what their tree will take, which is estimated
    /// by the last one. One that would pass it is written at once, with all before it, so the
    /// memory is bounded by about this and one transaction; writing takes a buffer besides.
    std::uint64_t bytes = std::uint64_t{64} << 20U;
    /// How many commits may be deferred. The next one is written at once, with all before it.
    std::uint32_t count = 100'000;
    /// How long a commit may stay deferred, and longer while a transaction is open; a thread of
    /// the handle sees to it. Zero: for ever, without a thread.
    std::chrono::milliseconds interval{100};
};

/// Node sizes of a database, fixed when it is made. Nodes are as long as their content; these
/// are the sizes above which a node is cut in two. Tiny sizes make deep trees for tests.
struct node_sizes {
    std::uint32_t leaf_bytes = 4096;         ///< 128 to 65,536
    std::uint32_t inner_bytes = 1024;        ///< 128 to 65,536
    std::uint32_t inline_value_bytes = 1024; ///< longer values lie out of line; at most a quarter
                                             ///< of `leaf_bytes`, which it is lowered to
    /// Write small changes of a node as a patch beside it: a lone commit appends about a third, and
    /// reading a tree full of patches takes a little longer. Compaction leaves none.
    bool patches = true;
};

/// When a database compacts itself: in a thread of the process that writes, beside its writers.
struct compaction_policy {
    /// The database compacts itself when garbage is more than so many times what is live, as
    /// `stats()` counts them. 0: never. With a ratio r the file grows to 1 + r times what is live,
    /// and compactions write 1 / r bytes for each byte appended. If it grows to 1 + 1.5 r times
    /// while one runs, writers of this handle wait for it. What was kept for older commits counts
    /// as live. Each compaction ends the history that is not to be kept, and all feeds and backups
    /// that stand on the file, so nothing is compacted without being asked.
    double garbage_ratio = 0;
    /// Files of no more than this are left alone, and nobody waits below 1.5 times as much.
    std::uint64_t floor_bytes = std::uint64_t{16} << 20U;
};

/// What a compaction keeps besides the newest commit, which it always keeps, and the commits that
/// have a tag. It is the choice of whoever compacts: nothing of it is in the file.
struct retention_policy {
    /// The newest so many commits, at the least.
    std::uint64_t commits = 1;
    /// Commits that are younger than this, by their times and the clock of the options. 0: none.
    std::chrono::microseconds age{0};
};

/// What an event tells of a commit.
struct commit_info {
    commit_id id{};                               ///< its number
    std::chrono::system_clock::time_point time{}; ///< its wall-clock time
    std::string note{};                           ///< its note, often empty
    std::uint64_t entries = 0;                    ///< entries after it
    std::uint64_t live_bytes = 0;                 ///< bytes its tree reaches
    bool durable = false;                         ///< known to have reached the device
};

/// What the on_recover event tells.
struct recovery_info {
    commit_id taken{};                ///< the commit that was taken
    std::uint64_t rejected_slots = 0; ///< superblock slots that did not hold
    std::string reason{};             ///< in words
};

/// How grave a log line is.
enum class log_level : std::uint8_t { debug, info, warning, error };

/// Callbacks. Each may be empty. They run in the calling thread, or in one of the handle (which
/// flushes, compacts by itself, or settles pending commits), maybe in several at once, with no lock
/// of coppice held. What they throw is swallowed and reported to `log`. They must not use the
/// handle that calls them.
struct events {
    std::function<void(std::string const& path)> on_open = {};  ///< after opening
    std::function<void(std::string const& path)> on_close = {}; ///< after the last use of a handle
    std::function<void(commit_info const&)> on_commit = {};     ///< after a commit of this handle
    /// After a write of this handle has made more commits durable: all up to this id are. Threads
    /// may tell theirs in another order; the highest counts.
    std::function<void(commit_id)> on_durable = {};
    std::function<void(error const&)> on_error = {}; ///< before a failed write throws
    /// When opening passed over a superblock slot that did not hold.
    std::function<void(recovery_info const&)> on_recover = {};
    std::function<void(log_level, std::string_view)> log = {}; ///< one line, for people
};

/// How a database is opened. All members have defaults; use designated initialisers:
/// `coppice::database db{"a.db", {.create = coppice::create::must}};`
struct options {
    coppice::create create = coppice::create::if_missing; ///< make it where it is missing
    bool create_directories = false;                      ///< make the parent folders as well
    bool read_only = false; ///< needs no lock file, writes nothing, works on read-only media; makes
                            ///< nothing, whatever `create` says
    coppice::recovery recovery = coppice::recovery::automatic;  ///< what to do after a crash
    coppice::durability durability = coppice::durability::sync; ///< of commits that name none
    coppice::verify verify = coppice::verify::first_touch;      ///< when checksums are compared
    /// May a page that is read bring its neighbours along from the device? They are wanted where
    /// the file has room in memory, or is scanned. For single keys of a file that is larger than
    /// memory turn it off: a device may be told to read megabytes ahead, and each get then waits
    /// for them. Scans and checks of such a file are slower for it, unless several threads do
    /// them (`range.split`); a compaction reads it by four threads then.
    bool read_ahead = true;
    /// When more than this is not yet synced, the next commit syncs first. It bounds the work of
    /// opening after a crash. More than 1 GiB is taken for that.
    std::uint64_t unsynced_limit_bytes = std::uint64_t{32} << 20U;
    /// A durable transaction of more bytes than this uses two syncs, so that opening never has to
    /// sum it. Bulk loads and streams always do, as what takes more than a quarter of
    /// `transaction_bytes`.
    std::uint64_t two_sync_above_bytes = std::uint64_t{4} << 20U;
    /// How much memory the changes of a transaction may take. More of them go to the file ahead of
    /// the commit, which then uses two syncs; so a transaction may be larger than memory. What
    /// `get` has shown of them stays in memory besides, as long as the transaction. A durable
    /// commit takes as much again for its tree, so one of changes that take more than a quarter of
    /// this writes them as it goes, too. Changes of the same key each count.
    std::uint64_t transaction_bytes = std::uint64_t{64} << 20U;
    /// How far ahead the file is written with zeros for small durable commits, at most: a sync that
    /// has to grow the file costs about twice one that does not. 0 turns it off.
    std::uint64_t preallocate_bytes = std::uint64_t{1} << 20U;
    /// Begins each commit at a 4 KiB block of its own, for media on which a torn write can damage
    /// its neighbours in the same block (no power-safe overwrite). Costs 2 KiB a commit on average.
    bool pad_commits = false;
    /// A handle that has written for so long without a gap leaves the lock alone for a moment, so
    /// that other handles and processes come to write. Longer is a little faster, and less fair.
    std::chrono::milliseconds longest_run{50};
    flush_policy flush = {}; ///< when deferred commits are written
    /// When the database compacts itself. Not at all, if not asked for.
    compaction_policy compaction = {};
    /// Which commits a compaction keeps. The newest alone, and those with a tag, if not asked for.
    retention_policy retention = {};
    node_sizes nodes = {};       ///< used only when the database is made
    coppice::events events = {}; ///< callbacks
    /// The wall clock of commits, for tests. Empty means std::chrono::system_clock::now.
    std::function<std::chrono::system_clock::time_point()> clock = {};
};

/// The same options, but none so large that a sum with it overflows or opening takes for ever.
[[nodiscard]] inline options within_limits(options chosen) {
    constexpr auto most_unsynced = std::uint64_t{1} << 30U;
    constexpr std::chrono::milliseconds longest = std::chrono::hours{24 * 365}; // as good as never
    chosen.unsynced_limit_bytes = std::min(chosen.unsynced_limit_bytes, most_unsynced);
    chosen.flush.interval = std::min(chosen.flush.interval, longest);
    chosen.longest_run = std::min(chosen.longest_run, longest);
    return chosen;
}

/// The longest key, in bytes. Keys may be empty and hold any bytes.
inline constexpr std::uint64_t max_key_bytes = 65535;
/// The longest value, in bytes, by the format.
inline constexpr std::uint64_t max_value_bytes = (std::uint64_t{1} << 47U) - 1;
/// The longest note of a commit, in bytes.
inline constexpr std::uint64_t max_note_bytes = 4096;
/// The longest name of a tag, in bytes. A name may hold any bytes, and is not empty.
inline constexpr std::uint64_t max_tag_bytes = 255;

} // namespace coppice
