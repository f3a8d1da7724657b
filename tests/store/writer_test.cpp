// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/writer.hpp>

#include <faulty_medium.hpp>
#include <kind_of.hpp>
#include <test_database.hpp>
#include <workbench.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace coppice;
using faulty::call;
using proving::content;
using proving::noise;
using support::kind_of;

namespace {

using faulty_database = basic_database<faulty::medium>;

/// A database whose calls are counted, with the first take-over behind it.
struct writer_bench {
    explicit writer_bench(options with = proving::tiny()) : chosen(std::move(with)) {
        db.emplace(medium, chosen);
        put("first", "1");
        medium.told().begin_anew();
    }
    commit_id put(std::string const& key, std::string_view value,
                  std::optional<durability> how = {}) {
        return db->update([&](auto& txn) { txn.put(key, value); }, how);
    }
    [[nodiscard]] std::uint64_t syncs() const { return medium.told().count(call::sync); }
    [[nodiscard]] std::uint64_t syncs_of(std::function<void()> const& work) const {
        medium.told().begin_anew();
        work();
        return syncs();
    }
    void reopen() {
        db.reset();
        db.emplace(medium, chosen);
    }

    options chosen;
    faulty::medium medium;
    std::optional<faulty_database> db;
};

} // namespace

TEST_CASE("a commit takes exactly the syncs that its durability promises") {
    writer_bench on;
    for (int i = 0; i < 5; ++i) {
        CHECK(on.syncs_of([&] { on.put("a", noise(20)); }) == 1);
        CHECK(on.syncs_of([&] { on.put("b", noise(90), durability::lazy); }) == 0);
        CHECK(on.syncs_of([&] { on.put("c", noise(90), durability::two_sync); }) == 2);
        CHECK(on.syncs_of([&] { on.put("d", noise(9), durability::sync); }) == 1);
    }
    auto const& told = on.medium.told();
    CHECK(told.count(call::sync_name) == 0);
    CHECK(on.syncs_of([&] { on.db->update([](auto&) {}); }) == 0);
    on.put("e", "5", durability::lazy);
    CHECK(on.syncs_of([&] { on.db->update([](auto&) {}, durability::lazy); }) == 0);
    CHECK(on.syncs_of([&] { on.db->update([](auto&) {}); }) == 1);
    on.put("e", "6", durability::lazy);
    CHECK(on.syncs_of([&] { on.db->sync(); }) == 1);
    CHECK(on.syncs_of([&] { on.db->sync(); }) == 0);
    CHECK(on.db->stats().unsynced_bytes == 0);
}

TEST_CASE("a small commit is two writes: its bytes in one, and the slot") {
    writer_bench on;
    on.put("a", noise(200));
    auto const& log = on.medium.told().log;
    REQUIRE(on.medium.told().count(call::write) == 2);
    std::vector<faulty::entry> calls;
    for (auto const& each : log) {
        if (each.what == call::write || each.what == call::sync) calls.push_back(each);
    }
    REQUIRE(calls.size() == 3);
    CHECK(calls[0].offset >= 12288);
    CHECK(calls[0].offset + calls[0].size_bytes == on.db->stats().valid_bytes);
    CHECK((calls[1].offset == 4096 || calls[1].offset == 8192));
    CHECK(calls[1].size_bytes == format::superblock_bytes);
    CHECK(calls[2].what == call::sync);
}

TEST_CASE("a large commit, a bulk load and a stream use two syncs, so that opening sums nothing") {
    auto chosen = proving::tiny();
    chosen.two_sync_above_bytes = 5000;
    writer_bench on(chosen);
    CHECK(on.syncs_of([&] { on.put("small", noise(3000)); }) == 1);
    CHECK(on.syncs_of([&] { on.put("large", noise(6000)); }) == 2);
    CHECK(on.syncs_of([&] { on.put("large and lazy", noise(6000), durability::lazy); }) == 0);
    auto const entries = proving::numbered_entries(10);
    CHECK(on.syncs_of([&] { on.db->update([&](auto& txn) { txn.load(entries); }); }) == 2);
    CHECK(on.syncs_of([&] {
        on.db->update([&](auto& txn) {
            auto stream = txn.put_stream("s", 4);
            stream.write("four");
            stream.finish();
        });
    }) == 2);
    auto const storage = on.medium.open(storage::access::read_only);
    auto const file = store::recognise(storage, verify::first_touch, "");
    auto const slots = store::read_slots(*storage, file.header());
    auto const& newest = slots.slots[*slots.newest()].slot;
    CHECK(newest.verify_from == newest.end_offset);
}

TEST_CASE("lazy commits are synced as soon as more than the limit is not") {
    auto chosen = proving::tiny();
    chosen.unsynced_limit_bytes = 20'000;
    writer_bench on(chosen);
    std::uint64_t most = 0;
    for (int i = 0; i < 100; ++i) {
        on.put("a", noise(1000), durability::lazy);
        most = std::max(most, on.db->stats().unsynced_bytes);
    }
    CHECK(on.syncs() >= 5);
    CHECK(on.syncs() <= 12);
    CHECK(most <= 20'000 + 2'000);
    CHECK(most > 10'000);
}

TEST_CASE("padded commits begin at a block of their own") {
    auto chosen = proving::tiny();
    chosen.pad_commits = true;
    writer_bench on(chosen);
    for (int i = 0; i < 5; ++i) {
        on.put("a", noise(300));
        auto const begin_offset = on.db->read().state()->record().begin_offset;
        CHECK(begin_offset % format::block_bytes == 0);
    }
    on.reopen();
    CHECK(on.db->get("a") == noise(300));
    CHECK(on.db->check().clean());
}

// What a slot of a padded commit says is to be verified begins with a block. Behind the last
// durable commit of a writer that does not pad lay its lazy ones, across that place: the durable
// commit that came next was refused after a power cut, and the one before the lazy ones taken
// instead.
TEST_CASE("who pads commits after lazy ones of a writer that does not is not lost") {
    for (std::size_t const lazy_bytes : {5000U, 100U}) {
        INFO(lazy_bytes);
        options plain;
        plain.preallocate_bytes = 0;
        auto padding = plain;
        padding.pad_commits = true;
        faulty::medium medium;
        {
            faulty_database db(medium, plain);
            db.update([](auto& txn) { txn.put("a", "durable"); });
            db.update([&](auto& txn) { txn.put("b", noise(lazy_bytes)); }, durability::lazy);
        }
        {
            faulty_database db(medium, padding);
            medium.told().begin_anew();
            db.update([](auto& txn) { txn.put("c", "durable"); });
            CHECK(medium.told().count(call::sync) == 2);
            db.update([](auto& txn) { txn.put("d", "durable"); });
            CHECK(medium.told().count(call::sync) == 3); // one that pads finds its own as it should
        }
        // Nobody knows what was written in this boot, so all that counts is what can be verified.
        auto const lock = medium.lock();
        lock->write_page(0, std::array<std::byte, format::live_page_bytes>{});
        faulty_database const again(medium, plain);
        CHECK(again.get("c") == "durable");
        CHECK(again.get("d") == "durable");
        CHECK(again.get("b") == noise(lazy_bytes));
        CHECK(again.check().clean());
    }
}

// Half of a slot that could not be written stood where the slot of a lazy commit had been, which
// had been promised to survive this process.
TEST_CASE("a slot that cannot be written takes nothing from the commit that was there") {
    writer_bench on;
    on.put("a", "durable");
    on.put("b", "lazy", durability::lazy);
    on.medium.told().half_written = true;
    on.medium.told().fail_after(call::write, 1);
    CHECK(kind_of([&] { on.put("c", "lost"); }) == errc::sync_failed);
    on.medium.told().half_written = false;
    on.reopen();
    CHECK(on.db->get("b") == "lazy");
    CHECK_FALSE(on.db->get("c"));
    on.put("d", "written on");
    CHECK(on.db->check().clean());
}

TEST_CASE("small durable commits write zeros ahead, others do not, and closing cuts them off") {
    auto chosen = proving::tiny();
    chosen.preallocate_bytes = 1 << 20;
    writer_bench on(chosen);
    auto const ahead = [&] {
        auto const stats = on.db->stats();
        return stats.file_bytes - stats.valid_bytes;
    };
    CHECK(ahead() > 0);
    auto const before = ahead();
    auto const file_bytes = on.db->stats().file_bytes;
    on.put("a", noise(20));
    CHECK(ahead() < before);
    CHECK(on.db->stats().file_bytes == file_bytes);
    on.put("b", noise(500'000), durability::lazy);
    CHECK(ahead() == 0);
    // What cannot be written ahead is no failure.
    on.medium.told().fail_after(call::write, 0);
    on.put("c", noise(20));
    CHECK(on.medium.told().failures == 1);
    CHECK(on.db->get("c") == noise(20));
    on.put("d", noise(70'000));
    CHECK(ahead() > 0);
    auto const valid = on.db->stats().valid_bytes;
    on.reopen();
    CHECK(on.db->stats().file_bytes == valid);
}

// ---- failures --------------------------------------------------------------------------------

namespace {

content const before_failure{{"a", noise(50, 1)}, {"first", "1"}};

/// Tries a commit of several kinds while one call fails. @return did the call fail?
bool try_commit(call what, std::uint64_t n, durability how, bool half, bool spilled) {
    writer_bench on;
    on.put("a", before_failure.at("a"));
    on.medium.told().half_written = half;
    on.medium.told().for_ever = half;
    on.medium.told().fail_after(what, n);
    auto const entries = spilled ? proving::numbered_entries(20) : content();
    auto after = before_failure;
    after.insert(entries.begin(), entries.end());
    after["b"] = noise(70, 2);
    {
        auto txn = on.db->write();
        auto const kind = kind_of([&] {
            if (spilled) txn.load(entries);
            txn.put("b", noise(70, 2));
            txn.commit(how);
        });
        if (on.medium.told().failures == 0) return false;
        CHECK(on.db->read().id() == commit_id{3});
        proving::must_hold(on.db->read(), before_failure);
        if (kind == errc::io_failed) {
            // Nothing happened, and the same transaction goes on.
            CHECK(txn.is_open());
            on.medium.told().begin_anew();
            if (spilled) txn.load(entries);
            txn.put("b", noise(70, 2));
            txn.commit(how);
            proving::must_hold(on.db->read(), after);
        } else {
            CHECK(kind == errc::sync_failed);
            CHECK_FALSE(txn.is_open());
            CHECK(kind_of([&] { static_cast<void>(on.db->write()); }) == errc::sync_failed);
            CHECK(kind_of([&] { on.db->sync(); }) == errc::sync_failed);
            CHECK(kind_of([&] { on.db->compact(); }) == errc::sync_failed);
        }
    }
    on.medium.told().begin_anew();
    on.reopen();
    proving::must_hold(on.db->read(), on.db->read().id() == commit_id{3} ? before_failure : after);
    CHECK(on.db->check().clean());
    on.put("goes on", "yes");
    on.reopen();
    CHECK(on.db->get("goes on") == "yes");
    CHECK(on.db->check().clean());
    return true;
}

} // namespace

TEST_CASE("whatever call of a commit fails: nothing happened, or the outcome is called unknown") {
    std::size_t tried = 0;
    for (auto const what : {call::write, call::sync, call::sync_name}) {
        for (auto const how : {durability::sync, durability::lazy, durability::two_sync}) {
            for (unsigned variant = 0; variant < 4; ++variant) {
                std::uint64_t n = 0;
                INFO(faulty::name_of(what) << ", durability " << static_cast<int>(how)
                                           << ", variant " << variant << ", number " << n);
                while (try_commit(what, n, how, (variant & 1U) != 0, (variant & 2U) != 0)) ++n;
                tried += n;
            }
        }
    }
    CHECK(tried > 45);
}

TEST_CASE("a leftover that cannot be removed fails a commit, which then changed nothing") {
    faulty::medium medium;
    basic_database<faulty::medium> db(medium, proving::tiny());
    static_cast<void>(medium.fresh());
    medium.told().fail_after(call::discard, 0);
    auto const put = [&] { db.update([](auto& txn) { txn.put("k", "v"); }); };
    CHECK(kind_of(put) == errc::io_failed);
    CHECK(medium.told().failures == 1);
    CHECK(db.read().empty());
    put();
    CHECK_FALSE(medium.companion());
    CHECK(db.get("k") == "v");
}

TEST_CASE("a data write that fails is an error of that commit, a slot write ends writing") {
    writer_bench on;
    on.medium.told().fail_after(call::write, 0);
    auto txn = std::optional(on.db->write());
    txn->put("b", noise(70));
    CHECK(kind_of([&] { txn->commit(); }) == errc::io_failed);
    on.medium.told().fail_after(call::write, 1);
    CHECK(kind_of([&] { txn->commit(); }) == errc::sync_failed);
    txn.reset();
    // Another handle that was open at the time refuses as well, one that is opened now does not.
    CHECK(kind_of([&] { static_cast<void>(on.db->write()); }) == errc::sync_failed);
    CHECK(on.db->get("first") == "1");
    faulty_database fresh(on.medium, on.chosen);
    fresh.update([](auto& other) { other.put("c", "3"); });
    CHECK(fresh.get("c") == "3");
    CHECK(on.db->get("c") == "3");
    CHECK(kind_of([&] { static_cast<void>(on.db->write()); }) == errc::sync_failed);
}

TEST_CASE("another writer under this one's lock is found before anything is overwritten") {
    writer_bench on;
    auto txn = std::optional(on.db->write());
    txn->put("mine", "1");
    // Someone who does not keep to the lock writes a slot.
    auto const storage = on.medium.open(storage::access::read_write);
    auto const file = store::recognise(storage, verify::first_touch, "");
    auto slots = store::read_slots(*storage, file.header());
    auto const newest = *slots.newest();
    auto slot = slots.slots[newest].slot;
    slot.counter += 5;
    storage->write(format::slot_offset(1 - newest), format::encode(slot));
    auto const before = proving::bytes_of(*storage);
    CHECK(kind_of([&] { txn->commit(); }) == errc::lock_lost);
    CHECK(proving::bytes_of(*storage) == before);
}

// A fuzzer forged a record with index 2^64 - 1, and the next commit ran into an assertion: index
// and commit id wrapped around to 0. Numbers are bounded since; one below the last is still used.
TEST_CASE("numbers that are used up are said to be, and nothing is written") {
    writer_bench on;
    auto const storage = on.medium.open(storage::access::read_write);
    auto const file = store::recognise(storage, verify::first_touch, "");
    auto slots = store::read_slots(*storage, file.header());
    auto const newest = *slots.newest();
    auto slot = slots.slots[newest].slot;
    slot.counter = format::max_counter - 1;
    storage->write(format::slot_offset(newest), format::encode(slot));
    on.reopen(); // a handle that has the file open takes it for a writer without the lock
    on.put("second", "2");
    CHECK(kind_of([&] { static_cast<void>(on.db->write()); }) == errc::corrupt);
    CHECK(on.db->get("first") == "1");
    CHECK(on.db->get("second") == "2");
}

TEST_CASE("a record's time is above that of the one before it, and its skip goes where it must") {
    auto chosen = proving::tiny();
    auto now = std::chrono::system_clock::time_point(std::chrono::seconds(1000));
    chosen.clock = [&] { return now; };
    writer_bench on(chosen);
    for (int i = 0; i < 40; ++i) {
        now -= std::chrono::seconds(1);
        on.put("a", noise(10), durability::lazy);
    }
    auto state = on.db->read().state();
    std::vector<store::revision_ptr> states;
    for (; state; state = store::previous_state(*state)) states.push_back(state);
    std::reverse(states.begin(), states.end());
    REQUIRE(states.size() == 42);
    for (std::size_t i = 1; i < states.size(); ++i) {
        auto const& record = states[i]->record();
        CHECK(record.index == i);
        CHECK(record.time_us > states[i - 1]->record().time_us);
        CHECK(record.previous == states[i - 1]->at());
        CHECK(record.skip == states[static_cast<std::size_t>(format::skip_target(i))]->at());
    }
}

TEST_CASE("a copy that was put in the place of the file is what is written on") {
    workbench::folder const here;
    auto const path = here / "a.db";
    database db(path, proving::tiny());
    db.update([](auto& txn) { txn.put("a", "1"); });
    auto const held = db.read();
    // The same commit at the same place, in another file.
    std::filesystem::copy_file(path, here / "copy");
    std::filesystem::rename(here / "copy", path);
    db.update([](auto& txn) { txn.put("b", "2"); });
    CHECK(db.get("a") == "1");
    CHECK(db.get("b") == "2");
    CHECK(held.get("a") == "1");
    CHECK_FALSE(held.contains("b"));
    database const fresh(path, proving::tiny());
    CHECK(fresh.get("b") == "2");
    CHECK(fresh.check().clean());
}

TEST_CASE("a writer that does not know what became of its commit cuts nothing off") {
    writer_bench on{options{}};
    on.put("a", "1");
    auto const state = on.db->read().state();
    auto const store = std::make_shared<store::store<faulty::medium>>(on.medium, on.chosen);
    auto const session = store::writer<faulty::medium>::acquire(store, {});
    auto& within = session->within();
    auto const size = within.file().storage->size();
    REQUIRE(size > state->limit_offset()); // zeros were written ahead
    on.medium.told().fail_after(call::sync, 0);
    CHECK(kind_of([&] {
              session->commit({state->user(), {}}, durability::sync, {}).settle();
          }) == errc::sync_failed);
    within.trim();
    CHECK(within.file().storage->size() == size);
    CHECK(on.medium.told().count(call::truncate) == 0);
}
