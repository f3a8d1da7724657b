// SPDX-License-Identifier: BSL-1.0
// bench/workloads/commits.cpp: W3 and W4, commits of one random insert, durable and not; W4 once
// more, deferred, for engines that have such commits.

#include "bench/syncs.hpp"
#include "bench/workloads/steps.hpp"
#include "bench/workloads/workloads.hpp"

#include <future>
#include <span>
#include <vector>

namespace bench {

namespace {

/// Commits one insert after the other. @return the microseconds that each took
std::vector<double> commit_each(engine& store, std::span<std::string_view const> keys,
                                durability how) {
    value_source values;
    auto const to = store.make_writer();
    std::vector<double> micros;
    micros.reserve(keys.size());
    for (auto const key : keys) {
        auto const value = values.make(key, 0);
        stopwatch const time;
        to->begin(how);
        to->put(key, value);
        to->commit();
        micros.push_back(time.seconds() * 1e6);
    }
    return micros;
}

void record_commits(task& of, engine& store, std::string_view workload, std::string const& name,
                    std::span<std::string_view const> keys, durability how) {
    auto const before = bytes_written::now();
    auto const syncs_before = syncs_so_far();
    stopwatch const time;
    auto const micros = commit_each(store, keys, how);
    if (how == durability::deferred) store.flush(); // what was put off is part of the cost
    auto const seconds = time.seconds();
    auto const syncs = syncs_so_far() - syncs_before;
    auto const written = bytes_written::now() - before;
    auto const commits = static_cast<double>(keys.size());
    of.out.rate(workload, name, "/s", commits, seconds);
    of.out.cost(workload, name + " p50", "us", percentile(micros, 0.5));
    of.out.cost(workload, name + " p99", "us", percentile(micros, 0.99));
    of.out.cost(workload, name + ": syncs", "each", static_cast<double>(syncs) / commits);
    of.out.cost(workload, name + ": to write calls", "B/commit",
                static_cast<double>(written.to_calls) / commits);
    of.out.cost(workload, name + ": pages dirtied", "B/commit",
                static_cast<double>(written.to_pages) / commits);
}

/// The same number of commits by several threads at once.
void record_threads(task& of, engine& store, std::span<std::string_view const> keys) {
    constexpr std::size_t threads = 8;
    std::vector<std::future<std::vector<double>>> running;
    stopwatch const time;
    for (std::size_t i = 0; i < threads; ++i) {
        auto const begin = keys.size() * i / threads;
        auto const part = keys.subspan(begin, keys.size() * (i + 1) / threads - begin);
        running.push_back(std::async(std::launch::async, [&, part] {
            return commit_each(store, part, durability::durable);
        }));
    }
    for (auto& one : running) one.get();
    of.out.rate("W3", "W3 durable commits, 8 threads", "/s", static_cast<double>(keys.size()),
                time.seconds());
}

void verify_count(engine& store, std::uint64_t expected) {
    auto const sum = store.make_reader()->scan();
    verify(sum.count == expected && sum.ordered, "the count after single commits");
}

} // namespace

void run_durable(task& of) {
    auto const data = random_data(std::max<std::size_t>(1, of.pairs / 10), 12);
    auto const commits = std::max<std::size_t>(40, of.pairs / 500);
    key_list const fresh(2 * commits, 41);
    std::span const keys(fresh.keys());
    auto const store = of.open(data.bytes());
    store->bulk_load(data.pairs);
    record_commits(of, *store, "W3", "W3 durable 1-key commits", keys.first(commits),
                   durability::durable);
    record_threads(of, *store, keys.subspan(commits));
    verify_count(*store, data.pairs.size() + 2 * commits);
}

void run_no_sync(task& of) {
    auto const data = random_data(std::max<std::size_t>(1, of.pairs / 10), 12);
    auto const commits = std::max<std::size_t>(40, of.pairs / 10);
    key_list const fresh(commits, 42);
    auto const store = of.open(3 * data.bytes());
    store->bulk_load(data.pairs);
    record_commits(of, *store, "W4", "W4 no-sync 1-key commits", fresh.keys(), durability::no_sync);
    verify_count(*store, data.pairs.size() + commits);
    if (!store->defers()) return;
    key_list const more(commits, 43);
    record_commits(of, *store, "W4", "W4 no-sync 1-key commits" + std::string(deferred_mark),
                   more.keys(), durability::deferred);
    verify_count(*store, data.pairs.size() + 2 * commits);
}

} // namespace bench
