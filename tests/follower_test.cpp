// SPDX-License-Identifier: BSL-1.0
#include <coppice/follower.hpp>

#include <catch2/catch.hpp>
#include <child_process.hpp>
#include <test_database.hpp>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using coppice::commit_changes;
using coppice::durability;
using coppice::errc;
using coppice::follower;
using proving::in_file;
using proving::in_memory;
using proving::test_database;
using namespace std::chrono_literals;

/// Numbers of commits, as they are told from another thread.
class told_numbers {
  public:
    void add(commit_changes const& commit) {
        std::scoped_lock const guard(mutex_);
        numbers_.push_back(commit.identity.id.value);
    }
    [[nodiscard]] std::vector<std::uint64_t> all() const {
        std::scoped_lock const guard(mutex_);
        return numbers_;
    }
    [[nodiscard]] std::size_t count() const { return all().size(); }

  private:
    mutable std::mutex mutex_;
    std::vector<std::uint64_t> numbers_;
};

/// Waits for what is sure to come, however slow the machine is.
template <typename Condition> void until(Condition const& holds) {
    while (!holds()) std::this_thread::sleep_for(1ms);
}

template <typename Database> void commit_key(Database& db, std::string const& key) {
    db.update([&](auto& txn) { txn.put(key, key); }, durability::sync);
}

std::vector<std::uint64_t> numbers_up_to(std::uint64_t last) {
    std::vector<std::uint64_t> result;
    for (std::uint64_t i = 1; i <= last; ++i) result.push_back(i);
    return result;
}

} // namespace

TEMPLATE_TEST_CASE("a follower is called for each durable commit once in order", "", in_file,
                   in_memory) {
    test_database<TestType> db;
    told_numbers told;
    {
        follower const follows(*db, [&](auto const& commit) { told.add(commit); });
        for (unsigned i = 0; i < 40; ++i) commit_key(*db, std::to_string(i));
        until([&] { return told.count() == 41; });
        CHECK(follows.failure() == nullptr);
        until([&] { return follows.last() == db->read().identity(); });
    }
    CHECK(told.all() == numbers_up_to(41));
    commit_key(*db, "after its end");
    CHECK(told.count() == 41);
}

TEST_CASE("a follower that begins where another has ended misses nothing and repeats nothing") {
    test_database<in_file> db;
    told_numbers told;
    coppice::commit_identity last;
    for (unsigned round = 0; round < 8; ++round) {
        follower const follows(
            *db, [&](auto const& commit) { told.add(commit); }, last);
        for (unsigned i = 0; i < 10; ++i) commit_key(*db, std::to_string(i));
        until([&] { return follows.last() == db->read().identity(); });
        last = follows.last();
    }
    CHECK(told.all() == numbers_up_to(81));
}

TEST_CASE("a callback that throws ends the following and that commit is not counted as taken") {
    test_database<in_memory> db;
    told_numbers told;
    coppice::commit_identity last;
    {
        follower const follows(*db, [&](commit_changes const& commit) {
            if (commit.identity.id.value == 3) throw std::runtime_error("the third one");
            told.add(commit);
        });
        for (unsigned i = 0; i < 5; ++i) commit_key(*db, std::to_string(i));
        until([&] { return follows.failure() != nullptr; });
        CHECK_THROWS_WITH(std::rethrow_exception(follows.failure()), "the third one");
        last = follows.last();
    }
    CHECK(last == db->read(coppice::commit_id{2}).identity());
    CHECK(told.all() == numbers_up_to(2));
    follower const again(
        *db, [&](auto const& commit) { told.add(commit); }, last);
    until([&] { return told.count() == 6; });
    CHECK(told.all() == numbers_up_to(6));
}

TEST_CASE("a follower whose history is compacted away says so") {
    test_database<in_file> db;
    commit_key(*db, "a");
    auto const gone = db->read().identity();
    commit_key(*db, "b");
    db->compact();
    told_numbers told;
    follower const follows(
        *db, [&](auto const& commit) { told.add(commit); }, gone);
    until([&] { return follows.failure() != nullptr; });
    CHECK(told.count() == 0);
    try {
        std::rethrow_exception(follows.failure());
    } catch (coppice::error const& e) {
        CHECK(e.kind() == errc::history_gone);
    }
}

TEST_CASE("whoever ends a follower waits for the call that is under way") {
    test_database<in_memory> db;
    std::promise<void> go_on;
    auto const may_go_on = go_on.get_future().share();
    std::atomic<unsigned> begun{0};
    std::atomic<unsigned> returned{0};
    auto follows =
        std::make_unique<follower<coppice::memory_database>>(*db, [&](commit_changes const&) {
            ++begun;
            may_go_on.wait();
            ++returned;
        });
    commit_key(*db, "a");
    until([&] { return begun == 1; });
    std::thread releases([&] {
        std::this_thread::sleep_for(5ms);
        go_on.set_value();
    });
    follows.reset();
    CHECK(begun == returned);
    CHECK(returned >= 1);
    releases.join();
}

TEST_CASE("a callback of a follower may write and is told of that too") {
    test_database<in_memory> db;
    told_numbers told;
    follower const follows(*db, [&](commit_changes const& commit) {
        told.add(commit);
        if (told.count() < 5) commit_key(*db, std::to_string(told.count()));
    });
    until([&] { return told.count() == 5; });
    CHECK(told.all() == numbers_up_to(5));
}

TEST_CASE("the follower of a parent is left alone in its child") {
    if (workbench::skip_forks()) return;
    test_database<in_file> db;
    told_numbers told;
    auto follows = std::make_unique<follower<coppice::database>>(
        *db, [&](auto const& commit) { told.add(commit); });
    until([&] { return told.count() == 1; });
    workbench::child child([&](workbench::reporter const&) { follows.reset(); });
    CHECK(child.wait() == 0);
    commit_key(*db, "a");
    until([&] { return told.count() == 2; });
}
