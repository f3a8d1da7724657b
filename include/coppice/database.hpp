// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/database.hpp: open, read, write, tag, follow, compact, copy, branch, check, history.
// Owns: the handle that a user opens, and the moment at which events are told.
// Invariant: snapshots and transactions may outlive their handle. A closed or moved-from handle
//   throws errc::closed.
// Thread safety: any threads may call anything at once, but `close`, moving and destruction alone.

#include <coppice/destroy.hpp>
#include <coppice/error.hpp>
#include <coppice/feed.hpp>
#include <coppice/history.hpp>
#include <coppice/options.hpp>
#include <coppice/snapshot.hpp>
#include <coppice/statistics.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/storage/deadline.hpp>
#include <coppice/storage/file_medium.hpp>
#include <coppice/storage/growing_pause.hpp>
#include <coppice/storage/memory_medium.hpp>
#include <coppice/store/check.hpp>
#include <coppice/store/compact.hpp>
#include <coppice/store/copy.hpp>
#include <coppice/store/durable.hpp>
#include <coppice/store/history.hpp>
#include <coppice/store/housekeeper.hpp>
#include <coppice/store/measure.hpp>
#include <coppice/store/newest_value.hpp>
#include <coppice/store/store.hpp>
#include <coppice/store/tagging.hpp>
#include <coppice/store/tags.hpp>
#include <coppice/store/writer.hpp>
#include <coppice/tell.hpp>
#include <coppice/transaction.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coppice::inline COPPICE_ABI {

using store::check_report;
using store::compaction_hooks;
using store::copy_report;
using store::tagged_commit;

/// An open database on some medium.
template <storage::medium Medium> class basic_database {
  public:
    using transaction = basic_transaction<Medium>;

    /// Opens the database at a path, or makes it, as the options say.
    /// @throws error; then nothing is left behind, unless the very last step of making one failed,
    ///   the sync of its folder: then it stands there, whole and empty
    explicit basic_database(std::filesystem::path const& path, options chosen = {}) requires
        std::constructible_from<Medium, std::filesystem::path const&, bool, bool>
        : basic_database(Medium(path, chosen.create_directories, chosen.read_ahead),
                         std::move(chosen)) {}

    /// A fresh database in memory. Nothing of it outlives its last handle, snapshot or view.
    explicit basic_database(options chosen = {.preallocate_bytes = 0}) requires
        std::same_as<Medium, storage::memory_medium> : basic_database(Medium(), std::move(chosen)) {
    }

    /// Opens the database that a medium holds.
    explicit basic_database(Medium medium, options chosen = {})
        : store_(std::make_shared<store_type>(std::move(medium), std::move(chosen))) {
        tell(callbacks(), &events::on_open, path());
        if (auto const& found = store_->recovery()) {
            tell(callbacks(), &events::on_recover, *found);
            tell(callbacks(), &events::log, log_level::warning, std::string_view(found->reason));
        }
        if (store_->chosen().compaction.garbage_ratio > 0 && !store_->chosen().read_only) {
            housekeeper_ = std::make_unique<store::housekeeper<Medium>>(store_);
        }
    }

    basic_database(basic_database&&) noexcept = default;
    basic_database& operator=(basic_database&& other) noexcept {
        if (this != &other) {
            close();
            store_ = std::move(other.store_);
            housekeeper_ = std::move(other.housekeeper_);
        }
        return *this;
    }
    ~basic_database() { close(); }

    // ---- reading ---------------------------------------------------------------------------

    /// The newest commit whose promise was kept, for as long as you keep it. Lock-free while no
    /// other process commits. @throws errc::closed, corrupt, and errno of the system
    [[nodiscard]] snapshot read() const { return snapshot(open().current()); }
    /// The newest whole commit, also one that a power cut may still take back. @throws as `read`
    [[nodiscard]] snapshot read_latest() const { return snapshot(open().latest()); }
    /// The database as it was after a commit. O(log n) steps for n commits.
    /// @throws as `read`, and errc::history_gone for a commit that the file does not hold: dropped
    ///   by a compaction, written as part of a later one (deferred ones are), or never made
    [[nodiscard]] snapshot read(commit_id id) const {
        return snapshot(store::state_at(open().current(), id));
    }
    /// The database as it was at a time: after the last commit that is not later. O(log n) steps.
    /// @throws as `read`, and errc::history_gone where all commits of the file are later
    [[nodiscard]] snapshot read(std::chrono::system_clock::time_point when) const {
        return snapshot(store::state_at_time(open().current(), store::to_microseconds(when)));
    }
    /// The database as it was after the commit that a tag names.
    /// @throws as `read`, errc::no_such_tag, errc::invalid_argument for what cannot be a name
    [[nodiscard]] snapshot read(std::string_view tag) const {
        return snapshot(store::tagged_state(open().current(), tag));
    }
    /// The value of a key in the newest commit at this call, as a copy. @throws as `read`
    [[nodiscard]] std::optional<std::string> get(std::string_view key) const {
        return get(key, store::copy_of);
    }
    /// The same without a copy: what `visit` makes of the value, or of nothing.
    /// @param visit called once; the view lives as long as the call
    template <std::invocable<std::optional<std::string_view>> Visit>
    decltype(auto) get(std::string_view key, Visit&& visit) const {
        return store::visit_newest(open(), key, std::forward<Visit>(visit));
    }
    /// The commits of the file, newest first. @throws as `read`
    [[nodiscard]] commit_history history() const {
        auto& store = open();
        return {store.current(), store::durable_slot(store).commit_id};
    }
    /// The commits until a time, newest first, or none. O(log n) to the first. @throws as `read`
    [[nodiscard]] commit_history history(std::chrono::system_clock::time_point until) const {
        auto& store = open();
        auto first = store::last_state_until(store.current(), store::to_microseconds(until));
        return {std::move(first), store::durable_slot(store).commit_id};
    }

    /// The durable commits after one, oldest first, each with its changes: a feed to follow, also
    /// from other processes and after a restart. Commits that a power cut may take back are not
    /// told before they are durable. That of a tag has no changes.
    /// @param since the identity of the last commit that was taken in. If not given, the feed
    ///   begins with the first commit of the file, whose changes are all of its entries
    /// @param from, to  the keys whose changes are told; copied
    /// @throws errc::history_gone where the file does not hold that very commit any more: after a
    ///   compaction, or in a copy that went another way. Then begin anew, without `since`
    [[nodiscard]] change_feed changes(commit_identity since = {},
                                      key_bound const& from = unbounded(),
                                      key_bound const& to = unbounded()) const {
        auto& store = open();
        auto durable = store::durable_state(store);
        return detail::feed_after(std::move(durable), store.current(), since,
                                  std::make_shared<detail::diff_keys const>(from, to));
    }
    /// Waits until `changes(since)` has a commit to tell, whoever made it. It looks again and
    /// again, with pauses of 4 ms at most.
    /// @return false if there was none for so long. @throws what `changes` throws
    template <typename Rep, typename Period>
    [[nodiscard]] bool wait_for_change(commit_identity since,
                                       std::chrono::duration<Rep, Period> longest) const {
        auto const until = storage::moment_in(longest);
        storage::growing_pause pause(std::chrono::milliseconds{4});
        while (changes(since).empty()) {
            if (!pause.rest(until)) return false;
        }
        return true;
    }

    // ---- writing ---------------------------------------------------------------------------

    /// The write transaction; waits for its turn.
    /// @throws errc::would_deadlock if this thread has it, read_only, forked, sync_failed,
    ///   lock_lost, second_copy, file_missing, file_replaced, corrupt, and errno of the system
    [[nodiscard]] transaction write() { return *begin({}); }
    /// The write transaction, or nothing if another one is under way. @throws as `write`; also
    /// would_deadlock, rather than nothing, in the thread that has it
    [[nodiscard]] std::optional<transaction> try_write() {
        return begin(std::chrono::steady_clock::now());
    }
    /// The write transaction, or nothing if none could be had for so long. @throws as `try_write`
    template <typename Rep, typename Period>
    [[nodiscard]] std::optional<transaction> write_for(std::chrono::duration<Rep, Period> longest) {
        return begin(storage::moment_in(longest));
    }
    /// Runs `change(transaction&)`, then commits; if it throws, nothing has happened.
    /// @return the id of the commit. @throws as `write` and `commit`, and what `change` throws
    template <std::invocable<transaction&> Change>
    commit_id update(Change&& change, std::optional<durability> how = {}, std::string note = {}) {
        auto txn = write();
        std::invoke(std::forward<Change>(change), txn);
        return txn.commit(how, std::move(note));
    }
    /// Makes all earlier commits durable, also deferred ones. One sync, or none.
    /// @throws as `write`, and errc::sync_failed
    void sync() {
        in_turn([](auto& session) { session.sync(); });
    }
    /// Writes what is deferred, as one commit: as safe as a lazy one from then on, and seen by
    /// other handles and processes. Where nothing is deferred it does nothing. @throws as `sync`
    void flush() { write_deferred(); }

    // ---- names -----------------------------------------------------------------------------

    /// Gives a commit a name: compactions keep it from then on. A name that another commit has
    /// moves. That is a commit of its own, and changes no entry.
    /// @param name 1 to 255 bytes, @param at an older commit waits for a compaction that is under
    ///   way; if not given, the newest. @param how as `transaction::commit`, deferred as lazy
    /// @return the newest commit then. @throws errc::history_gone without that commit,
    ///   invalid_argument for what cannot be a name, would_deadlock, and as `write` and `commit`
    commit_id tag(std::string_view name, commit_id at = {}, std::optional<durability> how = {}) {
        auto const chosen = how.value_or(this->chosen().durability);
        return told([&] { return store::set_tag(shared(), name, at, chosen); });
    }
    /// Takes a name away; compactions may drop the commit. @return was it there? @throws as `tag`
    bool untag(std::string_view name, std::optional<durability> how = {}) {
        bool was_there = false;
        auto const chosen = how.value_or(this->chosen().durability);
        told([&] { return store::remove_tag(shared(), name, chosen, was_there); });
        return was_there;
    }
    /// All tags of the newest commit, by name. O(number of tags). @throws as `read`
    [[nodiscard]] std::vector<tagged_commit> tags() const {
        return store::tags_of(*open().current());
    }

    // ---- care ------------------------------------------------------------------------------

    /// Rewrites the database densely into a fresh file that takes the place of the old one: the
    /// newest commit, those with a tag, and those that `options::retention` keeps. Snapshots,
    /// readers and writers go on; writers wait only at the end, while the last of their commits
    /// are taken over. Another compaction waits. The space of a large old file comes back a little
    /// later, from a thread that closing waits for.
    /// @param hooks a filter that drops entries, a report of progress that can stop it, how long to
    ///   wait for a writer or another compaction
    /// @return false if it was stopped, or somebody was not done in time; then nothing has changed
    /// @throws as `write`, errc::would_deadlock within a compaction of this thread, errno of the
    ///   system, invalid_argument for a filter where older commits are kept; nothing has changed
    bool compact(compaction_hooks const& hooks = {}) {
        bool done = false;
        guarded([&](std::uint64_t& durable_id) {
            auto const kept = store::compact(shared(), hooks);
            done = kept.has_value();
            durable_id = kept.value_or(0);
        });
        return done;
    }

    // ---- copies ----------------------------------------------------------------------------

    /// Copies the newest commit, with the history before it, to a new file, while others read and
    /// write. The copy is the same database as it was at that commit: for `extend_backup`, or to be
    /// opened when this one is lost. What it takes is the time to copy the file.
    /// @throws errc::already_exists, as `read` and `flush`, and errno; then there is no copy
    copy_report backup(std::filesystem::path const& path) const {
        write_deferred();
        return backup(path, read());
    }
    /// The same of a snapshot. @throws also errc::invalid_argument for one of another database and
    ///   for one of a deferred commit: that is not in the file
    copy_report backup(std::filesystem::path const& path, snapshot const& of) const {
        auto const head = store::head_for(open(), *of.state());
        return store::copy_to_medium(*of.state(), head, storage::file_medium(path, false),
                                     store::original_of(open(), *of.state()));
    }
    /// Gives the bytes of such a copy to `sink(coppice::bytes)`, in order; what it throws ends it.
    template <std::invocable<bytes> Sink> void backup(snapshot const& of, Sink&& sink) const {
        store::copy_to_sink(*of.state(), store::head_for(open(), *of.state()),
                            std::forward<Sink>(sink));
    }
    /// Appends to a backup in a file what was committed since it was made or extended. A failure or
    /// a power cut leaves it as it was, or extended.
    /// @throws errc::not_found, errc::history_gone where this database does not continue the backup
    ///   (it was compacted): make a new one; errc::invalid_argument for one of another database
    copy_report extend_backup(std::filesystem::path const& path) const {
        write_deferred();
        return store::continue_copy(open().current(), store::open_copy(path));
    }

    /// Makes a database of its own from a commit that this file holds, with the history before it,
    /// and opens it. From there on the two know nothing of each other. Where the file system can
    /// share blocks it takes neither time nor space, else the time to copy the file.
    /// @param path where nothing is yet, @param at the commit, @param chosen for opening it
    /// @throws errc::history_gone, errc::already_exists, and errno of the system
    [[nodiscard]] basic_database<storage::file_medium> branch(std::filesystem::path const& path,
                                                              commit_id at,
                                                              options chosen = {}) const {
        write_deferred();
        auto const from = read(at);
        auto head = store::head_for(open(), *from.state());
        head.header = store::fresh_header(head.header.nodes,
                                          {storage::random_bits(), storage::random_bits()});
        storage::file_medium const place(path, chosen.create_directories, chosen.read_ahead);
        store::copy_to_medium(*from.state(), head, place,
                              store::original_of(open(), *from.state()));
        chosen.create = create::never;
        return basic_database<storage::file_medium>(place, std::move(chosen));
    }

    /// Looks for what others have done, as `read()` does, and lets go of a file that a compaction
    /// of theirs has replaced, so that its space comes free: for idle handles. @throws as `read`
    void refresh() const { static_cast<void>(open().current()); }

    /// Checks all that the newest commit in the file relies on, and the chain of commits; reads all
    /// of it once. What is damaged is a finding, no exception. @throws as `read`
    [[nodiscard]] check_report check() const { return store::check(open()); }
    /// Figures of this moment. O(log n) for n commits, and some calls of the system.
    /// @throws errc::closed, corrupt, and errno of the system
    [[nodiscard]] statistics stats() const { return store::measure(open()); }

    /// Where it is. @throws errc::closed
    [[nodiscard]] std::string const& path() const { return open().path(); }
    /// The options it was opened with. @throws errc::closed
    [[nodiscard]] options const& chosen() const { return open().chosen(); }

    /// Ends the handle, idempotent. Pending commits that were left to its thread are settled and
    /// told, what is deferred is written, and what was written ahead is cut off if no one else
    /// writes. An open transaction goes on; what was deferred before it is written when it
    /// ends. What cannot be written is told to `events::on_error`, and lost.
    void close() noexcept {
        if (!store_) return;
        detail::finish_settlements(*std::shared_ptr(store_));
        auto const store = std::exchange(store_, nullptr);
        if (!store) return; // a callback has closed it
        housekeeper_.reset();
        store::writer<Medium>::close(store);
        tell(store->chosen().events, &events::on_close, store->path());
    }

  private:
    using store_type = store::store<Medium>;

    [[nodiscard]] store_type& open() const {
        if (!store_) throw error(errc::closed, "the database handle was closed or moved from");
        return *store_;
    }
    [[nodiscard]] std::shared_ptr<store_type> shared() const {
        static_cast<void>(open());
        return store_;
    }
    [[nodiscard]] events const& callbacks() const { return open().chosen().events; }

    /// Runs `work(durable_id)`, and tells events how it went.
    /// @param work sets the id to that of a commit that is durable now, if it knows one
    template <typename Work> void guarded(Work work) const {
        std::uint64_t durable_id = 0;
        try {
            work(durable_id);
        } catch (error const& e) {
            tell(callbacks(), &events::on_error, e);
            throw;
        }
        open().tell_durable(durable_id);
    }

    /// Runs `work(writer&)` in a turn of its own.
    template <typename Work> void in_turn(Work work) const {
        guarded([&](std::uint64_t& durable_id) {
            auto const session = store::writer<Medium>::acquire(shared(), {});
            work(*session);
            durable_id = session->within().durable_id();
        });
    }

    /// Settles what `append()` has appended.
    template <typename Append> commit_id told(Append append) {
        store::appended_commit<Medium> appended;
        guarded([&](std::uint64_t&) { appended = append(); });
        return detail::settle(open(), appended);
    }

    /// What is to be in the file before it is copied.
    void write_deferred() const {
        if (!open().kept().has_deferred()) return;
        in_turn([](auto& session) { session.flush(); });
    }

    [[nodiscard]] std::optional<transaction> begin(storage::deadline until) {
        std::optional<transaction> result;
        guarded([&](std::uint64_t&) {
            auto session = store::writer<Medium>::acquire(shared(), until);
            if (session) result.emplace(std::move(session));
        });
        return result;
    }

    std::shared_ptr<store_type> store_;
    std::unique_ptr<store::housekeeper<Medium>> housekeeper_; // where it compacts itself
};

/// A database in a file.
using database = basic_database<storage::file_medium>;
/// Its write transaction.
using transaction = database::transaction;
/// A database in memory, with the whole API.
using memory_database = basic_database<storage::memory_medium>;

} // namespace coppice::inline COPPICE_ABI
