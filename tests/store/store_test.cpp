// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/store.hpp>

#include <coppice/store/durable.hpp>

#include <faulty_medium.hpp>
#include <kind_of.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace coppice;
using proving::in_file;
using proving::in_memory;
using proving::test_database;
using support::kind_of;

namespace {

using memory_store = store::store<storage::memory_medium>;

std::uint64_t id_of(store::revision_ptr const& state) { return state->record().commit_id; }

template <typename Database> commit_id put(Database& db, std::string const& key, durability how) {
    return db.update([&](auto& txn) { txn.put(key, key); }, how);
}

/// A lock in memory whose page is another file's from one look on, as when another process ends a
/// compaction just then.
class turning_lock : public storage::memory_lock {
  public:
    [[nodiscard]] std::byte const* page() const noexcept {
        return looks_before_it-- > 0 ? memory_lock::page() : of_another_file_.data();
    }
    mutable int looks_before_it = 1'000'000;

  private:
    // Its words are read as atomic ones.
    alignas(8) std::array<std::byte, storage::live_page_size_bytes> of_another_file_{};
};

class turning_medium : public storage::memory_medium {
  public:
    using lock_type = turning_lock;
    [[nodiscard]] std::shared_ptr<turning_lock> lock() const { return lock_; }
    [[nodiscard]] std::shared_ptr<turning_lock> reader_lock() const { return lock_; }
    [[nodiscard]] std::shared_ptr<turning_lock> compaction_lock() const { return second_; }

  private:
    std::shared_ptr<turning_lock> lock_ = std::make_shared<turning_lock>();
    std::shared_ptr<turning_lock> second_ = std::make_shared<turning_lock>();
};

} // namespace

TEST_CASE("opening shows a state, whenever the live page becomes that of another file") {
    // The page was asked for twice: believed at first, and therefore nothing was recovered; not
    // believed then, and therefore nothing was loaded. The handle had no state at all, and the
    // first read ended the process. Some thousand random kills beside a compactor found it.
    turning_medium medium;
    {
        basic_database<turning_medium> db(medium);
        db.update([](auto& txn) { txn.put("k", "v"); });
    }
    int looks = 0;
    for (bool turned = true; turned; ++looks) {
        INFO("look " << looks);
        medium.lock()->looks_before_it = looks;
        basic_database<turning_medium> const db(medium);
        turned = medium.lock()->looks_before_it <= 0;
        CHECK(db.get("k") == "v");
    }
    CHECK(looks > 4);
}

TEST_CASE("opening makes nothing where it is told not to, and leaves nothing when it fails") {
    faulty::medium medium;
    using store_type = store::store<faulty::medium>;
    CHECK(kind_of([&] { store_type const tried(medium, {.create = create::never}); }) ==
          errc::not_found);
    for (auto const what :
         {faulty::call::fresh, faulty::call::write, faulty::call::sync, faulty::call::rename}) {
        medium.told().fail_after(what, 0);
        CHECK(kind_of([&] { store_type const tried(medium, {}); }) == errc::io_failed);
        CHECK(kind_of([&] { static_cast<void>(medium.open(storage::access::read_only)); }) ==
              errc::not_found);
        CHECK_FALSE(medium.discard_fresh());
    }
    medium.told().begin_anew();
    store_type made(medium, {});
    CHECK(id_of(made.current()) == 1);
    CHECK(made.current()->user().root.entries == 0);
    // What is made is synced before it gets its name, and the name after that.
    std::vector<faulty::call> order;
    for (auto const& each : medium.told().log) {
        if (each.what != faulty::call::write) order.push_back(each.what);
    }
    CHECK(order == std::vector<faulty::call>{faulty::call::fresh, faulty::call::sync,
                                             faulty::call::rename, faulty::call::sync_name});
    CHECK(kind_of([&] { store_type const tried(medium, {.create = create::must}); }) ==
          errc::already_exists);
}

TEST_CASE("whichever operation of making a database fails, it is whole or not there") {
    using faulty::call;
    using database_type = basic_database<faulty::medium>;
    unsigned cases = 0;
    auto const make_failing = [&](call what, std::uint64_t nth, bool for_ever, bool half,
                                  bool over) {
        faulty::medium medium;
        auto chosen = proving::tiny();
        if (over) { // what stood there before has to stay as it was
            database_type old(medium, chosen);
            put(old, "old", durability::sync);
            chosen.create = create::replace;
        }
        auto& told = medium.told();
        told.fail_after(what, nth);
        told.for_ever = for_ever;
        told.half_written = half;
        auto const kind = kind_of([&] { database_type const tried(medium, chosen); });
        if (told.failures == 0) return false;
        ++cases;
        CAPTURE(faulty::name_of(what), nth, for_ever, half, over);
        CHECK(kind == errc::io_failed);
        told.begin_anew();
        told.for_ever = false;
        CHECK_FALSE(medium.discard_fresh());
        // A sync of the name can fail only when the whole file stands there already. To take it
        // away again would be wrong: others may have it open by now, and over an old database
        // nothing at all would be left. What is promised of a name is promised by the first
        // commit, and that syncs it again (R8).
        bool const named = what == call::sync_name;
        auto const seen_anew = kind_of([&] {
            database_type const reader(medium, {.create = create::never, .read_only = true});
            CHECK(reader.get("old").has_value() == (over && !named));
            CHECK(reader.check().clean());
        });
        CHECK(seen_anew == (named || over ? std::nullopt : std::optional(errc::not_found)));
        told.begin_anew();
        database_type again(medium, chosen);
        CHECK(again.read().empty());
        put(again, "new", durability::sync);
        CHECK(told.count(call::sync_name) >= 1);
        CHECK(again.get("new") == "new");
        CHECK(again.check().clean());
        return true;
    };
    std::array<unsigned, faulty::kinds_of_calls> failed{};
    for (std::size_t i = 0; i < faulty::kinds_of_calls; ++i) {
        auto const what = static_cast<call>(i);
        for (unsigned variant = 0; variant < 8; ++variant) {
            bool const half = (variant & 4U) != 0;
            if (half && what != call::write) continue;
            for (std::uint64_t nth = 0;
                 make_failing(what, nth, (variant & 1U) != 0, half, (variant & 2U) != 0); ++nth) {
                ++failed[i];
            }
        }
    }
    // No cut and no cleaning up belong to making; all else does.
    for (auto const what : {call::write, call::sync, call::fresh, call::rename, call::sync_name}) {
        CHECK(failed[static_cast<std::size_t>(what)] >= 4);
    }
    std::printf("%u failures of making a database\n", cases);
}

TEST_CASE("a fresh file that cannot be removed either is in nobody's way") {
    using database_type = basic_database<faulty::medium>;
    faulty::medium medium;
    medium.told().fail_after(faulty::call::sync, 0);
    medium.told().for_ever = true;
    // The plan fails one kind of call; the file that stays is put there by hand.
    CHECK(kind_of([&] { database_type const tried(medium, {}); }) == errc::io_failed);
    medium.told().begin_anew();
    medium.told().for_ever = false;
    medium.fresh()->write(0, as_bytes("half of a database"));
    database_type made(medium, proving::tiny());
    put(made, "a", durability::sync);
    CHECK(made.get("a") == "a");
    CHECK_FALSE(medium.discard_fresh());
}

TEST_CASE("a failed open leaves nothing behind, not even a lock file") {
    // The lock file was once made before the database was looked at, so that a mistyped path left
    // an empty `.lock` beside nothing.
    workbench::folder const dir;
    std::filesystem::create_directory(dir / "folder");
    CHECK(kind_of([&] { database const tried(dir / "none.db", {.create = create::never}); }) ==
          errc::not_found);
    CHECK(kind_of([&] { database const tried(dir / "folder", {}); }) == errc::unusable_path);
    CHECK_FALSE(std::filesystem::exists(dir / "none.db.lock"));
    CHECK_FALSE(std::filesystem::exists(dir / "folder.lock"));
}

TEST_CASE("the page says what is visible, and what was shown once stays visible") {
    storage::memory_medium const medium;
    memory_database db(medium, proving::tiny());
    auto const first = put(db, "a", durability::sync);
    put(db, "b", durability::sync);
    // A writer that was killed between its slot and its sync leaves this page behind.
    std::array<std::byte, 8> word{};
    format::store(word.data(), first.value);
    storage::memory_medium(medium).lock()->write_page(format::visible_offset, word);
    memory_database const other(medium, proving::tiny());
    CHECK(other.read().id() == first);
    CHECK(other.read_latest().size() == 2);
    CHECK(other.read().size() == 2);
}

TEMPLATE_TEST_CASE("opening and reading write nothing", "", in_file, in_memory) {
    test_database<TestType> on;
    put(*on, "a", durability::sync);
    put(*on, "b", durability::lazy);
    auto medium = on.place().medium();
    auto const before = proving::bytes_of(*medium.open(storage::access::read_only));
    {
        auto const other = on.another();
        CHECK(other.read().size() == 2);
        CHECK(other.read_latest().size() == 2);
        CHECK(other.stats().entries == 2);
        CHECK(other.check().clean());
    }
    CHECK(proving::bytes_of(*medium.open(storage::access::read_only)) == before);
}

TEMPLATE_TEST_CASE("every handle sees each commit at once, and none goes back", "", in_file,
                   in_memory) {
    test_database<TestType> on;
    auto other = on.another();
    auto reader = on.another({.read_only = true});
    for (int i = 0; i < 30; ++i) {
        auto& by = i % 2 == 0 ? *on : other;
        auto const id =
            put(by, std::to_string(i), i % 3 == 0 ? durability::sync : durability::lazy);
        CHECK(on->read().id() == id);
        CHECK(other.read().id() == id);
        CHECK(reader.read().id() == id);
        CHECK(reader.read_latest().id() == id);
        if (i % 10 == 9) CHECK(by.compact());
    }
}

TEST_CASE("a commit whose sync has not returned is seen by those who ask for the latest only") {
    faulty::medium medium;
    basic_database<faulty::medium> db(medium, proving::tiny());
    basic_database<faulty::medium> other(medium, proving::tiny());
    put(db, "a", durability::sync);
    medium.told().fail_after(faulty::call::sync, 0);
    CHECK(kind_of([&] { put(db, "b", durability::sync); }) == errc::sync_failed);
    for (auto const* each : {&db, &other}) {
        CHECK(each->read().size() == 1);
        CHECK(each->read_latest().size() == 2);
    }
    // Whoever opens it now sees the same, until a writer has taken over what was left.
    basic_database<faulty::medium> fresh(medium, proving::tiny());
    auto const shown = fresh.read().size();
    CHECK((shown == 1 || shown == 2));
    medium.told().begin_anew();
    put(fresh, "c", durability::sync);
    CHECK(medium.told().count(faulty::call::sync) == 2); // one for what was left, one of its own
    CHECK(fresh.read().size() == 3);
    CHECK(other.read().size() == 3);
}

TEST_CASE("what current gives never goes back in time while others commit") {
    storage::memory_medium const medium;
    memory_store reader(medium, proving::tiny());
    memory_database writer(medium, proving::tiny());
    std::atomic<bool> done{false};
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            std::uint64_t last = 0;
            while (!done) {
                auto const id = id_of(reader.current());
                if (id < last) ++wrong;
                last = id;
            }
        });
    }
    commit_id newest;
    for (int i = 0; i < 300; ++i) {
        newest =
            put(writer, std::to_string(i % 20), i % 5 == 0 ? durability::sync : durability::lazy);
        if (i % 100 == 99) writer.compact();
    }
    done = true;
    for (auto& each : threads) each.join();
    CHECK(wrong == 0);
    CHECK(id_of(reader.current()) == newest.value);
    CHECK(id_of(reader.shown()) == newest.value);
}

TEST_CASE("a reader without a live page finds new commits by their slots") {
    storage::memory_medium medium;
    memory_database writer(medium, proving::tiny());
    memory_store reader(medium, {.read_only = true});
    for (int i = 0; i < 5; ++i) {
        auto const id = put(writer, std::to_string(i), durability::lazy);
        // Any loss of the page is harmless.
        medium.lock()->write_page(0, std::array<std::byte, 144>{});
        CHECK(id_of(reader.current()) == id.value);
        CHECK(id_of(reader.latest()) == id.value);
    }
    CHECK(store::durable_slot(reader).commit_id == writer.read().id().value);
}

TEST_CASE("the durable slot is the one that the mark names") {
    storage::memory_medium const medium;
    memory_store reader(medium, proving::tiny());
    memory_database writer(medium, proving::tiny());
    auto const first = put(writer, "a", durability::sync);
    put(writer, "b", durability::lazy);
    auto const third = put(writer, "c", durability::lazy);
    CHECK(store::durable_slot(reader).commit_id == first.value);
    CHECK(id_of(reader.current()) == third.value);
    writer.sync();
    CHECK(store::durable_slot(reader).commit_id == third.value);
}

TEST_CASE("the unsynced limit has a limit of its own") {
    storage::memory_medium const medium;
    memory_store const held(medium, {.unsynced_limit_bytes = ~std::uint64_t{0}});
    CHECK(held.chosen().unsynced_limit_bytes == std::uint64_t{1} << 30U);
}
