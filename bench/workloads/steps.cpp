// SPDX-License-Identifier: BSL-1.0
// bench/workloads/steps.cpp: steps that several workloads have in common.

#include "bench/workloads/steps.hpp"

#include <span>
#include <vector>

namespace bench {

namespace {

/// Runs a verified step twice. @return the CPU seconds of the second time
template <typename Step> double warm_seconds(Step step) {
    step();
    cpu_stopwatch const time;
    step();
    return time.seconds();
}

} // namespace

double insert_shuffled(engine& store, data_set const& data, durability how) {
    auto const order = shuffled_places(data.pairs.size(), 21);
    auto const to = store.make_writer();
    stopwatch const time;
    in_transactions(*to, order.size(), pairs_per_transaction, how, [&](std::size_t i) {
        auto const& [key, value] = data.pairs[order[i]];
        to->put(key, value);
    });
    store.sync();
    return time.seconds();
}

void record_writing(recorder& out, std::string_view workload, std::string const& name,
                    bytes_written const& written, std::uint64_t user_bytes) {
    auto const user = static_cast<double>(user_bytes);
    out.cost(workload, name + ": to write calls", "x user bytes",
             static_cast<double>(written.to_calls) / user);
    out.cost(workload, name + ": pages dirtied", "x user bytes",
             static_cast<double>(written.to_pages) / user);
}

double get_all(reader& from, data_set const& data) {
    key_list const wanted(data.pairs, 22);
    std::uint64_t expected = 0;
    for (auto const& [key, value] : data.pairs) expected += first_word(value) + value.size();
    return warm_seconds([&] {
        std::uint64_t sum = 0;
        for (auto const key : wanted.keys()) {
            auto const value = from.get(key);
            verify(value.has_value(), "a key was not found");
            sum += first_word(*value) + value->size();
        }
        verify(sum == expected, "the sum of the values that were got");
    });
}

double get_many(reader& from, data_set const& data) {
    constexpr std::size_t at_once = 16;
    key_list const wanted(data.pairs, 22);
    auto const expected = data.expected();
    return warm_seconds([&] {
        totals sum;
        for (std::span rest(wanted.keys()); !rest.empty();) {
            auto const keys = rest.first(std::min(at_once, rest.size()));
            sum += from.get_many(keys);
            rest = rest.subspan(keys.size());
        }
        verify(same_pairs(sum, expected), "the sums of several gets at once");
    });
}

double get_missing(reader& from, std::size_t count) {
    key_list const wanted(count, 23);
    return warm_seconds([&] {
        std::size_t found = 0;
        for (auto const key : wanted.keys()) found += from.get(key).has_value() ? 1U : 0U;
        verify(found == 0, "a key was found that is not there");
    });
}

double scan_all(reader& from, totals const& expected) {
    return warm_seconds([&] {
        auto const sum = from.scan();
        verify(sum.ordered, "a scan is out of order");
        verify(same_pairs(sum, expected), "the sums of a scan");
    });
}

double seek_all(reader& from, data_set const& data, std::size_t count) {
    constexpr std::size_t length = 100;
    key_list const wanted(count, 24); // random places between the keys
    std::vector<totals> expected(count);
    for (std::size_t i = 0; i < count; ++i) {
        auto at =
            std::lower_bound(data.pairs.begin(), data.pairs.end(), wanted.keys()[i],
                             [](pair const& one, std::string_view key) { return one.first < key; });
        for (; at != data.pairs.end() && expected[i].count < length; ++at) {
            expected[i].add(at->first, at->second);
        }
    }
    return warm_seconds([&] {
        for (std::size_t i = 0; i < count; ++i) {
            auto const sum = from.scan_from(wanted.keys()[i], length);
            verify(sum.ordered && same_pairs(sum, expected[i]), "a range of 100 pairs");
        }
    });
}

} // namespace bench
