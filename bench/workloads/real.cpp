// SPDX-License-Identifier: BSL-1.0
// bench/workloads/real.cpp: RP and RW, the same work on data that the machine has.

#include "bench/workloads/steps.hpp"
#include "bench/workloads/workloads.hpp"

#include <optional>

namespace bench {

namespace {

void run(task& of, std::string const& workload, std::optional<data_set> const& data) {
    if (!data) return; // no figures: the program says that it was left out
    auto const count = static_cast<double>(data->pairs.size());
    auto const user_bytes = static_cast<double>(data->bytes());
    auto const store = of.open(data->bytes());
    of.out.rate(workload, workload + " load", "/s", count, insert_shuffled(*store, *data));
    {
        auto const from = store->make_reader();
        of.out.rate(workload, workload + " get", "/s", count, get_all(*from, *data));
        of.out.rate(workload, workload + " scan", "pairs/s", count,
                    scan_all(*from, data->expected()));
    }
    of.out.cost(workload, workload + " size", "x user bytes",
                static_cast<double>(folder_bytes(of.folder)) / user_bytes);
    store->compact();
    of.out.cost(workload, workload + " compacted size", "x user bytes",
                static_cast<double>(folder_bytes(of.folder)) / user_bytes);
    {
        auto const from = store->make_reader();
        of.out.rate(workload, workload + " get, compacted", "/s", count, get_all(*from, *data));
        of.out.rate(workload, workload + " scan, compacted", "pairs/s", count,
                    scan_all(*from, data->expected()));
    }
    if (!store->defers()) return;
    auto beside = of.beside("deferred");
    auto const other = beside.open(data->bytes());
    of.out.rate(workload, workload + " load" + mark_of(durability::deferred), "/s", count,
                insert_shuffled(*other, *data, durability::deferred));
    verify(same_pairs(other->make_reader()->scan(), data->expected()),
           "a scan of what was deferred");
}

} // namespace

void run_packages(task& of) { run(of, "RP", package_data()); }
void run_words(task& of) { run(of, "RW", word_data()); }

} // namespace bench
