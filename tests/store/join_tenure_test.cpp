// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/join_tenure.hpp>

#include <coppice/options.hpp>
#include <coppice/storage/memory_medium.hpp>

#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <memory>
#include <thread>

using namespace coppice;
using namespace std::chrono_literals;

namespace {

using memory_store = store::store<storage::memory_medium>;

} // namespace

TEST_CASE("those of one handle join its tenure, and the next one begins when all have left it") {
    storage::memory_medium const medium;
    auto const owner = std::make_shared<memory_store>(medium, proving::tiny());
    auto first = store::join_tenure(owner, {});
    auto second = store::join_tenure(owner, {});
    CHECK(first == second);
    auto const* const before = first.get();
    CHECK(owner->running_tenure().lock().get() == before);
    first.reset();
    CHECK_FALSE(owner->running_tenure().expired());
    second.reset();
    CHECK(owner->running_tenure().expired());
    CHECK(store::join_tenure(owner, {}) != nullptr);
}

TEST_CASE("who waits too long for the lock of another handle has taken nothing") {
    storage::memory_medium const medium;
    auto const owner = std::make_shared<memory_store>(medium, proving::tiny());
    auto const other = std::make_shared<memory_store>(medium, proving::tiny());
    auto held = store::join_tenure(other, {});
    std::thread([&] {
        CHECK_FALSE(store::join_tenure(owner, std::chrono::steady_clock::now()));
    }).join();
    CHECK(owner->running_tenure().expired());
    held.reset();
    CHECK(store::join_tenure(owner, std::chrono::steady_clock::now() + 1s));
}
