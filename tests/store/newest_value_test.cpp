// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/newest_value.hpp>

#include <coppice/database.hpp>

#include <child_process.hpp>
#include <test_database.hpp>
#include <workbench.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <unistd.h>

using namespace coppice;
using namespace std::chrono_literals;

namespace {

options without_thread() {
    auto chosen = proving::tiny();
    chosen.flush.interval = 0ms;
    return chosen;
}

template <typename Database> void defer(Database& db, std::string const& key, std::string value) {
    db.update([&](auto& txn) { txn.put(key, value); }, durability::deferred);
}

} // namespace

TEMPLATE_TEST_CASE("a get finds a key where a snapshot would, in the file, in memory, nowhere", "",
                   proving::in_file, proving::in_memory) {
    proving::test_database<TestType> on(without_thread());
    auto& db = *on;
    std::string const large(100'000, 'x');
    CHECK_FALSE(db.get("a"));
    db.update([&](auto& txn) {
        txn.put("a", "file");
        txn.put("b", "file");
        txn.put("large in the file", large);
    });
    CHECK(db.get("a") == "file");
    CHECK(db.get("large in the file") == large);
    defer(db, "a", "memory");
    defer(db, "large", large);
    defer(db, "empty", "");
    CHECK(db.get("a") == "memory");
    CHECK(db.get("b") == "file");
    CHECK(db.get("large") == large);
    CHECK(db.get("large in the file") == large);
    CHECK(db.get("empty") == "");
    CHECK_FALSE(db.get("c"));
    CHECK(db.stats().deferred_commits == 3);
    db.flush();
    CHECK(db.get("a") == "memory");
    CHECK(db.get("large") == large);
}

TEST_CASE("what was erased is not found in the state below") {
    memory_database db(without_thread());
    db.update([](auto& txn) { txn.put("a", "1"); });
    defer(db, "b", "1");
    db.update([](auto& txn) { txn.erase("a"); }, durability::deferred);
    CHECK_FALSE(db.get("a"));
    defer(db, "c", "1");
    CHECK_FALSE(db.get("a"));
    CHECK(db.get("b") == "1");
}

TEMPLATE_TEST_CASE("a visitor sees the value in place, and what it returns or throws is passed on",
                   "", proving::in_file, proving::in_memory) {
    proving::test_database<TestType> on(without_thread());
    auto& db = *on;
    defer(db, "a", "value");
    using view = std::optional<std::string_view>;
    auto const length = [](view value) { return value ? value->size() : std::size_t{99}; };
    for (int i = 0; i < 2; ++i) {
        CHECK(db.get("a", length) == 5);
        CHECK(db.get("b", length) == 99);
        std::string seen;
        auto& same = db.get("a", [&](view value) -> std::string& { return seen = *value; });
        CHECK(&same == &seen);
        CHECK(seen == "value");
        CHECK_THROWS_AS(db.get("a", [](view) { throw std::runtime_error("no"); }),
                        std::runtime_error);
        // What it looks at stays, whatever it does with the database.
        db.get("a", [&](view value) {
            for (int n = 0; n < 100; ++n) defer(db, "other", std::string(1000, 'o'));
            db.flush();
            CHECK(*value == "value");
        });
        CHECK(db.get("a", length) == 5);
    }
}

TEST_CASE("keys that are looked for often are found in a tree, which others read as well") {
    memory_database db(without_thread());
    for (int i = 0; i < 20; ++i) defer(db, std::to_string(i), std::to_string(i));
    for (int i = 0; i < 2000; ++i) CHECK(db.get(std::to_string(i % 20)) == std::to_string(i % 20));
    defer(db, "3", "again");
    CHECK(db.get("3") == "again");
    CHECK(db.read().size() == 20);
}

namespace {

/// A store on which a commit of "a" is postponed.
template <typename Medium> auto store_with_postponed(Medium const& medium) {
    auto owner = std::make_shared<store::store<Medium>>(medium, without_thread());
    auto session = store::writer<Medium>::acquire(owner, {});
    auto const memory = session->memory();
    tree::edit_map edits;
    edits.put(memory->copy("a"), {memory->copy("1"), false});
    static_cast<void>(session->postpone(edits, false));
    return owner;
}

} // namespace

TEST_CASE("a get makes no tree of what is postponed") {
    using memory = storage::memory_medium;
    auto const owner = store_with_postponed(memory());
    CHECK(store::visit_newest(*owner, "a", store::copy_of) == "1");
    CHECK_FALSE(store::visit_newest(*owner, "b", store::copy_of));
    CHECK(owner->postponed().any());
    CHECK(owner->current()->user().root.entries == 1);
    CHECK_FALSE(owner->postponed().any());
    CHECK(store::visit_newest(*owner, "a", store::copy_of) == "1");
    store::writer<memory>::close(owner);
}

// The thread that makes a tree of what is postponed is not there in a fork, and its mutex is never
// let go of: the fork reads the state below.
TEST_CASE("in a fork nobody is waited for") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    auto const owner = store_with_postponed(storage::file_medium(here / "db", false, true));
    auto const in_fork = [&](store::revision_ptr const&) {
        workbench::child own([&](workbench::reporter const& to) {
            ::alarm(20);
            to.tell(1, store::visit_newest(*owner, "a", store::copy_of) ? 1 : 0);
            to.tell(1, owner->current()->user().root.entries);
        });
        auto const told = own.all_reports();
        CHECK(told.size() == 2);
        for (auto const& each : told) CHECK(each.number == 0);
        CHECK(own.wait() == 0);
    };
    owner->postponed().look(in_fork, true);
    store::writer<storage::file_medium>::close(owner);
}
