// SPDX-License-Identifier: BSL-1.0
// Deferred commits among threads: those that commit and flush, the thread of the handle that
// flushes in time, readers who never see time go back, and other handles that want to write.

#include <coppice/database.hpp>

#include <catch2/catch.hpp>
#include <complaints.hpp>
#include <workbench.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

using namespace coppice;
using namespace std::chrono_literals;

namespace {

constexpr int accounts = 20;
constexpr std::uint64_t money = 1000;

std::string account(std::uint64_t number) { return "account " + std::to_string(number); }

std::uint64_t total_of(snapshot const& state) {
    std::uint64_t total = 0;
    for (auto const& [key, value] : state.prefix("account ")) {
        total += std::stoull(std::string(value));
    }
    return total;
}

template <typename Database> void give_money(Database& db) {
    db.update([](auto& txn) {
        for (int i = 0; i < accounts; ++i) txn.put(account(static_cast<unsigned>(i)), "1000");
    });
}

/// Moves money from one account to another.
template <typename Transaction> void transfer(Transaction& txn, workbench::dice& dice) {
    auto const from = account(dice.below(accounts));
    auto const to = account(dice.below(accounts));
    auto const amount =
        std::min<std::uint64_t>(dice.below(50), std::stoull(std::string(*txn.get(from))));
    txn.put(from, std::to_string(std::stoull(std::string(*txn.get(from))) - amount));
    txn.put(to, std::to_string(std::stoull(std::string(*txn.get(to))) + amount));
}

/// One of several threads that do everything at once.
template <typename Database> void work(Database& db, std::uint64_t seed, int rounds) {
    constexpr durability ways[] = {durability::deferred, durability::deferred,
                                   durability::deferred, durability::lazy,
                                   durability::sync,     durability::two_sync};
    workbench::dice dice(seed);
    for (int i = 0; i < rounds; ++i) {
        auto txn = db.write();
        transfer(txn, dice);
        if (dice.below(8) == 0) continue; // rolled back
        auto const id = txn.commit(ways[dice.below(6)]);
        workbench::require(db.read().id() >= id, "a commit is not seen by its thread");
        if (dice.below(10) == 0) db.flush();
        if (dice.below(30) == 0) db.sync();
        if (dice.below(60) == 0) db.compact();
    }
}

/// Reads until it is told to stop.
template <typename Database> void watch(Database& db, std::atomic<bool> const& over) {
    std::uint64_t newest = 0;
    while (!over) {
        auto const now = db.read();
        workbench::require(now.id().value >= newest, "time goes back");
        newest = now.id().value;
        workbench::require(total_of(now) == accounts * money, "money is lost or made");
    }
}

template <typename Database> void many_threads(Database& db, int rounds) {
    give_money(db);
    std::atomic<bool> over{false};
    workbench::complaints heard;
    std::vector<std::thread> readers;
    for (int i = 0; i < 2; ++i) {
        readers.emplace_back([&] { heard.listen([&] { watch(db, over); }); });
    }
    std::vector<std::thread> writers;
    for (std::uint64_t i = 0; i < 3; ++i) {
        writers.emplace_back([&, i] { heard.listen([&] { work(db, i, rounds); }); });
    }
    for (auto& each : writers) each.join();
    over = true;
    for (auto& each : readers) each.join();
    CHECK(heard.first() == "");
    CHECK(total_of(db.read()) == accounts * money);
}

options in_time(std::chrono::milliseconds interval) {
    options chosen;
    chosen.flush = {std::uint64_t{1} << 20U, 50, interval};
    return chosen;
}

} // namespace

TEST_CASE("threads that defer and flush and sync and read keep to one order in memory") {
    for (auto const interval : {0ms, 1ms}) {
        auto chosen = in_time(interval);
        chosen.preallocate_bytes = 0;
        storage::memory_medium const medium;
        memory_database db(medium, chosen);
        many_threads(db, 150);
        auto const newest = db.read().id();
        db.close();
        memory_database const again(medium, chosen);
        CHECK(again.read().id() == newest);
        CHECK(again.check().clean());
    }
}

TEST_CASE("threads that defer and flush and sync and read keep to one order in a file") {
    workbench::folder const dir;
    database db(dir / "a.db", in_time(1ms));
    many_threads(db, 60);
    auto const newest = db.read().id();
    db.close();
    database const again(dir / "a.db");
    CHECK(again.read().id() == newest);
    CHECK(again.check().clean());
}

TEST_CASE("handles of several threads that defer take turns by the interval") {
    workbench::folder const dir;
    auto const path = dir / "a.db";
    database first(path, in_time(1ms));
    give_money(first);
    workbench::complaints heard;
    std::vector<std::thread> threads;
    for (std::uint64_t i = 0; i < 3; ++i) {
        threads.emplace_back([&heard, &path, i] {
            heard.listen([&] {
                database db(path, in_time(1ms));
                workbench::dice dice(i);
                for (int round = 0; round < 30; ++round) {
                    db.update([&](auto& txn) { transfer(txn, dice); }, durability::deferred);
                    workbench::require(total_of(db.read()) == accounts * money,
                                       "money is lost or made");
                }
            });
        });
    }
    for (auto& each : threads) each.join();
    CHECK(heard.first() == "");
    CHECK(total_of(first.read()) == accounts * money);
    CHECK(first.check().clean());
}

TEST_CASE("handles open and close with a flush under way") {
    workbench::folder const dir;
    for (int i = 0; i < 50; ++i) {
        database db(dir / "a.db", in_time(1ms));
        auto const id =
            db.update([&](auto& txn) { txn.put(std::to_string(i), "1"); }, durability::deferred);
        if (i % 3 == 0) std::this_thread::sleep_for(1ms); // whether it is too late does not matter
        db.close();
        CHECK(database(dir / "a.db", {.read_only = true}).read().id() == id);
    }
}
