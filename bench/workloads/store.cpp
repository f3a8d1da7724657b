// SPDX-License-Identifier: BSL-1.0
// bench/workloads/store.cpp: W1, and W2 with all that is done on its store: W5 to W8, W10.

#include "bench/workloads/steps.hpp"
#include "bench/workloads/workloads.hpp"

namespace bench {

namespace {

/// @param how W2 was done
void read_warm(task& of, engine& store, data_set const& data, durability how) {
    auto const from = store.make_reader();
    auto const count = static_cast<double>(data.pairs.size());
    auto const mark = mark_of(how);
    if (of.wants("W5")) {
        of.out.rate("W5", "W5 get" + mark, "/s", count, get_all(*from, data));
        of.out.rate("W5", "W5 get 16 at once" + mark, "/s", count, get_many(*from, data));
    }
    if (of.wants("W6")) {
        of.out.rate("W6", "W6 missing get" + mark, "/s", count,
                    get_missing(*from, data.pairs.size()));
    }
    if (of.wants("W7")) {
        of.out.rate("W7", "W7 scan" + mark, "pairs/s", count, scan_all(*from, data.expected()));
    }
    if (of.wants("W8")) {
        auto const seeks = std::max<std::size_t>(1, data.pairs.size() / 50);
        of.out.rate("W8", "W8 seek + 100 next" + mark, "ranges/s", static_cast<double>(seeks),
                    seek_all(*from, data, seeks));
    }
}

/// The pairs that are left once half of them are deleted, and the places of those that are.
struct halves {
    data_set rest; ///< its texts are those of the whole
    std::vector<std::uint32_t> deleted;

    explicit halves(data_set const& data) : deleted(shuffled_places(data.pairs.size(), 31)) {
        deleted.resize(deleted.size() / 2);
        std::vector<bool> gone(data.pairs.size());
        for (auto const place : deleted) gone[place] = true;
        for (std::size_t i = 0; i < gone.size(); ++i) {
            if (!gone[i]) rest.pairs.push_back(data.pairs[i]);
        }
    }
};

void delete_half(task& of, engine& store, data_set const& data, halves const& both,
                 durability how) {
    auto const left = both.rest.expected();
    auto const before = bytes_written::now();
    stopwatch const deleting;
    {
        auto const to = store.make_writer();
        in_transactions(*to, both.deleted.size(), pairs_per_transaction, how,
                        [&](std::size_t i) { to->erase(data.pairs[both.deleted[i]].first); });
    }
    store.sync();
    auto const seconds = deleting.seconds();
    auto const written = bytes_written::now() - before;
    auto const mark = mark_of(how);
    auto const name = "W10 delete half" + mark;
    of.out.rate("W10", name, "/s", static_cast<double>(both.deleted.size()), seconds);
    record_writing(of.out, "W10", name, written, data.bytes() - left.bytes);
    of.out.rate("W10", "W10 scan after deletes" + mark, "pairs/s", static_cast<double>(left.count),
                scan_all(*store.make_reader(), left));
    of.out.cost("W10", "W10 size after deletes" + mark, "MiB",
                static_cast<double>(folder_bytes(of.folder)) / mebibyte);
}

void compact(task& of, engine& store, data_set const& rest) {
    stopwatch const compacting;
    store.compact();
    of.out.cost("W10", "W10 compaction time", "ms", compacting.seconds() * 1e3);
    of.out.cost("W10", "W10 compacted size", "MiB",
                static_cast<double>(folder_bytes(of.folder)) / mebibyte);
    auto const from = store.make_reader();
    auto const count = static_cast<double>(rest.pairs.size());
    auto const seeks = std::max<std::size_t>(1, rest.pairs.size() / 50);
    of.out.rate("W10", "W10 get, compacted", "/s", count, get_all(*from, rest));
    of.out.rate("W10", "W10 get 16 at once, compacted", "/s", count, get_many(*from, rest));
    of.out.rate("W10", "W10 scan, compacted", "pairs/s", count, scan_all(*from, rest.expected()));
    of.out.rate("W10", "W10 seek + 100 next, compacted", "ranges/s", static_cast<double>(seeks),
                seek_all(*from, rest, seeks));
}

/// W2 in an empty store.
std::unique_ptr<engine> insert_all(task& of, data_set const& data, durability how) {
    auto store = of.open(data.bytes());
    auto const before = bytes_written::now();
    auto const seconds = insert_shuffled(*store, data, how);
    auto const written = bytes_written::now() - before;
    if (!of.wants("W2")) return store;
    auto const name = "W2 random insert" + mark_of(how);
    of.out.rate("W2", name, "/s", static_cast<double>(of.pairs), seconds);
    record_writing(of.out, "W2", name, written, data.bytes());
    of.out.cost("W2", "W2 size" + mark_of(how), "MiB",
                static_cast<double>(folder_bytes(of.folder)) / mebibyte);
    return store;
}

/// W2 and what is done on its store. @return has the engine deferred commits?
bool insert_read_delete(task of, data_set const& data, durability how) {
    auto const store = insert_all(of, data, how);
    read_warm(of, *store, data, how);
    if (of.wants("W10")) {
        halves const both(data);
        delete_half(of, *store, data, both, how);
        if (how != durability::deferred) compact(of, *store, both.rest);
    } else {
        verify(same_pairs(store->make_reader()->scan(), data.expected()), "a scan of all");
    }
    return store->defers();
}

} // namespace

void run_bulk(task& of) {
    auto const data = random_data(of.pairs, 11);
    auto const store = of.open(data.bytes());
    auto const before = bytes_written::now();
    stopwatch const time;
    store->bulk_load(data.pairs);
    auto const seconds = time.seconds();
    auto const written = bytes_written::now() - before;
    of.out.rate("W1", "W1 bulk load", "/s", static_cast<double>(of.pairs), seconds);
    record_writing(of.out, "W1", "W1 bulk load", written, data.bytes());
    of.out.cost("W1", "W1 size", "MiB", static_cast<double>(folder_bytes(of.folder)) / mebibyte);
    verify(same_pairs(store->make_reader()->scan(), data.expected()), "a scan after the bulk load");
}

void run_store(task& of) {
    auto const data = random_data(of.pairs, 11);
    auto const defers = insert_read_delete(of, data, durability::no_sync);
    if (defers) insert_read_delete(of.beside("deferred"), data, durability::deferred);
}

} // namespace bench
