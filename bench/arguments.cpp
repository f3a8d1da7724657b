// SPDX-License-Identifier: BSL-1.0
// bench/arguments.cpp: the command line.

#include "bench/arguments.hpp"

#include "bench/engine.hpp"
#include "bench/workloads/workloads.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>

namespace bench {

namespace {

constexpr std::size_t full_pairs = 1'000'000;
constexpr std::size_t full_repetitions = 5;

[[nodiscard]] std::set<std::string> all_workloads() {
    std::set<std::string> names;
    for (auto const& group : all_groups()) {
        names.insert(group.workloads.begin(), group.workloads.end());
    }
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

} // namespace

std::optional<arguments> parse(int count, char const* const* words, int& exit_code) {
    arguments given;
    std::vector<std::string> only;
    bool full = false;
    auto const known = all_workloads();

    CLI::App app("coppice beside other engines, on the same work. Look at the ratios.");
    app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    auto* const pairs = app.add_option("--pairs", given.pairs, "how many pairs, 200000 by default")
                            ->check(CLI::Range(std::size_t{100}, std::size_t{1'000'000'000}));
    auto* const repetitions = app.add_option("--repetitions", given.repetitions,
                                             "how often each engine runs, 3 by default")
                                  ->check(CLI::PositiveNumber);
    app.add_option("--only", only, "these workloads: W1 to W14, RP, RW, floors")
        ->delimiter(',')
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->check(CLI::IsMember(known));
    app.add_option("--engines", given.engines, "these engines")
        ->delimiter(',')
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    app.add_flag("--full", full, "all workloads, 1000000 pairs, 5 repetitions");
    app.add_option("--folder", given.folder, "where the stores are made, on the device to measure");
    app.add_option("--json", given.json, "a file for every figure of every run");
    app.add_option("--markdown", given.markdown, "a file for the tables");
    app.add_option("--svg", given.svg, "a file for a chart of the ratios");
    app.add_option("--group", given.group)->group("");
    try {
        app.parse(count, words);
    } catch (CLI::ParseError const& e) {
        exit_code = app.exit(e);
        return {};
    }
    if (full && pairs->empty()) given.pairs = full_pairs;
    if (full && repetitions->empty()) given.repetitions = full_repetitions;
    if (given.folder.empty()) given.folder = std::filesystem::temp_directory_path();
    given.workloads = !only.empty() ? std::set<std::string>(only.begin(), only.end())
                      : full        ? known
                                    : important_workloads();
    if (given.group.empty() && given.engines.empty()) given.engines = built_engines();
    return given;
}

} // namespace bench
