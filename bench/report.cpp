// SPDX-License-Identifier: BSL-1.0
// bench/report.cpp: medians, ratios, tables.

#include "bench/report.hpp"

#include "bench/measure.hpp"
#include "bench/targets.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <string_view>

namespace bench {

namespace {

/// The figures of one row: engine -> repetition -> value.
using figures = std::map<std::string, std::map<std::size_t, double>>;

[[nodiscard]] std::vector<double> ratios_of(std::map<std::size_t, double> const& ours,
                                            std::map<std::size_t, double> const& theirs,
                                            bool higher_is_better) {
    std::vector<double> ratios;
    for (auto const& [repetition, value] : ours) {
        auto const other = theirs.find(repetition);
        if (other == theirs.end()) continue;
        auto const ratio = higher_is_better ? value / other->second : other->second / value;
        if (std::isfinite(ratio) && ratio > 0) ratios.push_back(ratio);
    }
    return ratios;
}

[[nodiscard]] double median_of(std::map<std::size_t, double> const& by_repetition) {
    std::vector<double> all;
    for (auto const& [repetition, value] : by_repetition) all.push_back(value);
    return median(std::move(all));
}

/// The name of the figure whose baseline is compared with this one.
[[nodiscard]] std::string compared_name(std::string name) {
    if (auto const at = name.find(deferred_mark); at != std::string::npos) {
        name.erase(at, deferred_mark.size());
    }
    return name;
}

/// @param compared the figures of the same name, or of commits without a sync
void summarise(row& to, figures const& from, figures const& compared) {
    auto const theirs = compared.find(baseline);
    if (theirs != compared.end()) to.medians[baseline] = median_of(theirs->second);
    for (auto const& [engine, values] : from) {
        to.medians[engine] = median_of(values);
        if (theirs == compared.end()) continue;
        auto ratios = ratios_of(values, theirs->second, to.what.higher_is_better);
        if (!ratios.empty()) to.ratios[engine] = median(std::move(ratios));
    }
}

/// Three digits, with k and M behind large numbers.
[[nodiscard]] std::string short_number(double value) {
    auto const* const unit = value >= 1e6 ? "M" : value >= 1e4 ? "k" : "";
    auto const scaled = value >= 1e6 ? value / 1e6 : value >= 1e4 ? value / 1e3 : value;
    auto const decimals = scaled >= 100 || scaled == 0 ? 0 : scaled >= 10 ? 1 : 2;
    char text[32];
    std::snprintf(text, sizeof text, "%.*f%s", decimals, scaled, unit);
    return text;
}

[[nodiscard]] std::string cell(std::map<std::string, double> const& values,
                               std::string const& engine) {
    auto const at = values.find(engine);
    return at == values.end() ? "-" : short_number(at->second);
}

/// "2.50", or what the target is in words.
[[nodiscard]] std::string target_cell(std::string const& name) {
    auto const* const aim = target_of(name);
    if (aim == nullptr) return "";
    return aim->ratio > 0 ? short_number(aim->ratio) : std::string(aim->text);
}

[[nodiscard]] std::string line_of(std::vector<std::string> const& cells) {
    std::string line = "|";
    for (auto const& cell : cells) line += " " + cell + " |";
    return line + "\n";
}

[[nodiscard]] bool among(std::vector<std::string> const& engines, std::string_view name) {
    return std::find(engines.begin(), engines.end(), name) != engines.end();
}

/// Medians of LMDB and coppice, ratios of all others to LMDB; without LMDB medians of all.
[[nodiscard]] std::string table_of_engines(std::vector<row> const& rows,
                                           std::vector<std::string> const& engines) {
    auto absolute = engines;
    std::vector<std::string> relative;
    if (among(engines, baseline)) {
        absolute = {baseline};
        if (among(engines, "coppice")) absolute.emplace_back("coppice");
        std::copy_if(engines.begin(), engines.end(), std::back_inserter(relative),
                     [](std::string const& engine) { return engine != baseline; });
    }
    std::vector<std::string> head = {"workload", "unit"};
    head.insert(head.end(), absolute.begin(), absolute.end());
    for (auto const& engine : relative) head.push_back(engine + " / " + baseline);
    auto const with_targets =
        std::any_of(rows.begin(), rows.end(),
                    [](row const& one) { return target_of(one.what.name) != nullptr; }) &&
        among(relative, "coppice");
    if (with_targets) head.emplace_back("target of coppice");
    auto text = line_of(head) + line_of(std::vector<std::string>(head.size(), "---"));
    for (auto const& row : rows) {
        if (row.medians.contains(floor_name)) continue;
        std::vector<std::string> cells = {
            row.what.name, row.what.unit + (row.what.higher_is_better ? " ↑" : " ↓")};
        for (auto const& engine : absolute) cells.push_back(cell(row.medians, engine));
        for (auto const& engine : relative) cells.push_back(cell(row.ratios, engine));
        if (with_targets) cells.push_back(target_cell(row.what.name));
        text += line_of(cells);
    }
    return text;
}

[[nodiscard]] std::string table_of_floors(std::vector<row> const& rows) {
    std::string text;
    for (auto const& row : rows) {
        if (!row.medians.contains(floor_name)) continue;
        if (text.empty()) text = line_of({"floor", "median", "unit"}) + "|---|---|---|\n";
        text += line_of({row.what.name, cell(row.medians, floor_name), row.what.unit});
    }
    return text;
}

} // namespace

std::vector<row> rows_of(std::vector<sample> const& samples) {
    std::vector<row> rows;
    std::map<std::string, figures> by_name;
    for (auto const& sample : samples) {
        auto& figures = by_name[sample.of.name];
        if (figures.empty()) rows.push_back({sample.of, {}, {}});
        figures[sample.engine][sample.repetition] = sample.of.value;
    }
    for (auto& row : rows) {
        summarise(row, by_name[row.what.name], by_name[compared_name(row.what.name)]);
    }
    // A workload's rows stand together, also where some of them came later.
    std::map<std::string, std::size_t> first;
    for (auto const& row : rows) first.emplace(row.what.workload, first.size());
    std::stable_sort(rows.begin(), rows.end(), [&](row const& a, row const& b) {
        return first[a.what.workload] < first[b.what.workload];
    });
    return rows;
}

double largest_difference(std::vector<sample> const& samples) {
    std::map<std::string, std::vector<double>> values;
    for (auto const& sample : samples) {
        values[sample.engine + sample.of.name].push_back(sample.of.value);
    }
    double largest = 0;
    for (auto const& [name, all] : values) {
        auto const [least, most] = std::minmax_element(all.begin(), all.end());
        if (*most > 0) largest = std::max(largest, 100 * (*most - *least) / *most);
    }
    return largest;
}

std::string markdown_of(std::vector<row> const& rows, std::vector<std::string> const& engines) {
    auto const is_floor = [](row const& one) { return one.medians.contains(floor_name); };
    std::string text;
    if (!std::all_of(rows.begin(), rows.end(), is_floor)) text = table_of_engines(rows, engines);
    auto const floors = table_of_floors(rows);
    if (!text.empty() && !floors.empty()) text += "\n";
    return text + floors;
}

} // namespace bench
