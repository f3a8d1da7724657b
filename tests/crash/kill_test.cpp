// SPDX-License-Identifier: BSL-1.0
// A real process on a real file, killed at random moments of creating, recovering, committing and
// compacting. Afterwards the file holds what was acknowledged, or one commit more; it is sound, and
// the lock is free.

#include <catch2/catch.hpp>
#include <child_process.hpp>
#include <coppice/database.hpp>
#include <workbench.hpp>

namespace {

using coppice::durability;
using workbench::child;
using workbench::reporter;

coppice::options chosen() {
    coppice::options result;
    result.nodes = {256, 192, 48};
    result.preallocate_bytes = 20'000;
    result.two_sync_above_bytes = 6000;
    result.unsynced_limit_bytes = 40'000;
    return result;
}

constexpr char const* marks[] = {"a mark", "m mark", "z mark"};

std::uint64_t number_in(coppice::snapshot const& state) {
    auto const first = state.get(marks[0]);
    if (!first) return 0;
    for (auto const* const each : marks) {
        if (state.get(each) != first) throw std::runtime_error("half a commit");
    }
    return std::stoull(std::string(*first));
}

/// Commits numbers that rise by one, in all marks at once, and reports each.
void work(std::filesystem::path const& where, std::uint64_t seed, reporter const& to) {
    workbench::dice dice(seed);
    coppice::database db(where, chosen());
    auto number = number_in(db.read_latest());
    durability const ways[] = {durability::sync, durability::lazy, durability::lazy,
                               durability::two_sync};
    for (;;) {
        auto txn = db.write();
        auto const base = txn.view();
        number = number_in(base) + 1;
        for (auto const* const each : marks) txn.put(each, std::to_string(number));
        for (std::uint64_t i = dice.below(20); i > 0; --i) {
            txn.put("key " + std::to_string(dice.below(300)), std::string(dice.below(400), 'v'));
        }
        if (dice.below(8) == 0) txn.erase("key 1", "key 2");
        txn.commit(ways[dice.below(4)]);
        to.tell(1, number);
        if (dice.below(12) == 0) db.compact();
    }
}

} // namespace

TEST_CASE("a process that is killed at any moment loses nothing that it had acknowledged") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    auto const where = here / "db";
    workbench::dice dice(2024);
    auto const kills = 200 * workbench::scale();
    std::uint64_t acknowledged = 0;
    std::uint64_t found = 0; // a writer saw it as the newest
    std::uint64_t commits = 0;
    std::uint64_t one_more = 0;
    std::uint64_t leftovers = 0;
    for (unsigned i = 0; i < kills; ++i) {
        if (i % 50 == 49) { // creation is killed as well
            std::filesystem::remove(where);
            acknowledged = found = 0;
        }
        child worker([&](reporter const& to) { work(where, i, to); });
        auto const note = [&](std::vector<workbench::report> const& reports) {
            for (auto const& each : reports) acknowledged = std::max(acknowledged, each.number);
            commits += reports.size();
        };
        if (i % 3 != 0) note(worker.next_reports()); // else it may be killed while it opens
        std::this_thread::sleep_for(std::chrono::microseconds(dice.below(15'000)));
        worker.signal(SIGKILL);
        note(worker.all_reports());
        REQUIRE(worker.wait() == 128 + SIGKILL);
        leftovers += std::filesystem::exists(where.string() + ".compact") ? 1U : 0U;

        coppice::database db(where, chosen());
        auto const shown = number_in(db.read());
        INFO("kill " << i);
        auto txn = db.write_for(std::chrono::seconds(60));
        REQUIRE(txn);
        auto const taken_over = number_in(txn->view());
        found = std::max(found, acknowledged);
        CHECK(taken_over >= found);
        CHECK(taken_over <= found + 1);
        CHECK(shown >= acknowledged);
        CHECK(shown <= taken_over);
        one_more += taken_over > acknowledged ? 1U : 0U;
        found = taken_over;
        CHECK(db.check().clean());
        if (i % 2 == 0) {
            for (auto const* const each : marks) txn->put(each, std::to_string(taken_over + 1));
            txn->commit(i % 4 == 0 ? durability::sync : durability::lazy);
            acknowledged = taken_over + 1;
            CHECK(number_in(db.read()) == acknowledged);
            CHECK(db.check().clean());
        }
    }
    std::printf("%u kills, %llu commits acknowledged, %llu times one commit more was there, %llu "
                "compactions cut short\n",
                kills, static_cast<unsigned long long>(commits),
                static_cast<unsigned long long>(one_more),
                static_cast<unsigned long long>(leftovers));
}

namespace {

constexpr std::uint64_t deferred_report = 1;
constexpr std::uint64_t written_report = 2;

/// Commits numbers that rise by one, most of them deferred, and reports what is written for sure.
void defer(std::filesystem::path const& where, std::uint64_t seed, reporter const& to) {
    workbench::dice dice(seed);
    auto options = chosen();
    options.flush = {60'000, 40, std::chrono::milliseconds(seed % 2 == 0 ? 0 : 1)};
    coppice::database db(where, options);
    for (auto number = number_in(db.write().view()) + 1;; ++number) {
        auto txn = db.write();
        for (auto const* const each : marks) txn.put(each, std::to_string(number));
        for (std::uint64_t i = dice.below(20); i > 0; --i) {
            txn.put("key " + std::to_string(dice.below(300)), std::string(dice.below(400), 'v'));
        }
        auto const kind = dice.below(12);
        txn.commit(kind == 0   ? durability::sync
                   : kind == 1 ? durability::lazy
                               : durability::deferred);
        if (kind == 2) db.flush();
        if (kind == 3) db.sync();
        to.tell(kind < 4 ? written_report : deferred_report, number);
    }
}

} // namespace

TEST_CASE("a process that is killed loses at most what it had deferred and never half of it") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    auto const where = here / "db";
    static_cast<void>(coppice::database(where, chosen()));
    workbench::dice dice(2025);
    auto const kills = 100 * workbench::scale();
    std::uint64_t lost = 0;
    for (unsigned i = 0; i < kills; ++i) {
        child worker([&](reporter const& to) { defer(where, i, to); });
        std::uint64_t written = 0;
        std::uint64_t newest = 0;
        auto const note = [&](std::vector<workbench::report> const& reports) {
            for (auto const& each : reports) {
                newest = std::max(newest, each.number);
                if (each.kind == written_report) written = std::max(written, each.number);
            }
        };
        if (i % 3 != 0) note(worker.next_reports());
        std::this_thread::sleep_for(std::chrono::microseconds(dice.below(10'000)));
        worker.signal(SIGKILL);
        note(worker.all_reports());
        REQUIRE(worker.wait() == 128 + SIGKILL);

        coppice::database db(where, chosen());
        INFO("kill " << i);
        auto txn = db.write_for(std::chrono::seconds(60));
        REQUIRE(txn);
        auto const found = number_in(txn->view());
        CHECK(found >= written);
        if (newest != 0) CHECK(found <= newest + 1);
        lost += found < newest ? newest - found : 0;
        CHECK(db.check().clean());
    }
    std::printf("%u kills, %llu deferred commits lost\n", kills,
                static_cast<unsigned long long>(lost));
}
