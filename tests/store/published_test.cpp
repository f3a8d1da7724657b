// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/published.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

using coppice::store::counted;
using coppice::store::published;
using coppice::store::ref_ptr;

namespace {

std::atomic<int> alive{0};

/// Says the same thing twice, so that a reader of freed or half-made memory sees a difference.
struct thing final : counted {
    explicit thing(std::uint64_t n) : number(n), again(~n) { alive.fetch_add(1); }
    ~thing() {
        again = number = 0;
        alive.fetch_sub(1);
    }
    std::uint64_t number;
    std::uint64_t again;
};

ref_ptr<thing> make(std::uint64_t number) { return ref_ptr<thing>(new thing(number)); }

} // namespace

TEST_CASE("a reference keeps its object, and the last one takes it along") {
    {
        auto first = make(1);
        auto second = first;
        CHECK(alive == 1);
        CHECK(second.get() == first.get());
        first = make(2);
        CHECK(alive == 2);
        CHECK(second->number == 1);
        auto const moved = std::move(second);
        CHECK_FALSE(second); // NOLINT(bugprone-use-after-move)
        CHECK((*moved).number == 1);
        first = {};
        CHECK(alive == 1);
    }
    CHECK(alive == 0);
}

TEST_CASE("a cell is empty until something is published, and gives its share back") {
    {
        published<thing> cell;
        CHECK_FALSE(cell.load());
        CHECK_FALSE(cell.load());
        cell.store(make(1));
        auto const held = cell.load();
        CHECK(held->number == 1);
        CHECK(cell.load().get() == held.get());
        cell.store(make(2));
        CHECK(held->number == 1);
        CHECK(cell.load()->number == 2);
        CHECK(alive == 2);
        cell.store({});
        CHECK_FALSE(cell.load());
        CHECK(alive == 1);
        cell.store(make(3));
    }
    CHECK(alive == 0);
}

TEST_CASE("many threads load while one stores: nobody sees a dead object or goes back in time") {
    constexpr std::uint64_t stores = 20'000;
    constexpr int readers = 4;
    std::atomic<std::uint64_t> wrong{0};
    {
        published<thing> cell;
        cell.store(make(0));
        std::vector<std::thread> threads;
        for (int i = 0; i < readers; ++i) {
            threads.emplace_back([&] {
                std::uint64_t last = 0;
                ref_ptr<thing> kept;
                while (last < stores) {
                    auto now = cell.load();
                    if (now->again != ~now->number || now->number < last) wrong.fetch_add(1);
                    last = now->number;
                    if (last % 7 == 0) kept = now;
                    if (kept && kept->again != ~kept->number) wrong.fetch_add(1);
                }
            });
        }
        for (std::uint64_t i = 1; i <= stores; ++i) cell.store(make(i));
        for (auto& each : threads) each.join();
        CHECK(wrong == 0);
        CHECK(alive == 1);
    }
    CHECK(alive == 0);
}

// An object that is replaced and comes back has the same address, but its count of loads begins
// anew. A load that was under way all the time took one off a count of 0, and the address was gone.
TEST_CASE("an object may be published again, and the cell emptied, while many threads load") {
    constexpr std::uint64_t rounds = 20'000;
    for (bool const emptied : {true, false}) {
        auto const one = make(1);
        auto const other = emptied ? ref_ptr<thing>() : make(2);
        {
            published<thing> cell;
            cell.store(other);
            std::atomic<bool> enough{false};
            std::atomic<std::uint64_t> wrong{0};
            std::vector<std::thread> threads;
            for (int i = 0; i < 3; ++i) {
                threads.emplace_back([&] {
                    while (!enough) {
                        auto const now = cell.load();
                        if (now.get() != one.get() && now.get() != other.get()) wrong.fetch_add(1);
                    }
                });
            }
            for (std::uint64_t i = 0; i < rounds; ++i) {
                cell.store(one);
                cell.store(other);
            }
            enough = true;
            for (auto& each : threads) each.join();
            CHECK(wrong == 0);
        }
        CHECK(alive == (emptied ? 1 : 2));
    }
    CHECK(alive == 0);
}
