// SPDX-License-Identifier: BSL-1.0
// bench/chart.cpp: the chart of the ratios, as SVG.
// Each figure is a line: a bar for coppice from 1 (LMDB) to its ratio, a dot for each other engine,
// a stroke for the target, on a logarithmic scale.

#include "bench/report.hpp"
#include "bench/targets.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace bench {

namespace {

constexpr double label_width = 250;
constexpr double plot_width = 560;
constexpr double line_height = 22;
constexpr double top = 58;
constexpr double margin = 20;
constexpr double widest = 4; // ratios are shown from 1/16 to 16

constexpr auto bar_colour = "#2f7d4f";
constexpr std::array<char const*, 6> dot_colours = {"#b5651d", "#3b6fb6", "#8a4fa3",
                                                    "#c2a300", "#4a4a4a", "#c0392b"};

[[nodiscard]] double x_of(double ratio) {
    auto const log = std::clamp(std::log2(ratio), -widest, widest);
    return label_width + plot_width * (log + widest) / (2 * widest);
}

template <typename... Numbers>
[[nodiscard]] std::string text_of(char const* format, Numbers... numbers) {
    std::array<char, 512> text{};
    std::snprintf(text.data(), text.size(), format, numbers...);
    return text.data();
}

/// The vertical lines of the scale, with their ratios.
[[nodiscard]] std::string scale(double bottom) {
    std::string svg;
    for (int power = -static_cast<int>(widest); power <= static_cast<int>(widest); ++power) {
        auto const x = x_of(std::exp2(power));
        svg += text_of("<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' stroke='%s'/>\n", x, top, x,
                       bottom, power == 0 ? "#555" : "#ddd");
        auto const label =
            power < 0 ? "1/" + std::to_string(1 << -power) : std::to_string(1 << power);
        svg += text_of("<text x='%.1f' y='%.1f' text-anchor='middle' fill='#555'>%s</text>\n", x,
                       top - 6, label.c_str());
    }
    return svg;
}

[[nodiscard]] std::string legend(std::vector<std::string> const& others) {
    auto const y = margin;
    auto svg = text_of("<rect x='%.1f' y='%.1f' width='18' height='10' fill='%s'/>"
                       "<text x='%.1f' y='%.1f'>coppice</text>\n",
                       margin, y - 9, bar_colour, margin + 24, y);
    auto x = margin + 100;
    for (std::size_t i = 0; i < others.size(); ++i) {
        svg += text_of("<circle cx='%.1f' cy='%.1f' r='4' fill='%s'/>"
                       "<text x='%.1f' y='%.1f'>%s</text>\n",
                       x, y - 4, dot_colours[i % dot_colours.size()], x + 9, y, others[i].c_str());
        x += 30 + 7.5 * static_cast<double>(others[i].size());
    }
    return svg + text_of("<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' stroke='black' "
                         "stroke-width='2'/><text x='%.1f' y='%.1f'>target</text>\n",
                         x, y - 11, x, y + 2, x + 9, y);
}

[[nodiscard]] std::string line_of(row const& of, double y, std::vector<std::string> const& others) {
    auto svg = text_of("<text x='%.1f' y='%.1f' text-anchor='end'>%s</text>\n", label_width - 10,
                       y + 4, of.what.name.c_str());
    if (auto const ours = of.ratios.find("coppice"); ours != of.ratios.end()) {
        auto const x = x_of(ours->second);
        svg +=
            text_of("<rect x='%.1f' y='%.1f' width='%.1f' height='12' rx='2' fill='%s'>"
                    "<title>coppice: %.2f</title></rect>\n",
                    std::min(x, x_of(1)), y - 6, std::abs(x - x_of(1)), bar_colour, ours->second);
        svg += text_of("<text x='%.1f' y='%.1f' fill='%s'>%.2f</text>\n",
                       label_width + plot_width + 10, y + 4, bar_colour, ours->second);
    }
    if (auto const* const aim = target_of(of.what.name); aim != nullptr && aim->ratio > 0) {
        auto const x = x_of(aim->ratio);
        svg += text_of("<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' stroke='black' "
                       "stroke-width='2'><title>target: %.1f</title></line>\n",
                       x, y - 9, x, y + 9, aim->ratio);
    }
    for (std::size_t i = 0; i < others.size(); ++i) {
        auto const theirs = of.ratios.find(others[i]);
        if (theirs == of.ratios.end()) continue;
        svg += text_of("<circle cx='%.1f' cy='%.1f' r='4' fill='%s' stroke='white'>"
                       "<title>%s: %.2f</title></circle>\n",
                       x_of(theirs->second), y, dot_colours[i % dot_colours.size()],
                       others[i].c_str(), theirs->second);
    }
    return svg;
}

} // namespace

std::string svg_of(std::vector<row> const& rows, std::vector<std::string> const& engines) {
    std::vector<std::string> others;
    for (auto const& engine : engines) {
        if (engine != baseline && engine != "coppice") others.push_back(engine);
    }
    std::string lines;
    auto y = top + line_height / 2;
    for (auto const& row : rows) {
        if (!row.what.higher_is_better || row.ratios.empty()) continue;
        lines += line_of(row, y, others);
        y += line_height;
    }
    auto const bottom = y - line_height / 2;
    auto const width = label_width + plot_width + 60;
    return text_of("<svg xmlns='http://www.w3.org/2000/svg' width='%.0f' height='%.0f' "
                   "font-family='sans-serif' font-size='12'>\n"
                   "<rect width='100%%' height='100%%' fill='white'/>\n",
                   width, bottom + margin) +
           legend(others) +
           text_of("<text x='%.1f' y='%.1f' text-anchor='end' fill='#555'>ratio to LMDB, higher is "
                   "better</text>\n",
                   label_width - 30, top - 6) +
           scale(bottom) + lines + "</svg>\n";
}

} // namespace bench
