// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/housekeeper.hpp>

#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

using namespace coppice;
using proving::content;
using proving::in_file;
using proving::in_memory;
using proving::test_database;

namespace {

/// Compacts early, so that a few hundred commits are enough.
options housekeeping() {
    auto chosen = proving::tiny();
    chosen.compaction = {.garbage_ratio = 1, .floor_bytes = 32768};
    return chosen;
}

/// Waits for what a thread is to bring about, however long that takes.
void wait_until(std::function<bool()> const& is_so) {
    while (!is_so()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

bool is_bounded(statistics const& now, std::uint64_t floor_bytes = 32768) {
    return now.garbage_bytes <= now.live_bytes || now.valid_bytes <= floor_bytes;
}

/// A place where no fresh file can be made, while that is asked for.
class refusing_medium : public storage::memory_medium {
  public:
    void refuse(bool refused) const { *refused_ = refused; }
    [[nodiscard]] std::shared_ptr<storage::memory_storage> fresh() {
        if (*refused_) throw error(std::make_error_code(std::errc::io_error), "refused", path());
        return memory_medium::fresh();
    }

  private:
    std::shared_ptr<std::atomic<bool>> refused_ = std::make_shared<std::atomic<bool>>(false);
};

/// Random commits, told to a model.
template <typename Database> void overwrite(Database& db, content& model, unsigned commits) {
    workbench::dice dice(commits);
    for (unsigned i = 0; i < commits; ++i) {
        auto const key = proving::numbered("k", dice.below(200));
        model[key] = proving::noise(dice.below(200), dice.next());
        db.update([&](auto& txn) { txn.put(key, model[key]); }, durability::lazy);
    }
}

} // namespace

TEST_CASE("a state is due when its garbage is more than so many times what is live") {
    memory_database db(storage::memory_medium(), proving::tiny());
    content model;
    overwrite(db, model, 300);
    auto const now = db.stats();
    auto const state = db.read().state();
    auto const ratio = static_cast<double>(now.garbage_bytes) / static_cast<double>(now.live_bytes);
    CHECK(ratio > 1);
    CHECK(store::is_due(*state, {ratio * 0.99, 0}, 0));
    CHECK_FALSE(store::is_due(*state, {ratio * 1.01, 0}, 0));
    CHECK(store::is_due(*state, {1, now.valid_bytes - 1}, 0));
    CHECK_FALSE(store::is_due(*state, {1, now.valid_bytes}, 0));
    CHECK_FALSE(store::is_due(*state, {}, 0));
}

TEST_CASE("what a compaction has kept is no reason for another one") {
    auto chosen = proving::tiny();
    chosen.retention.commits = 50;
    memory_database db(storage::memory_medium(), chosen);
    content model;
    overwrite(db, model, 300);
    CHECK(db.compact());
    auto const state = db.read().state();
    auto const retained = store::retained_bytes(state);
    CHECK(retained == db.stats().retained_bytes);
    CHECK(store::is_due(*state, {0.5, 0}, 0)); // as if it were garbage
    CHECK_FALSE(store::is_due(*state, {0.01, 0}, retained));
    // What comes then counts against all that is kept.
    auto const kept = store::live_bytes(state->record()) + retained;
    while (db.stats().valid_bytes < kept + kept / 2) overwrite(db, model, 1);
    auto const later = db.read().state();
    CHECK(store::retained_bytes(later) == retained);
    CHECK(store::is_due(*later, {0.4, 0}, retained));
    CHECK_FALSE(store::is_due(*later, {1, 0}, retained));
}

TEMPLATE_TEST_CASE("a database that compacts itself keeps what it is to keep", "", in_file,
                   in_memory) {
    auto chosen = housekeeping();
    chosen.retention.commits = 20;
    test_database<TestType> on(chosen);
    content model;
    overwrite(*on, model, 3);
    auto const named = on->read();
    on->tag("early", named.id());
    for (int round = 0; round < 3; ++round) {
        auto const before = on->stats().generation;
        overwrite(*on, model, 400);
        wait_until([&] {
            auto const now = on->stats();
            auto const kept = static_cast<double>(now.live_bytes + now.retained_bytes);
            if (now.valid_bytes <= chosen.compaction.floor_bytes) return true;
            return now.generation > before &&
                   static_cast<double>(now.garbage_bytes) <= chosen.compaction.garbage_ratio * kept;
        });
        CHECK(on->stats().commits >= 20);
        CHECK(proving::content_of(on->read("early")) == proving::content_of(named));
        proving::must_hold(on->read(), model);
    }
}

TEST_CASE("how long a file may become is told by what is live and by the policy") {
    memory_database db(storage::memory_medium(), proving::tiny());
    content model;
    overwrite(db, model, 300);
    auto const state = db.read().state();
    auto const live = db.stats().live_bytes;
    CHECK(store::most_bytes(*state, {1, 0}, 0) == live * 5 / 2);
    CHECK(store::most_bytes(*state, {2, 0}, 0) == live * 4);
    CHECK(store::most_bytes(*state, {2, live * 8}, 0) == live * 12);
    CHECK(store::most_bytes(*state, {1e300, 0}, 0) == format::max_file_bytes);
}

TEMPLATE_TEST_CASE("a database that compacts itself stays small while it is written", "", in_file,
                   in_memory) {
    test_database<TestType> on(housekeeping());
    content model;
    for (int round = 0; round < 5; ++round) {
        auto const before = on->stats().generation;
        overwrite(*on, model, 400);
        wait_until([&] { return on->stats().generation > before && is_bounded(on->stats()); });
        proving::must_hold(on->read(), model);
    }
    on.reopen();
    proving::must_hold(on->read(), model);
}

TEMPLATE_TEST_CASE("no commit begins on a file that is too long already", "", in_file, in_memory) {
    test_database<TestType> on(housekeeping());
    auto const& policy = on->chosen().compaction;
    workbench::dice dice(1);
    std::uint64_t longest = 0;
    for (unsigned i = 0; i < 5000; ++i) {
        auto txn = on->write();
        auto const base = on->read().state();
        longest = std::max(longest, base->limit_offset());
        CHECK(base->limit_offset() <= store::most_bytes(*base, policy, 0));
        txn.put(proving::numbered("k", dice.below(200)), proving::noise(dice.below(200), i));
        txn.commit(durability::lazy);
    }
    CHECK(longest > policy.floor_bytes);
    CHECK(on->stats().generation > 1);
}

TEMPLATE_TEST_CASE("a database compacts itself only where it was told to", "", in_file, in_memory) {
    test_database<TestType> on(proving::tiny());
    content model;
    overwrite(*on, model, 400);
    CHECK_FALSE(is_bounded(on->stats()));
    CHECK(on->stats().generation == 1);
    CHECK(on->chosen().compaction.garbage_ratio == 0);
}

TEMPLATE_TEST_CASE("a handle closes while it compacts itself and while its writer is busy", "",
                   in_file, in_memory) {
    for (unsigned round = 0; round < 30; ++round) {
        test_database<TestType> on(housekeeping());
        content model;
        overwrite(*on, model, 200 + round);
        auto txn = round % 2 == 0 ? std::optional(on->write()) : std::nullopt;
        on.close();
        txn.reset();
        on.reopen();
        proving::must_hold(on->read(), model);
        on.close();
        CHECK_FALSE(on.place().medium().companion());
    }
}

TEST_CASE("what a compaction of its own meets is told and the database goes on") {
    refusing_medium const place;
    auto chosen = housekeeping();
    std::atomic<unsigned> told{0};
    chosen.events.on_error = [&](error const& e) {
        told += e.kind() == errc::io_failed ? 1U : 1000U;
    };
    basic_database<refusing_medium> db(place, chosen);
    place.refuse(true);
    content model;
    auto const commit_until = [&](std::function<bool()> const& is_so) {
        while (!is_so()) {
            overwrite(db, model, 100);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    };
    commit_until([&] { return told >= 2; });
    CHECK(told < 1000);
    CHECK(db.stats().generation == 1);
    place.refuse(false);
    commit_until([&] { return db.stats().generation > 1; });
    wait_until([&] { return is_bounded(db.stats()); });
    proving::must_hold(db.read(), model);
}

TEST_CASE("a child has no thread that compacts and lets go of the handle all the same") {
    in_file const place;
    std::optional<database> db(place.open(housekeeping()));
    content model;
    overwrite(*db, model, 50);
    auto const child = ::fork();
    if (child == 0) {
        db.reset();
        ::_exit(0);
    }
    REQUIRE(child > 0);
    int status = -1;
    CHECK(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    overwrite(*db, model, 600);
    wait_until([&] { return db->stats().generation > 1 && is_bounded(db->stats()); });
    proving::must_hold(db->read(), model);
}
