// SPDX-License-Identifier: BSL-1.0
// bench/workloads/readers.cpp: W9, threads of random gets beside one writer.

#include "bench/workloads/steps.hpp"
#include "bench/workloads/workloads.hpp"

#include <atomic>
#include <future>
#include <random>
#include <vector>

namespace bench {

namespace {

constexpr std::size_t gets_per_moment = 100;
constexpr std::size_t updates_per_commit = 100;

/// What the threads share.
struct stage {
    engine& store;
    data_set const& data;
    durability how; ///< of the updates
    std::atomic<bool> stop = false;
    std::atomic<std::uint64_t> version = 0; ///< no value has a higher one
};

/// Gets until it is stopped. @return how many
std::uint64_t read_on(stage& on, std::uint64_t seed) {
    auto const from = on.store.make_reader();
    std::mt19937_64 random(seed);
    std::uint64_t gets = 0;
    while (!on.stop.load(std::memory_order_relaxed)) {
        from->refresh();
        for (std::size_t i = 0; i < gets_per_moment; ++i) {
            auto const key = on.data.pairs[random() % on.data.pairs.size()].first;
            auto const value = from->get(key);
            verify(value && value->size() == value_bytes, "a get beside the writer");
            verify(value_source::version_of(key, *value) <= on.version.load(),
                   "a value of another key beside the writer");
        }
        gets += gets_per_moment;
    }
    return gets;
}

/// Updates until it is stopped. @return how many keys
std::uint64_t write_on(stage& on) {
    auto const to = on.store.make_writer();
    std::mt19937_64 random(7);
    value_source values;
    std::uint64_t updates = 0;
    while (!on.stop.load(std::memory_order_relaxed)) {
        auto const version = on.version.fetch_add(1) + 1;
        to->begin(on.how);
        for (std::size_t i = 0; i < updates_per_commit; ++i) {
            auto const key = on.data.pairs[random() % on.data.pairs.size()].first;
            to->put(key, values.make(key, version));
        }
        to->commit();
        updates += updates_per_commit;
    }
    return updates;
}

/// @return has the engine deferred commits?
bool run_beside_writer(task const& of, data_set const& data, durability how) {
    auto const store = of.open(data.bytes());
    store->bulk_load(data.pairs);
    static_cast<void>(store->make_reader()->scan());
    stage on{*store, data, how};
    auto const length = std::chrono::duration<double>(
        std::clamp(static_cast<double>(of.pairs) / 500'000.0, 0.1, 2.0));

    for (std::size_t const readers : {1U, 2U, 4U}) {
        on.stop = false;
        std::vector<std::future<std::uint64_t>> reading;
        stopwatch const time;
        for (std::size_t i = 0; i < readers; ++i) {
            reading.push_back(std::async(std::launch::async, [&on, i] { return read_on(on, i); }));
        }
        auto writing = std::async(std::launch::async, [&on] { return write_on(on); });
        static_cast<void>(writing.wait_for(length)); // it ends before only by throwing
        on.stop = true;
        std::uint64_t gets = 0;
        for (auto& one : reading) gets += one.get();
        auto const updates = writing.get();
        auto const seconds = time.seconds();
        auto const name = "W9 " + std::to_string(readers) + " readers";
        of.out.rate("W9", name + ": gets" + mark_of(how), "/s", static_cast<double>(gets), seconds);
        of.out.rate("W9", name + ": updates" + mark_of(how), "/s", static_cast<double>(updates),
                    seconds);
    }
    return store->defers();
}

} // namespace

void run_readers(task& of) {
    auto const data = random_data(of.pairs, 11);
    auto const defers = run_beside_writer(of, data, durability::no_sync);
    if (defers) run_beside_writer(of.beside("deferred"), data, durability::deferred);
}

} // namespace bench
