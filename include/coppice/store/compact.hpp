// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/compact.hpp: the newest state, and those that are to be kept, written densely into
// a fresh file beside writers.
// Owns: who may compact, how often it catches up before it takes the lock, and the order at the
//   end: everything synced, then the rename, then the sync of the name, then readers and writers
//   move over.
// Invariant: until the rename the database is untouched; a failure leaves no companion file
//   behind. The lock of compactions is held throughout, that of writers only while the companion is
//   made and at the end. Commits keep their ids, unless the filter dropped entries: that is a new
//   commit.

#include <coppice/error.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/storage/held_lock.hpp>
#include <coppice/store/fresh_copy.hpp>
#include <coppice/store/paced_sync.hpp>
#include <coppice/store/retention.hpp>
#include <coppice/store/writer.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <stop_token>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace coppice::inline COPPICE_ABI::store {

/// What a compaction may be told.
struct compaction_hooks {
    /// Is an entry kept? Empty keeps all. The value is whole, also where it is large. It is asked
    /// once more for what is changed meanwhile, at the end under the writers' lock, so it must not
    /// write. Only where nothing but the newest commit is to be kept: an older one without some of
    /// its entries would not be that commit.
    std::function<bool(std::string_view key, std::string_view value)> keep = {};
    /// Called now and then with the entries done and the total; false ends the compaction undone.
    /// Under the writers' lock only once writers wait because of `most_bytes`.
    std::function<bool(std::uint64_t done, std::uint64_t all)> progress = {};
    /// How long it may wait for another compaction, and each time for a writer; empty waits for
    /// ever.
    std::optional<std::chrono::nanoseconds> longest_wait = {};
    /// When the file has become longer than this meanwhile, writers wait for the rest of the
    /// compaction. So one who writes faster than it copies does not let the file grow for ever.
    std::uint64_t most_bytes = std::numeric_limits<std::uint64_t>::max();
    /// How many bytes of the fresh file it writes in a second, at most, so that it leaves the
    /// device to others; 0 is as many as it can. Once writers wait for it, it hurries.
    std::uint64_t bytes_per_second = 0;
    /// Ends the compaction undone when it is told to, also while it waits for a writer.
    std::stop_token stop = {};
};

namespace detail {

/// Thrown inside, when `progress` says stop.
struct compaction_stopped {};

/// When a wait that begins now ends.
[[nodiscard]] inline storage::deadline patience(compaction_hooks const& hooks) {
    if (!hooks.longest_wait) return {};
    return storage::moment_in(*hooks.longest_wait);
}

/// One compaction. REQUIRES: the lock of compactions.
template <storage::medium Medium> class compaction {
  public:
    compaction(std::shared_ptr<store<Medium>> owner, compaction_hooks const& hooks)
        : owner_(std::move(owner)), hooks_(hooks) {}
    compaction(compaction const&) = delete;
    compaction& operator=(compaction const&) = delete;
    /// Takes the companion away, unless it got its name or is not ours any more.
    ~compaction() {
        if (!fresh_ || owner_->lock()->is_forked()) return;
        try {
            auto& medium = owner_->medium();
            if (medium.companion() == fresh_->identity()) {
                static_cast<void>(medium.discard_fresh());
            }
        } catch (error const&) { // the next writer finds that nobody lives who made it
        }
    }

    /// @return the commit of the fresh file, or nothing if it was stopped or a writer was not done
    ///   in time
    [[nodiscard]] std::optional<std::uint64_t> run() {
        try {
            if (!begin()) return {};
            approach();
            return finish();
        } catch (compaction_stopped const&) {
            return {};
        }
    }

    /// The mapping of the file that was copied, where to let go of the last takes long. Null else.
    [[nodiscard]] std::shared_ptr<std::byte const> old_map() const noexcept {
        auto const& copied = *copy_->state();
        auto const is_large = copied.limit_offset() >= old_file::least_bytes;
        if (!storage::takes_helpers<storage_type> || !is_large) return nullptr;
        return copied.image().map.data;
    }

  private:
    using storage_type = typename Medium::storage_type;

    /// So much more in the old file is little enough to be caught up with under the lock.
    static constexpr std::uint64_t little_bytes = std::uint64_t{1} << 20U;
    /// A writer that is faster than this many rounds waits.
    static constexpr unsigned most_rounds = 10;
    static constexpr std::chrono::milliseconds shortest_rest{10};

    void check_stop() const {
        if (hooks_.stop.stop_requested()) throw compaction_stopped{};
    }
    /// After each callback: a child that it has forked has neither the threads nor the file.
    void check_fork() const {
        if (!owner_->lock()->is_forked()) return;
        throw error(errc::forked, "a compaction belongs to the process that began it",
                    owner_->path());
    }
    /// The filter, where there is one.
    [[nodiscard]] auto filter() const {
        std::function<bool(std::string_view, std::string_view)> asked;
        if (hooks_.keep) {
            asked = [this](std::string_view key, std::string_view value) {
                auto const is_kept = hooks_.keep(key, value);
                check_fork();
                return is_kept;
            };
        }
        return asked;
    }

    /// Waits for the writers' turn, in pieces where the wait may be ended.
    [[nodiscard]] std::unique_ptr<writer<Medium>> enter() const {
        constexpr std::chrono::milliseconds piece{50};
        auto const until = patience(hooks_);
        constexpr auto first = storage::urgency::first;
        if (!hooks_.stop.stop_possible()) return writer<Medium>::acquire(owner_, until, first);
        for (;;) {
            check_stop();
            auto const now = courtesy::clock::now();
            auto const next = until ? std::min(*until, now + piece) : now + piece;
            if (auto session = writer<Medium>::acquire(owner_, next, first)) return session;
            if (until && *until <= now) return {};
        }
    }

    /// Makes the companion: its name is the writers', who ask only then whether it has an owner.
    [[nodiscard]] bool begin() {
        auto const session = enter();
        if (!session) return false;
        session->flush(); // what is in memory is in no file that could be copied
        // Readers may be shown a commit that a failed sync has lost, which must not be followed.
        session->within().prepare_to_sync();
        base_ = session->base();
        fresh_ = owner_->medium().fresh();
        return true;
    }

    /// Copies, and catches up until little is left or a round leaves as much as it found. All of it
    /// is on the device then, and what is lazy as well, so that the last syncs are short.
    void approach() {
        auto header = base_->image().header;
        ++header.generation;
        auto const all = base_->user().root.entries;
        auto const report = [&](std::uint64_t done) { // the oldest commit may have had more entries
            check_stop();
            auto const go_on = !hooks_.progress || hooks_.progress(std::min(done, all), all);
            check_fork();
            if (!go_on) throw compaction_stopped{};
        };
        paced_sync syncs(fresh_);
        auto const copied = [&](std::uint64_t done) {
            report(done);
            hold_writers();
            for (; is_too_fast(); hold_writers()) {
                std::this_thread::sleep_for(shortest_rest);
                report(done);
            }
            // Who commits meanwhile shares the device, and would wait for all of it at once.
            syncs.look();
        };
        auto const first = kept_until(base_, {}).front();
        // Where the kernel is told not to read ahead of one thread, the device waits for several.
        copy_hooks const how{filter(), copied, !owner_->chosen().read_ahead};
        copy_.emplace(fresh_, header, state_at(base_, first), how);
        report(all);
        move_to(base_, [&](std::uint64_t) { copied(all); });
        syncs.finish();
        follow(report, all);
        if (held_) return;
        if (auto const session = enter()) session->sync_beside();
    }

    /// Has it written more than it should have by now? Who waits for it waits no longer for that.
    [[nodiscard]] bool is_too_fast() const {
        if (hooks_.bytes_per_second == 0 || held_) return false;
        auto const seconds = std::chrono::duration<double>(courtesy::clock::now() - began_).count();
        return static_cast<double>(fresh_->size()) >
               static_cast<double>(hooks_.bytes_per_second) * seconds;
    }

    /// Keeps the turn to the end, where the file has become too long.
    void hold_writers() {
        if (held_ || owner_->current(false)->limit_offset() <= hooks_.most_bytes) return;
        held_ = enter();
        if (held_) held_->flush();
    }

    template <typename Report> void follow(Report const& report, std::uint64_t all) {
        auto before = ~std::uint64_t{0};
        for (unsigned round = 0; round < most_rounds; ++round) {
            auto const newest = newest_in_file();
            if (!newest) return;
            auto const behind = bytes_behind(*newest);
            auto const is_little = behind == 0 || (round != 0 && behind <= little_bytes);
            if (is_little || behind >= before) return;
            move_to(newest, [&](std::uint64_t) {
                report(all);
                hold_writers();
            });
            fresh_->sync();
            before = behind;
        }
    }

    /// The commits that are to be kept, if this is the newest one.
    [[nodiscard]] std::vector<commit_id> kept_until(revision_ptr const& newest,
                                                    commit_id first_id) const {
        auto const& policy = owner_->chosen().retention;
        auto kept = kept_commits(newest, policy, owner_->now_us(), first_id);
        if (hooks_.keep && kept.size() > 1) {
            throw error(errc::invalid_argument,
                        "a filter, and older commits to be kept as they are: take their tags away, "
                        "and ask for no retention",
                        owner_->path());
        }
        return kept;
    }

    /// Catches up, and lets the commits on the way stay that are to be kept. The one that it stood
    /// at may be one of these by now.
    void move_to(revision_ptr const& newest, std::function<void(std::uint64_t)> const& watch) {
        copy_hooks const hooks{filter(), watch, false};
        auto const number = [](revision const& of) { return commit_id{of.record().commit_id}; };
        for (auto const id : kept_until(newest, number(*copy_->state()))) {
            auto const next = state_at(newest, id);
            if (id != number(*copy_->state())) copy_->catch_up(next, hooks);
            if (id != number(*newest)) copy_->keep(owner_->medium().random());
        }
    }

    /// What is deferred is written first. @return null where a writer was not done in time
    [[nodiscard]] revision_ptr newest_in_file() const {
        auto shown = owner_->current();
        if (!shown->is_deferred()) return shown;
        auto const session = enter();
        if (!session) return {};
        session->flush();
        return session->base();
    }

    /// How much longer the file has become since the state that is copied: no less than what has
    /// changed. @throws errc::file_replaced
    [[nodiscard]] std::uint64_t bytes_behind(revision const& newest) const {
        auto const& copied = *copy_->state();
        if (newest.image().identity != copied.image().identity) {
            throw error(errc::file_replaced, "the database was replaced while it was compacted",
                        owner_->path());
        }
        return std::max(newest.limit_offset(), copied.limit_offset()) - copied.limit_offset();
    }

    /// Under the writers' lock: the last of it, and the name.
    [[nodiscard]] std::optional<std::uint64_t> finish() {
        auto const session = held_ ? std::move(held_) : enter();
        if (!session) return {};
        auto& within = session->within();
        // Until the new name is durable, a power cut brings the old file back: what readers see
        // under the new name must be durable there.
        session->sync();
        auto const newest = within.newest();
        static_cast<void>(bytes_behind(*newest));
        move_to(newest, {});
        if (copy_->system().root.entries != newest->system().root.entries) {
            throw error(errc::lock_lost, "a commit was given a tag that was not kept any more",
                        owner_->path());
        }
        auto sealed =
            copy_->seal(last_record(newest->record(), within.next_id()), within.next_slot());
        within.check_undisturbed();
        // All that may fail comes before the rename: a call that throws has changed nothing.
        owner_->medium().replace(*fresh_);
        fresh_.reset();
        within.adopt(std::move(copy_->file()), sealed.second, sealed.first);
        return sealed.first->record().commit_id;
    }

    /// The record of the state that is newest. Without some of its entries it is another commit.
    [[nodiscard]] commit_record last_record(commit_record record, std::uint64_t next_id) const {
        if (copy_->user().root.entries != record.user.root.entries) {
            record.commit_id = next_id;
            record.id_span = 0;
            record.time_us = std::max(owner_->now_us(), record.time_us + 1);
            record.note.clear();
        }
        record.nonce = owner_->medium().random();
        return record;
    }

    std::shared_ptr<store<Medium>> owner_;
    compaction_hooks const& hooks_;
    courtesy::clock::time_point began_ = courtesy::clock::now();
    revision_ptr base_;
    std::unique_ptr<writer<Medium>> held_;         // the turn, once writers were too fast
    std::shared_ptr<storage_type> fresh_;          // until it has its name
    std::optional<fresh_copy<storage_type>> copy_; // its state keeps the old file until all is done
};

} // namespace detail

/// Rewrites the database into a fresh file that holds its newest state, those that its tags name
/// and that the options want to be kept, and nothing else. What commits share they share there too.
/// Others write meanwhile, and wait while the last of their commits are taken over.
/// @return the id of the commit that the fresh file holds, which is durable; nothing if `progress`
///   stopped it, or somebody was not done in time, and then nothing has changed
template <storage::medium Medium>
std::optional<std::uint64_t> compact(std::shared_ptr<store<Medium>> const& owner,
                                     compaction_hooks const& hooks) {
    writer<Medium>::require_writable(*owner);
    if (owner->turn().binds_this_thread()) {
        // The one who compacts might wait for this very thread.
        throw error(errc::would_deadlock, "first finish this thread's transaction", owner->path());
    }
    // Never without a limit: who waits in the kernel to compact, while the one who does waits to
    // write, would be a cycle to it.
    auto const until = detail::patience(hooks).value_or(storage::asking_for_ever);
    auto const lock = owner->medium().compaction_lock();
    storage::held_lock const held(*lock, until);
    if (!held.is_held()) return {};
    std::optional<std::uint64_t> kept;
    std::shared_ptr<std::byte const> old;
    {
        detail::compaction<Medium> work(owner, hooks);
        kept = work.run();
        if (kept) old = work.old_map();
    }
    if (old) owner->old().let_go(std::move(old));
    return kept;
}

} // namespace coppice::inline COPPICE_ABI::store
