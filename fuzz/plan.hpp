// SPDX-License-Identifier: BSL-1.0
#pragma once
// Any bytes as a plan for a simulated machine: what up to three processes do with a database, which
// call of the system fails when and how, who is killed, when the power goes off and what it leaves.
// What was acknowledged as durable is there afterwards, only whole transactions are, `check` is
// clean, one more commit works and survives another crash, and the rules of writing were kept.
// What is done is told as a trace, with what the world does to it as comments.

#include <coppice/testing/protocol_rules.hpp>
#include <tests/crash/explorer/examine.hpp>
#include <tools/coppice/trace_format.hpp>
#include <tools/coppice/trace_player.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace fuzz_plan_detail {

using coppice::durability;
using coppice::testing::call;
using coppice::testing::choices;
using coppice::testing::cut_level;
using coppice::testing::database;
using coppice::testing::fault;
using coppice::testing::machine;
using coppice::testing::sync_failure;
using crash::content;
using crash::must;
using tool::trace_operation;
using tool::trace_verb;

class play {
  public:
    explicit play(choices pick) : pick_(std::move(pick)), on_(pick_.below(256)) {
        tool::append_trace_header(told_as_text_);
        option("leaf_bytes", 128 + pick_.below(4) * 64);
        option("inner_bytes", 128 + pick_.below(2) * 64);
        option("inline_value_bytes", pick_.below(64));
        option("preallocate_bytes", pick_.below(4) * 1000);
        option("pad_commits", pick_.below(6) == 5 ? 1 : 0);
        if (pick_.below(4) == 3) option("unsynced_limit_bytes", 1500);
        if (pick_.below(4) == 3) option("two_sync_above_bytes", 600);
        processes_ = 1 + pick_.below(most_processes);
    }

    void run() {
        told_.begin_with({}, 1);
        for (unsigned epoch = 0;; ++epoch) {
            {
                coppice::testing::protocol_rules const rules(on_);
                for (auto steps = 1 + pick_.below(8); steps > 0 && on_.powered(); --steps) step();
                explorer::must_be_kept(rules);
            }
            auto const level = random_level();
            if (on_.powered()) show_deaths(level);
            show_power_cut(level);
            if (epoch == 2 || !pick_.more()) return;
            restart(level);
        }
    }
    [[nodiscard]] std::string text() const { return told_as_text_ + "end\n"; }

  private:
    static constexpr std::uint64_t most_processes = 3;
    static constexpr auto never = ~std::uint64_t{0};

    // ---- the story -------------------------------------------------------------------------

    void say(trace_operation const& done) { tool::append_operation(told_as_text_, done); }
    void remark(std::string const& what) { told_as_text_ += "# " + what + "\n"; }
    void option(std::string const& name, std::uint64_t number) {
        trace_operation const line{.verb = trace_verb::option, .key = name, .number = number};
        tool::choose(chosen_, line);
        say(line);
    }

    // ---- what goes wrong -------------------------------------------------------------------

    [[nodiscard]] cut_level random_level() {
        constexpr std::array<cut_level, 5> levels{cut_level::sectors, cut_level::bytes,
                                                  cut_level::garbage, cut_level::whole_writes,
                                                  cut_level::in_order};
        auto const level = levels[pick_.below(levels.size())];
        return level == cut_level::garbage && chosen_.pad_commits ? cut_level::blocks : level;
    }

    /// Plans the failure of a call, a death, a power failure, a full disk, or mostly nothing.
    void plan_trouble() {
        planned_ = {};
        limited_ = false;
        switch (pick_.below(12)) {
        case 6: return plan_fault({.what = call::sync, .how = sync_failure::reverted});
        case 7: return plan_fault({.what = call::sync});
        case 8: return plan_fault({.what = call(pick_.below(13)), .bytes_done = pick_.below(512)});
        case 9: {
            auto const after = pick_.below(16);
            on_.kill_after(after);
            return remark("the process dies after " + std::to_string(after) + " operations");
        }
        case 10: {
            auto const after = pick_.below(24);
            on_.fail_power_after(after);
            return remark("the power fails after " + std::to_string(after) + " operations");
        }
        case 11: {
            auto const there = on_.disk().cached().database != 0;
            auto const size = there ? on_.database_bytes().size() : 0;
            auto const room = pick_.below(4096);
            on_.limit_disk(size + room);
            limited_ = true;
            return remark("the disk has room for " + std::to_string(room) + " bytes");
        }
        default: return;
        }
    }
    void plan_fault(fault planned) {
        planned.after = pick_.below(6);
        planned.for_ever = pick_.flip();
        planned.reason = pick_.flip() ? std::errc::no_space_on_device : std::errc::io_error;
        on_.plan(planned);
        planned_ = planned;
        remark(std::string("a ") + coppice::testing::name_of(planned.what) + " fails after " +
               std::to_string(planned.after) + (planned.for_ever ? ", and all later ones" : "") +
               (planned.how == sync_failure::reverted ? ", and what it loses is gone" : "") +
               ", bytes done " + std::to_string(planned.bytes_done));
    }

    void step() {
        auto const who = static_cast<std::size_t>(pick_.below(processes_));
        plan_trouble();
        remark("process " + std::to_string(who));
        auto const failed = on_.faults().fired();
        auto const deaths = on_.deaths();
        try {
            act(who);
        } catch (coppice::error const& e) {
            remark(std::string("it ends with: ") + e.what());
            must(on_.faults().fired() > failed || on_.deaths() > deaths || !on_.powered() ||
                     limited_,
                 std::string("an error that was not planned: ") + e.what());
            auto const is_over = e.kind() == coppice::errc::sync_failed;
            auto const lives = open_[who] && on_.deaths() == deaths && on_.powered();
            auto const by_sync = planned_ && planned_->what == call::sync;
            if (is_over && lives && by_sync) explorer::must_refuse_writing(*open_[who]);
            if (is_over || pick_.flip()) open_[who].reset();
        }
        auto const fired = on_.faults().fired() > failed;
        on_.plan_nothing();
        on_.spare();
        on_.limit_disk(never);
        if (fired && planned_->what == call::sync) see_failed_sync();
        if (on_.deaths() > deaths) open_[who].reset();
        if (!on_.powered()) remark("the power has failed");
    }
    void see_failed_sync() {
        told_.see_failed_sync();
        // Bytes that are read from the disk again change under those who have them mapped.
        if (planned_->how == sync_failure::clean && !pick_.flip()) return;
        open_ = {};
        remark("everybody closes; some of what the sync did not reach is read again");
        on_.evict(pick_);
    }

    // ---- what is done ----------------------------------------------------------------------

    void act(std::size_t who) {
        if (!open_[who]) {
            say({.verb = trace_verb::reopen});
            auto chosen = chosen_;
            chosen.clock = on_.clock();
            open_[who].emplace(on_.start_process(), std::move(chosen));
        }
        auto& db = *open_[who];
        switch (pick_.below(10)) {
        case 6: {
            say({.verb = trace_verb::sync});
            auto const number = judged(db.write().view());
            db.sync();
            return told_.keep_promise(done(), number, true);
        }
        case 7: {
            say({.verb = trace_verb::compact});
            auto const number = judged(db.write().view());
            must(db.compact(), "a compaction stopped by itself");
            return told_.keep_promise(done(), number, true);
        }
        case 8: remark("it closes"); return open_[who].reset();
        case 9: remark("it reads"); return read(db);
        default: return commit(db);
        }
    }

    [[nodiscard]] std::size_t done() const { return on_.log().size(); }
    [[nodiscard]] std::size_t judged(coppice::snapshot const& state) const {
        return told_.judge(state, done(), told_.floor(done(), false));
    }

    /// What a failed sync has lost readers may meet, with a typed error, until a writer has looked.
    void read(database const& db) {
        try {
            static_cast<void>(judged(db.read()));
        } catch (coppice::error const& e) {
            if (!told_.damaged() || e.kind() != coppice::errc::corrupt) throw;
            remark("it finds damage");
        }
    }
    void commit(database& db) {
        say({.verb = trace_verb::begin});
        auto txn = db.write();
        auto const parent = judged(txn.view());
        auto const number = std::to_string(told_.next_number());
        auto state = told_.state(parent);
        for (auto edits = pick_.below(6); edits > 0; --edits) edit(txn, state);
        say({.verb = trace_verb::put, .key = explorer::version_key, .value = number});
        txn.put(explorer::version_key, number);
        state[explorer::version_key] = number;
        constexpr std::array ways{durability::sync, durability::lazy, durability::two_sync};
        auto const how = ways[pick_.below(ways.size())];
        say({.verb = trace_verb::commit, .how = how});
        auto const made = told_.begin(done(), parent, std::move(state), how == durability::lazy);
        auto const deaths = on_.deaths();
        try {
            static_cast<void>(txn.commit(how));
        } catch (coppice::error const& e) {
            auto const alive = on_.powered() && on_.deaths() == deaths;
            if (alive && e.kind() != coppice::errc::sync_failed) told_.deny(made);
            throw;
        }
        told_.keep_promise(done(), made, how != durability::lazy);
    }
    void edit(database::transaction& txn, content& state) {
        trace_operation now{.key = std::string(1, static_cast<char>('a' + pick_.below(16)))};
        auto const what = pick_.below(8);
        now.verb = what == 5   ? trace_verb::erase
                   : what == 6 ? trace_verb::erase_from
                   : what == 7 ? trace_verb::stream
                               : trace_verb::put;
        if (now.verb == trace_verb::put || now.verb == trace_verb::stream) {
            now.value.assign(pick_.below(4) * pick_.below(100),
                             static_cast<char>('A' + pick_.below(26)));
        }
        say(now);
        switch (now.verb) {
        case trace_verb::erase: txn.erase(now.key); return static_cast<void>(state.erase(now.key));
        case trace_verb::erase_from:
            txn.erase_from(now.key);
            return static_cast<void>(state.erase(state.lower_bound(now.key), state.end()));
        case trace_verb::stream: {
            auto to = txn.put_stream(now.key, now.value.size());
            to.write(now.value);
            to.finish();
            break;
        }
        default: txn.put(now.key, now.value);
        }
        state[now.key] = now.value;
    }

    // ---- what is left of it ----------------------------------------------------------------

    /// All processes die at once; what the cache holds is there.
    void show_deaths(cut_level level) {
        remark("all processes die");
        auto const at = done();
        explorer::examine(
            on_.disk(), {told_, at, told_.floor(at, false), told_.floor(at, true), told_.damaged()},
            chosen_, pick_.below(never), level);
    }
    void show_power_cut(cut_level level) {
        remark("the power is cut");
        auto const at = done();
        auto const floor = told_.floor(at, true);
        auto left = coppice::testing::power_cut(on_.disk(), level).image(pick_);
        if (pick_.flip()) left.page = {};
        explorer::examine(coppice::testing::disk(std::move(left)),
                          {told_, at, floor, floor, false, true}, chosen_, pick_.below(never),
                          level);
    }
    void restart(cut_level level) {
        remark("the power is cut, and comes back");
        auto const at = done();
        open_ = {};
        on_.restart(pick_, level);
        explorer::go_on_with(on_.disk(), told_, at, chosen_);
    }

    choices pick_;
    machine on_;
    coppice::options chosen_;
    std::uint64_t processes_ = 1;
    explorer::ledger told_;
    std::optional<fault> planned_;
    bool limited_ = false;
    std::array<std::optional<database>, most_processes> open_{};
    std::string told_as_text_;
};

} // namespace fuzz_plan_detail

/// How many shortened forms of an input the replay tries.
inline constexpr std::size_t fuzz_plan_cuts = 16;

/// What an input does. Ends the process where that goes wrong.
/// @param data options, then operations and what goes wrong
inline std::string fuzz_plan_text(std::uint8_t const* data, std::size_t size) {
    using namespace fuzz_plan_detail;
    play plan(choices::of({reinterpret_cast<std::byte const*>(data), size}));
    try {
        plan.run();
    } catch (std::exception const& e) {
        std::fprintf(stderr, "%splan: %s\n", plan.text().c_str(), e.what());
        std::abort();
    }
    return plan.text();
}

inline int fuzz_plan(std::uint8_t const* data, std::size_t size) {
    if (size <= 4096) static_cast<void>(fuzz_plan_text(data, size));
    return 0;
}
