// SPDX-License-Identifier: BSL-1.0
#include <coppice/options.hpp>

#include <catch2/catch.hpp>

#include <type_traits>

using namespace coppice;

TEST_CASE("options are an aggregate, and the defaults are the safe ones") {
    STATIC_REQUIRE(std::is_aggregate_v<options>);
    options const usual{};
    CHECK(usual.create == create::if_missing);
    CHECK(usual.durability == durability::sync);
    CHECK(usual.verify == verify::first_touch);
    CHECK(usual.recovery == recovery::automatic);
    CHECK_FALSE(usual.read_only);
    CHECK(usual.read_ahead);
    CHECK_FALSE(usual.events.on_commit);
    options const chosen{.create = create::must, .durability = durability::lazy};
    CHECK(chosen.create == create::must);
    CHECK(chosen.unsynced_limit_bytes == 32U << 20U);
    CHECK(chosen.transaction_bytes == 64U << 20U);
}
