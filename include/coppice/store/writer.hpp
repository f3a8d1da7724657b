// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/writer.hpp: the one who appends: a transaction's turn.
// Owns: the turn among the threads of a handle, the bytes that were not yet committed, and what a
//   commit writes before its tenure settles it.
// Invariant: while a writer has the turn, no other thread of this handle appends. Its turn ends
//   when its commit is appended and before the device has answered, so that the next one's bytes
//   can share the next sync. Belongs to one thread at a time.

#include <coppice/error.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/store/appended_commit.hpp>
#include <coppice/store/appender.hpp>
#include <coppice/store/join_tenure.hpp>
#include <coppice/store/next_record.hpp>
#include <coppice/store/store.hpp>
#include <coppice/store/tenure.hpp>
#include <coppice/tell.hpp>
#include <coppice/tree/relocate.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace coppice::inline COPPICE_ABI::store {

/// The right to append, held from construction to commit or destruction.
template <storage::medium Medium> class writer {
  public:
    using store_type = store<Medium>;
    using storage_type = typename Medium::storage_type;
    using appender_type = appender<storage_type>;

    /// @throws errc::read_only, errc::forked
    static void require_writable(store_type const& of) {
        if (of.chosen().read_only) throw error(errc::read_only, "a write transaction", of.path());
        if (of.lock()->is_forked()) throw error(errc::forked, "a write transaction", of.path());
    }

    /// Waits for the turn and, where this handle has it not, for the lock; then knows the newest
    /// state.
    /// @return nothing where the deadline passed. @throws error, and all is free again
    [[nodiscard]] static std::unique_ptr<writer> acquire(
        std::shared_ptr<store_type> owner, storage::deadline until,
        storage::urgency how = storage::urgency::usual) {
        require_writable(*owner);
        if (!owner->turn().acquire(until, owner->path(), how)) return nullptr;
        std::unique_ptr<writer> result;
        try {
            result.reset(new writer(owner));
        } catch (...) {
            owner->turn().release();
            throw;
        }
        return result->enter(until) ? std::move(result) : nullptr;
    }

    writer(writer const&) = delete;
    writer& operator=(writer const&) = delete;
    /// Ends the turn, and the tenure if nobody else is in it.
    ~writer() { end_turn(); }

    /// The state that the transaction begins from.
    /// @throws errc::corrupt, std::bad_alloc, where it is to be made of deferred commits only now
    [[nodiscard]] revision_ptr const& base() {
        if (!base_) base_ = within().newest();
        return base_;
    }
    [[nodiscard]] store_type& owner() const noexcept { return *owner_; }
    [[nodiscard]] std::shared_ptr<store_type> const& shared_owner() const noexcept {
        return owner_;
    }
    [[nodiscard]] opened_file<storage_type>& file() { return within().file(); }

    /// Where this transaction's nodes in memory go: they may be deferred there.
    [[nodiscard]] std::shared_ptr<tree::arena> const& memory() {
        if (!memory_) memory_ = within().deferred().memory();
        return memory_;
    }

    /// Goes on in other memory: what was there is in the file. REQUIRES: something was appended.
    void use(std::shared_ptr<tree::arena> memory) noexcept { memory_ = std::move(memory); }

    /// Where this transaction's bytes go. Does what must be done before the first append.
    [[nodiscard]] appender_type& append() {
        require_writable(*owner_); // in a fork it is the parent's
        if (!appender_) {
            within().prepare();
            appender_.emplace(*file().storage, within().append_offset());
        }
        return *appender_;
    }

    /// Makes trees the newest state of the database once it is settled, and ends the turn. What
    /// was deferred before it is in it, and becomes one commit with it, unless it is deferred too.
    /// @param keeps is the tenure to be held open from before the turn ends? (`hold_open`)
    /// @return how durable it is made: one that may not be deferred now is lazy
    /// @throws error: nothing changed, and the call may be repeated
    [[nodiscard]] appended_commit<Medium> commit(tree_pair const& trees, durability how,
                                                 std::string note, bool keeps = false);

    /// May a commit of edits alone stay as it is until somebody looks at it? Only where nobody is
    /// told of its tree.
    [[nodiscard]] bool may_postpone() {
        return !owner_->chosen().events.on_commit && may_defer() &&
               owner_->postponed().is_worth_it();
    }
    /// Commits edits that way, and takes them out of the map. They lie in `memory`.
    /// @throws as `commit`. REQUIRES: `may_postpone`
    [[nodiscard]] appended_commit<Medium> postpone(tree::edit_map& edits, bool keeps);

    /// Makes a state the newest whose bytes, up to its record, somebody has written to the file at
    /// their places, and ends the turn. Two syncs. @throws as `commit`
    void follow(revision_ptr const& state) {
        tenure_->append(state, durability::two_sync);
        end_turn();
        tenure_->settle(state->record().commit_id, durability::two_sync);
    }

    /// Writes what is deferred, as one commit. What this turn has appended before is garbage.
    /// @throws as `commit`, and errc::sync_failed
    void flush() {
        if (!append_deferred(durability::lazy)) return;
        tenure_->settle(base_->record().commit_id, durability::lazy);
    }
    /// Makes everything that is committed durable. One sync, or none where there is nothing to do.
    void sync() {
        append_deferred(durability::sync);
        within().sync();
    }

    /// The same of what is committed so far, after the turn: other threads go on meanwhile.
    void sync_beside() {
        append_deferred(durability::sync);
        auto const id = within().written()->record().commit_id;
        within().prepare_to_sync();
        end_turn();
        tenure_->settle(id, durability::sync);
    }

    /// The end of a handle: writes what is deferred, and cuts off what was written ahead. Where
    /// somebody has the turn, the end of that turn does it. What cannot be written is told to the
    /// events, and lost.
    static void close(std::shared_ptr<store_type> const& owner) noexcept;

    /// For those who do more than append.
    [[nodiscard]] tenure<Medium>& within() const {
        if (!has_turn_) throw error(errc::sync_failed, "an earlier sync failed", owner_->path());
        return *tenure_;
    }

  private:
    explicit writer(std::shared_ptr<store_type> owner) : owner_(std::move(owner)) {}

    [[nodiscard]] bool enter(storage::deadline until);
    void end_turn(bool keeps = false) noexcept;
    [[nodiscard]] bool may_defer();
    [[nodiscard]] appended_commit<Medium> defer(commit_record record, bool keeps);
    void start_flusher();
    void keep_deferred(bool keeps) noexcept;
    bool append_deferred(durability how);
    static void write_last(std::shared_ptr<store_type> const& owner) noexcept;
    [[nodiscard]] static std::optional<flusher::clock::duration> flush_overdue(
        std::shared_ptr<store_type> const& owner) noexcept;
    [[nodiscard]] commit_record next_record(tree_pair const& trees, std::string note);
    [[nodiscard]] revision_ptr append_transaction(commit_record record, durability& how);
    [[nodiscard]] revision_ptr write_transaction(appender_type& to, commit_record record,
                                                 durability& how);

    std::shared_ptr<store_type> owner_;
    std::shared_ptr<tenure<Medium>> tenure_;
    revision_ptr base_;
    std::optional<appender_type> appender_;
    std::shared_ptr<tree::arena> memory_;
    std::thread::id bound_; // who waits for itself while it asks for the lock
    bool has_turn_ = true;
};

template <storage::medium Medium> bool writer<Medium>::enter(storage::deadline until) {
    tenure_ = join_tenure(owner_, until);
    if (!tenure_) return false;
    bound_ = std::this_thread::get_id();
    // Transactions that were rolled back leave memory behind too.
    auto const is_full = tenure_->deferred().held_bytes() > owner_->chosen().flush.bytes;
    if (is_full && !owner_->kept().is_closing()) flush();
    return true;
}

template <storage::medium Medium> void writer<Medium>::end_turn(bool keeps) noexcept {
    if (!std::exchange(has_turn_, false)) return;
    // In a fork neither lock nor turn is touched: they are the parent's.
    if (owner_->lock()->is_forked()) return;
    auto& kept = owner_->kept();
    if (keeps) tenure_->hold_open(1); // whoever has the turn next may end what nobody holds open
    owner_->lock()->unbind(bound_);   // others may still be in the tenure
    owner_->turn().release();
    if (kept.is_closing() && kept.has_deferred()) write_last(owner_);
}

template <storage::medium Medium>
commit_record writer<Medium>::next_record(tree_pair const& trees, std::string note) {
    return record_after(*tenure_->written(), *base(), tenure_->next_id(), owner_->now_us(), trees,
                        std::move(note));
}

template <storage::medium Medium>
appended_commit<Medium> writer<Medium>::commit(tree_pair const& trees, durability how,
                                               std::string note, bool keeps) {
    if (how == durability::deferred && may_defer())
        return defer(next_record(trees, std::move(note)), keeps);
    if (how == durability::deferred) how = durability::lazy;
    within().prepare(); // before the next record: the state that it builds on is prepared
    auto state = append_transaction(next_record(trees, std::move(note)), how);
    end_turn(keeps);
    // From here on the outcome is unknown if anything fails.
    auto const id = state->record().commit_id;
    return {tenure_, id, std::move(state), how};
}

/// May the commit stay in memory? What was written early may not, and memory is bounded.
template <storage::medium Medium> bool writer<Medium>::may_defer() {
    auto const& policy = owner_->chosen().flush;
    return !appender_ && !owner_->kept().is_closing() &&
           !within().deferred().is_due(policy,
                                       memory()->held_bytes() + owner_->postponed().held_bytes(),
                                       deferred_commits::clock::now());
}

template <storage::medium Medium>
appended_commit<Medium> writer<Medium>::defer(commit_record record, bool keeps) {
    revision_ptr state(new revision(*tenure_->written(), std::move(record), memory()));
    start_flusher();
    auto guard = tenure_->settle_written();
    auto const id = tenure_->defer(memory());
    tenure_->see(state);
    owner_->show_deferred(state);
    guard.unlock();
    keep_deferred(keeps);
    return {tenure_, id, std::move(state), durability::deferred};
}

template <storage::medium Medium>
appended_commit<Medium> writer<Medium>::postpone(tree::edit_map& edits, bool keeps) {
    start_flusher();
    auto guard = tenure_->settle_written();
    tenure_->see(owner_->postponed().add(edits, *tenure_->written(), tenure_->seen(), memory(),
                                         tenure_->next_id(), owner_->now_us()));
    auto const id = tenure_->defer(memory());
    guard.unlock();
    keep_deferred(keeps);
    return {tenure_, id, {}, durability::deferred};
}

template <storage::medium Medium> void writer<Medium>::start_flusher() {
    auto& kept = owner_->kept();
    if (kept.has_deferred() || owner_->chosen().flush.interval.count() == 0) return;
    kept.flushes().start([weak = std::weak_ptr(owner_)] {
        auto const owner = weak.lock();
        return owner ? flush_overdue(owner) : std::nullopt;
    });
}

/// Keeps the tenure until what is deferred in it is written, and ends the turn.
template <storage::medium Medium> void writer<Medium>::keep_deferred(bool keeps) noexcept {
    auto const interval = owner_->chosen().flush.interval;
    auto& kept = owner_->kept();
    auto const first = !kept.has_deferred();
    // Where nobody flushes, this thread would wait for itself.
    kept.keep(tenure_, interval.count() == 0 ? std::this_thread::get_id() : std::thread::id());
    // Not before: who is woken early finds nothing to flush, and does not come again.
    if (first && interval.count() != 0) kept.flushes().arm(flusher::clock::now() + interval);
    end_turn(keeps);
}

/// @return was there anything?
template <storage::medium Medium> bool writer<Medium>::append_deferred(durability how) {
    if (within().deferred().empty()) return false;
    auto const newest = within().newest();
    within().prepare();
    base_ = append_transaction(newest->record(), how);
    appender_.reset(); // what follows begins behind it
    memory_.reset();
    return true;
}

/// Of the flusher's thread. @return nothing, or after how long to try again
template <storage::medium Medium>
std::optional<flusher::clock::duration> writer<Medium>::flush_overdue(
    std::shared_ptr<store_type> const& owner) noexcept {
    constexpr std::chrono::milliseconds busy_pause{10};
    auto const& told = owner->chosen().events;
    if (!owner->kept().has_deferred()) return {};
    try {
        auto session = acquire(owner, courtesy::clock::now());
        if (!session) return busy_pause;
        session->flush();
        auto const durable_id = session->within().durable_id();
        session.reset();
        owner->tell_durable(durable_id);
        return {};
    } catch (error const& e) {
        tell(told, &events::on_error, e);
    } catch (std::exception const&) { // no memory now
    }
    tell(told, &events::log, log_level::error, std::string_view("deferred commits not written"));
    return owner->chosen().flush.interval;
}

template <storage::medium Medium>
void writer<Medium>::close(std::shared_ptr<store_type> const& owner) noexcept {
    auto& kept = owner->kept();
    if (owner->lock() && owner->lock()->is_forked()) {
        kept.flushes().abandon();
        kept.settlements().abandon();
        return kept.keep({});
    }
    kept.set_closing();
    kept.flushes().stop();
    if (!owner->chosen().read_only) write_last(owner);
}

/// Of a handle that is closing. Not for the flusher to be stopped in: this may be its thread.
template <storage::medium Medium>
void writer<Medium>::write_last(std::shared_ptr<store_type> const& owner) noexcept {
    auto& kept = owner->kept();
    auto may_lose = kept.has_deferred();
    std::unique_ptr<writer> session;
    try {
        session = acquire(owner, courtesy::clock::now());
        if (!session) return; // the end of the other one's turn comes here again
        session->flush();
        may_lose = false;
        session->within().trim();
    } catch (error const& e) {
        if (!may_lose || e.kind() == errc::would_deadlock) return; // it only saves space
        auto const& told = owner->chosen().events;
        tell(told, &events::on_error, e);
        tell(told, &events::log, log_level::error, std::string_view("deferred commits are lost"));
    } catch (std::exception const&) { // no memory now
        if (may_lose) {
            tell(owner->chosen().events, &events::log, log_level::error,
                 std::string_view("deferred commits are lost: no memory to write them"));
        }
    }
    if (!session) return kept.let_go(owner->turn(), owner->path());
    kept.keep({});
}

/// Appends what a record tells of. @throws error; then nothing has changed
template <storage::medium Medium>
revision_ptr writer<Medium>::append_transaction(commit_record record, durability& how) {
    auto& to = append();
    within().check_undisturbed();
    revision_ptr state;
    auto const before = to.end_offset();
    auto const spilled = to.spilled();
    try {
        // Nothing refers to these bytes yet: a failure here changes nothing.
        state = write_transaction(to, std::move(record), how);
    } catch (...) {
        // A record that stays would be written by the next attempt, as well as its own.
        to.take_back(before);
        if (!spilled) appender_.reset();
        throw;
    }
    tenure_->append(state, how);
    owner_->kept().keep({});
    return state;
}

/// Appends nodes, values and record. @return the new state; `how` is what it turned out to need
template <storage::medium Medium>
revision_ptr writer<Medium>::write_transaction(appender_type& to, commit_record record,
                                               durability& how) {
    record.user = tree::relocate(to, record.user);
    record.system = tree::relocate(to, record.system);
    auto const bytes_appended = to.end_offset() - to.begin_offset();
    // What went to the file early was not summed, so its sync must come before the slot.
    auto const is_large = bytes_appended > owner_->chosen().two_sync_above_bytes;
    if (to.spilled() || (is_large && how == durability::sync)) how = durability::two_sync;
    place_record(record, *tenure_->written(), how, to.begin_offset(), owner_->medium().random());
    if (record.data_summed) record.data_checksum = format::checksum(to.buffered());
    auto const image = format::encode(record);
    record_ref const at{to.end_offset(), format::record_checksum(image)};
    to.append(image);
    if (how == durability::sync) to.write_ahead(owner_->chosen().preallocate_bytes);
    to.flush();
    return file().state(std::move(record), at, to.end_offset());
}

} // namespace coppice::inline COPPICE_ABI::store
