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
