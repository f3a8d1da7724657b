// SPDX-License-Identifier: BSL-1.0
// The writers' lock between processes, and forks: who holds it when its holder is stopped, killed
// or forked, or its file removed. Two paths to a file have one lock. A child of fork reads on with
// what it inherited and can do no harm with it.

#include <bank.hpp>
#include <catch2/catch.hpp>
#include <child_process.hpp>
#include <kind_of.hpp>

#include <chrono>
#include <cstdio>
#include <map>
#include <optional>
#include <string>

namespace {

using coppice::database;
using coppice::durability;
using coppice::errc;
using support::kind_of;
using workbench::child;
using workbench::reporter;
using namespace std::chrono_literals;

/// A child that begins a transaction, says so, and does nothing more.
child holder_of(std::filesystem::path const& where) {
    return child([where](reporter const& to) {
        database db(where, bank::chosen());
        auto txn = db.write();
        txn.put("half", "done");
        to.tell(1, 0);
        for (;;) workbench::sleep_ms(1000);
    });
}

void make(std::filesystem::path const& where) {
    database db(where, bank::chosen());
    bank::found(db, 1);
}

} // namespace

TEST_CASE(
    "a killed process that had the lock blocks nobody, and nothing of its transaction is seen") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    make(here / "db");
    database db(here / "db", bank::chosen());
    for (unsigned round = 0; round < 10; ++round) {
        auto holder = holder_of(here / "db");
        REQUIRE(holder.next_reports().size() == 1);
        CHECK_FALSE(db.try_write());
        holder.signal(SIGKILL);
        CHECK(holder.wait() == 128 + SIGKILL);
        auto txn = db.try_write();
        REQUIRE(txn);
        CHECK_FALSE(txn->get("half"));
        txn->put("round", std::to_string(round));
        txn->commit();
    }
    CHECK(db.get("round") == "9");
}

TEST_CASE("a killed process blocks nobody though a child that it forked lives on") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    make(here / "db");
    std::array<int, 2> alive{};
    REQUIRE(::pipe2(alive.data(), O_CLOEXEC) == 0);
    child holder([&](reporter const& to) {
        database db(here / "db", bank::chosen());
        auto txn = db.write();
        txn.put("half", "done");
        if (::fork() == 0) { // lives until the test closes its end
            ::close(alive[1]);
            char nothing = 0;
            static_cast<void>(!::read(alive[0], &nothing, 1));
            ::_exit(0);
        }
        to.tell(1, 0);
        for (;;) workbench::sleep_ms(1000);
    });
    REQUIRE(holder.next_reports().size() == 1);
    holder.signal(SIGKILL);
    CHECK(holder.wait() == 128 + SIGKILL);
    database db(here / "db", bank::chosen());
    CHECK(db.try_write());
    ::close(alive[0]);
    ::close(alive[1]);
}

TEST_CASE("a stopped process that has the lock delays writers and nobody else") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    make(here / "db");
    database db(here / "db", bank::chosen());
    std::array<int, 2> go{};
    REQUIRE(::pipe2(go.data(), O_CLOEXEC) == 0);
    child holder([&](reporter const& to) {
        database own(here / "db", bank::chosen());
        auto txn = own.write();
        txn.put("slow", "but sure");
        to.tell(1, 0);
        char word = 0;
        if (::read(go[0], &word, 1) == 1) txn.commit();
    });
    REQUIRE(holder.next_reports().size() == 1);
    holder.signal(SIGSTOP);
    CHECK_FALSE(db.write_for(20ms));
    CHECK_FALSE(db.try_write());
    CHECK_FALSE(db.get("slow"));
    CHECK(db.check().clean());
    REQUIRE(::write(go[1], "g", 1) == 1);
    CHECK_FALSE(db.write_for(20ms));
    holder.signal(SIGCONT);
    auto txn = db.write();
    CHECK(txn.get("slow") == "but sure");
    txn.put("after", "it");
    txn.commit();
    CHECK(holder.wait() == 0);
    CHECK(db.get("slow") == "but sure");
    ::close(go[0]);
    ::close(go[1]);
}

TEST_CASE(
    "a lock file that was removed under a transaction is noticed before anything is written") {
    workbench::folder const here;
    make(here / "db");
    database db(here / "db", bank::chosen());
    {
        auto txn = db.write();
        txn.put("lost", "lock");
        std::filesystem::remove(here / "db.lock");
        auto const size = std::filesystem::file_size(here / "db");
        CHECK(kind_of([&] { txn.commit(); }) == errc::lock_lost);
        CHECK(std::filesystem::file_size(here / "db") == size);
    }
    CHECK(kind_of([&] {
              auto txn = db.write();
              txn.put("lost", "lock");
              txn.commit();
          }) == errc::lock_lost);
    CHECK_FALSE(db.get("lost"));
    db.close();
    database again(here / "db", bank::chosen());
    CHECK_FALSE(again.get("lost"));
    CHECK_NOTHROW(again.update([](auto& txn) { txn.put("found", "again"); }));
    CHECK(again.check().clean());
}

TEST_CASE("a file that was removed or replaced is not written to, and snapshots read on") {
    workbench::folder const here;
    make(here / "db");
    database db(here / "db", bank::chosen());
    auto const held = db.read();
    std::filesystem::remove(here / "db");
    CHECK(kind_of([&] { static_cast<void>(db.write()); }) == errc::file_missing);
    { database const other(here / "db", bank::chosen()); }
    CHECK(kind_of([&] { static_cast<void>(db.write()); }) == errc::file_replaced);
    workbench::dice dice(1);
    CHECK_NOTHROW(bank::audit(held, dice));
    CHECK_NOTHROW(bank::audit(db.read(), dice));
}

TEST_CASE("a file has one lock, by whatever path it is opened") {
    workbench::folder const here;
    make(here / "db");
    std::filesystem::create_symlink("db", here / "link");
    std::filesystem::create_directory(here / "folder");
    database plain(here / "db", bank::chosen());
    database linked(here / "link", bank::chosen());
    database dotted(here / "folder/../db", bank::chosen());
    database relative(std::filesystem::relative(here / "db"), bank::chosen());
    database* const all[] = {&plain, &linked, &dotted, &relative};
    unsigned number = 0;
    for (auto* const one : all) {
        auto txn = one->write();
        txn.put("by", std::to_string(++number));
        for (auto* const other : all) {
            CHECK(kind_of([&] { static_cast<void>(other->write()); }) == errc::would_deadlock);
        }
        txn.commit();
        for (auto* const other : all) CHECK(other->get("by") == std::to_string(number));
    }
    CHECK(linked.compact());
    CHECK(std::filesystem::is_symlink(here / "link"));
    for (auto* const each : all) {
        CHECK(each->stats().generation == 2);
        CHECK_NOTHROW(each->update([](auto& txn) { txn.put("after", "compaction"); }));
    }
}

TEST_CASE("a child forked within a transaction can neither use nor disturb it") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    make(here / "db");
    database db(here / "db", bank::chosen());
    auto const held = db.read();
    auto txn = db.write();
    txn.put("parent", "writes on");
    {
        child forked([&](reporter const& to) {
            auto own_txn = std::move(txn);
            auto own_db = std::move(db);
            own_txn.put("child", "in memory");
            bank::require(kind_of([&] { own_txn.commit(); }) == errc::forked, "a child committed");
            bank::require(kind_of([&] { static_cast<void>(own_db.write()); }) == errc::forked,
                          "a child wrote");
            bank::require(kind_of([&] { own_db.compact(); }) == errc::forked, "a child compacted");
            bank::require(kind_of([&] { own_db.sync(); }) == errc::forked, "a child synced");
            workbench::dice dice(3);
            bank::audit(held, dice);
            auto const copy = held;
            bank::audit(copy, dice);
            own_txn.rollback();
            own_db.close();
            to.tell(1, 1);
        });
        CHECK(forked.all_reports().size() == 1);
        CHECK(forked.wait() == 0);
    }
    {
        child stranger([&](reporter const& to) { // the parent still has the lock
            database own(here / "db", bank::chosen());
            if (!own.try_write()) to.tell(1, 1);
        });
        CHECK(stranger.all_reports().size() == 1);
        CHECK(stranger.wait() == 0);
    }
    CHECK_NOTHROW(txn.commit());
    CHECK(db.get("parent") == "writes on");
    CHECK_FALSE(db.get("child"));
    CHECK_NOTHROW(db.update([](auto& more) { more.put("and", "on"); }));
    CHECK(db.check().clean());
}

// Only the first append of a transaction asked whether it is in a fork. One that had loaded
// already, and had a view, wrote in its end: zeros over what the parent had appended since, and a
// slot that took the parent's last commit back. A deferred commit of a child told nobody that it is
// none.
TEST_CASE("a child forked within a load writes nothing, however its transaction ends") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    make(here / "db");
    database db(here / "db", bank::chosen());
    std::map<std::string, std::string> const pairs{{"loaded", std::string(5000, 'x')}};
    for (int way = 0; way < 4; ++way) {
        std::array<int, 2> committed{};
        REQUIRE(::pipe2(committed.data(), O_CLOEXEC) == 0);
        std::optional<database::transaction> txn(db.write());
        txn->load(pairs);
        auto const view = txn->view();
        child forked([&](reporter const& to) {
            char nothing = 0;
            ::close(committed[1]);
            static_cast<void>(!::read(committed[0], &nothing, 1)); // until the parent has committed
            if (way == 1) txn->rollback();
            if (way == 2) {
                bank::require(kind_of([&] { txn->load(pairs); }) == errc::forked, "it loaded");
            }
            if (way == 3) {
                bank::require(kind_of([&] { txn->commit(durability::deferred); }) == errc::forked,
                              "it deferred");
            }
            txn.reset();
            to.tell(1, 1);
        });
        txn->put("way", std::to_string(way));
        txn->commit(durability::sync);
        ::close(committed[1]);
        CHECK(forked.all_reports().size() == 1);
        ::close(committed[0]);
        CHECK(forked.wait() == 0);
        CHECK(view.get("loaded") == pairs.at("loaded"));
        db.update([&](auto& more) { more.put("next", std::to_string(way)); });
        database const again(here / "db", bank::chosen());
        CHECK(again.get("way") == std::to_string(way));
        CHECK(again.get("loaded") == pairs.at("loaded"));
        CHECK(again.check().clean());
        db.update([](auto& more) { more.erase("loaded"); });
    }
}

TEST_CASE("a child forked beside a pending commit leaves it to the parent") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    make(here / "db");
    auto chosen = bank::chosen();
    int failures = 0;
    chosen.events.on_error = [&failures](coppice::error const& /*e*/) { ++failures; };
    database db(here / "db", chosen);
    auto first = [&] {
        auto txn = db.write();
        txn.put("parent", "waits");
        return txn.commit_async();
    }();
    {
        child forked([&](reporter const& to) {
            {
                auto const own = std::move(first);
                bank::require(!own.is_over(), "a pending commit is over");
            }
            bank::require(failures == 0, "a child was told of its parent's commit");
            bank::require(!db.get("parent"), "a child has settled its parent's commit");
            to.tell(1, 1);
        });
        CHECK(forked.all_reports().size() == 1);
        CHECK(forked.wait() == 0);
    }
    {
        child forked([&](reporter const& to) {
            bank::require(kind_of([&] { first.wait(); }) == errc::forked, "a child waited");
            to.tell(1, 1);
        });
        CHECK(forked.all_reports().size() == 1);
        CHECK(forked.wait() == 0);
    }
    CHECK_FALSE(db.get("parent"));
    CHECK_NOTHROW(first.wait());
    CHECK(db.get("parent") == "waits");
    CHECK(failures == 0);
    CHECK(db.check().clean());
}

// The child joined threads, and waited for a sync, that only its parent has, or crashed; and it
// took the fresh file of its parent away. A filter in it could go on writing there.
TEST_CASE("a child forked in a callback of a compaction is refused, and disturbs nothing") {
    if (workbench::skip_forks()) return;
    if (workbench::under_asan) {
        std::printf(
            "skipped: the allocator of the address sanitizer does not survive such a fork\n");
        return;
    }
    for (int way = 0; way < 6; ++way) {
        CAPTURE(way);
        workbench::folder const here;
        coppice::options chosen;
        chosen.read_ahead = way < 3; // threads read ahead if not
        database db(here / "db", chosen);
        std::map<std::string, std::string> pairs;
        for (int i = 0; i < 20'000; ++i) pairs["k" + std::to_string(i)] = std::string(900, 'x');
        db.update([&](auto& txn) { txn.load(pairs); });
        auto child_pid = pid_t{-1};
        auto status = -1;
        // Waits for the child, so that the parent meets what it has done.
        auto const fork_once = [&] {
            if (child_pid >= 0) return;
            auto const fresh_bytes = std::filesystem::file_size(here / "db.compact");
            child_pid = ::fork();
            if (child_pid == 0) {
                ::alarm(20);
                return;
            }
            ::waitpid(child_pid, &status, 0);
            CHECK(std::filesystem::file_size(here / "db.compact") == fresh_bytes);
        };
        auto asked = 0;
        coppice::compaction_hooks hooks;
        if (way % 3 == 2) {
            hooks.keep = [&](auto, auto) {
                if (++asked == 12'500) fork_once(); // some time before it reports again
                return true;
            };
        } else {
            hooks.progress = [&](auto done, auto) {
                if (done > 12'000) fork_once();
                return child_pid != 0 || way % 3 == 1;
            };
        }
        auto is_done = false;
        auto const kind = kind_of([&] { is_done = db.compact(hooks); });
        if (child_pid == 0) {
            auto const reads_on = db.get("k7") == pairs.at("k7");
            db.close();
            ::_exit(kind == errc::forked && reads_on ? 0 : 1);
        }
        REQUIRE(child_pid > 0);
        CHECK(status == 0);
        CHECK_FALSE(kind);
        CHECK(is_done);
        CHECK(db.read().size() == pairs.size());
        CHECK(db.check().clean());
        CHECK_NOTHROW(db.update([](auto& txn) { txn.put("goes", "on"); }));
    }
}

TEST_CASE("a child of fork opens a handle of its own beside the one it inherited") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    make(here / "db");
    database db(here / "db", bank::chosen());
    child forked([&](reporter const& to) {
        database own(here / "db", bank::chosen());
        to.tell(1, own.update([](auto& txn) { txn.put("child", "has its own"); }).value);
    });
    CHECK(forked.all_reports().size() == 1);
    CHECK(forked.wait() == 0);
    CHECK(db.get("child") == "has its own");
    CHECK_NOTHROW(db.update([](auto& txn) { txn.put("parent", "goes on"); }));
}

TEST_CASE("fork while threads write leaves a child that can open the database anew") {
    if (workbench::skip_forks()) return;
    if (workbench::under_asan) {
        // Another thread may be inside the allocator at that moment, and then the child waits for
        // it for ever. The C library's own allocator prepares for forks.
        std::printf(
            "skipped: the allocator of the address sanitizer does not survive such a fork\n");
        return;
    }
    workbench::folder const here;
    make(here / "db");
    database db(here / "db", bank::chosen());
    std::atomic<bool> over{false};
    std::thread writing([&] {
        workbench::dice dice(1);
        while (!over.load()) {
            db.update([&](auto& txn) { bank::transfer(txn, dice, 0); }, coppice::durability::lazy);
        }
    });
    for (unsigned i = 0; i < 20; ++i) {
        child forked([&](reporter const& to) {
            bank::require(kind_of([&] { static_cast<void>(db.write()); }) == errc::forked,
                          "a child wrote");
            database own(here / "db", bank::chosen());
            own.update([&](auto& txn) { txn.put("child", std::to_string(i)); });
            to.tell(1, 1);
        });
        CHECK(forked.all_reports().size() == 1);
        CHECK(forked.wait() == 0);
    }
    over = true;
    writing.join();
    CHECK(db.get("child") == "19");
    workbench::dice dice(2);
    CHECK_NOTHROW(bank::audit(db.read(), dice));
}
