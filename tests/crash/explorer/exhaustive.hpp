// SPDX-License-Identifier: BSL-1.0
#pragma once
// All short histories, and everything that a crash can leave of them. A transaction is its net
// edits over a few keys, since the commit sees nothing else: each key untouched, put to one of two
// values, or erased. A power cut keeps of each pending sector any version, and any size.

#include "distinct_set.hpp"
#include "examine.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace explorer {

using coppice::testing::call;
using coppice::testing::operation;
using coppice::testing::operation_kind;
using coppice::testing::sync_failure;

/// What was enumerated so far, by all threads.
struct counters {
    distinct_set& images;
    std::atomic<std::uint64_t> histories{0};
    std::atomic<std::uint64_t> second_crashes{0};
    std::atomic<std::uint64_t> sum{0}; ///< of all images: the same on every platform

    explicit counters(distinct_set& set) : images(set) {}
};

/// Net edits of a transaction: two bits for each key.
struct net_edits {
    unsigned code = 0;
    unsigned keys = 3;

    [[nodiscard]] crash::edits list() const {
        crash::edits result;
        for (unsigned i = 0; i < keys; ++i) {
            auto const what = code >> (2 * i) & 3U;
            std::string key(1, static_cast<char>('a' + i));
            if (what == 1) result.emplace_back(std::move(key), "one");
            if (what == 2) result.emplace_back(std::move(key), "another value");
            if (what == 3) result.emplace_back(std::move(key), std::nullopt);
        }
        return result;
    }
    [[nodiscard]] static unsigned count(unsigned keys) noexcept { return 1U << (2 * keys); }
};

/// Does it make no difference to a crash that this was done?
[[nodiscard]] inline bool leaves_no_trace(operation const& done) noexcept {
    return done.kind == operation_kind::page;
}

/// Enumerates. One for each thread.
class enumeration {
  public:
    enumeration(counters& seen, bool twice) : seen_(&seen), twice_(twice) {
        chosen_ = crash::tiny();
    }

    /// How many units there are of histories of three transactions over three keys.
    [[nodiscard]] static unsigned units() noexcept {
        return net_edits::count(3) * net_edits::count(3);
    }
    /// All histories that begin with two given transactions. @param most how many transactions
    void run_unit(unsigned unit, unsigned most) {
        machine on(disk_image{}, 1);
        auto const first = unit / net_edits::count(3);
        auto const second = unit % net_edits::count(3);
        auto told = created(on, unit == 0);
        auto const before = commit(on.disk(), told, {first, 3}, second == 0);
        if (most < 2) return;
        auto const between = commit(before.left, before.told, {second, 3}, true);
        for (unsigned third = 0; most > 2 && third < net_edits::count(3); ++third) {
            static_cast<void>(commit(between.left, between.told, {third, 3}, true));
        }
    }

    /// How many units there are of `run_mixed`.
    [[nodiscard]] static unsigned mixed_units() noexcept {
        return net_edits::count(2) * net_edits::count(2);
    }
    /// Two transactions over two keys: every durability of each (what is deferred is flushed by the
    /// next one or in closing), and no sync fails or any one does in either way; a process dies
    /// anywhere, another one takes over and commits, and the power is cut anywhere in that.
    void run_mixed(unsigned unit) {
        net_edits const first{unit / net_edits::count(2), 2};
        net_edits const second{unit % net_edits::count(2), 2};
        constexpr std::array ways{durability::sync, durability::lazy, durability::two_sync,
                                  durability::deferred};
        for (auto const one : ways) {
            for (auto const two : ways) {
                auto const syncs = mix({first, second}, {one, two}, {});
                for (std::uint64_t k = 0; k < syncs; ++k) {
                    for (auto const how : {sync_failure::clean, sync_failure::reverted}) {
                        coppice::testing::fault const planned{
                            .what = call::sync, .after = k, .how = how};
                        static_cast<void>(mix({first, second}, {one, two}, planned));
                    }
                }
            }
        }
    }

  private:
    struct outcome {
        disk left;
        ledger told;
    };

    /// Makes a database. @param shown are the crashes of that to be enumerated?
    [[nodiscard]] ledger created(machine& on, bool shown) {
        ledger told;
        told.begin_with({}, 1);
        static_cast<void>(open(on, chosen_));
        if (shown) cut_everywhere(disk(), on.log(), told);
        return told;
    }

    /// Goes on from a disk with one durable transaction.
    [[nodiscard]] outcome commit(disk const& before, ledger const& from, net_edits const& edits,
                                 bool shown) {
        machine on(before, 1 + from.next_number());
        ledger told;
        auto const parent = from.at(from.next_number() - 1);
        told.begin_with(parent.state, *parent.id);
        auto const changes = edits.list();
        {
            auto db = open(on, chosen_);
            auto txn = db.write();
            crash::carry_out(txn, changes);
            auto const number =
                told.begin(0, 0, crash::edited(parent.state, changes), false, *parent.id + 1);
            auto const id = txn.commit(durability::sync).value;
            if (id == *parent.id + 1) told.keep_promise(on.log().size(), number, true);
            if (id == *parent.id) told.begin_with(parent.state, *parent.id);
        }
        if (shown) {
            ++seen_->histories;
            cut_everywhere(before, on.log(), told);
        }
        return {on.disk(), std::move(told)};
    }

    /// @return how many syncs there were
    std::uint64_t mix(std::array<net_edits, 2> const& edits, std::array<durability, 2> const& how,
                      std::optional<coppice::testing::fault> const& planned) {
        machine on(disk_image{}, 1);
        auto told = created(on, false);
        auto const before = on.disk();
        auto const from = on.log().size();
        auto const syncs_before = on.count(call::sync);
        if (planned) on.plan(*planned);
        auto db = open(on, chosen_);
        content state;
        try {
            for (std::size_t i = 0; i < 2; ++i) {
                auto txn = db.write();
                auto const changes = edits[i].list();
                crash::carry_out(txn, changes);
                state = crash::edited(std::move(state), changes);
                auto const parent = told.next_number() - 1;
                auto const id = *told.at(parent).id;
                auto const deferred = how[i] == durability::deferred;
                auto const lazy = how[i] == durability::lazy || deferred;
                auto const number = told.begin(done(on, from), parent, state, lazy, id + 1);
                auto const promised = txn.commit(how[i]).value;
                if (promised == id) told.drop_newest(); // nothing was changed
                if (deferred) continue;
                told.keep_promise(done(on, from), promised == id ? parent : number, !lazy);
            }
        } catch (coppice::error const&) {
            must(on.faults().fired() != 0, "an error that was not planned");
            told.see_failed_sync();
        }
        db.close();
        auto const newest = told.next_number() - 1;
        if (on.faults().fired() == 0) told.keep_promise(done(on, from), newest, false);
        ++seen_->histories;
        std::vector<operation> const log(on.log().begin() + static_cast<std::ptrdiff_t>(from),
                                         on.log().end());
        cut_everywhere(before, log, told);
        kill_everywhere(before, log, told);
        return planned ? 0 : on.count(call::sync) - syncs_before;
    }
    [[nodiscard]] static std::size_t done(machine const& on, std::size_t from) {
        return on.log().size() - from;
    }

    void cut_everywhere(disk now, std::vector<operation> const& log, ledger const& told) {
        for (std::size_t at = 0;; ++at) {
            if (at == 0 || !leaves_no_trace(log[at - 1])) {
                auto const floor = told.floor(at, true);
                for_each_cut(now, [&](disk_image left, std::uint64_t hash) {
                    if (!seen_->images.add(hash ^ coppice::testing::mixed(floor))) return;
                    seen_->sum += coppice::testing::mixed(hash);
                    expectation const wanted{told, at, floor, floor, false, true};
                    if (twice_) {
                        examine_twice(disk(std::move(left)), wanted, hash);
                    } else {
                        examine(disk(std::move(left)), wanted, chosen_, hash);
                    }
                });
            }
            if (at == log.size()) return;
            now.take(log[at]);
        }
    }
    void kill_everywhere(disk now, std::vector<operation> const& log, ledger const& told) {
        for (std::size_t at = 0;; ++at) {
            expectation const wanted{told, at, told.floor(at, false), told.floor(at, true),
                                     told.damaged()};
            examine_twice(now, wanted, at + 1);
            if (at == log.size()) return;
            now.take(log[at]);
        }
    }

    /// Examines a disk, and everything that a second crash can leave of it.
    void examine_twice(disk const& left, expectation const& wanted, std::uint64_t seed) {
        findings first(left, seed);
        open_and_commit(first, wanted, chosen_);
        auto const& log = first.on.log();
        auto last_sync = log.size();
        while (last_sync > 0 && log[last_sync - 1].kind != operation_kind::sync) --last_sync;
        auto const floor = second_floor(first, wanted);
        disk now(left);
        for (std::size_t at = 0;; ++at) {
            if (at == 0 || !leaves_no_trace(log[at - 1])) {
                for_each_cut(now, [&](disk_image const& second, std::uint64_t hash) {
                    if (!seen_->images.add(hash ^ seed)) return;
                    ++seen_->second_crashes;
                    seen_->sum += coppice::testing::mixed(hash);
                    judge_second(second, first, wanted, floor, at >= last_sync, chosen_, hash);
                });
            }
            if (at == log.size()) return;
            now.take(log[at]);
        }
    }

    /// All images that a power cut can leave. The page of the lock file is kept in some of them.
    template <typename Visit> static void for_each_cut(disk const& now, Visit visit) {
        power_cut const cut(now);
        auto pick = choices::all();
        do {
            auto image = cut.image(pick);
            auto const page = std::exchange(image.page, {});
            auto const hash = hash_of(image);
            if (hash % 2 == 0) image.page = page;
            visit(std::move(image), hash);
        } while (pick.next());
    }

    counters* seen_;
    bool twice_;
    coppice::options chosen_;
};

} // namespace explorer
