// SPDX-License-Identifier: BSL-1.0
// bench/main.cpp: every engine on the same work, in turn, each run in a process of its own.
// Owns: the order of the runs. In each repetition every group runs once for every engine, in an
//   order that turns round with each repetition; then medians and ratios are taken.

#include "bench/arguments.hpp"
#include "bench/report.hpp"
#include "bench/worker.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace {

using bench::arguments;
using bench::group;
using bench::sample;

[[nodiscard]] bool wanted(group const& of, arguments const& given) {
    return std::any_of(of.workloads.begin(), of.workloads.end(), [&](std::string_view name) {
        return given.workloads.contains(std::string(name));
    });
}

/// The engines of a run, or one that stands for none.
[[nodiscard]] std::vector<std::string> runners(group const& of, arguments const& given,
                                               std::size_t repetition) {
    if (!of.with_engine) return {""};
    auto engines = given.engines;
    if (repetition % 2 == 1) std::reverse(engines.begin(), engines.end());
    return engines;
}

/// Runs everything. @return did every run succeed?
bool run_all(arguments const& given, std::vector<sample>& samples) {
    bool whole = true;
    for (std::size_t repetition = 0; repetition < given.repetitions; ++repetition) {
        for (auto const& group : bench::all_groups()) {
            if (!wanted(group, given)) continue;
            for (auto const& engine : runners(group, given, repetition)) {
                auto const name = engine.empty() ? bench::floor_name : engine;
                std::fprintf(stderr, "%zu/%zu %-12s %s\n", repetition + 1, given.repetitions,
                             std::string(group.name).c_str(), name.c_str());
                try {
                    auto figures = bench::run_worker(given, group, engine);
                    if (figures.empty()) {
                        std::fprintf(stderr, "left out: this machine has no such data\n");
                        break;
                    }
                    for (auto& one : figures) {
                        samples.push_back({name, repetition, std::move(one)});
                    }
                } catch (std::runtime_error const& e) {
                    std::fprintf(stderr, "%s: %s\n", name.c_str(), e.what());
                    whole = false;
                }
            }
        }
    }
    return whole;
}

void write_file(std::filesystem::path const& path, std::string const& text) {
    if (path.empty()) return;
    std::ofstream file(path, std::ios::binary);
    if (!(file << text).flush()) throw std::runtime_error("cannot write " + path.string());
}

/// The text of a file that has a place for the tables, with them there; else the tables alone. The
/// place is between the comments <!-- SECTION --> and <!-- /SECTION -->.
[[nodiscard]] std::string placed(arguments const& given, std::string const& tables) {
    std::ifstream file(given.markdown, std::ios::binary);
    std::string const whole{std::istreambuf_iterator<char>(file), {}};
    auto const first = "<!-- " + given.section + " -->\n";
    auto const begin = whole.find(first);
    auto const end = whole.find("<!-- /" + given.section + " -->");
    if (begin == std::string::npos || end == std::string::npos || end < begin) return tables;
    return whole.substr(0, begin + first.size()) + "\n" + tables + "\n" + whole.substr(end);
}

/// What stands above the tables: what was measured, and the chart where there is one.
[[nodiscard]] std::string head_of(arguments const& given, std::vector<sample> const& samples) {
    auto text = std::to_string(given.pairs) + " pairs of " + std::to_string(bench::key_bytes) +
                " + " + std::to_string(bench::value_bytes) + " bytes, " +
                std::to_string(given.repetitions) + " repetitions\n\n";
    if (given.section == "instructions" && given.repetitions > 1) {
        char line[100];
        std::snprintf(line, sizeof line, "Largest difference between the repetitions: %.2f %%\n\n",
                      bench::largest_difference(samples));
        text += line;
    }
    if (!given.svg.empty() && !given.markdown.empty()) {
        auto const folder = std::filesystem::absolute(given.markdown).parent_path();
        text += "![Ratios to LMDB](" +
                std::filesystem::absolute(given.svg).lexically_relative(folder).generic_string() +
                ")\n\n";
    }
    return text;
}

int run(arguments const& given) {
    for (auto const& engine : given.engines) static_cast<void>(bench::engine_named(engine));
    std::vector<sample> samples;
    auto const whole = run_all(given, samples);
    auto const rows = bench::rows_of(samples);
    auto const tables = head_of(given, samples) + bench::markdown_of(rows, given.engines);
    std::printf("%s", tables.c_str());
    write_file(given.markdown, placed(given, tables));
    write_file(given.svg, bench::svg_of(rows, given.engines));
    write_file(given.json, nlohmann::json(samples).dump(1) + "\n");
    return whole ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    try {
        int exit_code = 0;
        auto const given = bench::parse(argc, argv, exit_code);
        if (!given) return exit_code;
        if (given->group.empty()) return run(*given);
        bench::work(*given);
        return 0;
    } catch (std::exception const& e) {
        std::fprintf(stderr, "coppice_bench: %s\n", e.what());
        return 1;
    }
}
