// SPDX-License-Identifier: BSL-1.0
// bench/targets.cpp: the table of the targets.

#include "bench/targets.hpp"

#include <algorithm>
#include <array>

namespace bench {

namespace {

constexpr auto targets = std::to_array<target>({
    {"W1 bulk load", 2},
    {"W2 random insert", 1.2},
    {"W2 random insert, deferred", 2.5},
    {"W3 durable 1-key commits", 2.2},
    {"W3 durable commits, 8 threads", 0, "3 x one thread"},
    {"W4 no-sync 1-key commits", 1.5},
    {"W4 no-sync 1-key commits, deferred", 3.5},
    {"W5 get", 1.8},
    {"W5 get 16 at once", 4},
    {"W6 missing get", 1.8},
    {"W7 scan", 3},
    {"W8 seek + 100 next", 2.5},
    {"W9 1 readers: gets", 1.6},
    {"W9 1 readers: updates", 4},
    {"W9 2 readers: gets", 1.6},
    {"W9 2 readers: updates", 4},
    {"W9 4 readers: gets", 1.6},
    {"W9 4 readers: updates", 4},
    {"W10 delete half, deferred", 3},
    {"W10 compaction time", 2},
    {"W10 compacted size", 0, "62 MiB of a million pairs"},
    {"W11 open", 1},
    {"W11 memory grown", 0, "300 KiB"},
    {"W12 overwrite, deferred", 3},
    {"W12 overwrite, deferred: to write calls", 0, "3 x"},
    {"W12 size, deferred", 0, "3 x"},
    {"W13 write 64 KiB values", 1.4},
    {"W13 read 64 KiB values", 1.2},
    {"W14 YCSB-A, deferred", 4},
    {"W14 YCSB-B, deferred", 2},
    {"W14 YCSB-C", 1.5},
    {"W14 YCSB-E, deferred", 2},
    {"RP get", 1.6},
    {"RP scan", 2.5},
    {"RP compacted size", 0, "1.2 x"},
    {"RW get", 1.6},
    {"RW scan", 2.5},
    {"RW compacted size", 0, "1.2 x"},
});

} // namespace

target const* target_of(std::string_view name) {
    auto const* const at = std::find_if(targets.begin(), targets.end(),
                                        [&](target const& one) { return one.name == name; });
    return at == targets.end() ? nullptr : at;
}

} // namespace bench
