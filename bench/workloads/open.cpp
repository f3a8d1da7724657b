// SPDX-License-Identifier: BSL-1.0
// bench/workloads/open.cpp: W11, opening a store in a process that has done nothing yet.
// Another process makes the store; then this one opens it, with the page cache warm.

#include "bench/child.hpp"
#include "bench/workloads/steps.hpp"
#include "bench/workloads/workloads.hpp"

namespace bench {

namespace {

constexpr std::uint64_t seed = 11;

void make_store(task const& of) {
    auto const data = random_data(of.pairs, seed);
    auto const store = of.open(data.bytes());
    store->bulk_load(data.pairs);
    verify(same_pairs(store->make_reader()->scan(), data.expected()), "the store of W11");
}

} // namespace

void run_open(task& of) {
    in_child("making the store of W11", [&] { make_store(of); });
    // The first key that was drawn, and it alone, without the memory for all the others.
    key_list const first(1, seed);
    auto const key = first.keys().front();

    auto const before = memory_use::now();
    stopwatch const time;
    auto const store = of.open(of.pairs * (key_bytes + value_bytes));
    auto const from = store->make_reader();
    auto const opened = time.seconds();
    auto const value = from->get(key);
    auto const got = time.seconds();
    auto const after = memory_use::now();
    verify(value && value_source::version_of(key, *value) == 0, "the first get");
    auto const grown = [](std::uint64_t was, std::uint64_t is) {
        return is > was ? static_cast<double>(is - was) : 0.0;
    };
    of.out.cost("W11", "W11 open", "ms", opened * 1e3);
    of.out.cost("W11", "W11 open and first get", "ms", got * 1e3);
    of.out.cost("W11", "W11 memory grown", "KiB", grown(before.resident_kib, after.resident_kib));
    of.out.cost("W11", "W11 anonymous memory grown", "KiB",
                grown(before.anonymous_kib, after.anonymous_kib));
}

} // namespace bench
