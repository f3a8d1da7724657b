// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/slot_keeper.hpp>

#include <faulty_medium.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

using namespace coppice;

namespace {

using keeper = store::slot_keeper<faulty::storage, storage::memory_lock>;

/// A fresh database, as a writer finds it under its lock.
struct slot_bench {
    slot_bench() {
        { basic_database<faulty::medium> const made(medium, proving::tiny()); }
        file = store::recognise(medium.open(storage::access::read_write), verify::first_touch, "");
        auto const found = look();
        auto const plan = store::plan_takeover(found, {}, {}, false);
        slots = keeper(file, lock, found, plan, {});
        lock->write_page(0, std::array<std::byte, format::live_page_bytes>{});
        medium.told().begin_anew();
    }
    [[nodiscard]] store::recovered look() const {
        return store::recover(*file.storage, file.header(), false, "");
    }
    [[nodiscard]] format::superblock next() const {
        auto slot = slots.next_slot();
        ++slot.commit_id;
        return slot;
    }
    void sync() {
        std::mutex mutex;
        std::unique_lock guard(mutex);
        slots.sync(guard);
        CHECK(guard.owns_lock());
    }

    faulty::medium medium;
    std::shared_ptr<storage::memory_lock> lock = medium.lock();
    store::opened_file<faulty::storage> file;
    keeper slots;
};

} // namespace

TEST_CASE("a slot is never written over the last durable one, whatever the order of steps") {
    slot_bench on;
    auto& told = on.medium.told();
    workbench::dice dice(7);
    // The rule J2, beside a model of its own: where the last slot is whose sync returned.
    std::optional<std::uint64_t> durable = format::slot_offset(0);
    std::uint64_t written = *durable;
    for (int i = 0; i < 400; ++i) {
        if (dice.below(3) == 0) {
            on.sync();
            durable = written;
            CHECK(on.slots.all_durable());
            CHECK(on.slots.durable() == on.slots.newest());
            continue;
        }
        auto const slot = on.next();
        on.slots.write_slot(slot);
        written = told.log.back().offset;
        CHECK(written != durable);
        CHECK(told.log.back().size_bytes == format::superblock_bytes);
        CHECK(on.slots.newest().counter == slot.counter);
        CHECK(on.slots.last_counter() == slot.counter);
        CHECK(on.slots.last_id() == slot.commit_id);
        CHECK(format::slot_offset(on.slots.newest_index()) == written);
        CHECK_FALSE(on.slots.all_durable());
    }
    CHECK(store::read_slots(*on.file.storage, on.file.header()) == on.slots.slots());
}

TEST_CASE("the mark is stored after the sync that it speaks of, and names that slot") {
    slot_bench on;
    on.slots.write_slot(on.next());
    CHECK_FALSE(format::load_live_page(on.lock->page()).has_value());
    on.sync();
    auto const page = format::load_live_page(on.lock->page());
    REQUIRE(page.has_value());
    CHECK(page->mark_counter == on.slots.newest().counter);
    CHECK(page->mark_checksum == on.slots.newest().checksum);
    CHECK(page->mark_checksum != 0);
    CHECK(page->busy);
    CHECK(page->uuid == on.file.header().uuid);
    CHECK(page->inode == on.file.storage->identity().inode);
    on.slots.write_page(false);
    CHECK_FALSE(format::load_live_page(on.lock->page())->busy);
    CHECK_FALSE(on.slots.busy());
}

TEST_CASE("a failed sync marks nothing, and the slot before it stays the durable one") {
    slot_bench on;
    auto const before = on.slots.durable();
    on.slots.write_slot(on.next());
    on.medium.told().fail_after(faulty::call::sync, 0);
    CHECK_THROWS_AS(on.sync(), error);
    CHECK(on.slots.durable() == before);
    CHECK_FALSE(on.slots.all_durable());
    CHECK_FALSE(format::load_live_page(on.lock->page()).has_value());
}

TEST_CASE("what readers may see is told with the page") {
    slot_bench on;
    on.slots.set_visible({77, format::file_tag_of(on.file.header())});
    on.slots.write_page(false);
    CHECK(format::load_visible(on.lock->page()).commit_id == 77);
    CHECK_FALSE(on.slots.name_synced());
    on.slots.set_name_synced();
    on.slots.write_page(false);
    CHECK(format::load_live_page(on.lock->page())->name_synced);
}

TEST_CASE("counters go on over a move to a fresh file, whose slot 0 is durable") {
    slot_bench on;
    for (int i = 0; i < 5; ++i) on.slots.write_slot(on.next());
    auto const counter = on.slots.last_counter();
    faulty::medium other;
    { basic_database<faulty::medium> const made(other, proving::tiny()); }
    auto const fresh =
        store::recognise(other.open(storage::access::read_write), verify::first_touch, "");
    auto slot = store::recover(*fresh.storage, fresh.header(), false, "").slot();
    slot.counter = counter + 1;
    on.slots.move_to(fresh, slot);
    CHECK(on.slots.all_durable());
    CHECK(on.slots.newest_index() == 0);
    CHECK(on.slots.last_counter() == counter + 1);
    other.told().begin_anew();
    on.slots.write_slot(on.next());
    REQUIRE(other.told().log.size() == 1);
    CHECK(other.told().log[0].offset == format::slot_offset(1));
    on.slots.forget({false, true});
    CHECK(on.slots.slots().slots[1].state == format::slot_state::empty);
}

TEST_CASE("an end that has moved keeps the page busy until something in it tells of the slot") {
    slot_bench on;
    auto const busy = [&] { return format::load_live_page(on.lock->page())->busy; };
    auto const move = [&] {
        auto const end_offset = on.file.storage->size();
        on.file.storage->write(end_offset, std::vector<std::byte>(64));
        on.slots.write_page(false);
        CHECK_FALSE(busy());
        on.slots.move_end(end_offset + 64);
        CHECK(on.slots.newest().end_offset == end_offset + 64);
        CHECK(busy());
        on.slots.write_page(false);
        CHECK(busy());
    };
    move();
    on.sync(); // the mark tells
    on.slots.write_page(false);
    CHECK_FALSE(busy());
    move();
    on.slots.write_slot(on.next()); // a commit tells
    on.slots.write_page(false);
    CHECK_FALSE(busy());
}
