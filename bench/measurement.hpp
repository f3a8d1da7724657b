// SPDX-License-Identifier: BSL-1.0
#pragma once
// bench/measurement.hpp: one figure, and how a worker tells it to the program that started it.
// Owns: the line of JSON between the two, which is also the form of --json.

#include <nlohmann/json.hpp>

#include <cstdio>
#include <string>
#include <string_view>

namespace bench {

/// What the names of figures of deferred commits contain. They are compared with the figure of the
/// baseline whose name is the same without it.
inline constexpr std::string_view deferred_mark = ", deferred";

/// A figure of one run of one engine.
struct measurement {
    std::string workload;         ///< W1 to W14, RP, RW, floors
    std::string name;             ///< what was measured
    std::string unit;             ///< of `value`
    bool higher_is_better = true; ///< a rate; else a cost
    double value = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(measurement, workload, name, unit, higher_is_better, value)

/// A figure, and where it belongs.
struct sample {
    std::string engine;
    std::size_t repetition = 0;
    measurement of;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(sample, engine, repetition, of)

/// Writes figures as lines.
class recorder {
  public:
    explicit recorder(std::FILE* to) : to_(to) {}

    /// So many operations in so many seconds.
    void rate(std::string_view workload, std::string_view name, std::string_view unit,
              double operations, double seconds) {
        write({std::string(workload), std::string(name), std::string(unit), true,
               operations / seconds});
    }
    /// Something that had better be small.
    void cost(std::string_view workload, std::string_view name, std::string_view unit,
              double value) {
        write({std::string(workload), std::string(name), std::string(unit), false, value});
    }

  private:
    void write(measurement const& one) {
        std::fprintf(to_, "%s\n", nlohmann::json(one).dump().c_str());
        std::fflush(to_);
    }

    std::FILE* to_;
};

} // namespace bench
