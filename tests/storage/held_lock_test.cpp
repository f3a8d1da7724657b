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
        CHECK(held.is_held());
        CHECK_FALSE(is_free());
    }
    CHECK(is_free());
}

TEST_CASE("a lock that was not had in time is not given back") {
    memory_lock lock;
    held_lock const held(lock);
    std::thread([&] {
        held_lock const late(lock, std::chrono::steady_clock::now());
        CHECK_FALSE(late.is_held());
    }).join();
    std::thread([&] { CHECK_FALSE(lock.acquire(std::chrono::steady_clock::now())); }).join();
}
