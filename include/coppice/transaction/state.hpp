// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/transaction/state.hpp: what a transaction holds until it ends.
// Owns: the pending edits over a base, folding them into memory nodes, edits that go to the file
//   early, and the end: commit or rollback.
// Invariant: `work` is the tree without the pending edits; nothing handed out moves before the
//   transaction ends, and memory that went to the file goes where nothing in it was handed out.
//   The first arena is shared with what is deferred. What throws has changed nothing visible.

#include <coppice/commit_id.hpp>
#include <coppice/error.hpp>
#include <coppice/options.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/store/appended_source.hpp>
#include <coppice/store/writer.hpp>
#include <coppice/tree/apply.hpp>
#include <coppice/tree/arena.hpp>
#include <coppice/tree/edits.hpp>
#include <coppice/tree/find.hpp>
#include <coppice/tree/fold.hpp>
#include <coppice/tree/rank.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coppice::inline COPPICE_ABI::detail {

using format::stored_value;

/// The inside of a transaction, at an address that does not change when the handle moves.
template <storage::medium Medium> class transaction_state {
  public:
    explicit transaction_state(std::unique_ptr<store::writer<Medium>> session)
        : session_(std::move(session)),
          memory_(session_->memory()),
          held_before_bytes_(memory_->held_bytes()),
          sizes_(session_->file().header().nodes) {}

    transaction_state(transaction_state const&) = delete;
    transaction_state& operator=(transaction_state const&) = delete;
    ~transaction_state() { rollback(); }

    void check_open() const {
        if (!session_) throw error(errc::finished, "the transaction was committed or rolled back");
    }

    static void check_key(std::string_view key) {
        if (key.size() > max_key_bytes) {
            throw error(errc::key_too_large, std::to_string(key.size()) + " bytes");
        }
    }

    /// The stored value of a key as this transaction sees it.
    [[nodiscard]] std::optional<stored_value> find(std::string_view key) const {
        stored_value value;
        switch (edits_.find(key, value)) {
        case tree::edit_map::pending::put: return value;
        case tree::edit_map::pending::erased: return {};
        case tree::edit_map::pending::none: break;
        }
        return find_below(key);
    }

    /// A value that `find` gave, to be handed out for as long as the transaction lasts.
    [[nodiscard]] std::string_view value(stored_value const& stored) {
        auto const& from = readable();
        auto const text = from->value(stored);
        auto const& map = from->image().map;
        auto const* const at = as_bytes(text).data();
        std::less<> const before;
        auto const is_in_file =
            !before(at, map.data.get()) && before(at, map.data.get() + map.size_bytes);
        is_handed_out_ = is_handed_out_ || !is_in_file;
        return text;
    }

    void put(std::string_view key, std::string_view value) {
        check_key(key);
        make_room();
        put_stored(key, keep(value));
    }
    /// Puts a value that is in the file.
    void put(std::string_view key, format::extent_ref const& value) {
        make_room();
        put_stored(key, keep_reference(value));
    }

    bool erase(std::string_view key) {
        make_room();
        stored_value value;
        auto const pending = edits_.find(key, value);
        if (pending == tree::edit_map::pending::erased) return false;
        auto const is_put = pending == tree::edit_map::pending::put;
        if (find_below(key)) {
            edits_.erase(is_put ? key : memory_->copy(key));
        } else if (is_put) {
            edits_.forget(key);
        } else {
            return false;
        }
        return true;
    }

    std::uint64_t erase_range(std::string_view from, std::optional<std::string_view> to) {
        make_room();
        fold();
        auto const& before = work()->user();
        auto const behind = to ? tree::rank(*work(), before, *to) : before.root.entries;
        auto const first = tree::rank(*work(), before, from);
        if (behind <= first) return 0;
        take_over(tree::erase_range(*work(), *memory_, sizes(), before, from, to));
        return behind - first;
    }

    /// From now on bytes go to the file early; what is in memory so far goes first, since a node in
    /// the file cannot name one in memory.
    void spill() {
        auto& to = append_early();
        if (work()->user().root.pair().in_memory()) {
            auto const tree = tree::relocate(to, work()->user());
            see_appended();
            take_over(tree);
        }
        if (!edits_.empty()) {
            move_values(to);
            tree::edit_map::walk edits(edits_);
            apply_to_file(edits, sizes());
            edits_.clear();
        }
        begin_memory_anew();
    }

    /// Applies sorted edits of any number straight to the file. REQUIRES: `spill` was called.
    template <tree::edit_source Edits> void load(Edits& edits) {
        auto large = sizes();
        large.patches = false; // it is no small change, and what it writes is to be read
        apply_to_file(edits, large);
    }

    /// Turns what is pending into memory nodes, so that `work()` is the whole transaction.
    void fold() {
        if (edits_.empty()) return;
        tree::edit_map::walk const edits(edits_);
        take_over(tree::fold(*work(), *memory_, sizes(), work()->user(), edits, edits_.size()));
        edits_.clear();
    }

    /// Makes bytes that were appended early readable through `work()`.
    void see_appended() {
        auto& to = session_->append();
        to.flush();
        auto& file = session_->file();
        auto const& mapped = work()->image().map.data;
        if (seen_.empty() || seen_.back() != mapped) seen_.push_back(mapped);
        file.cover(to.flushed_end());
        // These bytes may be written over after a rollback: what is verified of them must not
        // count for what comes then.
        auto image = std::make_shared<store::file_image>(*file.image);
        image->verified = std::make_shared<store::verified_table>();
        if (!revoked_) revoked_ = std::make_shared<std::atomic<bool>>(false);
        work_ = store::revision_ptr(
            new store::revision(*work_, std::move(image), to.flushed_end(), revoked_));
    }

    /// The transaction without its pending edits. Not needed before somebody reads in it, or its
    /// edits are applied. @throws as `writer::base`
    [[nodiscard]] store::revision_ptr const& work() const {
        if (!work_) {
            auto const held_bytes = memory_->held_bytes();
            work_ = session_->base(); // may become a tree only now, in this memory
            held_before_bytes_ += memory_->held_bytes() - held_bytes;
        }
        return work_;
    }
    /// A state with which stored values can be read, whatever tree they are from.
    [[nodiscard]] store::revision_ptr const& readable() const {
        if (!work_ && !below_) below_ = session_->within().seen();
        return work_ ? work_ : below_;
    }
    /// Goes back to an earlier tree. Edits that went to the file since then may have moved the end
    /// of what can be read, so only the tree is taken over, and the memory in which it lies.
    void restore(store::revision const& moment) {
        auto const held_bytes = memory_->held_bytes();
        if (moment.memory() && moment.memory() != memory_) memory_->adopt(moment.memory());
        held_before_bytes_ += memory_->held_bytes() - held_bytes;
        take_over(moment.user());
        edits_.clear();
    }

    /// Appends the changes; where there are none, nothing is left to be settled.
    /// @param keeps as for `writer::commit`
    store::appended_commit<Medium> commit(durability how, std::string note, bool keeps = false) {
        if (note.size() > max_note_bytes) {
            throw error(errc::note_too_large, std::to_string(note.size()) + " bytes");
        }
        if (open_streams != 0) {
            throw error(errc::stream_unfinished, std::to_string(open_streams) + " open streams");
        }
        store::writer<Medium>::require_writable(owner()); // in a fork it is the parent's
        auto const is_edits_alone = !work_ || work_->user() == session_->base()->user();
        if (how == durability::deferred && is_edits_alone && !edits_.empty() && note.empty() &&
            session_->may_postpone()) {
            auto result = session_->postpone(edits_, keeps);
            session_.reset();
            return result;
        }
        // Straight to the file where it is much: folding takes as much memory again. What should do
        // without a sync can not.
        auto const syncs = how == durability::sync || how == durability::two_sync;
        auto const is_unchanged = is_edits_alone && edits_.empty();
        if (syncs && !is_unchanged && own_bytes() > owner().chosen().transaction_bytes / 4) {
            spill();
        } else {
            fold();
        }
        auto const& base = session_->base();
        store::appended_commit<Medium> result{nullptr, base->record().commit_id, base, how};
        if (work()->user() != base->user()) {
            result =
                session_->commit({work()->user(), work()->system()}, how, std::move(note), keeps);
            session_.reset();
            return result;
        }
        if (how == durability::lazy) {
            session_->flush();
        } else if (how != durability::deferred) {
            session_->sync();
        }
        rollback(); // what was loaded and taken back may still be looked at
        return result;
    }

    void rollback() noexcept {
        if (!session_) return;
        if (revoked_ && !keep_for_views()) revoked_->store(true, std::memory_order_release);
        session_.reset();
    }

    /// A value as a leaf stores it: as it is, or as a reference to a copy in memory.
    [[nodiscard]] stored_value keep(std::string_view value) {
        auto const copy = memory_->copy(value);
        if (value.size() <= sizes().inline_value_bytes) return {copy, false};
        return keep_reference(format::extent_ref::in_memory_at(as_bytes(copy)));
    }
    [[nodiscard]] stored_value keep_reference(format::extent_ref const& extent) {
        std::array<std::byte, format::extent_ref::encoded_bytes> reference{};
        extent.encode(reference.data());
        return {memory_->copy(as_text(reference)), true};
    }

    /// Where bytes go before the commit, maybe much later than this transaction has begun: not
    /// over what somebody else has committed meanwhile. @throws as `check_undisturbed`
    [[nodiscard]] typename store::writer<Medium>::appender_type& append_early() {
        auto& to = session_->append();
        session_->within().check_undisturbed();
        to.spill();
        return to;
    }

    /// Where what is not in the file yet lies now.
    [[nodiscard]] std::shared_ptr<tree::arena const> memory() const noexcept { return memory_; }
    [[nodiscard]] node_sizes const& sizes() const noexcept { return sizes_; }
    [[nodiscard]] store::writer<Medium>& session() const noexcept { return *session_; }
    [[nodiscard]] store::store<Medium>& owner() const noexcept { return session_->owner(); }
    [[nodiscard]] bool open() const noexcept { return session_ != nullptr; }

    unsigned open_streams = 0; ///< value writers that are neither finished nor abandoned

  private:
    /// Bytes that were appended are given back, unless a view of them lives, or a savepoint.
    /// @return do they stay?
    [[nodiscard]] bool keep_for_views() noexcept {
        work_ = session_->base();
        if (revoked_.use_count() == 1) return false;
        try {
            auto& to = append_early();
            to.append(std::array<std::byte, 8>{}); // the end that is kept counts whole words, and
            to.flush();                            // the last value may end within one
            session_->within().keep_bytes_below(to.flushed_end());
        } catch (std::exception const&) { // whoever looks at another node of them is told
            return false;
        }
        return true;
    }
    /// What a key has without the pending edits. Where commits were postponed before, they need not
    /// become a tree for it.
    [[nodiscard]] std::optional<stored_value> find_below(std::string_view key) const {
        auto& postponed = owner().postponed();
        auto const last =
            !work_ && postponed.any() ? postponed.find(key, owner().may_wait()) : std::nullopt;
        if (!last) return tree::find(*work(), work()->user(), key);
        below_ = last->below;
        return last->stored(key);
    }
    void put_stored(std::string_view key, stored_value const& value) {
        edits_.put(edits_.has(key) ? key : memory_->copy(key), value);
    }
    /// Memory that this transaction has filled and not given back.
    [[nodiscard]] std::uint64_t own_bytes() const noexcept {
        return memory_->held_bytes() - held_before_bytes_ + edits_.held_bytes();
    }
    /// Before each change: a transaction may be larger than memory.
    void make_room() {
        if (own_bytes() > owner().chosen().transaction_bytes) spill();
    }
    /// Nothing but what was handed out is needed any more of what is in memory.
    void begin_memory_anew() {
        auto const fresh = std::make_shared<tree::arena>();
        if (is_handed_out_) handed_out_.push_back(memory_);
        work_ = store::revision_ptr(new store::revision(*work(), work()->user(), fresh));
        session_->use(fresh);
        memory_ = fresh;
        held_before_bytes_ = 0;
        is_handed_out_ = false;
    }
    /// Pending values that lie out of line, and in memory, go to the file.
    void move_values(typename store::writer<Medium>::appender_type& to) {
        std::vector<std::pair<std::string_view, stored_value>> moved;
        for (tree::edit_map::walk edit(edits_); !edit.done(); edit.next()) {
            if (edit.value() == nullptr || !edit.value()->out_of_line) continue;
            auto const extent = edit.value()->extent();
            if (!extent.in_memory()) continue;
            auto const text = work()->value(*edit.value());
            moved.emplace_back(edit.key(), keep_reference(to.add_extent(text)));
        }
        if (moved.empty()) return;
        see_appended(); // only now can they be read there
        for (auto const& [key, value] : moved) edits_.put(key, value);
    }
    template <tree::edit_source Edits> void apply_to_file(Edits& edits, node_sizes const& sizes) {
        auto& to = session_->append();
        store::appended_source source(work().get(), to, *session_->file().storage);
        auto const tree = tree::apply(source, to, sizes, work()->user(), edits);
        see_appended();
        take_over(tree);
    }
    void take_over(tree::tree_ref const& user) {
        work_ = store::revision_ptr(new store::revision(*work(), user, memory_));
    }

    std::unique_ptr<store::writer<Medium>> session_;
    std::shared_ptr<tree::arena> memory_;
    mutable std::size_t held_before_bytes_; // of that memory, by others than this transaction
    node_sizes sizes_;
    tree::edit_map edits_;
    mutable store::revision_ptr work_;  // null until it is needed
    mutable store::revision_ptr below_; // what was read from before, and may be looked at still
    std::shared_ptr<std::atomic<bool>> revoked_;
    /// Where values lie that were handed out before the file outgrew its mapping.
    std::vector<std::shared_ptr<std::byte const>> seen_;
    /// The same of memory that went to the file.
    std::vector<std::shared_ptr<tree::arena const>> handed_out_;
    bool is_handed_out_ = false; // is anything in `memory_`?
};

} // namespace coppice::inline COPPICE_ABI::detail
