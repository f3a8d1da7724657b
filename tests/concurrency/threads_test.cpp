// SPDX-License-Identifier: BSL-1.0
// Threads of one process on one database: writers that move money, readers that count it,
// compactions in between, snapshots that are held across all of it; and the rules of the turn: one
// transaction a thread, deadlines, transactions that move to another thread. Clean under the thread
// sanitizer.

#include <bank.hpp>
#include <catch2/catch.hpp>
#include <complaints.hpp>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace {

using coppice::database;
using coppice::durability;
using coppice::errc;
using workbench::complaints;
using namespace std::chrono_literals;

template <typename Database> void write_much(Database& db, unsigned writer, unsigned transfers) {
    workbench::dice dice(writer);
    for (unsigned i = 0; i < transfers; ++i) {
        auto txn = db.write();
        auto const count = bank::transfer(txn, dice, writer);
        if (dice.below(10) == 0) continue; // rolled back
        txn.commit(bank::any_durability(dice));
        auto const seen = db.read();
        bank::require(bank::number_of(*seen.get(bank::counter(writer))) >= count,
                      "an own commit is not to be seen");
    }
}

template <typename Database>
void read_much(Database& db, unsigned reader, std::atomic<bool> const& over,
               std::atomic<std::uint64_t>& audits) {
    workbench::dice dice(1000 + reader);
    std::uint64_t last = 0;
    std::vector<std::pair<coppice::snapshot, std::string>> held;
    while (!over.load()) {
        auto const state = db.read();
        bank::require(state.id().value >= last, "a handle went back in time");
        last = state.id().value;
        bank::audit(state, dice);
        ++audits;
        if (dice.below(20) == 0 && held.size() < 20) {
            held.emplace_back(state, std::string(*state.get(bank::account(3))));
        }
    }
    for (auto const& [state, value] : held) {
        bank::audit(state, dice);
        bank::require(*state.get(bank::account(3)) == value, "a held snapshot has changed");
    }
}

/// Writers, readers and a compactor on the same databases; handles are shared round robin.
template <typename Database> void run_bank(std::vector<Database*> const& handles) {
    constexpr unsigned writers = 3;
    constexpr unsigned readers = 3;
    auto const transfers = 1000 * workbench::scale();
    bank::found(*handles.front(), writers);
    complaints heard;
    std::atomic<bool> over{false};
    std::atomic<std::uint64_t> audits{0};
    auto const handle = [&](unsigned i) -> Database& { return *handles[i % handles.size()]; };
    std::vector<std::thread> reading;
    std::vector<std::thread> writing;
    for (unsigned i = 0; i < readers; ++i) {
        reading.emplace_back(
            [&, i] { heard.listen([&] { read_much(handle(i), i, over, audits); }); });
    }
    for (unsigned i = 0; i < writers; ++i) {
        writing.emplace_back(
            [&, i] { heard.listen([&] { write_much(handle(i), i, transfers); }); });
    }
    writing.emplace_back([&] {
        for (unsigned i = 0; i < 20; ++i) {
            heard.listen([&] { bank::require(handle(i).compact(), "a compaction was stopped"); });
            std::this_thread::sleep_for(2ms);
        }
    });
    for (auto& each : writing) each.join();
    over = true;
    for (auto& each : reading) each.join();
    INFO(heard.first());
    CHECK(heard.first() == "");
    workbench::dice dice(7);
    for (auto* const each : handles) {
        CHECK_NOTHROW(bank::audit(each->read(), dice));
        CHECK(each->check().clean());
        CHECK(each->read() == handles.front()->read());
    }
    std::printf("%llu audits beside %u transfers\n", static_cast<unsigned long long>(audits.load()),
                writers * transfers);
}

} // namespace

TEST_CASE("threads on one handle of a file keep the bank's sum") {
    workbench::folder const here;
    database db(here / "bank", bank::chosen());
    run_bank<database>({&db});
}

TEST_CASE("threads on three handles of one file keep the bank's sum") {
    workbench::folder const here;
    database a(here / "bank", bank::chosen());
    database b(here / "bank", bank::chosen());
    database c(here / "bank", bank::chosen());
    run_bank<database>({&a, &b, &c});
}

TEST_CASE("threads on a database in memory keep the bank's sum") {
    coppice::memory_database db;
    run_bank<coppice::memory_database>({&db});
}

TEST_CASE("one snapshot may be read by many threads while it is copied and let go") {
    workbench::folder const here;
    database db(here / "bank", bank::chosen());
    bank::found(db, 1);
    complaints heard;
    std::vector<std::thread> threads;
    auto const shared = db.read();
    for (unsigned i = 0; i < 4; ++i) {
        threads.emplace_back([&, i] {
            heard.listen([&] {
                workbench::dice dice(i);
                for (unsigned round = 0; round < 50; ++round) {
                    auto const copy = shared;
                    bank::audit(copy, dice);
                    bank::audit(shared, dice);
                }
            });
        });
    }
    workbench::dice dice(9);
    for (unsigned i = 0; i < 50; ++i) {
        db.update([&](auto& txn) { bank::transfer(txn, dice, 0); }, durability::lazy);
    }
    for (auto& each : threads) each.join();
    INFO(heard.first());
    CHECK(heard.first() == "");
}

TEST_CASE("a thread that has the transaction is refused a second one, by any handle of the file") {
    workbench::folder const here;
    database db(here / "bank", bank::chosen());
    database other(here / "bank", bank::chosen());
    auto txn = db.write();
    auto const refused = [](database& by) {
        try {
            static_cast<void>(by.write());
            return false;
        } catch (coppice::error const& e) {
            return e.code() == errc::would_deadlock;
        }
    };
    CHECK(refused(db));
    CHECK(refused(other));
    CHECK_THROWS_AS(db.compact(), coppice::error);
    CHECK_THROWS_AS(db.sync(), coppice::error);
    txn.put("a", "b");
    txn.commit();
    CHECK(other.get("a") == "b");
    CHECK_NOTHROW(other.write().rollback());
}

TEST_CASE(
    "write_for and try_write give up while another thread writes, and take their turn after") {
    workbench::folder const here;
    database db(here / "bank", bank::chosen());
    std::optional<coppice::transaction> txn(db.write());
    std::thread([&] {
        CHECK_FALSE(db.try_write());
        CHECK_FALSE(db.write_for(5ms));
        CHECK_FALSE(db.write_for(0ms));
        CHECK_FALSE(db.write_for(-1s));
    }).join();
    std::thread waiting([&] {
        auto mine = db.write_for(60s);
        REQUIRE(mine);
        mine->put("late", "but here");
        mine->commit();
    });
    txn->put("early", "bird");
    txn->commit();
    txn.reset();
    waiting.join();
    CHECK(db.get("early") == "bird");
    CHECK(db.get("late") == "but here");
}

TEST_CASE("a transaction goes from thread to thread and is committed by the last") {
    workbench::folder const here;
    database db(here / "bank", bank::chosen());
    auto txn = db.write();
    txn.put("thread", "0");
    for (unsigned i = 1; i < 8; ++i) {
        std::thread([&, i, moved = std::move(txn)]() mutable {
            CHECK(moved.get("thread") == std::to_string(i - 1));
            moved.put("thread", std::to_string(i));
            txn = std::move(moved);
        }).join();
    }
    std::thread([moved = std::move(txn)]() mutable { moved.commit(); }).join();
    CHECK(db.get("thread") == "7");
    // The thread that began it has no transaction any more, and may begin another.
    CHECK_NOTHROW(db.write().rollback());
}

TEST_CASE("handles are opened and closed while others write") {
    workbench::folder const here;
    database db(here / "bank", bank::chosen());
    bank::found(db, 2);
    complaints heard;
    std::vector<std::thread> threads;
    for (unsigned writer = 0; writer < 2; ++writer) {
        threads.emplace_back([&, writer] {
            heard.listen([&] {
                workbench::dice dice(writer);
                for (unsigned i = 0; i < 40; ++i) {
                    database own(here / "bank", bank::chosen());
                    own.update([&](auto& txn) { bank::transfer(txn, dice, writer); },
                               bank::any_durability(dice));
                    bank::audit(own.read(), dice);
                }
            });
        });
    }
    for (auto& each : threads) each.join();
    INFO(heard.first());
    CHECK(heard.first() == "");
    auto const state = db.read();
    CHECK(bank::number_of(*state.get(bank::counter(0))) == 40);
    CHECK(bank::number_of(*state.get(bank::counter(1))) == 40);
    CHECK(db.check().clean());
}
