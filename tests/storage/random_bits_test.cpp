// SPDX-License-Identifier: BSL-1.0
#include <coppice/storage/random_bits.hpp>

#include <coppice/storage/memory_medium.hpp>
#include <coppice/storage/process.hpp>

#include <catch2/catch.hpp>
#include <child_process.hpp>
#include <workbench.hpp>

#include <array>
#include <cstdint>
#include <set>
#include <thread>
#include <vector>

using coppice::storage::random_stock;

TEST_CASE("no number is drawn twice, by one thread or by many") {
    random_stock stock;
    constexpr std::size_t each = 1000; // the stock is filled up many times
    std::array<std::vector<std::uint64_t>, 4> drawn;
    std::vector<std::thread> threads;
    for (auto& mine : drawn) {
        threads.emplace_back([&] {
            for (std::size_t i = 0; i < each; ++i) mine.push_back(stock.draw());
        });
    }
    for (auto& thread : threads) thread.join();
    std::set<std::uint64_t> all;
    for (auto const& mine : drawn) all.insert(mine.begin(), mine.end());
    CHECK(all.size() == drawn.size() * each);
    CHECK(all.count(0) == 0);
}

TEST_CASE("every bit of random numbers is one half of the time") {
    random_stock stock;
    std::array<unsigned, 64> set{};
    constexpr unsigned draws = 20000;
    for (unsigned i = 0; i < draws; ++i) {
        auto const bits = i % 2 == 0 ? stock.draw() : coppice::storage::random_bits();
        for (unsigned bit = 0; bit < 64; ++bit)
            set[bit] += static_cast<unsigned>((bits >> bit) & 1U);
    }
    // Ten standard deviations: it happens once in 10^22 runs.
    for (auto const count : set) {
        CHECK(count > draws / 2 - 710);
        CHECK(count < draws / 2 + 710);
    }
}

TEST_CASE("a fork does not draw what its parent draws") {
    if (workbench::skip_forks()) return;
    coppice::storage::memory_medium medium;
    static_cast<void>(medium.random()); // the stock is full when the child begins
    workbench::child child([&](workbench::reporter const& tell) {
        for (std::uint64_t i = 0; i < 40; ++i) tell.tell(1, medium.random());
    });
    std::set<std::uint64_t> mine;
    for (int i = 0; i < 40; ++i) mine.insert(medium.random());
    auto const reports = child.all_reports();
    CHECK(child.wait() == 0);
    REQUIRE(reports.size() == 40);
    for (auto const& each : reports) CHECK(mine.count(each.number) == 0);
}
