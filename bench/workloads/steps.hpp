// SPDX-License-Identifier: BSL-1.0
#pragma once
// bench/workloads/steps.hpp: steps that several workloads have in common.
// Owns: transactions of many pairs; gets, scans and seeks that are verified and timed.
// Invariant: reads are timed in thread CPU time, writes in wall time. A wrong answer throws.

#include "bench/data.hpp"
#include "bench/engine.hpp"
#include "bench/measure.hpp"
#include "bench/measurement.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace bench {

inline constexpr std::size_t pairs_per_transaction = 1000;
inline constexpr double mebibyte = 1 << 20;

/// Ends the run where an engine gave a wrong answer.
inline void verify(bool right, char const* what) {
    if (!right) throw std::runtime_error(std::string("a wrong answer: ") + what);
}

/// Runs `change(i)` for all i below `count`, in transactions of `size` changes.
template <typename Change>
void in_transactions(writer& to, std::size_t count, std::size_t size, durability how,
                     Change change) {
    for (std::size_t begin = 0; begin < count; begin += size) {
        to.begin(how);
        for (auto i = begin; i < std::min(count, begin + size); ++i) change(i);
        to.commit();
    }
}

/// What the name of a figure ends in.
[[nodiscard]] inline std::string mark_of(durability how) {
    return std::string(how == durability::deferred ? deferred_mark : "");
}

/// Inserts all pairs in random order, without syncs, to one durable end. @return seconds
double insert_shuffled(engine& store, data_set const& data, durability how = durability::no_sync);
/// Tells how much was written, in multiples of the user's bytes.
void record_writing(recorder& out, std::string_view workload, std::string const& name,
                    bytes_written const& written, std::uint64_t user_bytes);

/// Gets all pairs in random order, once to be warm and once for the clock. @return seconds
double get_all(reader& from, data_set const& data);
/// Gets all pairs in random order, 16 keys at once, likewise. @return seconds
double get_many(reader& from, data_set const& data);
/// Asks for keys that are not there, likewise. @return seconds
double get_missing(reader& from, std::size_t count);
/// Scans, likewise. @return seconds
double scan_all(reader& from, totals const& expected);
/// Seeks `count` keys and reads 100 pairs from each, likewise. @return seconds
double seek_all(reader& from, data_set const& data, std::size_t count);

} // namespace bench
