// SPDX-License-Identifier: BSL-1.0
#include <coppice/pending_commit.hpp>

#include <coppice/database.hpp>

#include <catch2/catch.hpp>
#include <faulty_medium.hpp>
#include <kind_of.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace coppice;
using namespace std::chrono_literals;
using faulty::call;
using support::kind_of;

namespace {

using faulty_database = basic_database<faulty::medium>;
using pending = faulty_database::transaction::pending_commit;

/// A database whose calls are counted, and what its events have told.
struct bench {
    bench() {
        chosen.preallocate_bytes = 0;
        chosen.events.on_commit = [this](commit_info const& made) {
            told.push_back(made.id.value);
            is_durable = made.durable;
        };
        chosen.events.on_error = [this](error const& e) { failed = e.kind(); };
        db.emplace(medium, chosen);
        db->update([](auto& txn) { txn.put("first", "1"); });
        medium.told().begin_anew();
        told.clear();
    }
    [[nodiscard]] pending put(std::string const& key, std::optional<durability> how = {}) {
        auto txn = db->write();
        txn.put(key, "there");
        return txn.commit_async(how);
    }
    [[nodiscard]] std::uint64_t syncs() const { return medium.told().count(call::sync); }

    options chosen;
    faulty::medium medium;
    std::vector<std::uint64_t> told;
    bool is_durable = false;
    std::optional<errc> failed;
    std::optional<faulty_database> db;
};

} // namespace

TEST_CASE("commits that wait for each other share one sync") {
    bench on;
    auto a = on.put("a");
    auto b = on.put("b");
    auto c = on.put("c");
    CHECK(on.syncs() == 0);
    CHECK_FALSE(on.db->get("a"));
    CHECK(b.wait().value == 4);
    CHECK(on.syncs() == 1);
    CHECK(on.db->get("a"));
    CHECK(on.db->get("b"));
    CHECK(on.db->get("c"));
    CHECK(a.wait().value == 3);
    CHECK(c.wait().value == 5);
    CHECK(on.syncs() == 1);
    CHECK(on.told == std::vector<std::uint64_t>{4, 3, 5});
    CHECK(on.db->check().clean());
}

TEST_CASE("a transaction begins from what is pending") {
    bench on;
    auto a = on.put("a");
    auto txn = on.db->write();
    CHECK(txn.get("a"));
    txn.rollback();
    CHECK_FALSE(on.db->get("a"));
    a.wait();
    CHECK(on.db->get("a"));
}

TEST_CASE("a pending commit that goes away is settled") {
    bench on;
    { auto const a = on.put("a"); }
    CHECK(on.syncs() == 1);
    CHECK(on.db->get("a"));
    CHECK(on.told.size() == 1);
    auto b = on.put("b");
    b = on.put("c"); // the one before is settled here
    CHECK(on.db->get("b"));
}

TEST_CASE("waiting again does nothing and an empty commit has nothing to wait for") {
    bench on;
    auto a = on.put("a");
    CHECK_FALSE(a.is_over());
    CHECK(a.wait() == a.wait());
    CHECK(a.is_over());
    CHECK(on.told.size() == 1);
    auto nothing = on.db->write().commit_async();
    CHECK(nothing.is_over());
    CHECK(nothing.wait() == a.id());
    CHECK(on.told.size() == 1);
    CHECK(on.syncs() == 1);
}

TEST_CASE("a lazy pending commit takes no sync unless it shares one") {
    bench on;
    auto a = on.put("a", durability::lazy);
    CHECK_FALSE(on.db->get("a"));
    a.wait();
    CHECK(on.syncs() == 0);
    CHECK_FALSE(on.is_durable);
    CHECK(on.db->get("a"));
    auto b = on.put("b");
    auto c = on.put("c", durability::lazy);
    c.wait(); // to see it is to see the one before, which was promised more
    CHECK(on.syncs() == 1);
    b.wait();
    CHECK(on.syncs() == 1);
}

TEST_CASE("a failed sync is told to all who share it, also where nobody waits") {
    bench on;
    auto a = on.put("a");
    {
        auto const b = on.put("b");
        on.medium.told().fail_after(call::sync, 0);
        CHECK(kind_of([&] { a.wait(); }) == errc::sync_failed);
        CHECK(a.is_over());
        CHECK(on.failed == errc::sync_failed);
        on.failed.reset();
    }
    CHECK(on.failed == errc::sync_failed);
    CHECK(on.told.empty());
    CHECK(on.syncs() == 1);
    CHECK(kind_of([&] { static_cast<void>(on.db->write()); }) == errc::sync_failed);
}

TEST_CASE("a failed append leaves the transaction open and those before it pending") {
    bench on;
    auto a = on.put("a");
    auto txn = on.db->write();
    txn.put("b", "there");
    on.medium.told().fail_after(call::write, 0);
    CHECK(kind_of([&] { static_cast<void>(txn.commit_async()); }) == errc::io_failed);
    CHECK(txn.is_open());
    auto b = txn.commit_async();
    b.wait();
    CHECK(on.syncs() == 1);
    CHECK(on.db->get("a"));
    CHECK(on.db->get("b"));
    CHECK(on.db->check().clean());
}

TEST_CASE("while a commit is pending its thread is refused what it would wait for itself") {
    bench on;
    faulty_database second(on.medium, on.chosen);
    auto a = on.put("a");
    CHECK(kind_of([&] { static_cast<void>(second.write()); }) == errc::would_deadlock);
    std::thread([&] { CHECK_FALSE(second.try_write()); }).join();
    auto b = on.put("b");
    a.wait();
    CHECK(kind_of([&] { static_cast<void>(second.write()); }) == errc::would_deadlock);
    b.wait();
    CHECK(second.try_write());
}

// The thread was noted in one place, which the end of its next transaction, and any turn of another
// thread, wiped out: then it waited for its own pending commit, for ever.
TEST_CASE("a thread with a pending commit is refused whatever it and others do meanwhile") {
    bench on;
    faulty_database second(on.medium, on.chosen);
    auto const refused = [&] {
        return kind_of([&] { static_cast<void>(second.write_for(1s)); }) == errc::would_deadlock;
    };
    auto a = on.put("a");
    on.db->write().rollback();
    CHECK(refused());
    std::thread([&] {
        on.db->update([](auto& txn) { txn.put("b", "2"); }, durability::lazy);
    }).join();
    CHECK(refused());
    std::optional<pending> theirs;
    std::thread([&] { theirs = on.put("c"); }).join();
    a.wait();
    CHECK_FALSE(refused()); // it is another thread's now, which could still settle it
    auto const settled = [&] {
        auto own = on.put("d");
        theirs.reset();
        return refused(); // nor does that take away what this thread has pending
    }();
    CHECK(settled);
    CHECK(second.try_write());
}

// What was waited for still knew its thread. Leaving it to the handle's thread then took back what
// an open transaction of that thread had noted, and the thread waited for itself, for ever.
TEST_CASE("a pending commit that is over has nothing to give back") {
    bench on;
    faulty_database second(on.medium, on.chosen);
    auto made = on.put("a");
    made.wait();
    auto txn = on.db->write();
    for (int times = 0; times < 2; ++times) made.then([](commit_outcome const&) {});
    CHECK(kind_of([&] { static_cast<void>(second.write_for(1s)); }) == errc::would_deadlock);
}

TEST_CASE("what one thread settles does not free another one that is in a transaction") {
    bench on;
    faulty_database second(on.medium, on.chosen);
    std::optional<pending> mine = on.put("a");
    auto txn = on.db->write();
    std::thread([&] { mine.reset(); }).join();
    CHECK(kind_of([&] { static_cast<void>(second.write_for(1s)); }) == errc::would_deadlock);
    txn.rollback();
    CHECK(second.try_write());
}

// A handle that has written for long lets its tenure end before it writes on, for the sake of
// others. One that is kept open by the same thread would never have ended.
TEST_CASE("who keeps commits pending for long can still write") {
    bench on;
    on.chosen.longest_run = 0ms;
    on.db.emplace(on.medium, on.chosen);
    auto a = on.put("a");
    std::this_thread::sleep_for(1ms);
    auto b = on.put("b");
    b.wait();
    a.wait();
    CHECK(on.syncs() == 1);
}
