// SPDX-License-Identifier: BSL-1.0
// Deferred commits through the API: what is visible to whom, what becomes one with what, what is
// written when, and what becomes of them where something fails.

#include <coppice/database.hpp>

#include <child_process.hpp>
#include <faulty_medium.hpp>
#include <kind_of.hpp>
#include <test_database.hpp>
#include <workbench.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace coppice;
using namespace std::chrono_literals;
using faulty::call;
using proving::noise;
using support::kind_of;

namespace {

using faulty_database = basic_database<faulty::medium>;

/// Without a thread: commits stay deferred until they are asked for or the policy says so.
options without_thread() {
    auto chosen = proving::tiny();
    chosen.flush.interval = 0ms;
    return chosen;
}

template <typename Database>
commit_id put(Database& db, std::string const& key, durability how = durability::deferred,
              std::string note = {}) {
    return db.update([&](auto& txn) { txn.put(key, "value of " + key); }, how, std::move(note));
}

/// A database whose calls are counted and whose events are written down.
struct deferring {
    explicit deferring(options with = without_thread()) : chosen(std::move(with)) {
        chosen.events.on_commit = [this](commit_info const& made) {
            told.push_back(made.id.value);
            was_durable = made.durable;
        };
        chosen.events.on_durable = [this](commit_id id) { durable.push_back(id.value); };
        chosen.events.on_error = [this](error const& e) { failed = e.kind(); };
        db.emplace(medium, chosen);
        put(*db, "first", durability::sync); // commit 2
        medium.told().begin_anew();
        told.clear();
        durable.clear();
    }
    [[nodiscard]] std::uint64_t calls(call what) const { return medium.told().count(what); }
    [[nodiscard]] std::uint64_t deferred() const { return db->stats().deferred_commits; }
    /// What somebody else sees of the same file.
    [[nodiscard]] std::uint64_t seen_by_others() const {
        return faulty_database(medium, {.read_only = true}).read().id().value;
    }

    options chosen;
    faulty::medium medium;
    std::vector<std::uint64_t> told;
    std::vector<std::uint64_t> durable;
    bool was_durable = true;
    std::optional<errc> failed;
    std::optional<faulty_database> db;
};

} // namespace

TEST_CASE("a deferred commit is seen at once and nothing of it is written") {
    deferring on;
    for (std::uint64_t id = 3; id <= 20; ++id) {
        CHECK(put(*on.db, "k" + std::to_string(id)).value == id);
        CHECK(on.db->read().id().value == id);
        CHECK(on.db->read_latest().id().value == id);
        CHECK(on.db->get("k" + std::to_string(id)));
    }
    CHECK(on.calls(call::write) == 0);
    CHECK(on.calls(call::sync) == 0);
    CHECK(on.seen_by_others() == 2);
    CHECK(on.deferred() == 18);
    CHECK(on.told.size() == 18);
    CHECK_FALSE(on.was_durable);
    CHECK(on.durable.empty());
}

TEST_CASE("a flush writes all that is deferred as one commit with the last id") {
    deferring on;
    put(*on.db, "a");
    put(*on.db, "b");
    auto const last = put(*on.db, "c", durability::deferred, "the note of the last");
    on.db->flush();
    CHECK(on.calls(call::sync) == 0);
    CHECK(on.deferred() == 0);
    CHECK(on.seen_by_others() == last.value);
    CHECK(on.db->read().id() == last);
    auto const now = on.db->read();
    CHECK(now.note() == "the note of the last");
    CHECK(now.state()->record().id_span == 2);
    CHECK(on.db->stats().commits == 3);
    CHECK(on.db->check().clean());
    CHECK(put(*on.db, "d", durability::lazy).value == last.value + 1);
    CHECK(on.db->read(last).size() == 4);
    CHECK(kind_of([&] { static_cast<void>(on.db->read({last.value - 1})); }) == errc::history_gone);
    auto const writes = on.calls(call::write);
    on.db->flush();
    CHECK(on.calls(call::write) == writes);
}

TEST_CASE("snapshots of deferred commits are exact and outlive the flush and the database") {
    deferring on;
    std::vector<snapshot> held;
    std::string const large = noise(5000);
    for (int i = 0; i < 30; ++i) {
        on.db->update(
            [&](auto& txn) {
                txn.put("k" + std::to_string(i), large);
                txn.erase("k" + std::to_string(i - 10));
            },
            durability::deferred);
        held.push_back(on.db->read());
    }
    auto const before = on.db->read(commit_id{2});
    on.db->flush();
    on.db.reset();
    CHECK(before.size() == 1);
    for (std::size_t i = 0; i < held.size(); ++i) {
        CHECK(held[i].size() == std::min<std::size_t>(i + 1, 10) + 1);
        CHECK(held[i].get("k" + std::to_string(i)) == large);
        CHECK_FALSE(held[i].contains("k" + std::to_string(i + 1)));
    }
}

TEST_CASE("a commit of another kind takes what is deferred with it and keeps its promise") {
    deferring on;
    put(*on.db, "a");
    put(*on.db, "b", durability::lazy);
    CHECK(on.calls(call::sync) == 0);
    CHECK(on.seen_by_others() == 4);
    put(*on.db, "c");
    put(*on.db, "d", durability::sync);
    CHECK(on.calls(call::sync) == 1);
    CHECK(on.seen_by_others() == 6);
    CHECK(on.durable == std::vector<std::uint64_t>{6});
    CHECK(on.db->read().size() == 5);
    CHECK(on.db->stats().commits == 4);
    CHECK(on.db->stats().durable.value == 6);
    CHECK(on.db->check().clean());
}

TEST_CASE("sync and empty commits do for deferred commits what they do for lazy ones") {
    deferring on;
    put(*on.db, "a");
    on.db->sync();
    CHECK(on.calls(call::sync) == 1);
    CHECK(on.durable == std::vector<std::uint64_t>{3});
    CHECK(on.seen_by_others() == 3);
    put(*on.db, "b");
    CHECK(on.db->write().commit(durability::deferred).value == 4);
    CHECK(on.deferred() == 1);
    CHECK(on.db->write().commit(durability::lazy).value == 4);
    CHECK(on.deferred() == 0);
    CHECK(on.seen_by_others() == 4);
    CHECK(on.calls(call::sync) == 1);
    put(*on.db, "c");
    CHECK(on.db->write().commit(durability::sync).value == 5);
    CHECK(on.calls(call::sync) == 2);
    CHECK(on.seen_by_others() == 5);
    CHECK(on.db->stats().durable.value == 5);
}

TEST_CASE("on_durable tells each step of what is durable once") {
    deferring on;
    put(*on.db, "a");
    put(*on.db, "b", durability::lazy);
    CHECK(on.durable.empty());
    on.db->sync();
    CHECK(on.durable == std::vector<std::uint64_t>{4});
    on.db->sync();
    on.db->compact();
    CHECK(on.durable == std::vector<std::uint64_t>{4});
    put(*on.db, "c");
    on.db->compact();
    CHECK(on.durable == std::vector<std::uint64_t>{4, 5});
    put(*on.db, "d", durability::lazy);
    auto txn = on.db->write();
    txn.put("e", "1");
    txn.commit_async(durability::two_sync).wait();
    CHECK(on.durable == std::vector<std::uint64_t>{4, 5, 7});
    on.db.emplace(on.medium, on.chosen);
    on.db->update([](auto& again) { again.put("f", "1"); }, durability::lazy);
    CHECK(on.durable == std::vector<std::uint64_t>{4, 5, 7}); // it is nobody's news
}

TEST_CASE("a policy of counts and bytes writes the commit that would pass it with all before") {
    auto chosen = without_thread();
    chosen.flush.count = 3;
    deferring on(chosen);
    for (std::uint64_t i = 1; i <= 12; ++i) {
        put(*on.db, "k" + std::to_string(i));
        CHECK(on.deferred() == i % 4);
        CHECK(on.seen_by_others() == 2 + i - i % 4);
    }
    CHECK(on.db->stats().commits == 5);

    chosen.flush = {std::uint64_t{64} << 10U, 1'000'000, 0ms};
    deferring small(chosen);
    std::uint64_t flushes = 0;
    for (int i = 0; i < 300; ++i) {
        put(*small.db, "k" + std::to_string(i));
        if (small.deferred() == 0) ++flushes;
    }
    CHECK(flushes >= 3);
    CHECK(flushes < 100);
    CHECK(small.db->check().clean());
}

TEST_CASE("memory is bounded where transactions are rolled back") {
    auto chosen = without_thread();
    chosen.flush.bytes = std::uint64_t{64} << 10U;
    deferring on(chosen);
    put(*on.db, "a");
    CHECK(on.deferred() == 1);
    for (int i = 0; i < 40; ++i) on.db->write().put("b", noise(4000));
    CHECK(on.deferred() == 0);
    CHECK(on.seen_by_others() == 3);
    CHECK_FALSE(on.db->get("b"));
}

TEST_CASE("a transaction that was rolled back leaves nothing to what is deferred") {
    deferring on;
    put(*on.db, "a");
    {
        auto txn = on.db->write();
        txn.put("gone", "1");
        CHECK(txn.view().size() == 3);
        CHECK(txn.get("a"));
    }
    put(*on.db, "b");
    on.db->flush();
    CHECK(on.db->read().size() == 3);
    CHECK_FALSE(on.db->get("gone"));
    CHECK(on.db->check().clean());
}

TEST_CASE("loads and streams are written at once with what was deferred before them") {
    deferring on;
    put(*on.db, "a");
    {
        auto txn = on.db->write();
        CHECK(txn.load(proving::numbered_entries(50)) == 50);
        txn.rollback();
    }
    CHECK(on.db->read().size() == 2);
    CHECK(on.deferred() == 1);
    on.db->update([](auto& txn) { txn.load(proving::numbered_entries(50)); }, durability::deferred);
    CHECK(on.deferred() == 0);
    CHECK(on.db->read().size() == 52);
    CHECK(on.seen_by_others() == 4);
    CHECK(on.db->check().clean());
}

TEST_CASE("closing a handle writes what is deferred") {
    deferring on;
    put(*on.db, "a");
    on.db->close();
    CHECK(on.seen_by_others() == 3);
    CHECK(on.calls(call::sync) == 0);
    CHECK_FALSE(on.failed);
}

TEST_CASE("a transaction that outlives its handle takes what was deferred with it") {
    for (auto const ends : {0, 1, 2}) {
        deferring on;
        put(*on.db, "a");
        {
            auto txn = on.db->write();
            txn.put("b", "1");
            on.db->close();
            CHECK(on.seen_by_others() == 2);
            if (ends == 0) txn.commit(durability::deferred); // nobody would flush it later
            if (ends == 1) txn.rollback();
        }
        CHECK(on.seen_by_others() == (ends == 0 ? 4 : 3));
        faulty_database again(on.medium, on.chosen);
        put(again, "c", durability::sync); // the lock is free
        CHECK_FALSE(on.failed);
    }
}

TEST_CASE("a flush that fails before it matters changes nothing and can be repeated") {
    deferring on;
    put(*on.db, "a");
    on.medium.told().fail_after(call::write, 0);
    CHECK_THROWS(on.db->flush());
    CHECK(on.failed == errc::io_failed);
    CHECK(on.deferred() == 1);
    CHECK(on.db->get("a"));
    put(*on.db, "b");
    on.db->flush();
    CHECK(on.seen_by_others() == 4);
    CHECK(on.db->check().clean());
}

TEST_CASE("a commit that cannot be written leaves what was deferred before it") {
    auto chosen = without_thread();
    chosen.flush.count = 1;
    deferring on(chosen);
    put(*on.db, "a");
    on.medium.told().fail_after(call::write, 0);
    CHECK_THROWS(put(*on.db, "b"));
    CHECK(on.db->read().id().value == 3);
    CHECK_FALSE(on.db->get("b"));
    CHECK(on.deferred() == 1);
    CHECK(put(*on.db, "c").value == 4);
    CHECK(on.seen_by_others() == 4);
}

TEST_CASE("after a failed sync what was deferred is shown but never written") {
    deferring on;
    put(*on.db, "a");
    on.medium.told().fail_after(call::sync, 0);
    CHECK(kind_of([&] { on.db->sync(); }) == errc::sync_failed);
    CHECK(on.db->get("a"));
    CHECK(kind_of([&] { put(*on.db, "b"); }) == errc::sync_failed);
    CHECK(kind_of([&] { put(*on.db, "b"); }) == errc::sync_failed);
    CHECK(on.db->get("a"));
    on.db.reset();
    faulty_database again(on.medium, on.chosen);
    put(again, "c", durability::sync); // the lock is free
    CHECK(again.check().clean());
}

TEST_CASE("a handle that cannot write what was deferred says so when it closes") {
    deferring on;
    put(*on.db, "a");
    on.medium.told().fail_after(call::write, 0);
    on.medium.told().for_ever = true;
    on.db.reset();
    CHECK(on.failed == errc::io_failed);
    on.medium.told().begin_anew();
    on.medium.told().for_ever = false;
    faulty_database again(on.medium, on.chosen);
    CHECK(again.read().size() == 1);
    CHECK(put(again, "c", durability::sync).value == 3);
}

TEST_CASE("what was written is not called lost where only the end of the file was not cut off") {
    deferring on;
    on.chosen.preallocate_bytes = 100'000;
    on.db.emplace(on.medium, on.chosen);
    put(*on.db, "a", durability::sync); // writes zeros ahead
    put(*on.db, "b");
    on.medium.told().fail_after(call::truncate, 0);
    on.failed.reset();
    on.db.reset();
    CHECK(on.medium.told().failures == 1);
    CHECK_FALSE(on.failed);
    faulty_database const again(on.medium, on.chosen);
    CHECK(again.get("b"));
}

TEST_CASE("a deferred commit comes after pending ones and settles them") {
    deferring on;
    auto txn = on.db->write();
    txn.put("pending", "1");
    auto pending = txn.commit_async(durability::sync);
    CHECK(on.db->read().size() == 1);
    put(*on.db, "a");
    CHECK(on.calls(call::sync) == 1);
    CHECK(on.db->read().size() == 3);
    CHECK(on.db->read().id().value == 4);
    CHECK(pending.wait().value == 3);
    CHECK(on.db->read().id().value == 4);
    auto next = on.db->write();
    next.put("b", "1");
    auto deferred = next.commit_async(durability::deferred);
    CHECK(on.db->read().id().value == 5);
    CHECK(deferred.wait().value == 5);
    CHECK(on.calls(call::sync) == 1);
    CHECK(on.told == std::vector<std::uint64_t>{4, 3, 5});
}

TEST_CASE("where nobody flushes a thread is told that it would wait for itself") {
    deferring on;
    faulty_database other(on.medium, on.chosen);
    put(*on.db, "a");
    CHECK(kind_of([&] { static_cast<void>(other.write()); }) == errc::would_deadlock);
    on.db->flush();
    CHECK(other.read().id().value == 3);
    CHECK(put(other, "b", durability::lazy).value == 4);
    CHECK(on.db->get("b"));
}

TEST_CASE("compaction and copies take what is deferred along") {
    workbench::folder const dir;
    database db(dir / "a.db", without_thread());
    put(db, "a", durability::sync);
    put(db, "b");
    auto const held = db.read();
    CHECK(kind_of([&] { db.backup(dir / "no.db", held); }) == errc::invalid_argument);
    db.backup(dir / "backup.db");
    CHECK(database(dir / "backup.db").read().size() == 2);
    put(db, "c");
    db.extend_backup(dir / "backup.db");
    CHECK(database(dir / "backup.db").read().size() == 3);
    auto const last = put(db, "d");
    CHECK(db.branch(dir / "branch.db", last).read().size() == 4);
    put(db, "e");
    put(db, "f");
    CHECK(db.compact());
    CHECK(db.read().size() == 6);
    CHECK(db.stats().commits == 1);
    CHECK(db.check().clean());
    put(db, "g");
    CHECK(db.read().size() == 7);
    db.flush();
    CHECK(db.check().clean());
    CHECK(held.size() == 2);
}

TEST_CASE("the history and the feed tell of deferred commits what the file will") {
    deferring on;
    put(*on.db, "a");
    put(*on.db, "b");
    std::vector<std::uint64_t> ids;
    for (auto const& each : on.db->history()) ids.push_back(each.id.value);
    CHECK(ids == std::vector<std::uint64_t>{4, 2, 1});
    CHECK(on.db->read(commit_id{4}).size() == 3);
    CHECK(on.db->read(commit_id{2}).size() == 1);
    CHECK(kind_of([&] { static_cast<void>(on.db->read(commit_id{3})); }) == errc::history_gone);
    auto const since = on.db->read(commit_id{2}).identity();
    CHECK(on.db->changes(since).empty());
    on.db->flush();
    CHECK(on.db->changes(since).empty()); // not durable yet
    on.db->sync();
    std::size_t changes = 0;
    for (auto const& each : on.db->changes(since)) {
        CHECK(each.identity.id.value == 4);
        for (auto const& change : each.changes) changes += change.key.size();
    }
    CHECK(changes == 2);
    auto const figures = on.db->stats();
    CHECK(figures.live_bytes + figures.garbage_bytes == figures.valid_bytes);
}

TEST_CASE("a thread of the handle flushes when the interval is over") {
    for (auto const interval : {1ms, 5ms}) {
        workbench::folder const dir;
        auto chosen = proving::tiny();
        chosen.flush.interval = interval;
        database db(dir / "a.db", chosen);
        database const other(dir / "a.db", {.read_only = true});
        for (int i = 0; i < 20; ++i) {
            auto const id = put(db, "k" + std::to_string(i));
            while (other.read().id() != id) std::this_thread::yield();
        }
        CHECK(db.check().clean());
    }
}

TEST_CASE("a flush that is due waits for the transaction that is open") {
    workbench::folder const dir;
    auto chosen = proving::tiny();
    chosen.flush.interval = 1ms;
    database db(dir / "a.db", chosen);
    database const other(dir / "a.db", {.read_only = true});
    // A commit that is later than the interval is written by itself, so some are tried.
    std::uint64_t id = 0;
    do id = put(db, "a").value;
    while (db.stats().deferred_commits == 0 && other.read().id().value != id);
    {
        auto txn = db.write();
        txn.put("b", "1");
        txn.rollback();
    }
    while (other.read().id().value != id) std::this_thread::yield();
    auto txn = db.write();
    txn.put("c", "1");
    db.close(); // with a thread that may be waiting for the turn
    txn.rollback();
    CHECK(other.read().size() == 1);
}

TEST_CASE("another handle comes to write when the interval is over") {
    workbench::folder const dir;
    auto chosen = proving::tiny();
    chosen.flush.interval = 1ms;
    database first(dir / "a.db", chosen);
    database second(dir / "a.db", chosen);
    for (int i = 0; i < 10; ++i) {
        put(first, "a" + std::to_string(i));
        put(second, "b" + std::to_string(i));
    }
    first.flush();
    second.flush();
    CHECK(first.read().size() == 20);
    CHECK(second.read().size() == 20);
    CHECK(first.check().clean());
}

// The thread that flushes waits on a condition variable. A child that destroyed its copy of it
// waited for a thread that only its parent has, unless the fork came before that thread waited.
TEST_CASE("a fork of a process with deferred commits reads on and writes nothing") {
    if (workbench::skip_forks()) return;
    for (std::chrono::milliseconds const interval : {0ms, std::chrono::milliseconds(24h)}) {
        workbench::folder const dir;
        auto chosen = proving::tiny();
        chosen.flush.interval = interval;
        std::optional<database> db;
        db.emplace(dir / "a.db", chosen);
        put(*db, "a");
        workbench::child forked([&](workbench::reporter const& to) {
            to.tell(1, db->read().size());
            to.tell(2, kind_of([&] { put(*db, "b"); }) == errc::forked ? 1 : 0);
            db.reset();
            to.tell(3, database(dir / "a.db", {.read_only = true}).read().size());
        });
        CHECK(forked.wait() == 0);
        std::uint64_t sum = 0;
        for (auto const& each : forked.next_reports()) sum += each.kind * 10 + each.number;
        CHECK(sum == 60 + 1 + 1 + 0);
        CHECK(put(*db, "c").value == 3);
        db.reset();
        CHECK(database(dir / "a.db").read().size() == 2);
    }
}

TEST_CASE("deferred commits of a database in memory are like those of a file") {
    storage::memory_medium const medium;
    auto chosen = without_thread();
    memory_database db(medium, chosen);
    for (int i = 0; i < 100; ++i) put(db, "k" + std::to_string(i % 30));
    CHECK(db.read().size() == 30);
    CHECK(db.stats().deferred_commits == 100);
    CHECK(memory_database(medium, chosen).read().size() == 0);
    db.close();
    CHECK(memory_database(medium, chosen).read().size() == 30);
}

// The longest time there is became negative as nanoseconds: everything was due at once.
TEST_CASE("an interval of any length defers") {
    workbench::folder const here;
    options chosen;
    chosen.flush.interval = std::chrono::milliseconds::max();
    chosen.longest_run = std::chrono::milliseconds::max();
    database db(here / "db", chosen);
    for (int i = 0; i < 10; ++i) {
        db.update([&](auto& txn) { txn.put("key", std::to_string(i)); }, durability::deferred);
    }
    CHECK(db.stats().deferred_commits == 10);
}

TEST_CASE("where each commit is told, each deferred one is, with what is in it") {
    workbench::folder const here;
    std::vector<std::uint64_t> entries;
    options chosen;
    chosen.flush.interval = {};
    chosen.events.on_commit = [&](commit_info const& made) { entries.push_back(made.entries); };
    database db(here / "db", chosen);
    for (int i = 0; i < 3; ++i) {
        db.update([&](auto& txn) { txn.put(std::to_string(i), "v"); }, durability::deferred);
    }
    CHECK(entries == std::vector<std::uint64_t>{1, 2, 3});
}
