// SPDX-License-Identifier: BSL-1.0
// bench/floors/memory.cpp: what memory takes: a load that waits for the one before it, a scan.

#include "bench/measure.hpp"
#include "bench/workloads/steps.hpp"
#include "bench/workloads/workloads.hpp"

#include <numeric>
#include <random>
#include <vector>

namespace bench {

namespace {

/// A line of cache that names the next one.
struct alignas(64) line {
    std::uint32_t next = 0;
};

/// One cycle through all lines (Sattolo's shuffle).
[[nodiscard]] std::vector<line> one_cycle(std::size_t lines) {
    std::vector<std::uint32_t> order(lines);
    std::iota(order.begin(), order.end(), 0U);
    std::mt19937_64 random(81);
    for (auto i = lines - 1; i > 0; --i) std::swap(order[i], order[random() % i]);
    std::vector<line> cycle(lines);
    for (std::size_t i = 0; i < lines; ++i) cycle[i].next = order[i];
    return cycle;
}

} // namespace

void run_memory(task& of) {
    constexpr std::size_t bytes = std::size_t{256} << 20U;
    {
        auto const cycle = one_cycle(bytes / sizeof(line));
        auto const loads = std::clamp<std::size_t>(4 * of.pairs, 100'000, 4'000'000);
        std::uint32_t at = 0;
        cpu_stopwatch const time;
        for (std::size_t i = 0; i < loads; ++i) at = cycle[at].next;
        auto const seconds = time.seconds();
        verify(at < cycle.size(), "a chain of loads"); // and it is not optimised away
        of.out.cost("floors", "dependent load over 256 MiB", "ns",
                    seconds * 1e9 / static_cast<double>(loads));
    }
    std::string const text(bytes, 'm');
    cpu_stopwatch const time;
    auto const sum = sum_of_words(text);
    auto const seconds = time.seconds();
    verify(sum == first_word("mmmmmmmm") * (bytes / 8), "a sum of memory");
    of.out.rate("floors", "sequential read of memory", "MB/s", static_cast<double>(bytes) / 1e6,
                seconds);
}

} // namespace bench
