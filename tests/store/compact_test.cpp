// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/compact.hpp>

#include <faulty_medium.hpp>
#include <kind_of.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <map>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace coppice;
using faulty::call;
using proving::content;
using proving::in_file;
using proving::in_memory;
using proving::test_database;
using support::kind_of;

namespace {

/// Many small commits with values inline, out of line and with a table, and erasures.
template <typename Database> content grow(Database& db) {
    content model = proving::numbered_entries(300);
    model["large"] = proving::noise((std::size_t{2} << 20U) + 3);
    db.update([&](auto& txn) { txn.load(model); });
    for (int i = 0; i < 20; ++i) {
        auto const key = proving::numbered("k", static_cast<std::uint64_t>(i) * 13);
        db.update(
            [&](auto& txn) {
                txn.erase(key);
                txn.put(key + "+", proving::noise(100));
            },
            durability::lazy, "round " + std::to_string(i));
        model.erase(key);
        model[key + "+"] = proving::noise(100);
    }
    return model;
}

} // namespace

TEMPLATE_TEST_CASE("a compaction keeps the commit, its content, note and time, and no history", "",
                   in_file, in_memory) {
    test_database<TestType> on;
    auto const model = grow(*on);
    auto const before = on->read();
    auto const figures = on->stats();
    CHECK(on->compact());
    auto const after = on->read();
    proving::must_hold(after, model);
    proving::must_hold(before, model);
    CHECK(after.id() == before.id());
    CHECK(after.note() == before.note());
    CHECK(after.time() == before.time());
    auto const now = on->stats();
    CHECK(now.commits == 1);
    CHECK(now.garbage_bytes == 0);
    CHECK(now.generation == figures.generation + 1);
    CHECK(now.durable == now.newest);
    CHECK(now.file_bytes == now.valid_bytes);
    CHECK(now.valid_bytes < figures.valid_bytes);
    CHECK(on->read(after.id()).size() == model.size());
    CHECK(kind_of([&] { static_cast<void>(on->read(commit_id{after.id().value - 1})); }) ==
          errc::history_gone);
    // A second one makes the same tree of it.
    CHECK(on->compact());
    CHECK(on->stats().valid_bytes == now.valid_bytes);
    on.reopen();
    proving::must_hold(on->read(), model);
}

TEMPLATE_TEST_CASE("an empty database can be compacted, and one that becomes empty", "", in_file,
                   in_memory) {
    test_database<TestType> on;
    CHECK(on->compact());
    CHECK(on->read().empty());
    CHECK(on->read().id() == commit_id{1});
    on->update([](auto& txn) { txn.put("a", "1"); }, {}, "noted");
    CHECK(on->compact({.keep = [](auto, auto) { return false; }}));
    auto const emptied = on->read();
    CHECK(emptied.empty());
    CHECK(emptied.id() == commit_id{3});
    CHECK(emptied.note().empty());
    on->update([](auto& txn) { txn.put("b", "2"); });
    CHECK(on->read().id() == commit_id{4});
}

TEMPLATE_TEST_CASE("the filter sees every entry with its whole value, progress ends at all", "",
                   in_file, in_memory) {
    test_database<TestType> on;
    auto model = grow(*on);
    content seen;
    std::uint64_t last = 0;
    CHECK(on->compact({.keep =
                           [&](auto key, auto value) {
                               seen.emplace(key, value);
                               return key.ends_with('+') || key == "large";
                           },
                       .progress =
                           [&](auto done, auto all) {
                               CHECK(done >= last);
                               CHECK(all == model.size());
                               last = done;
                               return true;
                           }}));
    CHECK((seen == model));
    CHECK(last == model.size());
    std::erase_if(model, [](auto const& each) {
        return !each.first.ends_with('+') && each.first != "large";
    });
    proving::must_hold(on->read(), model);
}

TEMPLATE_TEST_CASE("a compaction that is stopped or thrown out of changes nothing", "", in_file,
                   in_memory) {
    test_database<TestType> on;
    auto const model = grow(*on);
    auto const before = on->stats();
    int calls = 0;
    CHECK_FALSE(on->compact({.progress = [&](auto, auto) { return ++calls < 1; }}));
    CHECK_THROWS_AS(on->compact({.keep = [](auto, auto) -> bool { throw std::logic_error("x"); }}),
                    std::logic_error);
    CHECK_THROWS_AS(on->compact({.progress = [](auto, auto) -> bool { throw 7; }}), int);
    auto const after = on->stats();
    CHECK(after.generation == before.generation);
    CHECK(after.valid_bytes == before.valid_bytes);
    CHECK_FALSE(on.place().medium().discard_fresh());
    proving::must_hold(on->read(), model);
    on->update([](auto& txn) { txn.put("goes on", "yes"); });
}

TEST_CASE("a large file is compacted with helpers, and none of them is left, nor a descriptor") {
    auto const count_of = [](char const* folder) {
        return std::distance(std::filesystem::directory_iterator(folder), {});
    };
    test_database<in_file> on;
    content model;
    auto const write_all = [&](std::uint64_t seed) {
        for (std::uint64_t i = 0; i < 20'000; ++i) {
            model[proving::numbered("k", i)] = proving::noise(1000, seed + i);
        }
        on->update([&](auto& txn) { txn.load(model); });
    };
    write_all(1);
    on->update([](auto& txn) { txn.erase("a", "z"); });
    write_all(2);
    auto const descriptors = count_of("/proc/self/fd");
    std::thread([] {}).join(); // a sanitizer begins one of its own with the first
    auto const threads = count_of("/proc/self/task");
    // A thread that was joined is listed for a moment.
    auto const threads_are_gone = [&] {
        auto rounds = 0;
        while (count_of("/proc/self/task") != threads && ++rounds < 10'000) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return count_of("/proc/self/task") == threads;
    };
    // Behind the first piece, so that a sync may be under way.
    auto const is_late = [](auto done) { return done > 12'000; };
    CHECK_FALSE(on->compact({.progress = [&](auto done, auto) { return !is_late(done); }}));
    CHECK_THROWS_AS(on->compact({.progress = [&](auto done, auto) -> bool {
        if (is_late(done)) throw 7;
        return true;
    }}),
                    int);
    CHECK_FALSE(on.place().medium().discard_fresh());
    CHECK(count_of("/proc/self/fd") == descriptors);
    CHECK(threads_are_gone());
    CHECK(on->stats().file_bytes >= std::uint64_t{40} << 20U);

    std::optional before(on->read());
    CHECK(on->compact());
    CHECK(on->stats().pinned_bytes > 0);
    CHECK(proving::content_of(*before) == model);
    before.reset();
    CHECK(on->stats().pinned_bytes == 0);
    CHECK(on->stats().garbage_bytes == 0);
    on.reopen(); // waits for who lets go of the old file
    CHECK(count_of("/proc/self/fd") == descriptors);
    CHECK(threads_are_gone());
    proving::must_hold(on->read(), model);
}

TEST_CASE("a compacted tree is dense") {
    memory_database db;
    for (unsigned i = 0; i < 300; ++i) {
        db.update(
            [&](auto& txn) {
                for (unsigned j = 0; j < 20; ++j) {
                    txn.put(proving::numbered("k", (i * 7919 + j * 104'729) % 5000),
                            std::string(100, 'v'));
                }
            },
            durability::lazy);
    }
    CHECK(db.check().leaf_fill(db.stats().nodes) < 0.9);
    CHECK(db.compact());
    CHECK(db.check().leaf_fill(db.stats().nodes) > 0.95);
}

TEST_CASE("a compaction syncs the fresh file, what is lazy, the rest, and renames it") {
    // Without the sync of what is lazy a reader could be shown, under the new name, a commit that a
    // power cut takes back together with that name. Simulated crashes found it.
    faulty::medium medium;
    basic_database<faulty::medium> db(medium, proving::tiny());
    grow(db);
    auto const before = medium.open(storage::access::read_only)->identity().inode;
    medium.told().begin_anew();
    CHECK(db.compact());
    std::vector<call> order;
    std::vector<std::uint64_t> synced;
    for (auto const& each : medium.told().log) {
        if (each.what != call::write && each.what != call::discard) order.push_back(each.what);
        if (each.what == call::sync) synced.push_back(each.inode);
    }
    CHECK(order == std::vector<call>{call::fresh, call::sync, call::sync, call::sync, call::rename,
                                     call::sync_name});
    // The first one, of all that was copied, is not under the lock, so that the last one is short.
    auto const fresh = medium.open(storage::access::read_only)->identity().inode;
    CHECK(synced == std::vector<std::uint64_t>{fresh, before, fresh});
    auto const& log = medium.told().log;
    auto const renamed = std::find_if(log.begin(), log.end(),
                                      [](auto const& each) { return each.what == call::rename; });
    CHECK(std::none_of(renamed, log.end(), [](auto const& e) { return e.what == call::write; }));
}

TEST_CASE("whatever call of a compaction fails, the database is whole, and works when opened") {
    std::size_t tried = 0;
    for (auto const what : {call::fresh, call::write, call::sync, call::rename, call::sync_name}) {
        for (std::uint64_t n = 0;; ++n) {
            INFO(faulty::name_of(what) << " number " << n);
            faulty::medium medium;
            std::optional<basic_database<faulty::medium>> db(std::in_place, medium,
                                                             proving::tiny());
            auto const model = grow(*db);
            medium.told().fail_after(what, n);
            auto const kind = kind_of([&] { db->compact(); });
            if (medium.told().failures == 0) {
                CHECK_FALSE(kind.has_value());
                break;
            }
            ++tried;
            auto const of_old_file = what == call::sync_name || (what == call::sync && n == 1);
            CHECK(kind == (of_old_file ? errc::sync_failed : errc::io_failed));
            CHECK_FALSE(medium.discard_fresh());
            proving::must_hold(db->read(), model);
            if (kind == errc::io_failed) {
                CHECK(db->compact());
                CHECK(db->stats().garbage_bytes == 0);
            }
            db.reset();
            db.emplace(medium, proving::tiny());
            proving::must_hold(db->read(), model);
            db->update([](auto& txn) { txn.put("goes on", "yes"); });
            CHECK(db->check().clean());
        }
    }
    CHECK(tried >= 7);
}

TEST_CASE("a compaction whose question for a size fails has happened, or has thrown") {
    // After the rename the size of the old file was asked for, for a figure of the statistics.
    // Where fstat failed there, the compaction threw though the database was compacted. Failing
    // every system call of a real process found it.
    for (std::uint64_t n = 0;; ++n) {
        INFO("size number " << n);
        faulty::medium medium;
        basic_database<faulty::medium> db(medium, proving::tiny());
        db.update([](auto& txn) {
            txn.load(std::map<std::string, std::string>{{"dropped", "v"}, {"kept", "v"}});
        });
        medium.told().begin_anew();
        medium.told().sizes_before_it = n;
        auto const drop = [](std::string_view key, std::string_view) { return key != "dropped"; };
        auto const kind = kind_of([&] { db.compact({.keep = drop}); });
        auto const failures = medium.told().failures;
        medium.told().sizes_before_it.reset();
        CHECK(db.get("kept") == "v");
        CHECK(db.get("dropped").has_value() == kind.has_value());
        if (failures == 0) break;
    }
}

// ---- beside writers --------------------------------------------------------------------------

namespace {

/// Changes both a database and what it ought to hold: entries of all lengths put and erased.
template <typename Database>
void change_both(Database& db, content& model, workbench::dice& dice, std::size_t most_bytes) {
    constexpr std::uint64_t keys = 400;
    auto const how = dice.below(3) == 0 ? durability::sync : durability::lazy;
    db.update(
        [&](auto& txn) {
            for (auto i = 1 + dice.below(6); i != 0; --i) {
                auto const key = proving::numbered("k", dice.below(keys));
                if (dice.below(3) == 0) {
                    txn.erase(key);
                    model.erase(key);
                } else {
                    model[key] = proving::noise(dice.below(most_bytes), dice.next());
                    txn.put(key, model[key]);
                }
            }
        },
        how);
}

/// What a filter of the tests keeps: about two thirds, by key and value.
bool filter_keeps(std::string_view key, std::string_view value) {
    return (static_cast<unsigned char>(key.back()) + value.size()) % 3 != 0;
}

} // namespace

TEMPLATE_TEST_CASE("what is committed while a compaction copies is in the new file", "", in_file,
                   in_memory) {
    for (std::uint64_t seed = 0; seed < 25; ++seed) {
        INFO("seed " << seed);
        workbench::dice dice(seed);
        test_database<TestType> on;
        auto model = grow(*on);
        auto other = on.another();
        auto const is_filtered = seed % 2 == 1;
        auto const before = on->stats().generation;
        unsigned reports = 0;
        compaction_hooks hooks;
        hooks.progress = [&](auto done, auto all) {
            CHECK(done <= all);
            ++reports;
            for (auto i = dice.below(4); i != 0; --i) {
                change_both(dice.below(2) == 0 ? *on : other, model, dice, 3000);
            }
            return true;
        };
        if (is_filtered) hooks.keep = filter_keeps;
        CHECK(on->compact(hooks));
        CHECK(reports >= 3);
        if (is_filtered) {
            std::erase_if(model, [](auto const& e) { return !filter_keeps(e.first, e.second); });
        }
        proving::must_hold(on->read(), model);
        proving::must_hold(other.read(), model);
        CHECK(on->stats().generation == before + 1);
        CHECK(on->stats().commits == 1);
        CHECK(on->stats().durable == on->stats().newest);
        change_both(other, model, dice, 100);
        on.reopen();
        proving::must_hold(on->read(), model);
    }
}

TEST_CASE("a compaction keeps the id of a commit that was made while it copied") {
    memory_database db;
    db.update([](auto& txn) { txn.put("a", "1"); });
    bool once = false;
    CHECK(db.compact({.progress = [&](auto, auto) {
        if (!std::exchange(once, true)) db.update([](auto& txn) { txn.put("b", "2"); }, {}, "note");
        return true;
    }}));
    auto const now = db.read();
    CHECK(now.id() == commit_id{3});
    CHECK(now.note() == "note");
}

TEST_CASE("a writer that is never behind does not keep a compaction from its end") {
    // Each report is answered with more than what a round may leave.
    memory_database db;
    content model = proving::numbered_entries(100);
    db.update([&](auto& txn) { txn.load(model); });
    std::uint64_t reports = 0;
    std::size_t size_bytes = std::size_t{9} << 18U;
    auto const add = [&](auto, auto) {
        auto const key = proving::numbered("fast", ++reports);
        model[key] = proving::noise(size_bytes, reports);
        size_bytes -= std::size_t{1} << 14U; // each round has a little less to do
        db.update([&](auto& txn) { txn.put(key, model[key]); }, durability::lazy);
        return true;
    };
    CHECK(db.compact({.progress = add}));
    CHECK(reports <= 12);
    CHECK(reports > 5);
    proving::must_hold(db.read(), model);
    // One that is faster than the rounds is made to wait at once.
    reports = 0;
    auto const add_more = [&](auto done, auto all) {
        size_bytes += std::size_t{1} << 18U;
        return add(done, all);
    };
    CHECK(db.compact({.progress = add_more}));
    CHECK(reports <= 6);
    proving::must_hold(db.read(), model);
}

TEMPLATE_TEST_CASE("a writer leaves the file of a compaction that lives and removes a dead one", "",
                   in_file, in_memory) {
    test_database<TestType> on;
    auto model = grow(*on);
    auto place = on.place().medium();
    auto const put = [&](std::string const& key) {
        auto other = on.another();
        other.update([&](auto& txn) { txn.put(key, "v"); });
        model[key] = "v";
    };
    static_cast<void>(place.fresh()); // as a process that died has left it
    put("after a death");
    CHECK_FALSE(place.companion());
    unsigned reports = 0;
    CHECK(on->compact({.progress = [&](auto, auto) {
        CHECK(place.companion());
        put("beside it " + std::to_string(++reports));
        std::thread([&] { put("beside it in a thread " + std::to_string(reports)); }).join();
        CHECK(place.companion());
        return true;
    }}));
    CHECK_FALSE(place.companion());
    proving::must_hold(on->read(), model);
}

TEMPLATE_TEST_CASE("a compaction notices that its file was taken away", "", in_file, in_memory) {
    test_database<TestType> on;
    auto const model = grow(*on);
    auto place = on.place().medium();
    auto const before = on->stats();
    bool again = false;
    auto const take_away = [&](auto, auto) {
        static_cast<void>(place.discard_fresh());
        if (again) static_cast<void>(place.fresh()); // which is then not the compaction's to remove
        return true;
    };
    for (int round = 0; round < 2; ++round) {
        CHECK(kind_of([&] { on->compact({.progress = take_away}); }) == errc::io_failed);
        CHECK(place.companion().has_value() == again);
        again = true;
    }
    CHECK(on->stats().generation == before.generation);
    proving::must_hold(on->read(), model);
    CHECK(on->compact());
    CHECK_FALSE(place.companion());
}

TEMPLATE_TEST_CASE("a database that is replaced while it is compacted stays replaced", "", in_file,
                   in_memory) {
    test_database<TestType> on;
    auto const model = grow(*on);
    bool once = false;
    auto const replace = [&](auto, auto) {
        if (std::exchange(once, true)) return true;
        auto chosen = on.chosen();
        chosen.create = create::replace;
        auto fresh = on.another(std::move(chosen));
        fresh.update([](auto& txn) { txn.put("new", "one"); });
        return true;
    };
    CHECK(kind_of([&] { on->compact({.progress = replace}); }) == errc::file_replaced);
    CHECK_FALSE(on.place().medium().companion());
    proving::must_hold(on->read(), model); // readers stay
    on.reopen();
    proving::must_hold(on->read(), {{"new", "one"}});
}

// The compaction that is under way may wait for the transaction of this very thread, which waited
// for the end of it.
TEMPLATE_TEST_CASE("within its transaction a thread is refused a compaction, also beside another",
                   "", in_file, in_memory) {
    test_database<TestType> on;
    grow(*on);
    auto txn = std::optional(on->write());
    std::atomic<bool> compacts{false};
    std::thread other(
        [&] { CHECK(on->compact({.progress = [&](auto, auto) { return compacts = true; }})); });
    auto const ask = [&] { on->compact({.longest_wait = std::chrono::seconds(2)}); };
    CHECK(kind_of(ask) == errc::would_deadlock);
    std::this_thread::sleep_for(std::chrono::milliseconds(20)); // most likely it waits by now
    CHECK(kind_of(ask) == errc::would_deadlock);
    txn.reset();
    other.join();
    CHECK(compacts);
}

TEMPLATE_TEST_CASE("there is one compaction at a time", "", in_file, in_memory) {
    test_database<TestType> on;
    auto const model = grow(*on);
    auto other = on.another();
    unsigned tried = 0;
    CHECK(on->compact({.progress = [&](auto, auto) {
        CHECK(kind_of([&] { other.compact(); }) == errc::would_deadlock);
        std::thread([&] {
            compaction_hooks hooks;
            hooks.longest_wait = std::chrono::nanoseconds(0);
            tried += other.compact(hooks) ? 100U : 1U;
        }).join();
        return true;
    }}));
    CHECK(tried >= 1);
    CHECK(tried < 100);
    proving::must_hold(other.read(), model);
    CHECK(other.compact());
    CHECK(on->stats().generation == 3);
    CHECK(kind_of([&] {
              options chosen;
              chosen.read_only = true;
              on.another(chosen).compact();
          }) == errc::read_only);
}

TEMPLATE_TEST_CASE("a compaction that a writer keeps waiting at its end is undone", "", in_file,
                   in_memory) {
    test_database<TestType> on;
    auto const model = grow(*on);
    std::optional<typename test_database<TestType>::transaction> held;
    compaction_hooks hooks;
    hooks.longest_wait = std::chrono::milliseconds(1);
    hooks.progress = [&](auto done, auto all) {
        if (done == all && !held) std::thread([&] { held.emplace(on->write()); }).join();
        return true;
    };
    CHECK_FALSE(on->compact(hooks));
    CHECK_FALSE(on.place().medium().companion());
    held.reset();
    CHECK(on->stats().generation == 1);
    proving::must_hold(on->read(), model);
    CHECK(on->compact());
}

TEMPLATE_TEST_CASE("a compaction that is told to stop ends undone also while it waits", "", in_file,
                   in_memory) {
    test_database<TestType> on;
    auto const model = grow(*on);
    std::stop_source stop;
    compaction_hooks hooks;
    hooks.stop = stop.get_token();
    CHECK(on->compact(hooks));
    CHECK(on->stats().generation == 2);
    std::optional<typename test_database<TestType>::transaction> held;
    std::thread stopper;
    hooks.progress = [&](auto done, auto all) {
        if (done != all || held) return true;
        std::thread([&] { held.emplace(on->write()); }).join();
        stopper = std::thread([&] { stop.request_stop(); });
        return true;
    };
    CHECK_FALSE(on->compact(hooks));
    stopper.join();
    CHECK_FALSE(on.place().medium().companion());
    held.reset();
    hooks.progress = {};
    CHECK_FALSE(on->compact(hooks));
    CHECK(on->stats().generation == 2);
    proving::must_hold(on->read(), model);
}

TEMPLATE_TEST_CASE("writers wait for a compaction once the file has become too long", "", in_file,
                   in_memory) {
    auto const limit = GENERATE(false, true);
    test_database<TestType> on;
    auto model = proving::numbered_entries(10000);
    on->update([&](auto& txn) { txn.load(model); });
    compaction_hooks hooks;
    if (limit) hooks.most_bytes = 1;
    std::uint64_t reports = 0;
    std::uint64_t refused = 0;
    hooks.progress = [&](auto, auto) {
        ++reports;
        std::thread([&] {
            auto txn = on->try_write();
            if (!txn) {
                ++refused;
                return;
            }
            auto const key = "written beside " + std::to_string(reports);
            txn->put(key, "v");
            model[key] = "v";
            txn->commit();
        }).join();
        return true;
    };
    CHECK(on->compact(hooks));
    CHECK(reports > 3);
    CHECK(refused == (limit ? reports - 1 : 0)); // the first report comes before the first look
    proving::must_hold(on->read(), model);
    CHECK(on->try_write());
}

TEMPLATE_TEST_CASE("a compaction that may write little at a time rests, and can be ended meanwhile",
                   "", in_file, in_memory) {
    test_database<TestType> on;
    auto const model = proving::numbered_entries(60000);
    on->update([&](auto& txn) { txn.load(model); });
    compaction_hooks hooks;
    hooks.bytes_per_second = 1;
    std::map<std::uint64_t, unsigned> reports; // of each place
    hooks.progress = [&](auto done, auto) { return ++reports[done] < 4; };
    CHECK_FALSE(on->compact(hooks));
    CHECK(reports.rbegin()->second == 4); // it stood there and asked
    CHECK(reports.rbegin()->first < model.size());
    CHECK(on->stats().generation == 1);
    CHECK_FALSE(on.place().medium().companion());
    // Once writers wait for it, it does not rest: this would take a year.
    hooks.progress = {};
    hooks.most_bytes = 1;
    CHECK(on->compact(hooks));
    proving::must_hold(on->read(), model);
}

TEST_CASE("a compaction writes no more than it may") {
    constexpr std::uint64_t rate = 12U << 20U;  // a second
    constexpr std::uint64_t slack = 6U << 20U;  // what is in the buffer, and between two looks
    constexpr std::uint64_t entry_bytes = 1000; // of values alone
    test_database<in_file> on;
    on->update([&](auto& txn) {
        for (unsigned i = 0; i < 10'000; ++i) {
            txn.put(proving::numbered("k", i), proving::noise(entry_bytes, i));
        }
    });
    compaction_hooks hooks;
    hooks.bytes_per_second = rate;
    auto const began = std::chrono::steady_clock::now();
    unsigned too_fast = 0;
    std::uint64_t most_done = 0;
    hooks.progress = [&](std::uint64_t done, std::uint64_t) {
        std::chrono::duration<double> const seconds = std::chrono::steady_clock::now() - began;
        auto const written = static_cast<double>(done * entry_bytes);
        if (written > static_cast<double>(slack) + rate * seconds.count()) ++too_fast;
        most_done = std::max(most_done, done);
        return true;
    };
    CHECK(on->compact(hooks));
    CHECK(too_fast == 0);
    CHECK(most_done == 10'000);
}
