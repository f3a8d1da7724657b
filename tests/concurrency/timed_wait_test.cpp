// SPDX-License-Identifier: BSL-1.0
// Waiting for the write transaction over real files: not at all, for a while, until it is free.
// Between two handles of one process (the turn between threads) and between two processes (the
// kernel's lock). Upper bounds are generous: a machine may be busy.

#include <bank.hpp>
#include <catch2/catch.hpp>
#include <child_process.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>

#include <fcntl.h>

namespace {

using coppice::database;
using workbench::child;
using workbench::reporter;
using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr auto hang = 30s; ///< longer than that nothing here may take
constexpr auto patience = 150ms;

/// How long a call takes.
template <typename Call> clock::duration time_of(Call&& call) {
    auto const before = clock::now();
    call();
    return clock::now() - before;
}

void must_be_busy(database& db) {
    CHECK(time_of([&] { CHECK_FALSE(db.try_write()); }) < hang);
    CHECK(time_of([&] { CHECK_FALSE(db.write_for(0s)); }) < hang);
    CHECK(time_of([&] { CHECK_FALSE(db.write_for(-1s)); }) < hang);
    auto const waited = time_of([&] { CHECK_FALSE(db.write_for(patience)); });
    CHECK(waited >= patience);
    CHECK(waited < hang);
    auto const compacting = time_of([&] {
        coppice::compaction_hooks hooks;
        hooks.longest_wait = patience;
        CHECK_FALSE(db.compact(hooks));
    });
    CHECK(compacting >= patience);
    CHECK(compacting < hang);
    CHECK(db.stats().generation == 1);
}

void must_be_free(database& db, std::string const& by) {
    CHECK(db.get("by") == by);
    { CHECK(db.try_write()); }
    auto txn = db.write_for(hang);
    REQUIRE(txn);
    txn->put("by", "me");
    txn->commit();
    txn.reset();
    CHECK(db.check().clean());
}

/// Two ends of a pipe, for one word.
class signal_pipe {
  public:
    signal_pipe() { REQUIRE(::pipe2(ends_.data(), O_CLOEXEC) == 0); }
    signal_pipe(signal_pipe const&) = delete;
    signal_pipe& operator=(signal_pipe const&) = delete;
    ~signal_pipe() {
        for (auto const end : ends_) ::close(end);
    }
    void give() const { REQUIRE(::write(ends_[1], "g", 1) == 1); }
    void await() const {
        char word = 0;
        bank::require(::read(ends_[0], &word, 1) == 1, "nobody gave the word");
    }

  private:
    std::array<int, 2> ends_{};
};

} // namespace

TEST_CASE("a wait for another handle's transaction ends in time, or with the transaction") {
    workbench::folder const here;
    database db(here / "db", bank::chosen());
    database other(here / "db", bank::chosen());
    auto txn = std::optional(other.write());
    txn->put("by", "other");
    // A thread of its own: within one thread waiting would be a deadlock, and is refused.
    std::thread([&] { must_be_busy(db); }).join();

    bool got = false;
    std::atomic<bool> begun{false};
    std::thread waiting([&] {
        begun = true;
        got = db.write_for(hang).has_value();
    });
    while (!begun) std::this_thread::yield();
    std::this_thread::sleep_for(20ms); // so that it is likely to wait already
    txn->commit();
    txn.reset();
    waiting.join();
    CHECK(got);
    must_be_free(db, "other");
}

TEST_CASE("a wait for another process ends in time, or with its transaction") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    { database const made(here / "db", bank::chosen()); }
    signal_pipe const go;
    child holder([&](reporter const& to) {
        database own(here / "db", bank::chosen());
        auto txn = own.write();
        txn.put("by", "other");
        to.tell(1, 0);
        go.await();
        workbench::sleep_ms(50); // so that the other is likely to wait already
        txn.commit();
    });
    REQUIRE(holder.next_reports().size() == 1);
    database db(here / "db", bank::chosen());
    must_be_busy(db);
    go.give();
    CHECK(db.write_for(hang));
    CHECK(holder.wait() == 0);
    must_be_free(db, "other");
}

TEST_CASE(
    "a wait for a handle that keeps the file for deferred commits ends in time, or with them") {
    workbench::folder const here;
    database db(here / "db", bank::chosen());
    auto chosen = bank::chosen();
    chosen.flush = {std::uint64_t{1} << 30U, 1'000'000, {}};
    database other(here / "db", chosen);
    auto const put = [](auto& txn) { txn.put("by", "other"); };
    other.update(put, coppice::durability::deferred);
    std::thread([&] { must_be_busy(db); }).join();
    CHECK_FALSE(db.get("by"));
    CHECK(other.stats().deferred_commits == 1);
    // Nor does the one that defers wait for anybody.
    CHECK(other.write_for(0s));
    other.flush();
    must_be_free(db, "other");
}
