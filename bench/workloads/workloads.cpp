// SPDX-License-Identifier: BSL-1.0
// bench/workloads/workloads.cpp: the list of groups.

#include "bench/workloads/workloads.hpp"

#include <array>

namespace bench {

namespace {

using names = std::string_view;

constexpr std::array<names, 1> bulk = {"W1"};
constexpr std::array<names, 6> store = {"W2", "W5", "W6", "W7", "W8", "W10"};
constexpr std::array<names, 1> durable = {"W3"};
constexpr std::array<names, 1> no_sync = {"W4"};
constexpr std::array<names, 1> readers = {"W9"};
constexpr std::array<names, 1> open = {"W11"};
constexpr std::array<names, 1> overwrite = {"W12"};
constexpr std::array<names, 1> large = {"W13"};
constexpr std::array<names, 1> ycsb = {"W14"};
constexpr std::array<names, 1> packages = {"RP"};
constexpr std::array<names, 1> words = {"RW"};
constexpr std::array<names, 1> floors = {"floors"};

constexpr std::array<names, 1> growth = {"growth"};
constexpr std::array<names, 1> fairness = {"fairness"};
constexpr std::array<names, 1> instructions = {"instructions"};
constexpr std::array<names, 0> counted = {}; // valgrind runs it, no one else

constexpr std::array<group, 18> groups = {{
    {"bulk", bulk, run_bulk},
    {"store", store, run_store},
    {"durable", durable, run_durable},
    {"no-sync", no_sync, run_no_sync},
    {"readers", readers, run_readers},
    {"open", open, run_open},
    {"overwrite", overwrite, run_overwrite},
    {"large", large, run_large},
    {"ycsb", ycsb, run_ycsb},
    {"packages", packages, run_packages},
    {"words", words, run_words},
    {"device", floors, run_device, false},
    {"memory", floors, run_memory, false},
    {"containers", floors, run_containers, false},
    {"growth", growth, run_growth},
    {"fairness", fairness, run_fairness},
    {"instructions", instructions, run_instructions},
    {"counted", counted, run_counted},
}};

} // namespace

std::span<group const> all_groups() { return groups; }

} // namespace bench
