// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/transaction.hpp: the one writer of a database, until it commits or goes away.
// Owns: the vocabulary of changes: put, insert, modify, erase, load, streams, savepoints, commit.
// Invariant: without `commit` nothing happened; after it, or after `rollback`, every call but
//   `rollback`, `is_open` and destruction throws errc::finished. A call that throws has changed
//   nothing, except a commit that ends with errc::sync_failed: then its outcome is unknown.
// Thread safety: one thread at a time; it may be moved to another one.

#include <coppice/pending_commit.hpp>
#include <coppice/snapshot.hpp>
#include <coppice/store/history.hpp>
#include <coppice/tell.hpp>
#include <coppice/transaction/load_edits.hpp>
#include <coppice/transaction/state.hpp>
#include <coppice/transaction/value_writer.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace coppice::inline COPPICE_ABI {

/// A moment of a transaction to which it can be taken back.
class [[nodiscard]] savepoint {
  public:
    savepoint(store::revision_ptr state, std::weak_ptr<void> owner)
        : state_(std::move(state)), owner_(std::move(owner)) {}

    [[nodiscard]] store::revision_ptr const& state() const noexcept { return state_; }
    [[nodiscard]] std::weak_ptr<void> const& owner() const noexcept { return owner_; }

  private:
    store::revision_ptr state_;
    std::weak_ptr<void> owner_;
};

/// A write transaction. Destroyed without `commit`, it is rolled back.
template <storage::medium Medium> class [[nodiscard]] basic_transaction {
  public:
    using value_writer = basic_value_writer<Medium>;
    using pending_commit = basic_pending_commit<Medium>;

    /// Use `database::write()`.
    explicit basic_transaction(std::unique_ptr<store::writer<Medium>> session)
        : owner_(session->shared_owner()),
          state_(std::make_shared<detail::transaction_state<Medium>>(std::move(session))) {}
    basic_transaction(basic_transaction&&) noexcept = default;
    basic_transaction& operator=(basic_transaction&&) noexcept = default;

    // ---- reading: what this transaction would commit now ----------------------------------

    /// The value of a key. The view stays good until the transaction ends, whatever is done.
    /// @throws errc::finished, corrupt
    [[nodiscard]] std::optional<std::string_view> get(std::string_view key) const& {
        auto const stored = open().find(key);
        if (!stored) return {};
        return state_->value(*stored);
    }
    std::optional<std::string_view> get(std::string_view key) const&& = delete;
    /// Is the key there? @throws as `get`
    [[nodiscard]] bool contains(std::string_view key) const { return open().find(key).has_value(); }

    /// This moment as an ordinary snapshot: iteration, ranges, order statistics. Later changes do
    /// not show in it, and it outlives the transaction, whatever becomes of that. Turns pending
    /// edits into nodes in memory: O(height) nodes for each. Where what went to the file early
    /// (bulk loads, streams, changes beyond `transaction_bytes`) is rolled back under a view, or a
    /// savepoint, its bytes stay in the file until it is compacted; where the file cannot be
    /// written then, a view throws errc::finished at what it has not seen yet.
    /// @throws errc::finished, corrupt, std::bad_alloc
    [[nodiscard]] snapshot view() const {
        open().fold();
        return snapshot(state_->work());
    }
    /// How many entries there are. Costs what `view` costs, and throws what it throws.
    [[nodiscard]] std::uint64_t size() const { return view().size(); }

    // ---- changing --------------------------------------------------------------------------

    /// Puts a value, whether or not the key is there. Both are copied. Where the changes so far
    /// take more than `options::transaction_bytes`, they go to the file first.
    /// @throws errc::key_too_large, value_too_large, finished, std::bad_alloc; and where changes go
    ///   to the file errc::lock_lost, sync_failed, forked, corrupt, errno of the system. Then it is
    ///   not put, and what was before it stays
    void put(std::string_view key, std::string_view value) {
        if (value.size() > max_value_bytes) throw error(errc::value_too_large, "put");
        open().put(key, value);
    }
    /// Puts a value only if the key is not there. @return was it put? @throws as `put`, corrupt
    bool insert(std::string_view key, std::string_view value) {
        detail::transaction_state<Medium>::check_key(key);
        if (contains(key)) return false;
        put(key, value);
        return true;
    }
    /// Replaces a value by what `change` makes of it.
    /// @param change takes optional<string_view>, gives optional<string> or a string; nothing
    ///   erases the key. If it throws, nothing has changed. @return is the key there now?
    /// @throws as `insert`, and what `change` throws
    template <typename Change> bool modify(std::string_view key, Change&& change) {
        detail::transaction_state<Medium>::check_key(key);
        auto const stored = open().find(key);
        auto const memory = state_->memory(); // whatever `change` does, its view stays good
        std::optional<std::string_view> now;
        if (stored) now = state_->readable()->value(*stored);
        std::optional<std::string> next = std::forward<Change>(change)(now);
        if (!next) {
            erase(key);
            return false;
        }
        put(key, *next);
        return true;
    }
    /// Erases a key. @return was it there? @throws errc::corrupt, and as `put`
    bool erase(std::string_view key) { return open().erase(key); }
    /// Erases all keys of [from, to). O(height) nodes however many. @return how many there were
    /// @throws as `erase` of a key
    std::uint64_t erase(std::string_view from, std::string_view to) {
        return open().erase_range(from, to);
    }
    /// Erases all keys from `from` on. @return how many there were. @throws as `erase`
    std::uint64_t erase_from(std::string_view from) {
        return open().erase_range(from, std::nullopt);
    }
    /// Erases all keys that begin with `prefix`; "" erases everything. @return how many there were
    /// @throws as `erase`
    std::uint64_t erase_prefix(std::string_view prefix) {
        auto const end = tree::prefix_end(prefix);
        return open().erase_range(prefix,
                                  end ? std::optional<std::string_view>(*end) : std::nullopt);
    }
    /// Puts a sorted range of pairs (key, value), over what is there. Goes straight to the file in
    /// large writes, so it may be larger than memory; its commit uses two syncs.
    /// @param range of anything that binds as [key, value], each convertible to std::string_view;
    ///   both are copied, so they may be temporaries
    /// @return how many pairs. @throws errc::not_sorted, key_too_large, value_too_large, as `write`
    ///   of the database, errno of the system, and what the range throws; then nothing has changed
    template <std::ranges::input_range Range> std::uint64_t load(Range&& range) {
        open().spill();
        detail::load_edits edits(range, state_->session().append(),
                                 state_->sizes().inline_value_bytes);
        state_->load(edits);
        return edits.count();
    }
    /// A writer for a value of `size_bytes` that need not be in memory. Until its `finish` the key
    /// is as before. The commit uses two syncs.
    /// @throws errc::key_too_large, value_too_large, lock_lost, errno of the system, as `get`
    [[nodiscard]] value_writer put_stream(std::string_view key, std::uint64_t size_bytes) {
        open();
        detail::transaction_state<Medium>::check_key(key);
        if (size_bytes > max_value_bytes) throw error(errc::value_too_large, "put_stream");
        return value_writer(state_, key, size_bytes);
    }

    // ---- moments within --------------------------------------------------------------------

    /// This moment, to come back to. Costs what `view` costs, and throws what it throws.
    [[nodiscard]] coppice::savepoint savepoint() {
        open().fold();
        return {state_->work(), state_};
    }
    /// Takes everything since the savepoint back. It can be used again.
    /// @throws errc::invalid_argument for a savepoint of another transaction, and as `get`
    void rollback_to(coppice::savepoint const& moment) {
        open();
        if (moment.owner().lock() != state_) {
            throw error(errc::invalid_argument, "a savepoint of another transaction");
        }
        state_->restore(*moment.state());
    }

    // ---- the end ---------------------------------------------------------------------------

    /// Makes the changes the newest state of the database. A transaction without changes appends
    /// nothing, and does for those before it what it would do for itself: deferred ones are
    /// written, lazy ones made durable.
    /// @param how overrides the durability of the options
    /// @param note at most 4,096 bytes, kept with the commit; dropped where nothing is committed
    /// @return the id of the commit, or of the newest one if there was nothing to commit
    /// @throws errc::note_too_large, stream_unfinished, lock_lost, corrupt, finished, sync_failed,
    ///   and errno of the system; the transaction stays open, except after errc::sync_failed
    commit_id commit(std::optional<durability> how, std::string note = {}) {
        return detail::settle(*owner_, append(how, std::move(note), false));
    }
    commit_id commit() { return commit(std::nullopt); }
    /// Appends the changes and ends the transaction, but does not wait for the device: another one
    /// can begin, from these changes, and one wait settles both with one sync. Parameters and
    /// errors as for `commit`, whose second half is `pending_commit::wait`.
    [[nodiscard]] pending_commit commit_async(std::optional<durability> how = {},
                                              std::string note = {}) {
        return pending_commit(owner_, append(how, std::move(note), true));
    }
    /// Ends the transaction; nothing happened. A finished one is left as it is.
    void rollback() noexcept {
        if (state_) state_->rollback();
    }
    /// Can it still be used?
    [[nodiscard]] bool is_open() const noexcept { return state_ && state_->open(); }

  private:
    [[nodiscard]] store::appended_commit<Medium> append(std::optional<durability> how,
                                                        std::string note, bool keeps) {
        open();
        auto const& chosen = owner_->chosen();
        try {
            return state_->commit(how.value_or(chosen.durability), std::move(note), keeps);
        } catch (error const& e) {
            if (e.kind() == errc::sync_failed) state_->rollback();
            tell(chosen.events, &events::on_error, e);
            throw;
        }
    }
    detail::transaction_state<Medium>& open() const {
        if (!state_) throw error(errc::finished, "the transaction was moved from");
        state_->check_open();
        return *state_;
    }

    std::shared_ptr<store::store<Medium>> owner_;
    std::shared_ptr<detail::transaction_state<Medium>> state_;
};

} // namespace coppice::inline COPPICE_ABI
