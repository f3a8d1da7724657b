// SPDX-License-Identifier: BSL-1.0
// Every image that a killed process or a power cut can leave of some short histories: it opens by
// itself, holds exactly one whole commit that is not older than the last promised one, is sound,
// and takes the next commit. Power cuts lose any subset of the writes that no sync vouches for.

#include <catch2/catch.hpp>
#include <crash_images.hpp>
#include <workbench.hpp>

#include <cstdio>
#include <set>

namespace {

using crash::cut_level;
using crash::durability;
using crash::edits;
using crash::history;
using crash::scribe;

std::string key(unsigned i) {
    std::string text = "key-000";
    text[4] = static_cast<char>('0' + i / 100 % 10);
    text[5] = static_cast<char>('0' + i / 10 % 10);
    text[6] = static_cast<char>('0' + i % 10);
    return text;
}

/// Changes far apart, so that one transaction writes several leaves; some values lie out of line.
edits changes_of_round(unsigned number) {
    auto const text = "round " + std::to_string(number);
    edits result;
    result.emplace_back(key(number % 20), text);
    result.emplace_back(key(20 + number % 20), text + std::string(40 + 300 * (number % 3), 'v'));
    result.emplace_back(key(40 + number * 7 % 20), text);
    if (number % 4 == 3) result.emplace_back(key((number - 1) % 20), std::nullopt);
    return result;
}

edits first_entries() {
    edits result;
    for (unsigned i = 0; i < 60; i += 2) result.emplace_back(key(i), "first");
    return result;
}

history told_by(coppice::options const& chosen, std::function<void(scribe&)> const& tell) {
    scribe by(chosen);
    by.create();
    by.commit(first_entries(), durability::sync);
    tell(by);
    return by.told();
}

std::map<std::string, history> histories() {
    workbench::keep_memory();
    std::map<std::string, history> all;
    auto const rounds = [](std::vector<durability> const& how) {
        return [how](scribe& by) {
            unsigned number = 0;
            for (auto const each : how) by.commit(changes_of_round(++number), each);
            by.close();
        };
    };
    using enum durability;
    all["sync"] = told_by(crash::tiny(), rounds({sync, sync, sync, sync}));
    all["lazy"] = told_by(crash::tiny(), rounds({lazy, lazy, lazy, lazy, lazy}));
    all["two_sync"] = told_by(crash::tiny(), rounds({two_sync, two_sync, two_sync}));
    all["mixed"] = told_by(crash::tiny(), rounds({sync, lazy, sync, lazy, lazy, two_sync, lazy}));
    all["deferred"] = told_by(crash::tiny(), [](scribe& by) {
        unsigned number = 0;
        for (auto const each : {deferred, deferred, lazy, deferred, deferred, deferred, sync}) {
            by.commit(changes_of_round(++number), each);
        }
        for (int i = 0; i < 3; ++i) by.commit(changes_of_round(++number), deferred);
        by.flush();
        by.commit(changes_of_round(++number), deferred);
        by.sync();
        for (int i = 0; i < 2; ++i) by.commit(changes_of_round(++number), deferred);
        by.close();
    });
    auto padded = crash::tiny();
    padded.pad_commits = true;
    all["padded"] = told_by(padded, rounds({sync, lazy, sync}));
    auto ahead = crash::tiny();
    ahead.preallocate_bytes = 3000;
    all["written ahead"] = told_by(ahead, rounds({sync, sync, lazy, sync, sync}));
    auto bounded = crash::tiny();
    bounded.unsynced_limit_bytes = 3000;
    all["bounded"] = told_by(bounded, rounds({lazy, lazy, lazy, lazy, lazy, lazy}));
    all["compaction"] = told_by(crash::tiny(), [](scribe& by) {
        by.commit(changes_of_round(1), sync);
        by.commit(changes_of_round(2), lazy);
        by.compact();
        by.commit(changes_of_round(3), lazy);
        by.commit(changes_of_round(4), sync);
        by.compact(key(44));
        by.commit(changes_of_round(5), sync);
        by.close();
    });
    all["compaction beside commits"] = told_by(crash::tiny(), [](scribe& by) {
        by.commit(changes_of_round(1), sync);
        by.commit(changes_of_round(2), lazy);
        unsigned number = 2;
        by.compact({}, [&] {
            ++number;
            by.commit(changes_of_round(number), number % 2 == 0 ? lazy : sync);
        });
        by.commit(changes_of_round(++number), lazy);
        by.compact({}, [&] { by.commit(changes_of_round(++number), lazy); });
        by.close();
    });
    auto keeping = crash::tiny();
    keeping.retention.commits = 3;
    all["tags"] = told_by(keeping, [](scribe& by) {
        by.tag("first", 2, sync);
        by.commit(changes_of_round(1), lazy);
        by.tag("second", 4, lazy);
        by.tag("first", 3, lazy);
        by.untag("second", sync);
        by.tag("third", 1, two_sync);
        by.close();
    });
    all["retention"] = told_by(keeping, [](scribe& by) {
        unsigned number = 0;
        for (auto const how : {sync, lazy, lazy}) by.commit(changes_of_round(++number), how);
        by.tag("old", 3, lazy);
        by.commit(changes_of_round(++number), sync);
        by.compact({}, [&] {
            if (number > 8) return;
            by.commit(changes_of_round(++number), lazy);
            if (number == 6) by.tag("beside", by.newest_id(), lazy);
        });
        by.untag("old", lazy);
        by.commit(changes_of_round(++number), lazy);
        by.compact();
        by.commit(changes_of_round(++number), sync);
        by.close();
    });
    all["opened again"] = told_by(crash::tiny(), [](scribe& by) {
        for (unsigned number = 1; number < 6; ++number) {
            by.commit(changes_of_round(number), number % 2 == 0 ? sync : lazy);
            by.close();
            by.open();
        }
        by.commit(changes_of_round(6), lazy);
        by.sync();
    });
    return all;
}

/// Examines each distinct image once for each floor.
class examiner {
  public:
    explicit examiner(history const& told) : told_(told) {}

    void operator()(crash::image const& left, std::uint64_t floor, std::uint64_t ceiling,
                    std::string const& where) {
        auto const hash = crash::hash_of(left);
        if (!tried_.insert({hash, floor}).second) return;
        distinct_.add(hash);
        try {
            auto const after = crash::examine(left, told_, floor, ceiling);
            if (deeper) deeper(after);
        } catch (std::exception const& e) {
            FAIL(where << ", floor " << floor << ": " << e.what());
        }
    }
    [[nodiscard]] std::size_t count() const noexcept { return distinct_.count(); }

    /// Gets what was done while an image was examined.
    std::function<void(history const&)> deeper{};

  private:
    history const& told_;
    std::set<std::pair<std::uint64_t, std::uint64_t>> tried_;
    workbench::distinct_cases distinct_;
};

} // namespace

TEST_CASE("a process that dies anywhere leaves the last promised commit or a later whole one") {
    std::size_t images = 0;
    for (auto const& [name, told] : histories()) {
        INFO("history " << name);
        examiner visit(told);
        crash::for_each_kill(told, 512, std::ref(visit));
        images += visit.count();
        CHECK(visit.count() > 20);
    }
    std::printf("%zu distinct images of killed processes\n", images);
}

TEST_CASE("a power cut that loses any subset of unsynced writes leaves a whole commit") {
    std::size_t images = 0;
    for (auto const& [name, told] : histories()) {
        INFO("history " << name);
        examiner visit(told);
        crash::for_each_power_cut(told, cut_level::whole_writes, 6, 300 / workbench::fewer,
                                  std::ref(visit));
        images += visit.count();
        CHECK(visit.count() > 20);
    }
    std::printf("%zu distinct images after power cuts, whole writes\n", images);
}

TEST_CASE("a power cut that loses any sectors of what is unsynced leaves a whole commit") {
    std::size_t images = 0;
    for (auto const& [name, told] : histories()) {
        INFO("history " << name);
        examiner visit(told);
        crash::for_each_power_cut(told, cut_level::sectors, 4,
                                  100 * workbench::scale() / workbench::fewer, std::ref(visit));
        images += visit.count();
    }
    std::printf("%zu distinct images after power cuts, sectors of 512 bytes\n", images);
}

TEST_CASE("a slot that a power cut tears at any byte is passed over") {
    std::size_t images = 0;
    for (auto const& each : histories()) {
        auto const& told = each.second;
        INFO("history " << each.first);
        examiner visit(told);
        auto cached = told.start;
        for (std::size_t at = 0; at < told.log.size(); ++at) {
            auto const& next = told.log[at];
            if (next.kind == crash::op::write && next.offset < 12288) {
                auto const size = next.data.size();
                for (std::size_t cut = 0; cut <= size; cut += size > 128 ? 64 : 1) {
                    auto left = cached;
                    apply(left, next, cut);
                    ++left.boot;
                    crash::with_each_page(left, [&](crash::image const& with_page) {
                        visit(with_page, told.floor(at, true), told.ceiling(at + 1), "torn slot");
                    });
                }
            }
            apply(cached, next);
        }
        images += visit.count();
    }
    std::printf("%zu distinct images with a torn slot\n", images);
}

TEST_CASE("a crash of the recovery from a crash loses nothing and brings nothing back") {
    std::size_t images = 0;
    for (auto const& [name, told] : histories()) {
        if (name != "mixed" && name != "compaction" && name != "lazy" && name != "tags") {
            continue;
        }
        INFO("history " << name);
        workbench::distinct_cases distinct;
        auto const first_of_many = (workbench::scale() > 1 ? 1U : 4U) * workbench::fewer;
        unsigned number = 0;
        examiner visit(told);
        visit.deeper = [&](history const& recovery) {
            if (number++ % first_of_many != 0) return;
            examiner again(recovery);
            crash::for_each_power_cut(recovery, cut_level::sectors, 3, 20,
                                      [&](auto const& left, auto floor, auto ceiling, auto& where) {
                                          distinct.add(crash::hash_of(left));
                                          again(left, floor, ceiling, "twice: " + where);
                                      });
        };
        crash::for_each_power_cut(told, cut_level::sectors, 3, 30, std::ref(visit));
        images += distinct.count();
    }
    std::printf("%zu distinct images of second crashes\n", images);
}

TEST_CASE("a power cut after the take-over from a killed process loses nothing") {
    std::size_t images = 0;
    for (auto const& [name, told] : histories()) {
        if (name == "padded" || name == "bounded") continue;
        INFO("history " << name);
        workbench::distinct_cases distinct;
        crash::image cached = told.start;
        for (std::size_t at = 0; at <= told.log.size(); ++at) {
            if (auto const floor = told.floor(at, false); floor > 0) {
                auto const after = crash::examine(cached, told, floor, told.ceiling(at));
                auto const both = crash::joined(told, at, after);
                examiner visit(both);
                crash::for_each_power_cut(
                    both, cut_level::sectors, 3, 20 / workbench::fewer,
                    [&](auto const& left, auto low, auto high, auto& where) {
                        if (distinct.add(crash::hash_of(left) + low)) {
                            visit(left, low, high, "killed, taken over, " + where);
                        }
                    },
                    at);
            }
            if (at < told.log.size()) apply(cached, told.log[at]);
        }
        images += distinct.count();
    }
    std::printf("%zu distinct images of a power cut after a take-over\n", images);
}

TEST_CASE("a commit that a recovery has rolled back does not come back when it is tried again") {
    // The same changes make the same nodes at the same place. A slot of the first attempt whose
    // missing sectors the second attempt supplies would bring a commit back that was denied.
    workbench::distinct_cases firsts;
    workbench::distinct_cases seconds;
    scribe by(crash::tiny());
    by.create();
    by.commit(first_entries(), durability::sync);
    auto const begin = by.told().log.size();
    auto const again = changes_of_round(2);
    by.commit(again, durability::sync);
    auto const denied = by.handle().read().state()->at();
    auto const told = by.told();
    crash::for_each_power_cut(
        told, cut_level::sectors, 4, 200,
        [&](crash::image const& left, std::uint64_t, std::uint64_t, std::string const&) {
            if (!firsts.add(crash::hash_of(left))) return;
            scribe second(told.chosen, left);
            second.open();
            if (second.handle().read().state()->at() == denied) return; // it was whole
            auto txn = second.handle().write();
            for (auto const& [key, value] : again) txn.put(key, *value);
            txn.commit(durability::sync);
            auto const retried = second.told();
            crash::for_each_power_cut(retried, cut_level::sectors, 4, 50,
                                      [&](crash::image const& found, auto, auto, auto&) {
                                          if (!seconds.add(crash::hash_of(found))) return;
                                          scribe third(told.chosen, found);
                                          third.open();
                                          auto const state = third.handle().read();
                                          if (state.state()->at() == denied)
                                              FAIL("a denied commit came back");
                                      });
        },
        begin);
    std::printf("%zu images of the first attempt, %zu of the second\n", firsts.count(),
                seconds.count());
    CHECK(seconds.count() > 100);
}
