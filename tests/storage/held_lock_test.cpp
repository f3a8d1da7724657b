// SPDX-License-Identifier: BSL-1.0
#include <coppice/storage/held_lock.hpp>

#include <coppice/storage/memory_medium.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <thread>

using coppice::storage::held_lock;
using coppice::storage::memory_lock;

TEST_CASE("a lock is held for the length of a scope, and no longer") {
    memory_lock lock;
    auto const is_free = [&lock] {
        bool got = false;
        std::thread([&] {
            got = lock.acquire(std::chrono::steady_clock::now());
            if (got) lock.release();
        }).join();
        return got;
    };
    {
        held_lock const held(lock);
        CHECK_FALSE(is_free());
    }
    CHECK(is_free());
}
