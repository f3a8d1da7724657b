// SPDX-License-Identifier: BSL-1.0
#pragma once
// bench/workloads/zipfian.hpp: YCSB's scrambled zipfian choice of records.
// Owns: Gray's generator ("Quickly generating billion-record synthetic databases", 1994), with
//   the ranks scattered over the records by a hash.

#include "bench/data.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>

namespace bench {

class zipfian {
  public:
    /// REQUIRES: `records` is at least 2.
    zipfian(std::size_t records, double theta) : records_(static_cast<double>(records)) {
        for (std::size_t i = 1; i <= records; ++i) {
            zeta_ += std::pow(1.0 / static_cast<double>(i), theta);
        }
        second_ = 1.0 + std::pow(0.5, theta);
        alpha_ = 1.0 / (1.0 - theta);
        eta_ = (1.0 - std::pow(2.0 / records_, 1.0 - theta)) / (1.0 - second_ / zeta_);
    }

    /// The place of a record.
    [[nodiscard]] std::size_t operator()(std::mt19937_64& random) const {
        return mixed(rank(random)) % static_cast<std::size_t>(records_);
    }

  private:
    [[nodiscard]] std::uint64_t rank(std::mt19937_64& random) const {
        auto const u = static_cast<double>(random() >> 11U) * 0x1p-53;
        if (u * zeta_ < 1.0) return 0;
        if (u * zeta_ < second_) return 1;
        return static_cast<std::uint64_t>(records_ * std::pow(eta_ * u - eta_ + 1.0, alpha_));
    }

    double records_;
    double zeta_ = 0;
    double second_ = 0;
    double alpha_ = 0;
    double eta_ = 0;
};

} // namespace bench
