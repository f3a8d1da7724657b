// SPDX-License-Identifier: BSL-1.0
// Every allocation of every call fails, once and from then on: the call throws std::bad_alloc (or
// answers all the same), has changed nothing, leaks no descriptor and no lock, and the same handle
// goes on. A destructor or a noexcept function that needs memory would end the process here.

#include <coppice/database.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>
#include <workbench.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iterator>
#include <limits>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <malloc.h>

// ---- operator new that fails when told to ----------------------------------------------------

namespace {

enum class failing { never, once, from_then_on };

/// What the allocations of this thread are to meet.
struct plan {
    failing how = failing::never;
    std::uint64_t before = 0; ///< how many succeed first
    std::uint64_t seen = 0;
    bool fired = false;
};
thread_local plan current;

bool fails_now() noexcept {
    if (current.how == failing::never) return false;
    auto const index = current.seen++;
    auto const hit =
        current.how == failing::once ? index == current.before : index >= current.before;
    current.fired = current.fired || hit;
    return hit;
}

/// Bytes that this process has and has had at most, as far as they came from here.
std::atomic<std::int64_t> held_bytes{0};
std::atomic<std::int64_t> most_held_bytes{0};

void* count(void* memory) noexcept {
    if (memory == nullptr) return nullptr;
    auto const size_bytes = static_cast<std::int64_t>(::malloc_usable_size(memory));
    auto const now = held_bytes.fetch_add(size_bytes, std::memory_order_relaxed) + size_bytes;
    auto most = most_held_bytes.load(std::memory_order_relaxed);
    while (most < now && !most_held_bytes.compare_exchange_weak(most, now)) continue;
    return memory;
}

/// Lets allocations fail as long as it lives.
class armed {
  public:
    armed(failing how, std::uint64_t before) noexcept { current = {how, before, 0, false}; }
    ~armed() { current.how = failing::never; }
    armed(armed const&) = delete;
    armed& operator=(armed const&) = delete;
};

void* allocate(std::size_t size_bytes) {
    if (!fails_now()) {
        if (auto* const memory = count(std::malloc(size_bytes == 0 ? 1 : size_bytes)))
            return memory;
    }
    throw std::bad_alloc();
}
void* allocate(std::size_t size_bytes, std::align_val_t alignment) {
    auto const unit = static_cast<std::size_t>(alignment);
    if (!fails_now()) {
        auto* const memory = count(std::aligned_alloc(unit, (size_bytes + unit - 1) / unit * unit));
        if (memory != nullptr) return memory;
    }
    throw std::bad_alloc();
}

/// Out of line: inlined, GCC takes it for a mismatch with an operator new that it does not see.
[[gnu::noinline]] void release(void* memory) noexcept {
    if (memory == nullptr) return;
    held_bytes.fetch_sub(static_cast<std::int64_t>(::malloc_usable_size(memory)),
                         std::memory_order_relaxed);
    std::free(memory);
}

} // namespace

void* operator new(std::size_t size_bytes) { return allocate(size_bytes); }
void* operator new[](std::size_t size_bytes) { return allocate(size_bytes); }
void* operator new(std::size_t size_bytes, std::align_val_t alignment) {
    return allocate(size_bytes, alignment);
}
void* operator new[](std::size_t size_bytes, std::align_val_t alignment) {
    return allocate(size_bytes, alignment);
}
void* operator new(std::size_t size_bytes, std::nothrow_t const&) noexcept {
    return fails_now() ? nullptr : count(std::malloc(size_bytes == 0 ? 1 : size_bytes));
}
void* operator new[](std::size_t size_bytes, std::nothrow_t const&) noexcept {
    return fails_now() ? nullptr : count(std::malloc(size_bytes == 0 ? 1 : size_bytes));
}
void operator delete(void* memory) noexcept { release(memory); }
void operator delete[](void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { release(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { release(memory); }
void operator delete(void* memory, std::nothrow_t const&) noexcept { release(memory); }
void operator delete[](void* memory, std::nothrow_t const&) noexcept { release(memory); }

// ---- the calls -------------------------------------------------------------------------------

namespace {

using coppice::durability;
using proving::content;
using proving::noise;
using proving::numbered;

std::size_t open_descriptors() {
    namespace fs = std::filesystem;
    auto const all = fs::directory_iterator("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(fs::begin(all), fs::end(all)));
}

/// With somebody who listens: where there is no memory to tell him, the commit stands all the same.
coppice::options heard() {
    auto chosen = proving::tiny();
    chosen.events.on_commit = [](auto const&) {};
    chosen.events.on_durable = [](auto) {};
    chosen.flush.interval = {};        // else a thread of the handle allocates too
    chosen.transaction_bytes = 20'000; // no small commit goes the way of large ones
    return chosen;
}

/// A call, and what it does to the content where it succeeds.
template <typename Database> struct scenario {
    char const* name;
    std::function<void(Database&)> act;
    std::function<void(content&)> effect = {};
};

template <typename Database> scenario<Database> commit_with(char const* name, durability how) {
    return {name,
            [how](Database& db) {
                auto txn = db.write();
                txn.put("k00000007", "seven");
                txn.put("new", noise(40));
                txn.erase("k00000009");
                txn.commit(how, "a note that is too long for the small string of the library");
            },
            [](content& model) {
                model["k00000007"] = "seven";
                model["new"] = noise(40);
                model.erase("k00000009");
            }};
}

template <typename Database> std::vector<scenario<Database>> changes() {
    return {
        commit_with<Database>("commit", durability::sync),
        commit_with<Database>("lazy commit", durability::lazy),
        commit_with<Database>("commit with two syncs", durability::two_sync),
        commit_with<Database>("deferred commit", durability::deferred),
        {"rollback",
         [](Database& db) {
             auto txn = db.write();
             for (int i = 0; i < 40; ++i) txn.put(numbered("x", static_cast<unsigned>(i)), "x");
             static_cast<void>(txn.view().size());
         }},
        {"savepoints",
         [](Database& db) {
             auto txn = db.write();
             txn.put("a", "1");
             auto const moment = txn.savepoint();
             txn.put("b", noise(100));
             txn.erase_prefix("k0000001");
             txn.rollback_to(moment);
             txn.commit();
         },
         [](content& model) { model["a"] = "1"; }},
        {"ranges and modify",
         [](Database& db) {
             auto txn = db.write();
             txn.erase("k00000020", "k00000040");
             txn.insert("inserted", "i");
             txn.modify("k00000010", [](std::optional<std::string_view>) {
                 return std::optional<std::string>(std::string(200, 'm'));
             });
             txn.commit();
         },
         [](content& model) {
             model.erase(model.lower_bound("k00000020"), model.lower_bound("k00000040"));
             model.insert({"inserted", "i"});
             model["k00000010"] = std::string(200, 'm');
         }},
        {"load",
         [](Database& db) {
             auto txn = db.write();
             std::vector<std::pair<std::string, std::string>> sorted;
             for (unsigned i = 0; i < 60; ++i) sorted.emplace_back(numbered("l", i), noise(i));
             txn.load(sorted);
             txn.commit();
         },
         [](content& model) {
             for (unsigned i = 0; i < 60; ++i) model[numbered("l", i)] = noise(i);
         }},
        {"changes that outgrow their memory",
         [](Database& db) {
             auto txn = db.write();
             for (unsigned i = 0; i < 100; ++i) txn.put(numbered("e", i), noise(i * 7));
             static_cast<void>(txn.view().size());
             for (unsigned i = 0; i < 100; i += 2) txn.erase(numbered("e", i));
             txn.commit();
         },
         [](content& model) {
             for (unsigned i = 1; i < 100; i += 2) model[numbered("e", i)] = noise(i * 7);
         }},
        {"a value in parts",
         [](Database& db) {
             auto txn = db.write();
             auto out = txn.put_stream("stream", 5000);
             for (int i = 0; i < 5; ++i) out.write(noise(1000));
             out.finish();
             txn.commit();
         },
         [](content& model) {
             std::string whole;
             for (int i = 0; i < 5; ++i) whole += noise(1000);
             model["stream"] = whole;
         }},
        {"compaction", [](Database& db) { db.compact(); }},
        {"compaction that drops",
         [](Database& db) {
             coppice::compaction_hooks hooks;
             hooks.keep = [](std::string_view key, std::string_view) { return key < "k00000040"; };
             db.compact(hooks);
         },
         [](content& model) { model.erase(model.lower_bound("k00000040"), model.end()); }},
        {"a tag",
         [](Database& db) {
             db.tag("t", {2});
             db.untag("t");
         }},
        {"a compaction that keeps a commit",
         [](Database& db) {
             db.tag("t");
             db.compact();
             static_cast<void>(db.read("t").size());
         }},
        {"sync", [](Database& db) { db.sync(); }},
    };
}

template <typename Database> std::vector<scenario<Database>> questions() {
    return {
        {"reading",
         [](Database& db) {
             auto const state = db.read();
             auto const copy = state;
             static_cast<void>(db.get("k00000003"));
             static_cast<void>(copy.get("k00000003"));
             static_cast<void>(copy.rank("k00000030"));
             static_cast<void>(copy.nth(5)->key);
             std::size_t bytes = 0;
             for (auto const [key, value] : copy.range("k00000010", "k00000030")) {
                 bytes += key.size() + value.size();
             }
             for (auto const [key, value] : copy.prefix("k0000002")) bytes += key.size();
             auto at = copy.cursor();
             for (at.last(); at.valid(); at.prev()) ++bytes;
             if (bytes == 0) std::abort();
         }},
        {"history",
         [](Database& db) {
             auto const commits = db.history();
             int left = 5; // each round adds one, so there is no end to all of them
             for (auto const& each : commits) {
                 if (left-- == 0) break;
                 static_cast<void>(db.read(each.id).size());
             }
         }},
        {"check", [](Database& db) { static_cast<void>(db.check()); }},
        {"statistics", [](Database& db) { static_cast<void>(db.stats()); }},
        {"the newest state", [](Database& db) { static_cast<void>(db.read_latest().size()); }},
    };
}

/// What has happened over all calls.
struct totals {
    std::uint64_t failed = 0;
    std::uint64_t survived = 0; ///< an allocation failed, and the call succeeded all the same
};

/// A database with unsynced commits on top, so that every part of a take-over is there.
template <typename Place> content fill(typename Place::database& db) {
    auto const model = proving::numbered_entries(60);
    db.update([&](auto& txn) { txn.load(model); });
    db.update([&](auto& txn) { txn.put("lazy", "1"); }, durability::lazy);
    auto result = model;
    result["lazy"] = "1";
    return result;
}

/// Does this with every allocation failing in turn, until it needs no more of them.
/// @return the number of allocations of the call
template <typename Work, typename Look>
std::uint64_t each_allocation(failing how, totals& sum, Work work, Look look) {
    for (std::uint64_t k = 0;; ++k) {
        auto threw = false;
        {
            armed const now(how, k);
            try {
                work();
            } catch (std::bad_alloc const&) {
                threw = true;
            }
        }
        CAPTURE(k);
        auto const fired = current.fired;
        REQUIRE((fired || !threw));
        if (fired) ++(threw ? sum.failed : sum.survived);
        look(threw);
        if (!fired) return k;
    }
}

template <typename Place, typename Scenario>
void run(Scenario const& each, failing how, totals& sum) {
    INFO(each.name << (how == failing::once ? ", once" : ", from then on"));
    Place const place;
    std::optional<typename Place::database> db;
    db.emplace(place.open(heard()));
    auto model = fill<Place>(*db);
    std::uint64_t round = 0;
    auto const descriptors = open_descriptors();
    auto const look = [&](bool threw) {
        if (!threw && each.effect) each.effect(model);
        REQUIRE(open_descriptors() == descriptors);
        proving::must_hold(db->read(), model);
        auto const more = std::to_string(++round);
        db->update([&](auto& txn) { txn.put("round", more); }, durability::lazy);
        model["round"] = more;
        REQUIRE(db->get("round") == more);
    };
    each_allocation(
        how, sum, [&] { each.act(*db); }, look);
    REQUIRE(db->check().clean());
    db.reset();
    proving::must_hold(place.open(heard()).read(), model);
}

} // namespace

TEMPLATE_TEST_CASE("a call that finds no memory throws, has changed nothing, and can be repeated",
                   "", proving::in_file, proving::in_memory) {
    using database = typename TestType::database;
    totals sum;
    std::size_t calls = 0;
    for (auto const how : {failing::once, failing::from_then_on}) {
        for (auto const& all : {changes<database>(), questions<database>()}) {
            for (auto const& each : all) {
                run<TestType>(each, how, sum);
                ++calls;
            }
        }
    }
    CHECK(sum.failed > 1000);
    CHECK(sum.survived > 0);
    std::printf("    %zu calls, %llu failed allocations, %llu more did no harm\n", calls,
                static_cast<unsigned long long>(sum.failed),
                static_cast<unsigned long long>(sum.survived));
}

TEMPLATE_TEST_CASE("opening and creating that find no memory leave nothing behind", "",
                   proving::in_file, proving::in_memory) {
    totals sum;
    for (auto const how : {failing::once, failing::from_then_on}) {
        for (bool const fresh : {true, false}) {
            TestType const place;
            content model;
            if (!fresh) {
                auto db = place.open(heard());
                model = fill<TestType>(db);
            } else { // whatever is made only once in a process is there
                TestType const other;
                static_cast<void>(other.open(heard()));
            }
            auto const descriptors = open_descriptors();
            each_allocation(
                how, sum, [&] { static_cast<void>(place.open(heard()).read().size()); },
                [&](bool) {
                    REQUIRE(open_descriptors() <= descriptors + 1); // the lock file stays open
                });
            proving::must_hold(place.open(heard()).read(), model);
        }
    }
    CHECK(sum.failed > 40);
}

// A reader had made a tree of deferred commits just before the next one was to lie over it. For
// that there was no memory, and the tree was gone: acknowledged commits with it. Closing without
// memory lost deferred commits without a word, and kept the file locked for ever.
TEST_CASE("deferred commits outlive a commit that finds no memory behind a reader's look") {
    for (std::uint64_t before = 0; before < 8; ++before) {
        std::optional<coppice::memory_database> db;
        bool looks = false;
        coppice::options chosen;
        chosen.durability = durability::deferred;
        chosen.flush.interval = {};
        chosen.clock = [&] {
            if (looks) {
                looks = false;
                auto const mine = std::exchange(current, {});
                std::thread([&] { static_cast<void>(db->get("a")); }).join();
                current = mine;
            }
            return std::chrono::system_clock::now();
        };
        db.emplace(chosen);
        for (auto const* const key : {"a", "b"}) db->update([&](auto& t) { t.put(key, "1"); });
        auto made = true;
        {
            auto txn = db->write();
            txn.put("c", "1");
            looks = true;
            armed const now(failing::once, before);
            try {
                txn.commit();
            } catch (std::bad_alloc const&) {
                made = false;
            }
        }
        db->update([](auto& t) { t.put("d", "1"); });
        CHECK(db->get("a"));
        CHECK(db->get("b"));
        CHECK(db->get("c").has_value() == made);
        CHECK(db->read().size() == (made ? 4U : 3U));
    }
}

TEST_CASE("a transaction that looks among deferred commits without memory has changed nothing") {
    for (auto const how : {failing::once, failing::from_then_on}) {
        coppice::options chosen;
        chosen.durability = durability::deferred;
        chosen.flush.interval = {};
        coppice::memory_database db(chosen);
        content model;
        auto const put = [&](std::string const& key, std::string const& value) {
            db.update([&](auto& txn) { txn.put(key, value); });
            model[key] = value;
        };
        for (unsigned i = 0; i < 20; ++i) put(numbered("k", i), noise(i * 150));
        totals sum;
        std::uint64_t round = 0;
        auto const work = [&] {
            auto txn = db.write();
            if (!txn.modify(numbered("k", 7), [](auto old) { return std::string(*old) + "!"; }) ||
                !txn.erase(numbered("k", 8)) || !txn.insert("new", noise(400)) ||
                txn.get(numbered("k", 19)) != noise(19 * 150)) {
                std::abort();
            }
            txn.commit();
        };
        each_allocation(how, sum, work, [&](bool threw) {
            if (!threw) {
                model[numbered("k", 7)] += "!";
                model.erase(numbered("k", 8));
                model["new"] = noise(400);
            }
            for (auto const& [key, value] : model) REQUIRE(db.get(key) == value);
            REQUIRE(db.get("new").has_value() == !threw);
            put(numbered("k", 8), "again");
            if (threw) return;
            db.update([](auto& txn) { txn.erase("new"); });
            model.erase("new");
            put("round", std::to_string(++round));
        });
        CHECK(sum.failed > 5);
        proving::must_hold(db.read(), model);
        CHECK(db.check().clean());
    }
}

TEST_CASE("closing that finds no memory says what is lost, and locks nobody out") {
    workbench::folder const here;
    for (std::uint64_t before = 0; before < 16; ++before) {
        auto const path = here / std::to_string(before);
        std::size_t told = 0;
        {
            coppice::options chosen;
            chosen.durability = durability::deferred;
            chosen.flush.interval = {};
            chosen.events.log = [&](coppice::log_level, std::string_view) { ++told; };
            coppice::database db(path, chosen);
            db.update([](auto& txn) { txn.put("a", "1"); });
            armed const now(failing::from_then_on, before);
            db.close();
        }
        coppice::database db(path);
        CHECK(db.try_write());
        CHECK((db.get("a").has_value() || told > 0));
    }
}

// ---- what needs none ---------------------------------------------------------------------------

namespace {

/// How many allocations this thread makes in a call.
template <typename Call> std::uint64_t allocations_of(Call&& call) {
    armed const counting(failing::once, std::numeric_limits<std::uint64_t>::max());
    call();
    return current.seen;
}

/// Every way to read a key, and every step of a cursor and of a range.
std::uint64_t read_all(coppice::snapshot const& now, std::vector<std::string> const& keys) {
    std::uint64_t sum = 0;
    for (auto const& key : keys) {
        sum += now.get(key).value_or("").size() + now.rank(key) + now.count(key);
        sum += now.value_bytes(key).value_or(0);
    }
    now.get_many(keys, [&](auto key, auto value) { sum += key.size() + value.has_value(); });
    return sum;
}
std::uint64_t step_through(coppice::cursor& at, std::vector<std::string> const& keys) {
    std::uint64_t sum = 0;
    for (at.first(); at.valid(); at.next()) sum += at.key().size() + at.value().size();
    for (at.last(); at.valid(); at.prev()) sum += at.key().size();
    for (auto const& key : keys) {
        at.seek(key);
        if (at.valid()) at.next();
        sum += at.valid();
    }
    return sum;
}

} // namespace

TEMPLATE_TEST_CASE("what was read before is read again without memory", "", proving::in_file,
                   proving::in_memory) {
    TestType const place;
    auto chosen = proving::tiny();
    chosen.nodes = {};
    chosen.flush.interval = {};
    auto db = place.open(chosen);
    std::vector<std::string> keys{"", "absent", "zzz"};
    for (std::uint64_t i = 0; i < 3000; ++i) keys.push_back(numbered("k", i));
    db.update([&](auto& txn) {
        for (auto const& key : keys) txn.put(key, noise(key.size() * 3));
        txn.erase("absent");
    });
    for (std::uint64_t i = 0; i < 400; ++i) { // patches
        db.update([&](auto& txn) { txn.put(keys[(i * 37) % keys.size()], noise(i)); },
                  durability::lazy);
    }
    auto const must_need_none = [&](coppice::snapshot const& now) {
        auto at = now.cursor();
        auto const sum = read_all(now, keys) + step_through(at, keys);
        std::uint64_t again = 0;
        CHECK(allocations_of([&] { again = read_all(now, keys) + step_through(at, keys); }) == 0);
        CHECK(again == sum);
        CHECK(allocations_of([&] { static_cast<void>(db.read().size()); }) == 0);
        CHECK(allocations_of([&] {
                  for (auto const& key : keys) {
                      static_cast<void>(db.get(key, [](auto value) { return value.has_value(); }));
                  }
              }) == 0);
    };
    must_need_none(db.read());
    for (std::uint64_t i = 0; i < 100; ++i) {
        db.update([&](auto& txn) { txn.put(numbered("d", i), "d"); }, durability::deferred);
    }
    // Among postponed edits, whose index the first of these makes.
    static_cast<void>(db.get("d", [](auto value) { return value.has_value(); }));
    CHECK(allocations_of([&] {
              static_cast<void>(db.get("d", [](auto value) { return value.has_value(); }));
          }) == 0);
    must_need_none(db.read());
    CHECK(db.stats().deferred_commits == 100);
    db.compact();
    must_need_none(db.read());
}

TEST_CASE("memory of deferred commits is bounded by the policy, whoever reads them") {
    for (std::uint64_t const reads_after : {0U, 1U, 50U}) {
        CAPTURE(reads_after);
        proving::in_file const place;
        coppice::options chosen;
        chosen.durability = durability::deferred;
        chosen.flush = {std::uint64_t{1} << 20U, 1'000'000'000, {}};
        auto db = place.open(chosen);
        std::uint64_t flushes = 0;
        auto const before = held_bytes.load();
        most_held_bytes = before;
        workbench::dice dice(7);
        for (std::uint64_t i = 1; i <= 20'000; ++i) {
            auto const key = numbered("k", dice.next() % 100'000);
            db.update([&](auto& txn) { txn.put(key, noise(100, i)); });
            if (reads_after != 0 && i % reads_after == 0) CHECK(db.read().contains(key));
            if (db.stats().deferred_commits == 0) ++flushes;
        }
        auto const most = most_held_bytes.load() - before;
        std::printf("    a look after %llu commits: %lld KiB at most, %llu flushes\n",
                    static_cast<unsigned long long>(reads_after),
                    static_cast<long long>(most / 1024), static_cast<unsigned long long>(flushes));
        CHECK(flushes > 10);
        // What is written is gathered in pieces of 256 KiB.
        CHECK(most < static_cast<std::int64_t>(chosen.flush.bytes + (512U << 10U)));
    }
}

TEST_CASE("memory of a transaction is bounded, whatever its size") {
    proving::in_file const place;
    coppice::options chosen;
    chosen.transaction_bytes = std::uint64_t{2} << 20U;
    auto db = place.open(chosen);
    auto const run = [&](char const* what, auto const& change) {
        auto const before = held_bytes.load();
        most_held_bytes = before;
        db.update(change);
        auto const most = most_held_bytes.load() - before;
        std::printf("    %s: %lld KiB at most\n", what, static_cast<long long>(most / 1024));
        // Memory comes in pieces of 1 MiB at most.
        CHECK(most < std::int64_t{2 << 20U} + (1 << 20U) + (512 << 10U));
    };
    workbench::dice dice(7);
    auto const put_all = [&](auto& txn, bool ascending) {
        for (std::uint64_t i = 0; i < 60'000; ++i) {
            auto const key = numbered("k", ascending ? i : dice.next() % 60'000);
            if (i % 4 == 0) {
                txn.modify(key, [&](auto old) { return old ? std::string(*old) : noise(100, i); });
            } else {
                txn.put(key, noise(i % 64 == 1 ? 3000 : 100, i));
            }
            if (i % 1000 == 0) static_cast<void>(txn.size());
        }
    };
    run("15 MB in order", [&](auto& txn) { put_all(txn, true); });
    run("15 MB at random", [&](auto& txn) { put_all(txn, false); });
    run("20,000 ranges erased", [&](auto& txn) {
        for (std::uint64_t i = 0; i < 40'000; i += 2) {
            auto const key = numbered("k", i);
            txn.erase(key, key + "~");
        }
    });
    run("20,000 keys erased", [&](auto& txn) {
        for (std::uint64_t i = 1; i < 40'000; i += 2) CHECK(txn.erase(numbered("k", i)));
    });
    CHECK(db.read().size() == 20'000);
    CHECK(db.check().clean());
}
