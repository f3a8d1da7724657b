// SPDX-License-Identifier: BSL-1.0
#pragma once
// bench/workloads/workloads.hpp: what is measured, in groups; each group runs in a process of its
// own. Owns: the list of groups, and what a group is given. Invariant: a group opens its engine
// itself, in an empty folder, and verifies everything it reads.

#include "bench/data.hpp"
#include "bench/engine.hpp"
#include "bench/measurement.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>

namespace bench {

/// What a worker was asked to do.
struct task {
    engine_entry const* engine = nullptr; ///< null for the floors
    std::filesystem::path folder;         ///< empty, on the device that is measured
    std::size_t pairs = 0;                ///< the size of everything
    std::set<std::string> workloads;      ///< which of the group are wanted
    recorder& out;

    /// The same in a folder of its own inside of this one.
    [[nodiscard]] task beside(std::string_view name) const {
        std::filesystem::create_directories(folder / name);
        return {engine, folder / name, pairs, workloads, out};
    }
    [[nodiscard]] bool wants(std::string_view workload) const {
        return workloads.contains(std::string(workload));
    }
    [[nodiscard]] std::unique_ptr<bench::engine> open(std::uint64_t data_bytes) const {
        return engine->open({.folder = folder, .data_bytes = data_bytes});
    }
};

/// Workloads that share a store.
struct group {
    std::string_view name;
    std::span<std::string_view const> workloads;
    void (*run)(task& of);
    bool with_engine = true; ///< false: a floor, which no engine changes
};

[[nodiscard]] std::span<group const> all_groups();

void run_bulk(task& of);       ///< W1
void run_store(task& of);      ///< W2, W5 to W8, W10
void run_durable(task& of);    ///< W3
void run_no_sync(task& of);    ///< W4
void run_readers(task& of);    ///< W9
void run_open(task& of);       ///< W11
void run_overwrite(task& of);  ///< W12
void run_large(task& of);      ///< W13
void run_ycsb(task& of);       ///< W14
void run_packages(task& of);   ///< RP
void run_words(task& of);      ///< RW
void run_device(task& of);     ///< floors of the device
void run_memory(task& of);     ///< floors of memory
void run_containers(task& of); ///< floors of containers in memory

void run_growth(task& of);       ///< what size costs: powers of ten up to `pairs`
void run_fairness(task& of);     ///< two processes that write to one store
void run_instructions(task& of); ///< starts the next one in valgrind, and reads what it counted
void run_counted(task& of);      ///< the operations whose instructions are counted

} // namespace bench
