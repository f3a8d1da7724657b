// SPDX-License-Identifier: BSL-1.0
// A database on a simulated machine: the whole API, several processes, and the handles of the dead.

#include <coppice/testing/simulated_medium.hpp>

#include <catch2/catch.hpp>
#include <kind_of.hpp>

#include <optional>
#include <stdexcept>

namespace {

using coppice::as_bytes;
using coppice::durability;
using coppice::errc;
using coppice::storage::access;
using coppice::storage::standing;
using coppice::testing::choices;
using coppice::testing::database;
using coppice::testing::machine;
using support::kind_of;

static_assert(coppice::storage::storage<coppice::testing::simulated_storage>);
static_assert(coppice::storage::writer_lock<coppice::testing::simulated_lock>);
static_assert(coppice::storage::medium<coppice::testing::simulated_medium>);

coppice::options with_clock(machine& on) {
    coppice::options chosen;
    chosen.preallocate_bytes = 0;
    chosen.clock = on.clock();
    return chosen;
}
void put(database& db, std::string const& key, std::string const& value = "value") {
    db.update([&](auto& txn) { txn.put(key, value); });
}

} // namespace

TEST_CASE("a database works on a simulated machine with its whole API") {
    machine on;
    auto const place = on.start_process();
    std::optional<database> db(std::in_place, place, with_clock(on));
    CHECK(db->path() == "(simulated)");
    put(*db, "a", "1");
    put(*db, "b", std::string(100'000, 'b'));
    {
        auto txn = db->write();
        auto const before = txn.savepoint();
        txn.erase_prefix("");
        CHECK(txn.size() == 0);
        txn.rollback_to(before);
        txn.insert("c", "3");
        CHECK(txn.view().size() == 3);
        auto stream = txn.put_stream("d", 5);
        stream.write(as_bytes("12345"));
        stream.finish();
        txn.commit(durability::two_sync, "a note");
    }
    auto const held = db->read();
    db->update([](auto& txn) { txn.erase("a"); }, durability::lazy);
    db->sync();
    CHECK(db->read().size() == 3);
    CHECK(held.get("a") == "1");
    CHECK(held.get("b")->size() == 100'000);
    auto const then = db->read(held.id());
    CHECK(then.get("d") == "12345");
    CHECK(held.rank("c") == 2);
    auto const [last, value] = *held.nth(3);
    CHECK(last == "d");
    std::size_t commits = 0;
    for (auto const& each : db->history()) commits += each.id.value != 0 ? 1U : 0U;
    CHECK(commits == 5);
    CHECK(db->check().clean());
    CHECK(db->compact());
    CHECK(held.get("a") == "1");
    CHECK(kind_of([&] { static_cast<void>(db->read(held.id())); }) == errc::history_gone);
    db->update([](auto& txn) {
        std::vector<std::pair<std::string, std::string>> const sorted{{"x", "1"}, {"y", "2"}};
        txn.load(sorted);
    });
    CHECK(db->stats().entries == 5);
    db.reset();
    database const again(place, with_clock(on));
    CHECK(again.get("y") == "2");
    CHECK(again.read().size() == 5);
    CHECK(again.check().clean());
}

TEST_CASE("opening says what it says on files") {
    machine on;
    auto const place = on.start_process();
    CHECK(kind_of([&] { database(place, {.create = coppice::create::never}); }) == errc::not_found);
    { database const made(place, with_clock(on)); }
    CHECK(kind_of([&] { database(place, {.create = coppice::create::must}); }) ==
          errc::already_exists);
    database reader(place, {.read_only = true});
    CHECK(kind_of([&] { static_cast<void>(reader.write()); }) == errc::read_only);
}

TEST_CASE("two processes exclude each other and see each other's commits") {
    machine on;
    database first(on.start_process(), with_clock(on));
    database second(on.start_process(), with_clock(on));
    {
        auto txn = first.write();
        txn.put("a", "1");
        CHECK_FALSE(second.try_write());
        CHECK_FALSE(second.write_for(std::chrono::hours(1))); // there is nothing to wait for
        CHECK_THROWS_AS(second.write(), std::logic_error);
        CHECK_FALSE(second.get("a"));
        txn.commit();
    }
    CHECK(second.get("a") == "1");
    put(second, "b");
    CHECK(first.read().size() == 2);
    second.compact();
    put(first, "c");
    CHECK(second.read().size() == 3);
    CHECK(first.check().clean());
}

TEST_CASE("one process has one transaction, however many handles it has") {
    machine on;
    auto const place = on.start_process();
    database first(place, with_clock(on));
    database second(place, with_clock(on));
    {
        auto const txn = first.write();
        CHECK(kind_of([&] { static_cast<void>(second.write()); }) == errc::would_deadlock);
        CHECK(kind_of([&] { static_cast<void>(first.try_write()); }) == errc::would_deadlock);
    }
    put(second, "a");
    CHECK(first.get("a") == "value");
}

TEST_CASE("the handles of a dead process do nothing, and say so") {
    machine on;
    auto const place = on.start_process();
    database dead(place, with_clock(on));
    put(dead, "a", "1");
    auto const held = dead.read();
    auto txn = dead.write();
    txn.put("b", "2");
    on.kill(place.process());

    CHECK(kind_of([&] { txn.commit(); }) == errc::io_failed);
    txn.rollback();
    CHECK(kind_of([&] { static_cast<void>(dead.write()); }) == errc::io_failed);
    CHECK(kind_of([&] { dead.sync(); }) == errc::io_failed);
    CHECK(kind_of([&] { dead.compact(); }) == errc::io_failed);
    CHECK(kind_of([&] { database(place, with_clock(on)); }) == errc::io_failed);
    CHECK(held.get("a") == "1");

    database living(on.start_process(), with_clock(on));
    put(living, "c", "3");
    CHECK(living.read().size() == 2);
    CHECK(living.check().clean());
}

TEST_CASE("every call of a dead process throws, and changes nothing") {
    machine on;
    auto place = on.start_process();
    auto const file = place.fresh();
    file->write(0, as_bytes("abc"));
    place.replace(*file);
    auto const lock = place.lock();
    CHECK(lock->acquire({}));
    auto const before = on.log().size();
    on.kill(place.process());
    std::array<std::byte, 8> buffer{};
    std::vector<std::function<void()>> const calls{
        [&] { static_cast<void>(file->read(0, buffer)); },
        [&] { file->write(0, buffer); },
        [&] { file->sync(); },
        [&] { file->truncate(0); },
        [&] { static_cast<void>(file->map(1)); },
        [&] { static_cast<void>(place.open(access::read_only)); },
        [&] { static_cast<void>(place.fresh()); },
        [&] { place.replace(*file); },
        [&] { place.sync_name(); },
        [&] { static_cast<void>(place.discard_fresh()); },
        [&] { static_cast<void>(place.remove()); },
        [&] { static_cast<void>(place.lock()); },
        [&] { static_cast<void>(place.reader_lock()); },
        [&] { static_cast<void>(lock->acquire({})); },
        [&] { lock->check_held(); },
        [&] { lock->write_page(0, buffer); },
    };
    for (auto const& each : calls) CHECK(kind_of(each) == errc::io_failed);
    CHECK(on.log().size() == before);
    // A dead process gives back no lock that another one has.
    auto const other = on.start_process().lock();
    CHECK(other->acquire({}));
    lock->release();
    CHECK_NOTHROW(other->check_held());
}

TEST_CASE("the destructors of dead handles are silent") {
    for (bool const power : {false, true}) {
        machine on;
        auto const place = on.start_process();
        std::size_t before = 0;
        {
            database db(place, with_clock(on));
            put(db, "a");
            auto txn = db.write();
            txn.put("b", "2");
            before = on.log().size();
            if (power) {
                on.fail_power_after(0);
                CHECK_THROWS_AS(txn.commit(), coppice::error);
            } else {
                on.kill(place.process());
            }
        }
        CHECK(on.log().size() == before);
        CHECK(on.lock_holder() == 0);
    }
}

TEST_CASE("a handle from before a restart stays dead, and its snapshots go on") {
    machine on;
    database before(on.start_process(), with_clock(on));
    put(before, "a", "1");
    auto const held = before.read();
    auto pick = choices::random(0);
    on.restart(pick);
    database after(on.start_process(), with_clock(on));
    put(after, "a", "2");
    CHECK(kind_of([&] { put(before, "a", "3"); }) == errc::io_failed);
    CHECK(held.get("a") == "1");
    CHECK(after.get("a") == "2");
}

TEST_CASE("names and files are as on a real medium") {
    machine on;
    auto place = on.start_process();
    auto copy = place;
    CHECK(copy.process() == place.process());
    CHECK(kind_of([&] { static_cast<void>(place.open(access::read_write)); }) == errc::not_found);
    CHECK_FALSE(place.discard_fresh());
    auto const first = place.fresh();
    CHECK(place.compare(*first) == standing::missing);
    first->write(3, as_bytes("abc"));
    CHECK(first->size() == 6);
    place.replace(*first);
    CHECK(copy.compare(*first) == standing::same);
    CHECK(copy.open(access::read_only)->identity() == first->identity());

    auto const second = copy.fresh();
    CHECK(second->identity() != first->identity());
    CHECK(place.companion() == second->identity());
    CHECK(place.discard_fresh());
    CHECK_FALSE(place.discard_fresh());
    CHECK_FALSE(place.companion());
    CHECK_THROWS_AS(place.replace(*second), coppice::error);
    auto const third = place.fresh();
    place.replace(*third);
    CHECK(place.compare(*first) == standing::replaced);
    std::array<std::byte, 10> buffer{};
    CHECK(first->read(1, buffer) == 5); // who has it open goes on reading
    CHECK(coppice::as_text(coppice::bytes(buffer).first(5)) == std::string("\0\0abc", 5));
    CHECK(first->read(6, buffer) == 0);
    CHECK(place.remove());
    CHECK_FALSE(place.remove());
    CHECK(place.compare(*third) == standing::missing);
}

TEST_CASE("the lock of compactions is another one and dies with its process too") {
    machine on;
    auto place = on.start_process();
    auto other = on.start_process();
    auto const mine = place.compaction_lock();
    REQUIRE(mine->acquire({}));
    CHECK(on.compacting() == place.process());
    CHECK(on.lock_holder() == 0);
    auto const now = std::chrono::steady_clock::now();
    CHECK_FALSE(other.compaction_lock()->acquire(now));
    CHECK(other.lock()->acquire(now));
    on.kill(place.process());
    CHECK(on.compacting() == 0);
    CHECK(other.compaction_lock()->acquire(now));
}

TEST_CASE("a view shows later writes, and outlives the file") {
    machine on;
    auto place = on.start_process();
    auto file = place.fresh();
    file->write(0, as_bytes("before"));
    auto const view = file->map(6);
    CHECK(view.size_bytes >= 6);
    file->write(6, as_bytes(" after"));
    static_cast<void>(place.discard_fresh());
    file.reset();
    auto const text = coppice::as_text({view.data.get(), 12});
    CHECK(text == "before after");
}

TEST_CASE("the lock is of a process, has a page, and can be poisoned") {
    machine on;
    auto one = on.start_process();
    auto const first = one.lock();
    auto const same = one.lock();
    auto const other = on.start_process().lock();
    CHECK(kind_of([&] { first->check_held(); }) == errc::lock_lost);
    CHECK(kind_of([&] { first->write_page(0, as_bytes("12345678")); }) == errc::lock_lost);
    CHECK(first->acquire({}));
    CHECK_NOTHROW(same->check_held());
    first->write_page(8, as_bytes("12345678"));
    CHECK(coppice::as_text({other->page() + 8, 8}) == "12345678");
    CHECK(reinterpret_cast<std::uintptr_t>(first->page()) % 8 == 0);
    CHECK_FALSE(other->acquire(std::chrono::steady_clock::now()));
    other->release(); // it is not its own
    CHECK_NOTHROW(first->check_held());
    same->release();
    CHECK(other->acquire({}));
    first->poison();
    CHECK(same->poison_count() == 1);
    CHECK(other->poison_count() == 0);
    CHECK(first->identity().pid != other->identity().pid);
    CHECK(first->identity().boot_id == other->identity().boot_id);
}

TEST_CASE("random numbers are of the seed of the machine") {
    auto const numbers = [](std::uint64_t seed) {
        machine on(seed);
        auto place = on.start_process();
        return std::pair{place.random(), place.random()};
    };
    CHECK(numbers(1) == numbers(1));
    CHECK(numbers(1) != numbers(2));
    CHECK(numbers(1).first != numbers(1).second);
}
