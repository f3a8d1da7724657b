// SPDX-License-Identifier: BSL-1.0
// bench/arguments.cpp: the command line.

#include "bench/arguments.hpp"

#include "bench/engine.hpp"
#include "bench/report.hpp"
#include "bench/workloads/workloads.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <cstdio>

namespace bench {

namespace {

/// A kind of run: how it is asked for, and what it does where nothing else is said.
struct kind {
    char const* name;
    char const* help;
    std::size_t pairs;
    std::size_t full_pairs;
    std::size_t repetitions;
    std::size_t full_repetitions;
};
constexpr kind usual = {"table", "", 200'000, 1'000'000, 3, 5};
/// These have a workload of their own name, compare coppice with LMDB alone, and come alone.
constexpr std::array<kind, 3> on_request = {{
    {"growth", "what size costs: 10^4 pairs to 10^6, with --full to 10^7", 1'000'000, 10'000'000, 1,
     3},
    {"fairness", "two processes that commit durably to one store", 1'000'000, 1'000'000, 3, 5},
    {"instructions", "instructions and simulated cache misses of operations, by valgrind", 100'000,
     100'000, 2, 2},
}};

[[nodiscard]] std::set<std::string> all_workloads() {
    std::set<std::string> names;
    for (auto const& group : all_groups()) {
        names.insert(group.workloads.begin(), group.workloads.end());
    }
    return names;
}

[[nodiscard]] std::set<std::string> usual_workloads() {
    auto names = all_workloads();
    for (auto const& kind : on_request) names.erase(kind.name);
    return names;
}

/// Without a word about it: those of the short run.
[[nodiscard]] std::set<std::string> important_workloads() {
    return {"W1", "W2", "W3", "W4", "W5", "W7", "W8", "W10", "W12", "floors"};
}

/// All engines that were built in, with a word about the others.
[[nodiscard]] std::vector<std::string> built_engines() {
    std::vector<std::string> names;
    for (auto const& engine : all_engines()) {
        if (engine.open != nullptr) {
            names.emplace_back(engine.name);
        } else {
            std::fprintf(stderr, "%.*s is left out: %.*s was not there when this was built\n",
                         static_cast<int>(engine.name.size()), engine.name.data(),
                         static_cast<int>(engine.package.size()), engine.package.data());
        }
    }
    return names;
}

/// What was not said is as it is for this kind of run.
void complete(arguments& given, kind const& of, bool full, bool pairs, bool repetitions) {
    given.section = of.name;
    if (!pairs) given.pairs = full ? of.full_pairs : of.pairs;
    if (!repetitions) given.repetitions = full ? of.full_repetitions : of.repetitions;
    if (&of == &usual) return;
    given.workloads = {of.name};
    if (!given.engines.empty()) return;
    given.engines = built_engines();
    std::erase_if(given.engines,
                  [](std::string const& name) { return name != "coppice" && name != baseline; });
}

} // namespace

std::optional<arguments> parse(int count, char const* const* words, int& exit_code) {
    arguments given;
    std::vector<std::string> only;
    bool full = false;
    auto const known = all_workloads();
    kind const* chosen = &usual;

    CLI::App app("coppice beside other engines, on the same work. Look at the ratios.");
    app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    auto* const pairs =
        app.add_option("--pairs", given.pairs,
                       "how many; 200000 by default, 1000000 for --growth and --fairness, "
                       "100000 for --instructions")
            ->check(CLI::Range(std::size_t{100}, std::size_t{1'000'000'000}));
    auto* const repetitions = app.add_option("--repetitions", given.repetitions,
                                             "how often each engine runs; 3 by default, "
                                             "1 for --growth, 2 for --instructions")
                                  ->check(CLI::PositiveNumber);
    app.add_option("--only", only, "these workloads: W1 to W14, RP, RW, floors")
        ->delimiter(',')
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->check(CLI::IsMember(known));
    app.add_option("--engines", given.engines, "these engines")
        ->delimiter(',')
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    app.add_flag("--full", full,
                 "all of the usual workloads, 1000000 pairs, 5 repetitions; "
                 "with --growth 10000000, 3");
    for (auto const& each : on_request) {
        app.add_flag_callback(
            "--" + std::string(each.name), [&chosen, &each] { chosen = &each; }, each.help);
    }
    app.add_option("--folder", given.folder, "where the stores are made, on the device to measure");
    app.add_option("--json", given.json, "a file for every figure of every run");
    app.add_option("--markdown", given.markdown, "a file for the tables, or with a place for them");
    app.add_option("--svg", given.svg, "a file for a chart of the ratios");
    app.add_option("--group", given.group)->group("");
    try {
        app.parse(count, words);
    } catch (CLI::ParseError const& e) {
        exit_code = app.exit(e);
        return {};
    }
    if (given.folder.empty()) given.folder = std::filesystem::temp_directory_path();
    given.workloads = !only.empty() ? std::set<std::string>(only.begin(), only.end())
                      : full        ? usual_workloads()
                                    : important_workloads();
    complete(given, *chosen, full, !pairs->empty(), !repetitions->empty());
    if (given.group.empty() && given.engines.empty()) given.engines = built_engines();
    return given;
}

} // namespace bench
