// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/store.hpp>

#include <faulty_medium.hpp>
#include <kind_of.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <atomic>
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

} // namespace

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
    CHECK(reader.durable().commit_id == writer.read().id().value);
}

TEST_CASE("the durable slot is the one that the mark names") {
    storage::memory_medium const medium;
    memory_store reader(medium, proving::tiny());
    memory_database writer(medium, proving::tiny());
    auto const synced = put(writer, "a", durability::sync);
    put(writer, "b", durability::lazy);
    auto const lazy = put(writer, "c", durability::lazy);
    CHECK(reader.durable().commit_id == synced.value);
    CHECK(id_of(reader.current()) == lazy.value);
    writer.sync();
    CHECK(reader.durable().commit_id == lazy.value);
}

TEST_CASE("the unsynced limit has a limit of its own") {
    storage::memory_medium const medium;
    memory_store const held(medium, {.unsynced_limit_bytes = ~std::uint64_t{0}});
    CHECK(held.chosen().unsynced_limit_bytes == std::uint64_t{1} << 30U);
}
