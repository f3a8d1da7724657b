// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/clock.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <limits>

using coppice::store::to_microseconds;
using coppice::store::to_time_point;
using std::chrono::microseconds;
using std::chrono::system_clock;

TEST_CASE("a time goes to microseconds and back, and what is finer is cut off") {
    for (auto const us : {0LL, 1LL, 999'999LL, 1'700'000'000'000'000LL}) {
        auto const time = system_clock::time_point(microseconds(us));
        CHECK(to_microseconds(time) == static_cast<std::uint64_t>(us));
        CHECK(to_time_point(static_cast<std::uint64_t>(us)) == time);
    }
    auto const fine = system_clock::time_point(std::chrono::nanoseconds(1'999));
    CHECK(to_microseconds(fine) == 1);
}

TEST_CASE("a time before 1970 is 1970") {
    CHECK(to_microseconds(system_clock::time_point(microseconds(-1))) == 0);
    CHECK(to_microseconds(system_clock::time_point::min()) == 0);
}

TEST_CASE("a time that no clock can show is the latest one there is") {
    auto const latest = to_time_point(std::numeric_limits<std::uint64_t>::max());
    CHECK(latest <= system_clock::time_point::max());
    CHECK(latest > to_time_point(std::uint64_t{1} << 52U));
    CHECK(to_time_point(std::uint64_t{1} << 63U) == latest);
}
