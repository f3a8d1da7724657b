// SPDX-License-Identifier: BSL-1.0
#include <coppice/storage/growing_pause.hpp>

#include <catch2/catch.hpp>

using coppice::storage::growing_pause;
using namespace std::chrono_literals;

TEST_CASE("pauses double up to the longest") {
    growing_pause pause(1ms);
    for (auto const expected : {64us, 128us, 256us, 512us, 1000us, 1000us}) {
        CHECK(pause.next() == expected);
    }
}

TEST_CASE("a rest ends in time, and there is none behind it") {
    growing_pause pause(1h);
    while (pause.next() < 30min) continue;
    auto const until = std::chrono::steady_clock::now() + 2ms;
    CHECK(pause.rest(until));
    CHECK(std::chrono::steady_clock::now() >= until);
    CHECK_FALSE(pause.rest(until));
    CHECK(pause.next() == 1h);
}

// "Not at all" is the first moment that there is, from which nothing can be subtracted.
TEST_CASE("there is no rest until long ago, and one until never") {
    using moment = std::chrono::steady_clock::time_point;
    growing_pause pause(1ms);
    CHECK_FALSE(pause.rest(moment::min()));
    CHECK_FALSE(pause.rest(moment()));
    CHECK(pause.rest(moment::max()));
}
