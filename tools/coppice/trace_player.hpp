// SPDX-License-Identifier: BSL-1.0
#pragma once
// tools/coppice/trace_player.hpp: carries out the operations of a trace.
// Owns: the database, the transaction that is under way, its savepoints, the snapshots that the
//   trace holds.
// Invariant: a commit whose hash is not that of the trace is not made.

#include "tools/coppice/state_hash.hpp"
#include "tools/coppice/trace_format.hpp"

#include <coppice/database.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tool {

/// Thrown instead of a commit that would not make the state of the trace.
struct state_differs {};

/// Puts an option of a trace where it belongs.
inline void choose(coppice::options& among, trace_operation const& option) {
    auto const& name = option.key;
    auto const small = static_cast<std::uint32_t>(option.number);
    if (name == "leaf_bytes") among.nodes.leaf_bytes = small;
    if (name == "inner_bytes") among.nodes.inner_bytes = small;
    if (name == "inline_value_bytes") among.nodes.inline_value_bytes = small;
    if (name == "preallocate_bytes") among.preallocate_bytes = option.number;
    if (name == "two_sync_above_bytes") among.two_sync_above_bytes = option.number;
    if (name == "unsynced_limit_bytes") among.unsynced_limit_bytes = option.number;
    if (name == "pad_commits") among.pad_commits = option.number != 0;
}

/// The pairs of a bulk load, as they come. An input range. Behind it, `next` is what came after.
template <typename Source> class pairs_of_load {
  public:
    class iterator {
      public:
        using iterator_concept = std::input_iterator_tag;
        using value_type = std::pair<std::string_view, std::string_view>;
        using difference_type = std::ptrdiff_t;

        iterator() = default;
        explicit iterator(pairs_of_load& all) noexcept : all_(&all) {}
        [[nodiscard]] value_type operator*() const noexcept {
            return {all_->next_.key, all_->next_.value};
        }
        iterator& operator++() {
            all_->advance();
            return *this;
        }
        void operator++(int) { ++*this; }
        [[nodiscard]] bool operator==(std::default_sentinel_t) const noexcept {
            return all_->next_.verb != trace_verb::pair;
        }

      private:
        pairs_of_load* all_ = nullptr;
    };

    /// @param next is overwritten by each pair, and by the operation behind them
    pairs_of_load(Source& from, trace_operation& next) : from_(from), next_(next) { advance(); }
    [[nodiscard]] iterator begin() { return iterator(*this); }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

  private:
    void advance() { static_cast<void>(from_.next(next_)); }

    Source& from_;
    trace_operation& next_;
};

/// Carries out operations one by one. `Source` has `bool next(trace_operation&)`, as trace_reader.
template <typename Database> class trace_player {
  public:
    using transaction = typename Database::transaction;

    /// @param open opens the database, @param begin the write transaction
    /// @param compaction how long to wait, for instance
    trace_player(std::function<Database()> open, std::function<transaction(Database&)> begin,
                 coppice::compaction_hooks compaction = {})
        : open_(std::move(open)), begin_(std::move(begin)), compaction_(std::move(compaction)) {
        db_.emplace(open_());
    }

    /// Carries out `next` and puts what comes after it in its place; at the end that is `end`.
    /// @return what the call gave: how many entries, whether there was one, the id of a commit
    template <typename Source> std::uint64_t step(trace_operation& next, Source& from) {
        if (next.verb == trace_verb::load) return txn_->load(pairs_of_load(from, next));
        auto const result = txn_ ? within(next) : outside(next);
        static_cast<void>(from.next(next));
        return result;
    }

    [[nodiscard]] Database& db() noexcept { return *db_; }
    /// REQUIRES: a transaction is under way
    [[nodiscard]] transaction& txn() noexcept { return *txn_; }
    [[nodiscard]] bool in_transaction() const noexcept { return txn_.has_value(); }
    [[nodiscard]] std::vector<coppice::snapshot> const& held() const noexcept { return held_; }

  private:
    std::uint64_t outside(trace_operation const& next) {
        switch (next.verb) {
        case trace_verb::begin: txn_.emplace(begin_(*db_)); return 0;
        case trace_verb::reopen:
            db_.reset();
            db_.emplace(open_());
            return 0;
        case trace_verb::compact: return db_->compact(compaction_) ? 1 : 0;
        // A transaction without changes syncs, and may be one that does not wait for ever.
        case trace_verb::sync: begin_(*db_).commit(coppice::durability::sync); return 0;
        case trace_verb::hold: held_.push_back(db_->read()); return 0;
        default: return 0; // options are for whoever opens
        }
    }

    std::uint64_t within(trace_operation const& next) {
        switch (next.verb) {
        case trace_verb::put: txn_->put(next.key, next.value); return 0;
        case trace_verb::insert: return txn_->insert(next.key, next.value) ? 1 : 0;
        case trace_verb::erase: return txn_->erase(next.key) ? 1 : 0;
        case trace_verb::erase_range: return txn_->erase(next.key, next.value);
        case trace_verb::erase_from: return txn_->erase_from(next.key);
        case trace_verb::erase_prefix: return txn_->erase_prefix(next.key);
        case trace_verb::stream: stream(next); return 0;
        case trace_verb::abandon:
            static_cast<void>(txn_->put_stream(next.key, next.number));
            return 0;
        case trace_verb::get: return txn_->get(next.key) ? 1 : 0;
        case trace_verb::view: return txn_->view().size();
        case trace_verb::savepoint: moments_.push_back(txn_->savepoint()); return 0;
        case trace_verb::rollback: txn_->rollback_to(moments_.at(next.number)); return 0;
        case trace_verb::commit: return commit(next);
        case trace_verb::abort: finish(); return 0;
        case trace_verb::hold: held_.push_back(db_->read()); return 0;
        default: return 0; // stands outside: a reader refuses it here
        }
    }

    void stream(trace_operation const& put) {
        auto to = txn_->put_stream(put.key, put.value.size());
        std::string_view const all = put.value;
        to.write(all.substr(0, all.size() / 2));
        to.write(all.substr(all.size() / 2));
        to.finish();
    }
    std::uint64_t commit(trace_operation const& how) {
        if (how.hash && hash_of(txn_->view()) != *how.hash) throw state_differs();
        auto const id = txn_->commit(how.how, how.note);
        finish();
        return id.value;
    }
    void finish() {
        moments_.clear();
        txn_.reset();
    }

    std::function<Database()> open_;
    std::function<transaction(Database&)> begin_;
    coppice::compaction_hooks compaction_;
    std::optional<Database> db_;
    std::optional<transaction> txn_;
    std::vector<coppice::savepoint> moments_;
    std::vector<coppice::snapshot> held_;
};

} // namespace tool
