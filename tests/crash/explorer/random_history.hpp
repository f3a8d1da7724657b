// SPDX-License-Identifier: BSL-1.0
#pragma once
// One random history, named by a seed and an index: up to three processes that commit, sync,
// compact, close, open, die and see syncs fail, between power cuts; and the disks that crashes
// leave at every moment of it.

#include "examine.hpp"

#include <coppice/testing/protocol_rules.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace explorer {

using coppice::testing::call;
using coppice::testing::fault;
using coppice::testing::operation;
using coppice::testing::sync_failure;

/// What a history has seen, for the tables.
struct tally {
    std::uint64_t histories = 0;
    std::uint64_t commits = 0;
    std::uint64_t compactions = 0;
    std::uint64_t beside = 0; ///< commits while another one, or the same process, compacted
    std::uint64_t kills = 0;
    std::uint64_t failed_syncs = 0;
    std::uint64_t power_cuts = 0;
    std::uint64_t groups = 0;    ///< commits that share syncs
    std::uint64_t deferred = 0;  ///< commits that stayed in memory when they were made
    std::uint64_t unseen = 0;    ///< deferred commits that make no tree of their own
    std::uint64_t takeovers = 0; ///< one process commits after another one
    std::uint64_t names = 0;     ///< commits that got a name

    void add(tally const& other) noexcept {
        histories += other.histories;
        commits += other.commits;
        compactions += other.compactions;
        beside += other.beside;
        kills += other.kills;
        failed_syncs += other.failed_syncs;
        power_cuts += other.power_cuts;
        groups += other.groups;
        deferred += other.deferred;
        unseen += other.unseen;
        takeovers += other.takeovers;
        names += other.names;
    }
};

/// A disk that is to be examined. @return is it a new one?
using visitor = std::function<void(disk const&, expectation const&, coppice::options const&,
                                   std::uint64_t seed, cut_level)>;

/// Runs one history and shows what crashes of it leave.
class random_history {
  public:
    random_history(std::uint64_t seed, std::uint64_t index, visitor visit)
        : pick_(choices::random(seed, index)),
          pick_deferred_(choices::random(~seed, index)),
          pick_names_(choices::random(seed ^ 0x7461'6773U, index)),
          pick_pads_(choices::random(seed ^ 0x7061'6473U, index)),
          pick_early_(choices::random(seed ^ 0x6561'726CU, index)),
          pick_looks_(choices::random(seed ^ 0x6C6F'6F6BU, index)),
          visit_(std::move(visit)),
          on_(disk_image{}, pick_.below(~std::uint64_t{0})) {
        choose_options();
    }

    void run() {
        ++seen_.histories;
        told_.begin_with({}, 1);
        auto const epochs = 1 + pick_.below(3);
        for (std::uint64_t i = 0;; ++i) {
            {
                coppice::testing::protocol_rules const rules(on_);
                for (auto steps = 2 + pick_.below(7); steps > 0; --steps) step();
                must_be_kept(rules);
            }
            show_crashes();
            if (i + 1 == epochs) return;
            restart();
        }
    }
    [[nodiscard]] tally const& seen() const noexcept { return seen_; }
    [[nodiscard]] std::vector<operation> const& log() const noexcept { return on_.log(); }

  private:
    static constexpr std::size_t most_processes = 3;

    void choose_options() {
        constexpr std::array<coppice::node_sizes, 4> sizes{
            {{128, 128, 32}, {160, 128, 0}, {256, 160, 64}, {512, 256, 128}}};
        chosen_.nodes = sizes[pick_.below(sizes.size())];
        constexpr std::array<std::uint64_t, 4> ahead{0, 0, 700, 3000};
        chosen_.preallocate_bytes = ahead[pick_.below(ahead.size())];
        chosen_.pad_commits = pick_.below(6) == 0;
        if (pick_.below(4) == 0) chosen_.unsynced_limit_bytes = 1500;
        if (pick_.below(4) == 0) chosen_.two_sync_above_bytes = 600;
        processes_ = pick_.below(2) == 0 ? 1 : 1 + pick_.below(most_processes);
        keys_ = 3 + pick_.below(12);
        // Choices of their own, so that a history without deferred commits stays what it was.
        may_defer_ = pick_deferred_.below(3) == 0;
        may_name_ = pick_names_.below(3) == 0;
        may_mix_pads_ = !chosen_.pad_commits && pick_pads_.below(4) == 0;
        if (may_mix_pads_) processes_ = std::max<std::uint64_t>(processes_, 2);
        if (may_name_) chosen_.retention.commits = 1 + pick_names_.below(4);
        // A byte more than nothing, and nearly each change goes to the file ahead of its commit.
        if (pick_early_.below(5) == 0) chosen_.transaction_bytes = 500 * pick_early_.below(2);
        chosen_.flush = {0, 0, {}};
        if (!may_defer_) return;
        chosen_.flush.bytes = pick_deferred_.below(3) == 0 ? 20'000 : 1'000'000;
        auto const most = pick_deferred_.below(3) == 0 ? 40U : 6U;
        chosen_.flush.count = static_cast<std::uint32_t>(2 + pick_deferred_.below(most));
    }

    void restart() {
        ++seen_.power_cuts;
        auto const at = done();
        open_ = {};
        deferring_ = most_processes;
        on_.restart(pick_, random_level());
        start_ = on_.disk();
        go_on_with(start_, told_, at, chosen_);
        last_writer_ = most_processes;
        just_restarted_ = true;
    }

    [[nodiscard]] std::size_t done() const { return on_.log().size(); }
    [[nodiscard]] cut_level random_level() {
        constexpr std::array<cut_level, 8> levels{
            cut_level::sectors, cut_level::sectors, cut_level::sectors,      cut_level::bytes,
            cut_level::bytes,   cut_level::garbage, cut_level::whole_writes, cut_level::in_order};
        auto const level = levels[pick_.below(levels.size())];
        return level == cut_level::garbage && chosen_.pad_commits ? cut_level::blocks : level;
    }

    // ---- what is done ----------------------------------------------------------------------

    void step() {
        // Who has deferred commits has the lock, and nobody here can wait for it.
        auto const any = pick_.below(processes_);
        auto const who = deferring_ != most_processes ? deferring_ : any;
        // What is taken over after a power cut is where a sync that fails does most harm.
        auto const first = std::exchange(just_restarted_, false);
        auto const may_fail = first && pick_.below(3) == 0 ? 1 : pick_.below(6);
        if (may_fail == 0) {
            on_.kill_after(pick_.below(9));
        } else if (may_fail == 1) {
            auto const how = pick_.flip() ? sync_failure::clean : sync_failure::reverted;
            on_.plan({.what = call::sync, .after = first ? 0 : pick_.below(2), .how = how});
        }
        auto const failed = on_.faults().fired();
        auto const deaths = on_.deaths();
        try {
            act(who);
        } catch (coppice::error const& e) {
            auto const planned = on_.faults().fired() > failed || on_.deaths() > deaths;
            must(planned, std::string("an error that was not planned: ") + e.what());
            auto const lives = open_[acting_] && on_.deaths() == deaths;
            if (e.kind() == coppice::errc::sync_failed && lives) {
                must_refuse_writing(*open_[acting_]);
            }
            open_[acting_].reset();
            deferring_ = most_processes;
        }
        if (on_.faults().fired() > failed) see_failed_sync();
        seen_.kills += on_.deaths() - deaths;
        if (on_.deaths() > deaths) { // a destructor may have kept quiet about it
            open_[acting_].reset();
            deferring_ = most_processes;
        }
        on_.plan_nothing();
        on_.spare();
    }
    void see_failed_sync() {
        ++seen_.failed_syncs;
        told_.see_failed_sync();
        // Bytes that are read from the disk again change under those who have them mapped.
        if (on_.faults().planned().how == sync_failure::clean && pick_.below(3) != 0) return;
        open_ = {};
        deferring_ = most_processes;
        on_.evict(pick_);
    }

    [[nodiscard]] database& opened(std::size_t who) {
        acting_ = who;
        if (!open_[who]) {
            auto chosen = chosen_;
            chosen.clock = on_.clock();
            if (may_mix_pads_) chosen.pad_commits = pick_pads_.flip();
            open_[who].emplace(on_.start_process(), std::move(chosen));
        }
        return *open_[who];
    }

    /// Compacts, while this process and others commit. @return was it done?
    [[nodiscard]] bool compact(database& db, std::size_t who) {
        coppice::compaction_hooks hooks;
        hooks.progress = [&](std::uint64_t, std::uint64_t) {
            for (auto commits = pick_.below(3); commits > 0; --commits) {
                // Who has deferred commits has the lock, and nobody here can wait for it.
                note_deferring(db, who);
                auto const any = pick_.below(processes_);
                auto const other = deferring_ == who ? who : any;
                auto const deaths = on_.deaths();
                if (other != who && pick_.below(8) == 0) {
                    coppice::compaction_hooks impatient;
                    impatient.longest_wait = std::chrono::nanoseconds(0);
                    must(!opened(other).compact(impatient), "two compactions at once");
                } else {
                    auto made = commit(opened(other));
                    settle(made);
                    if (may_name_ && pick_names_.below(2) == 0) {
                        // An older one waits for the compaction, and nobody here can.
                        name_commit(opened(other), 0);
                    }
                    if (other != who) flush(opened(other));
                    ++seen_.beside;
                }
                if (on_.deaths() > deaths && other != who) open_[other].reset();
            }
            acting_ = who;
            return pick_.below(12) != 0;
        };
        return db.compact(hooks);
    }

    void act(std::size_t who) {
        auto& db = opened(who);
        if (deferring_ == who && pick_deferred_.below(5) == 0) return flush(db);
        if (may_name_ && pick_names_.below(4) == 0) name_commit(db, pick_names_.below(5));
        switch (pick_.below(12)) {
        case 0: {
            auto const number = newest(db);
            db.sync();
            told_.keep_promise(done(), number, true);
            deferring_ = most_processes;
            return;
        }
        case 1: {
            auto const number = newest(db);
            if (!compact(db, who)) return note_deferring(db, who);
            ++seen_.compactions;
            told_.keep_promise(done(), number, true);
            deferring_ = most_processes;
            return;
        }
        case 2: return close(who);
        case 3: commit_group(db); break;
        default: {
            auto made = commit(db);
            settle(made);
            if (may_defer_ && pick_deferred_.below(6) == 0) put_unseen(db);
        }
        }
        if (last_writer_ != who && last_writer_ != most_processes) ++seen_.takeovers;
        last_writer_ = who;
        note_deferring(db, who);
    }
    void note_deferring(database const& db, std::size_t who) {
        auto const defers = may_defer_ && db.stats().deferred_commits != 0;
        deferring_ = defers ? who : most_processes;
    }

    /// Gives a commit the number of its version as a name. @param back so many before the newest,
    /// or the first one
    void name_commit(database& db, std::uint64_t back) {
        if (db.stats().deferred_commits != 0) flush(db);
        auto const newest = db.write().view();
        auto const newest_number = judged(newest);
        auto state = newest.state();
        for (; back > 0 && state->record().index > 0; --back) {
            state = coppice::store::previous_state(*state);
        }
        coppice::snapshot const named(state);
        if (!named.contains(version_key)) return;
        auto const number = told_.number_of(named);
        auto const is_newest = named.id() == newest.id();
        auto const lazy = pick_names_.below(3) == 0;
        auto const id =
            db.tag(std::to_string(number), is_newest ? coppice::commit_id{} : named.id(),
                   lazy ? durability::lazy : durability::sync);
        // Where the name was there already nothing is committed, and nobody is told of the commit
        // before, whose process may have died before it told anybody: only a sync does that.
        if (lazy && id == newest.id()) return;
        ++seen_.names;
        told_.keep_promise(done(), newest_number, !lazy);
        if (!lazy) told_.keep_name(done(), number);
    }

    /// What is deferred is written then: as safe as what is lazy.
    void flush(database& db) {
        auto const number = newest_made_;
        db.flush();
        must(db.stats().deferred_commits == 0, "a flush leaves something behind");
        told_.keep_promise(done(), number, false);
        deferring_ = most_processes;
    }
    void close(std::size_t who) {
        if (deferring_ != who) return open_[who].reset();
        auto const number = newest_made_;
        auto const disturbed = on_.faults().fired() + on_.deaths();
        open_[who].reset();
        deferring_ = most_processes;
        // Of a failure in closing only events are told.
        if (on_.faults().fired() + on_.deaths() == disturbed) {
            told_.keep_promise(done(), number, false);
        }
    }

    /// The version that a writer begins from.
    [[nodiscard]] std::size_t newest(database& db) const { return judged(db.write().view()); }
    [[nodiscard]] std::size_t judged(coppice::snapshot const& state) const {
        return told_.judge(state, done(), told_.floor(done(), false));
    }

    /// A commit that is still to be settled.
    struct begun {
        std::size_t number;
        durability how;
        database::transaction::pending_commit pending;
    };
    void settle(begun& made) {
        made.pending.wait();
        ++seen_.commits;
        // What is deferred is promised to nobody until it is flushed.
        if (made.how == durability::deferred) return;
        told_.keep_promise(done(), made.number, made.how != durability::lazy);
    }
    /// Commits of one process that share syncs, as threads would make them.
    void commit_group(database& db) {
        ++seen_.groups;
        std::vector<begun> group;
        for (auto count = 2 + pick_.below(3); count > 0; --count) group.push_back(commit(db));
        while (!group.empty()) {
            auto const next =
                group.begin() + static_cast<std::ptrdiff_t>(pick_.below(group.size()));
            settle(*next);
            group.erase(next);
        }
    }

    [[nodiscard]] begun commit(database& db) {
        auto txn = db.write();
        auto const parent = judged(txn.view());
        must(deferring_ == most_processes || parent == newest_made_,
             "a transaction does not begin from what is deferred");
        auto state = told_.state(parent);
        auto const number = told_.next_number();
        for (auto edits = pick_.below(4); edits > 0; --edits) {
            std::string const key(1, static_cast<char>('a' + pick_.below(keys_)));
            if (pick_.below(4) == 0) {
                txn.erase(key);
                state.erase(key);
            } else {
                constexpr std::array<std::size_t, 4> sizes{1, 8, 40, 150};
                std::string const value(sizes[pick_.below(sizes.size())],
                                        static_cast<char>('A' + number % 26));
                txn.put(key, value);
                state[key] = value;
            }
        }
        txn.put(version_key, std::to_string(number));
        state[version_key] = std::to_string(number);
        constexpr std::array<durability, 4> ways{durability::sync, durability::sync,
                                                 durability::lazy, durability::two_sync};
        auto how = ways[pick_.below(ways.size())];
        if (may_defer_ && pick_deferred_.below(3) != 0) how = durability::deferred;
        auto const lazy = how == durability::lazy || how == durability::deferred;
        told_.begin(done(), parent, std::move(state), lazy);
        auto const before = may_defer_ ? db.stats().deferred_commits : 0;
        auto pending = txn.commit_async(how);
        newest_made_ = number;
        if (how == durability::deferred && db.stats().deferred_commits > before) {
            ++seen_.deferred;
            must(judged(db.read()) == number, "a deferred commit is not seen at once");
        }
        return {number, how, std::move(pending)};
    }

    /// Deferred commits of single keys, at which nobody looks: most make no tree before they are
    /// written. So many that the last look is forgotten, which makes the first ones do without.
    void put_unseen(database& db) {
        for (auto commits = 20 + pick_deferred_.below(20); commits > 0; --commits) {
            auto state = told_.state(newest_made_);
            auto const number = told_.next_number();
            auto txn = db.write();
            std::string const key(1, static_cast<char>('a' + pick_deferred_.below(keys_)));
            std::string const value(1 + pick_deferred_.below(40),
                                    static_cast<char>('A' + number % 26));
            auto const looks = pick_looks_.below(8); // at its key, at all keys, or not
            auto const known = state.find(key);
            auto const there = known != state.end();
            if (looks < 4) {
                auto const found = txn.get(key);
                must(there ? found == known->second : !found, "a transaction finds older commits");
            }
            if (looks < 2) {
                must(txn.erase(key) == there, "a transaction erases in older commits");
                state.erase(key);
            } else {
                txn.put(key, value);
                state[key] = value;
            }
            if (looks == 4) must(txn.size() == state.size(), "a transaction counts older commits");
            txn.put(version_key, std::to_string(number));
            state[version_key] = std::to_string(number);
            told_.begin(done(), newest_made_, std::move(state), true);
            txn.commit(durability::deferred);
            newest_made_ = number;
            must(db.get(version_key) == std::to_string(number), "a get finds an older commit");
            ++seen_.unseen;
        }
        note_deferring(db, acting_);
        if (deferring_ != most_processes && pick_deferred_.flip()) flush(db);
    }

    // ---- what is left of it -----------------------------------------------------------------

    void show_crashes() {
        disk now = start_;
        auto const& log = on_.log();
        for (std::size_t at = 0;; ++at) {
            auto const page_only =
                at != 0 && log[at - 1].kind == coppice::testing::operation_kind::page;
            if (!page_only || pick_.below(4) == 0) show(now, at);
            if (at == log.size()) return;
            now.take(log[at]);
        }
    }
    void show(disk const& now, std::size_t at) {
        auto const level = random_level();
        auto const durable = told_.floor(at, true);
        visit_(now, {told_, at, told_.floor(at, false), durable, told_.damaged()}, chosen_,
               pick_.below(never), level);
        power_cut const cut(now, level);
        auto images = std::min<std::uint64_t>(12, 1 + 2 * cut.pending_sectors());
        for (; images > 0; --images) {
            auto left = cut.image(pick_);
            if (pick_.flip()) left.page = {};
            visit_(disk(std::move(left)), {told_, at, durable, durable, false, true}, chosen_,
                   pick_.below(never), level);
        }
    }

    static constexpr auto never = ~std::uint64_t{0};

    choices pick_;
    choices pick_deferred_;
    choices pick_names_;
    choices pick_pads_;
    choices pick_early_;
    choices pick_looks_;
    visitor visit_;
    machine on_;
    coppice::options chosen_;
    std::uint64_t processes_ = 1;
    std::uint64_t keys_ = 3;
    bool may_defer_ = false;
    bool may_name_ = false;
    bool may_mix_pads_ = false; ///< do some processes pad their commits and others not?
    std::size_t deferring_ = most_processes; ///< who has commits in memory alone
    std::size_t newest_made_ = 0;            ///< the version of the newest of them
    disk start_;
    ledger told_;
    std::size_t last_writer_ = most_processes;
    std::size_t acting_ = 0; // who did the last thing
    bool just_restarted_ = false;
    std::array<std::optional<database>, most_processes> open_{};
    tally seen_;
};

} // namespace explorer
