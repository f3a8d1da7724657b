// SPDX-License-Identifier: BSL-1.0
// The medium in memory keeps the promises of one in files: coherence of views, names, turns.

#include <coppice/storage/memory_medium.hpp>

#include <catch2/catch.hpp>
#include <child_process.hpp>
#include <kind_of.hpp>
#include <workbench.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <new>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace {

using coppice::as_bytes;
using coppice::errc;
using coppice::storage::access;
using coppice::storage::memory_medium;
using coppice::storage::standing;
using support::kind_of;
using namespace std::chrono_literals;

bool shows(coppice::storage::mapped_view const& view, std::size_t at, std::string_view text) {
    return std::memcmp(view.data.get() + at, text.data(), text.size()) == 0;
}

std::chrono::steady_clock::time_point after(std::chrono::milliseconds time) {
    return std::chrono::steady_clock::now() + time;
}

} // namespace

TEST_CASE("in memory a view shows what was written before it and after it") {
    memory_medium place;
    auto const store = place.fresh();
    store->write(0, as_bytes("before"));
    auto const view = store->map(1000);
    REQUIRE(view.size_bytes >= 1000);
    store->write(6, as_bytes(" after"));
    CHECK(shows(view, 0, "before after"));
}

TEST_CASE(
    "in memory an old view keeps its bytes when the storage grows, and later writes reach it") {
    memory_medium place;
    auto store = place.fresh();
    store->write(0, as_bytes("old"));
    auto const first = store->map(3);
    store->write(first.size_bytes, as_bytes("beyond"));
    auto const second = store->map(first.size_bytes + 6);
    store->write(second.size_bytes, as_bytes("far"));
    store->write(3, as_bytes(" and new"));
    CHECK(shows(first, 0, "old and new"));
    CHECK(shows(second, 0, "old and new"));
    CHECK(shows(second, first.size_bytes, "beyond"));
    store->write(first.size_bytes - 2, as_bytes("across"));
    CHECK(shows(first, first.size_bytes - 2, "ac"));
    store.reset();
    CHECK(shows(first, 0, "old and new"));
}

TEST_CASE(
    "in memory the bytes of views may be read while others are written and the storage grows") {
    memory_medium place;
    auto const store = place.fresh();
    constexpr std::size_t records = 20'000;
    std::atomic<std::size_t> written{0};
    std::thread reader([&] {
        auto view = store->map(8);
        std::vector<coppice::storage::mapped_view> kept{view};
        for (std::size_t i = 0; i < records; ++i) {
            while (written.load(std::memory_order_acquire) <= i) std::this_thread::yield();
            if (view.size_bytes < (i + 1) * 8) kept.push_back(view = store->map((i + 1) * 8));
            std::uint64_t value = 0;
            std::memcpy(&value, view.data.get() + i * 8, 8);
            if (value != i) return;
        }
        written = records + 1;
    });
    for (std::size_t i = 0; i < records; ++i) {
        store->write(i * 8, std::as_bytes(std::span(&i, 1)));
        written.store(i + 1, std::memory_order_release);
    }
    reader.join();
    CHECK(written == records + 1);
}

TEST_CASE("in memory truncating grows with zeros and cuts, and reading stops at the end") {
    memory_medium place;
    auto const store = place.fresh();
    store->write(0, as_bytes("abc"));
    store->truncate(2);
    store->truncate(5);
    std::array<std::byte, 9> buffer{};
    CHECK(store->read(0, buffer) == 5);
    CHECK(coppice::as_text(coppice::bytes(buffer).first(5)) == std::string("ab\0\0\0", 5));
    CHECK(store->read(5, buffer) == 0);
    CHECK(store->size() == 5);
}

TEST_CASE("in memory the place names what was put there, for every copy of the medium") {
    memory_medium place;
    memory_medium const copy = place;
    auto same = copy;
    CHECK_THROWS_AS(place.open(access::read_only), coppice::error);
    auto const first = place.fresh();
    CHECK(place.compare(*first) == standing::missing);
    place.replace(*first);
    CHECK(same.compare(*first) == standing::same);
    CHECK(same.open(access::read_write)->identity() == first->identity());
    auto const second = same.fresh();
    CHECK(second->identity() != first->identity());
    same.replace(*second);
    CHECK(place.compare(*first) == standing::replaced);
    CHECK(place.remove());
    CHECK_FALSE(place.remove());
    CHECK(place.compare(*second) == standing::missing);
}

TEST_CASE("in memory a leftover can be discarded once, and only what is fresh can replace") {
    memory_medium place;
    auto const leftover = place.fresh();
    CHECK(place.companion() == leftover->identity());
    CHECK(place.discard_fresh());
    CHECK_FALSE(place.discard_fresh());
    CHECK_FALSE(place.companion());
    CHECK_THROWS_AS(place.replace(*leftover), coppice::error);
}

TEST_CASE("in memory there is a second lock for compactions") {
    memory_medium place;
    auto const mine = place.compaction_lock();
    REQUIRE(mine->acquire({}));
    CHECK(place.lock()->acquire({}));
    CHECK(memory_medium(place).compaction_lock() == mine);
    place.lock()->release();
    mine->release();
}

TEST_CASE("in memory the lock is the turn, shared by all handles, with a deadline") {
    memory_medium place;
    auto const mine = place.lock();
    auto const theirs = memory_medium(place).lock();
    REQUIRE(mine->acquire({}));
    CHECK(kind_of([&] { static_cast<void>(theirs->acquire({})); }) == errc::would_deadlock);
    std::thread([&] {
        CHECK_FALSE(theirs->acquire(after(-1ms)));
        CHECK_FALSE(theirs->acquire(after(20ms)));
    }).join();
    std::thread([&] { mine->release(); }).join();
    CHECK(theirs->acquire(after(0ms)));
    theirs->release();
}

TEST_CASE("in memory the words of the page are those written last, and poison is counted") {
    memory_medium place;
    auto const lock = place.lock();
    std::array<std::uint64_t, 2> const words{0x0102030405060708U, 42};
    lock->write_page(128, std::as_bytes(std::span(words)));
    CHECK(std::memcmp(place.reader_lock()->page() + 128, words.data(), sizeof words) == 0);
    auto const before = lock->poison_count();
    lock->poison();
    CHECK(place.lock()->poison_count() == before + 1);
}

TEST_CASE("in memory a fork can neither take the turn nor give it back nor mark the page") {
    if (workbench::skip_forks()) return;
    memory_medium place;
    auto const lock = place.lock();
    REQUIRE(lock->acquire({}));
    workbench::child fork([&](workbench::reporter const& tell) {
        lock->release();
        for (int call = 0; call < 3; ++call) {
            auto const kind = kind_of([&] {
                if (call == 0) static_cast<void>(lock->acquire({}));
                if (call == 1) lock->check_held();
                if (call == 2) lock->write_page(0, {});
            });
            tell.tell(1, kind == errc::forked ? 1 : 0);
        }
    });
    auto const reports = fork.all_reports();
    CHECK(fork.wait() == 0);
    REQUIRE(reports.size() == 3);
    for (auto const& each : reports) CHECK(each.number == 1);
    lock->release();
}

TEST_CASE("in memory two places never have the same identity, and impossible sizes are refused") {
    auto const one = memory_medium().fresh();
    auto const two = memory_medium().fresh();
    CHECK(one->identity() != two->identity());
    one->write(0, as_bytes("kept"));
    CHECK_THROWS_AS(one->write(~std::uint64_t{0} - 1, as_bytes("abcdef")), std::bad_alloc);
    CHECK_THROWS_AS(one->truncate(~std::uint64_t{0}), std::bad_alloc);
    CHECK(one->size() == 4);
}
