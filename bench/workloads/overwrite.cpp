// SPDX-License-Identifier: BSL-1.0
// bench/workloads/overwrite.cpp: W12, updates of few keys; W13, large values.

#include "bench/workloads/steps.hpp"
#include "bench/workloads/workloads.hpp"

#include <random>
#include <vector>

namespace bench {

namespace {

/// Deferred updates are those of a store that compacts itself, with which they belong together.
/// @return has the engine deferred commits?
bool overwrite(task const& of, data_set const& data, durability how) {
    auto const store = of.engine->open({.folder = of.folder,
                                        .data_bytes = data.bytes(),
                                        .compacts_itself = how == durability::deferred});
    store->bulk_load(data.pairs);

    std::vector<std::uint64_t> newest(data.pairs.size());
    std::mt19937_64 random(51);
    value_source values;
    auto const before = bytes_written::now();
    stopwatch const time;
    {
        auto const to = store->make_writer();
        in_transactions(*to, of.pairs, pairs_per_transaction, how, [&](std::size_t i) {
            auto const place = random() % newest.size();
            auto const key = data.pairs[place].first;
            newest[place] = i + 1;
            to->put(key, values.make(key, i + 1));
        });
    }
    store->sync();
    auto const seconds = time.seconds();
    auto const written = bytes_written::now() - before;
    auto const name = "W12 overwrite" + mark_of(how);
    of.out.rate("W12", name, "/s", static_cast<double>(of.pairs), seconds);
    record_writing(of.out, "W12", name, written, of.pairs * (key_bytes + value_bytes));
    of.out.cost("W12", "W12 size" + mark_of(how), "x live bytes",
                static_cast<double>(folder_bytes(of.folder)) / static_cast<double>(data.bytes()));

    totals expected;
    for (std::size_t i = 0; i < newest.size(); ++i) {
        auto const key = data.pairs[i].first;
        expected.add(key, values.make(key, newest[i]));
    }
    verify(same_pairs(store->make_reader()->scan(), expected), "a scan after the updates");
    return store->defers();
}

} // namespace

void run_overwrite(task& of) {
    auto const data = random_data(std::max<std::size_t>(1, of.pairs / 10), 13);
    auto const defers = overwrite(of, data, durability::no_sync);
    if (defers) overwrite(of.beside("deferred"), data, durability::deferred);
}

void run_large(task& of) {
    constexpr std::size_t large_bytes = std::size_t{64} << 10U;
    constexpr std::size_t values_per_transaction = 100;
    auto const count = std::max<std::size_t>(10, of.pairs / 100);
    key_list const keys(count, 61);
    value_source values(large_bytes);
    std::uint64_t expected = 0;
    for (auto const key : keys.keys()) expected += sum_of_words(values.make(key, 0));

    auto const user_bytes = count * (key_bytes + large_bytes);
    auto const megabytes = static_cast<double>(count * large_bytes) / 1e6;
    auto const store = of.open(user_bytes);
    stopwatch const writing;
    {
        auto const to = store->make_writer();
        in_transactions(*to, count, values_per_transaction, durability::no_sync,
                        [&](std::size_t i) {
                            auto const key = keys.keys()[i];
                            to->put(key, values.make(key, 0));
                        });
    }
    store->sync();
    of.out.rate("W13", "W13 write 64 KiB values", "MB/s", megabytes, writing.seconds());
    of.out.cost("W13", "W13 size", "x user bytes",
                static_cast<double>(folder_bytes(of.folder)) / static_cast<double>(user_bytes));

    auto const order = shuffled_places(count, 62);
    auto const from = store->make_reader();
    auto const read_all = [&] {
        std::uint64_t sum = 0;
        for (auto const i : order) {
            auto const value = from->get(keys.keys()[i]);
            verify(value && value->size() == large_bytes, "a large value");
            sum += sum_of_words(*value);
        }
        verify(sum == expected, "the sum of the large values");
    };
    read_all(); // to be warm
    cpu_stopwatch const reading;
    read_all();
    of.out.rate("W13", "W13 read 64 KiB values", "MB/s", megabytes, reading.seconds());
}

} // namespace bench
