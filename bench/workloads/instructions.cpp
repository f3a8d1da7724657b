// SPDX-License-Identifier: BSL-1.0
// bench/workloads/instructions.cpp: instructions and simulated cache misses of single operations,
// counted by valgrind's callgrind. They are the same on a busy machine; what the kernel does for a
// call is not in them.

#include "bench/child.hpp"
#include "bench/workloads/steps.hpp"
#include "bench/workloads/workloads.hpp"

#include <spawn.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#define COPPICE_BENCH_CALLGRIND 1
#else
#define COPPICE_BENCH_CALLGRIND 0
#endif

extern char** environ;

namespace bench {

#if COPPICE_BENCH_CALLGRIND

namespace {

/// Counts are dumped under a name; this is between the name and how many operations they are of.
constexpr char separator = '/';

/// Runs `work` once for each time it is counted, and has its counts dumped.
template <typename Work> void count(std::string const& name, std::size_t operations, Work work) {
    auto const label = name + separator + std::to_string(operations);
    CALLGRIND_TOGGLE_COLLECT;
    work();
    CALLGRIND_TOGGLE_COLLECT;
    CALLGRIND_DUMP_STATS_AT(label.c_str());
}

/// The same after a first time that is not counted, so that caches are warm.
template <typename Work>
void count_warm(std::string const& name, std::size_t operations, Work work) {
    work();
    count(name, operations, work);
}

void count_reads(reader& from, data_set const& data) {
    constexpr std::size_t at_once = 16;
    auto const all = data.pairs.size();
    key_list const shuffled(data.pairs, 22);
    auto const wanted = std::span(shuffled.keys()).first(std::min<std::size_t>(20'000, all));
    count_warm("get", wanted.size(), [&] {
        for (auto const key : wanted) verify(from.get(key).has_value(), "a key was not found");
    });
    key_list const others(wanted.size(), 23);
    count_warm("missing get", wanted.size(), [&] {
        for (auto const key : others.keys()) verify(!from.get(key), "a key that is not there");
    });
    auto const groups = wanted.first(wanted.size() / at_once * at_once);
    count_warm("get, 16 at once", groups.size(), [&] {
        for (auto rest = groups; !rest.empty(); rest = rest.subspan(at_once)) {
            verify(from.get_many(rest.first(at_once)).count == at_once, "gets at once");
        }
    });
    count_warm("scan, a step", all, [&] { verify(from.scan().count == all, "a scan"); });
    count_warm("seek and one pair", wanted.size(), [&] {
        for (auto const key : others.keys()) verify(from.scan_from(key, 1).count <= 1, "a seek");
    });
}

/// Commits of one random insert each; deferred ones with the flush that writes them.
void count_commits(engine& store, std::string const& name, std::size_t commits, durability how,
                   std::uint64_t seed) {
    key_list const fresh(2 * commits, seed);
    std::span const keys(fresh.keys());
    value_source values;
    auto const to = store.make_writer();
    auto const insert = [&](std::span<std::string_view const> some) {
        in_transactions(*to, some.size(), 1, how,
                        [&](std::size_t i) { to->put(some[i], values.make(some[i], 0)); });
        if (how == durability::deferred) store.flush();
    };
    insert(keys.first(commits));
    count(name, commits, [&] { insert(keys.subspan(commits)); });
}

/// The names of the events in a dump of callgrind, with their counts.
using counts = std::map<std::string, double>;

/// What a dump says. @param label under which it was dumped
[[nodiscard]] counts read_dump(std::filesystem::path const& path, std::string& label) {
    constexpr std::string_view trigger = "desc: Trigger: Client Request: ";
    std::ifstream file(path);
    std::vector<std::string> events;
    counts found;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(trigger)) label = line.substr(trigger.size());
        std::istringstream words(line);
        std::string word;
        words >> word;
        if (word == "events:") {
            while (words >> word) events.push_back(word);
        } else if (word == "summary:") {
            for (auto const& event : events) words >> found[event];
        }
    }
    return found;
}

void record_dump(recorder& out, std::filesystem::path const& path) {
    std::string label;
    auto const counted = read_dump(path, label);
    auto const end = label.rfind(separator);
    if (end == std::string::npos) return; // the dump at the end of the process
    auto const operations = std::stod(label.substr(end + 1));
    auto const name = label.substr(0, end);
    auto const sum = [&](std::initializer_list<char const*> events) {
        double total = 0;
        for (auto const* event : events) total += counted.contains(event) ? counted.at(event) : 0;
        return total / operations;
    };
    out.cost("instructions", name + ": instructions", "each", sum({"Ir"}));
    out.cost("instructions", name + ": first-level misses", "each", sum({"D1mr", "D1mw"}));
    out.cost("instructions", name + ": last-level misses", "each", sum({"DLmr", "DLmw"}));
}

} // namespace

void run_counted(task& of) {
    auto const data = random_data(of.pairs, 11);
    auto const store = of.engine->open(
        {.folder = of.folder, .data_bytes = 3 * data.bytes(), .without_timers = true});
    store->bulk_load(data.pairs);
    CALLGRIND_START_INSTRUMENTATION;
    count_reads(*store->make_reader(), data);
    count_commits(*store, "durable 1-key commit", 300, durability::durable, 41);
    count_commits(*store, "no-sync 1-key commit", 2000, durability::no_sync, 42);
    if (store->defers()) {
        count_commits(*store, "no-sync 1-key commit, deferred", 2000, durability::deferred, 43);
    }
}

void run_instructions(task& of) {
    auto const dumps = of.folder / "callgrind";
    auto const store = of.folder / "store";
    std::filesystem::create_directories(store);
    // The caches are those of no machine in particular, so that all machines count the same.
    run_program({"valgrind",
                 "--quiet",
                 "--tool=callgrind",
                 "--instr-atstart=no",
                 "--collect-atstart=no",
                 "--cache-sim=yes",
                 "--I1=32768,8,64",
                 "--D1=32768,8,64",
                 "--LL=1048576,16,64",
                 "--callgrind-out-file=" + dumps.string(),
                 std::filesystem::read_symlink("/proc/self/exe").string(),
                 "--group",
                 "counted",
                 "--only",
                 "instructions",
                 "--pairs",
                 std::to_string(of.pairs),
                 "--folder",
                 store.string(),
                 "--engines",
                 std::string(of.engine->name)});
    for (std::size_t i = 1; std::filesystem::exists(dumps.string() + "." + std::to_string(i));
         ++i) {
        record_dump(of.out, dumps.string() + "." + std::to_string(i));
    }
}

#else

void run_counted(task&) {}
void run_instructions(task&) {
    throw std::runtime_error("valgrind/callgrind.h was not there when this was built: it is in "
                             "Debian's package valgrind");
}

#endif

} // namespace bench
