// SPDX-License-Identifier: BSL-1.0
#pragma once
// bench/report.hpp: from the figures of all runs to rows of medians and ratios.
// Owns: the arithmetic, the tables in Markdown and the chart.
// Invariant: a ratio is the median of the ratios within the repetitions, since the speed of a
//   shared machine drifts; above 1 is better than LMDB, for rates and for costs alike.

#include "bench/measurement.hpp"

#include <map>
#include <string>
#include <vector>

namespace bench {

/// The engine that all others are compared with.
inline constexpr auto baseline = "lmdb";
/// What stands for an engine in the figures of floors.
inline constexpr auto floor_name = "floor";

/// One figure of all engines. Where it is of deferred commits, the baseline's is that of its
/// commits without a sync.
struct row {
    measurement what;                      ///< its value does not count
    std::map<std::string, double> medians; ///< by engine
    std::map<std::string, double> ratios;  ///< to the baseline, where both have a figure
};

/// The rows in the order in which their figures came, workload by workload.
[[nodiscard]] std::vector<row> rows_of(std::vector<sample> const& samples);
/// Tables of the engines and of the floors.
[[nodiscard]] std::string markdown_of(std::vector<row> const& rows,
                                      std::vector<std::string> const& engines);
/// By how much figures differ between the repetitions: the largest difference in percent.
[[nodiscard]] double largest_difference(std::vector<sample> const& samples);
/// A chart of the ratios of rates, one line for each figure, one mark for each engine.
[[nodiscard]] std::string svg_of(std::vector<row> const& rows,
                                 std::vector<std::string> const& engines);

} // namespace bench
