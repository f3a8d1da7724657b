// SPDX-License-Identifier: BSL-1.0
// Pending commits that are left to the thread of their handle: callbacks, futures and coroutines,
// from many threads, while the handle is closed, failed and forked. No test asks for the time.

#include <coppice/await.hpp>
#include <coppice/database.hpp>

#include <catch2/catch.hpp>
#include <child_process.hpp>
#include <gated_medium.hpp>
#include <kind_of.hpp>
#include <test_database.hpp>
#include <workbench.hpp>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace coppice;
using support::kind_of;

namespace {

using gated_database = basic_database<gated::medium>;

/// What callbacks were given, in order.
class told_outcomes {
  public:
    void operator()(commit_outcome const& outcome) {
        std::scoped_lock const guard(mutex_);
        outcomes_.push_back(outcome);
        threads_.insert(std::this_thread::get_id());
        changed_.notify_all();
    }
    [[nodiscard]] auto callback() {
        return [this](commit_outcome const& outcome) { (*this)(outcome); };
    }
    void wait_for(std::size_t count) {
        std::unique_lock guard(mutex_);
        changed_.wait(guard, [&] { return outcomes_.size() >= count; });
    }
    [[nodiscard]] std::vector<commit_outcome> outcomes() const {
        std::scoped_lock const guard(mutex_);
        return outcomes_;
    }
    [[nodiscard]] std::vector<std::uint64_t> ids() const {
        std::vector<std::uint64_t> all;
        for (auto const& each : outcomes()) all.push_back(each.id().value);
        return all;
    }
    [[nodiscard]] std::set<std::thread::id> threads() const {
        std::scoped_lock const guard(mutex_);
        return threads_;
    }

  private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<commit_outcome> outcomes_;
    std::set<std::thread::id> threads_;
};

template <typename Database>
auto put_pending(Database& db, std::string const& key, std::optional<durability> how = {}) {
    auto txn = db.write();
    txn.put(key, "there");
    return txn.commit_async(how);
}

std::size_t syncs_in(gated::medium& medium) {
    std::size_t count = 0;
    for (auto const& each : medium.device().log()) count += each.what == gated::step::sync_ends;
    return count;
}

} // namespace

TEST_CASE("commits that are left share a sync and are told in order by one other thread") {
    gated::medium medium;
    gated_database db(medium, proving::tiny());
    db.update([](auto& txn) { txn.put("first", "1"); });
    told_outcomes told;
    medium.device().forget_log();
    medium.device().close();
    put_pending(db, "a").then(told.callback());
    medium.device().wait_for_sync();
    // These are appended while the device works for the first.
    for (auto const* key : {"b", "c", "d"}) put_pending(db, key).then(told.callback());
    CHECK(told.outcomes().empty());
    CHECK_FALSE(db.get("a"));
    medium.device().open();
    told.wait_for(4);
    CHECK(told.ids() == std::vector<std::uint64_t>{3, 4, 5, 6});
    CHECK(syncs_in(medium) == 2);
    CHECK(told.threads().size() == 1);
    CHECK(told.threads().count(std::this_thread::get_id()) == 0);
    for (auto const* key : {"a", "b", "c", "d"}) CHECK(db.get(key));
    for (auto const& each : told.outcomes()) CHECK(each);
}

TEST_CASE("a commit that was left is over for the one who left it and has its id") {
    proving::test_database<proving::in_file> on;
    told_outcomes told;
    auto pending = put_pending(*on, "a");
    CHECK_FALSE(pending.is_over());
    CHECK_FALSE(pending.ready());
    auto const id = pending.id();
    pending.then(told.callback());
    CHECK(pending.is_over());
    CHECK(pending.ready());
    CHECK(pending.id() == id);
    CHECK(pending.wait() == id);
    told.wait_for(1);
    CHECK(told.outcomes()[0].id() == id);
    // Where there was nothing to commit, that is told as well.
    on->write().commit_async().then(told.callback());
    told.wait_for(2);
    CHECK(told.outcomes()[1].id() == id);
    auto lazy = put_pending(*on, "b", durability::lazy);
    auto later = put_pending(*on, "c", durability::sync);
    later.wait();
    CHECK(lazy.ready()); // somebody else has settled it
    CHECK_FALSE(lazy.is_over());
    lazy.wait();
}

TEST_CASE("closing settles and tells all that was left before it returns") {
    for (auto const how : {durability::sync, durability::lazy, durability::deferred}) {
        gated::medium medium;
        told_outcomes told;
        auto db = std::make_optional<gated_database>(medium, proving::tiny());
        medium.device().close();
        for (unsigned i = 0; i < 20; ++i) {
            put_pending(*db, "k" + std::to_string(i), how).then(told.callback());
        }
        std::thread opens([&] { medium.device().open(); });
        db.reset();
        CHECK(told.outcomes().size() == 20);
        opens.join();
        gated_database const again(medium, proving::tiny());
        CHECK(again.read().size() == 20);
    }
}

TEST_CASE("a pending commit that outlives its handle is told by whoever leaves it") {
    proving::test_database<proving::in_memory> on;
    told_outcomes told;
    auto pending = put_pending(*on, "a");
    on.close();
    pending.then(told.callback());
    CHECK(told.outcomes().size() == 1);
    CHECK(told.threads().count(std::this_thread::get_id()) == 1);
    on.reopen();
    CHECK(on->get("a"));
}

TEST_CASE("a callback reads and writes through the handle and closes it") {
    proving::in_file const place;
    auto db = std::make_unique<database>(place.open(proving::tiny()));
    auto const done = std::make_shared<std::promise<void>>();
    told_outcomes inner;
    std::mutex gate;
    std::unique_lock closed(gate);
    put_pending(*db, "a").then([&, done](commit_outcome const& outcome) {
        { std::scoped_lock const wait(gate); }
        CHECK(outcome);
        CHECK(db->get("a"));
        db->update([](auto& txn) { txn.put("within", "1"); });
        put_pending(*db, "b").then(inner.callback());
        db.reset(); // settles and tells what is left
        CHECK(inner.outcomes().size() == 3);
        done->set_value();
    });
    for (auto const* key : {"c", "d"}) put_pending(*db, key).then(inner.callback());
    closed.unlock();
    done->get_future().wait();
    CHECK(inner.outcomes().size() == 3);
    auto const again = place.open(proving::tiny());
    for (auto const* key : {"a", "b", "c", "d", "within"}) CHECK(again.get(key));
}

TEST_CASE("what a callback throws goes to the log and the next is told all the same") {
    auto chosen = proving::tiny();
    std::atomic<int> logged{0};
    chosen.events.log = [&](log_level, std::string_view) { ++logged; };
    told_outcomes told;
    {
        memory_database db(storage::memory_medium{}, chosen);
        put_pending(db, "a").then(
            [](commit_outcome const&) { throw std::runtime_error("of the user"); });
        put_pending(db, "b").then(told.callback());
    }
    CHECK(told.outcomes().size() == 1);
    CHECK(logged == 1);
}

TEST_CASE("a failed sync is told to every callback and to the futures") {
    gated::medium medium;
    std::optional<gated_database> db(std::in_place, medium, proving::tiny());
    db->update([](auto& txn) { txn.put("first", "1"); });
    told_outcomes told;
    medium.device().close();
    put_pending(*db, "a").then(told.callback());
    put_pending(*db, "b").then(told.callback());
    auto future = put_pending(*db, "c").future();
    medium.device().wait_for_sync();
    medium.device().open(true);
    told.wait_for(2);
    CHECK(kind_of([&] { static_cast<void>(db->write()); }) == errc::sync_failed);
    db.reset(); // see `ending` below for why the thread of the handle ends before exceptions are
                // read
    for (auto const& each : told.outcomes()) {
        CHECK_FALSE(each);
        CHECK(kind_of([&] { each.get(); }) == errc::sync_failed);
    }
    CHECK(kind_of([&] { future.get(); }) == errc::sync_failed);
}

TEST_CASE("a future has the id and many of them share syncs") {
    proving::test_database<proving::in_file> on;
    std::vector<std::future<commit_id>> all;
    for (unsigned i = 0; i < 50; ++i) {
        all.push_back(put_pending(*on, "k" + std::to_string(i)).future());
    }
    std::uint64_t last = 1;
    for (auto& each : all) CHECK(each.get().value == ++last);
    CHECK(on->read().size() == 50);
    { auto const unused = put_pending(*on, "unused").future(); } // waits for nothing
    on->sync();
    CHECK(on->get("unused"));
}

TEST_CASE("a thread that leaves its commits may wait for others of the same file") {
    gated::medium medium;
    gated_database db(medium, proving::tiny());
    gated_database second(medium, proving::tiny());
    medium.device().close();
    told_outcomes told;
    auto mine = put_pending(db, "mine");
    put_pending(db, "left").then(told.callback());
    // It keeps one itself, so it would wait for itself.
    CHECK(kind_of([&] { static_cast<void>(second.write()); }) == errc::would_deadlock);
    mine.then(told.callback());
    medium.device().wait_for_sync();
    CHECK_FALSE(second.try_write()); // it would have to wait, and could
    medium.device().open();
    second.update([](auto& txn) { txn.put("second", "1"); });
    told.wait_for(2);
    CHECK(db.get("second"));
}

TEST_CASE("many threads leave commits that are each told once") {
    constexpr unsigned threads = 4;
    constexpr unsigned each = 60;
    proving::in_file const place;
    std::vector<std::atomic<unsigned>> calls(threads * each);
    std::atomic<unsigned> from_callbacks{0};
    {
        auto db = place.open(proving::tiny());
        std::vector<std::thread> workers;
        for (unsigned t = 0; t < threads; ++t) {
            workers.emplace_back([&, t] {
                for (unsigned i = 0; i < each; ++i) {
                    auto const number = t * each + i;
                    constexpr durability ways[] = {durability::sync, durability::lazy,
                                                   durability::deferred, durability::two_sync};
                    put_pending(db, "k" + std::to_string(number), ways[i % 4])
                        .then([&, number](commit_outcome const& outcome) {
                            if (!outcome) return;
                            ++calls[number];
                            if (number % 16 != 0) return;
                            db.update([&](auto& txn) {
                                txn.put("callback " + std::to_string(number), "1");
                            });
                            ++from_callbacks;
                        });
                }
            });
        }
        for (auto& worker : workers) worker.join();
    }
    for (auto const& count : calls) CHECK(count == 1);
    auto const again = place.open(proving::tiny());
    CHECK(again.read().size() == threads * each + from_callbacks);
    CHECK(from_callbacks == threads * each / 16);
    CHECK(again.check().clean());
}

TEST_CASE("a child of fork has nothing of the callbacks of its parent") {
    if (workbench::skip_forks()) return;
    proving::in_file const place;
    auto db = std::make_optional(place.open(proving::tiny()));
    told_outcomes told;
    std::mutex gate;
    std::unique_lock closed(gate);
    put_pending(*db, "a").then([&](commit_outcome const& outcome) {
        told(outcome);
        std::scoped_lock const wait(gate);
    });
    told.wait_for(1);
    put_pending(*db, "b").then(told.callback());
    auto kept = put_pending(*db, "c");
    workbench::child child([&](workbench::reporter const& tell) {
        auto const refused = kind_of([&] { kept.then([](commit_outcome const&) {}); });
        db.reset(); // does not wait for a thread that is not there
        tell.tell(1, refused == errc::forked ? 1 : 0);
    });
    auto const reports = child.all_reports();
    CHECK(child.wait() == 0);
    REQUIRE(reports.size() == 1);
    CHECK(reports[0].number == 1);
    closed.unlock();
    kept.then(told.callback());
    db.reset();
    CHECK(told.outcomes().size() == 3);
}

#if COPPICE_HAS_AWAIT

// Not without a name: what a coroutine's frame has may not be of an unnamed namespace where several
// test files are compiled as one.
namespace waiting_coroutines {

/// How a coroutine ended: where, and with which error.
struct ending {
    std::thread::id thread;
    std::optional<errc> error;
};

/// A coroutine that runs by itself. What it ends with can be waited for. An exception stays in its
/// thread: who shares one through a std::future and a std::exception_ptr is accused of a data race
/// by the thread sanitizer now and then, which does not see libstdc++ count who has it.
struct detached {
    struct promise_type {
        std::promise<ending> ended;

        detached get_return_object() { return {ended.get_future()}; }
        [[nodiscard]] static std::suspend_never initial_suspend() noexcept { return {}; }
        [[nodiscard]] static std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() { end({}); }
        void unhandled_exception() {
            end(kind_of([] { throw; }));
        }
        void end(std::optional<errc> error) {
            ended.set_value({std::this_thread::get_id(), error});
        }
    };
    std::future<ending> ended;
};

template <typename Database> detached commit_twice(Database& db, std::vector<commit_id>& ids) {
    ids.push_back(co_await put_pending(db, "one"));
    auto pending = put_pending(db, "two");
    ids.push_back(co_await pending);
    ids.push_back(co_await pending); // nothing is left to be waited for
}

detached own_a_database(proving::in_file const& place) {
    auto db = place.open(proving::tiny());
    co_await put_pending(db, "k");
    // The handle ends here, in its own thread.
}

} // namespace waiting_coroutines

using waiting_coroutines::commit_twice;
using waiting_coroutines::own_a_database;

TEST_CASE("a coroutine goes on in the thread of the handle once the commit is settled") {
    gated::medium medium;
    gated_database db(medium, proving::tiny());
    medium.device().close();
    std::vector<commit_id> ids;
    auto running = commit_twice(db, ids);
    medium.device().wait_for_sync();
    CHECK_FALSE(db.get("one"));
    medium.device().open();
    CHECK(running.ended.get().thread != std::this_thread::get_id());
    REQUIRE(ids.size() == 3);
    CHECK(ids[0].value == 2);
    CHECK(ids[1].value == 3);
    CHECK(ids[2].value == 3);
    CHECK(db.get("two"));
}

TEST_CASE("a failed commit is thrown into the coroutine") {
    gated::medium medium;
    gated_database db(medium, proving::tiny());
    db.update([](auto& txn) { txn.put("first", "1"); });
    medium.device().close();
    std::vector<commit_id> ids;
    auto running = commit_twice(db, ids);
    medium.device().wait_for_sync();
    medium.device().open(true);
    CHECK(running.ended.get().error == errc::sync_failed);
    CHECK(ids.empty());
}

TEST_CASE("a coroutine may own the handle that resumes it") {
    proving::in_file const place;
    CHECK(own_a_database(place).ended.get().thread != std::this_thread::get_id());
    auto const again = place.open(proving::tiny());
    CHECK(again.get("k"));
}

TEST_CASE("many coroutines share syncs") {
    proving::in_file const place;
    {
        auto db = place.open(proving::tiny());
        std::vector<std::vector<commit_id>> ids(20);
        std::vector<waiting_coroutines::detached> running;
        for (auto& mine : ids) running.push_back(commit_twice(db, mine));
        for (auto& each : running) CHECK_FALSE(each.ended.get().error);
        std::set<commit_id> all;
        for (auto const& mine : ids) all.insert(mine.begin(), mine.end());
        CHECK(all.size() >= 2);
    }
    CHECK(place.open(proving::tiny()).read().size() == 2);
}

#endif
