// SPDX-License-Identifier: BSL-1.0
#include <coppice/storage/deadline.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <limits>

using coppice::storage::moment_in;
using clock_type = std::chrono::steady_clock;

TEST_CASE("a moment lies as far from now as was asked for, rounded up") {
    auto const before = clock_type::now();
    auto const moment = moment_in(std::chrono::duration<double, std::milli>(0.5));
    CHECK(moment >= before + std::chrono::microseconds(500));
    CHECK(moment <= clock_type::now() + std::chrono::microseconds(500));
    CHECK(moment_in(std::chrono::hours(24 * 365)) > before + std::chrono::hours(24 * 364));
}

TEST_CASE("what has passed is now, and what no clock reaches is its last moment") {
    auto const before = clock_type::now();
    for (auto const past :
         {std::chrono::hours(0), std::chrono::hours(-1), std::chrono::hours::min()}) {
        auto const moment = moment_in(past);
        CHECK(moment >= before);
        CHECK(moment <= clock_type::now());
    }
    constexpr auto last = clock_type::time_point::max();
    CHECK(moment_in(std::chrono::hours::max()) == last);
    CHECK(moment_in(std::chrono::nanoseconds::max()) == last);
    CHECK(moment_in(std::chrono::duration<double>(1e300)) == last);
    // Not a number is no time to wait for.
    auto const none =
        moment_in(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN()));
    CHECK(none <= clock_type::now());
}
