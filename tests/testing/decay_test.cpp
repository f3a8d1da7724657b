// SPDX-License-Identifier: BSL-1.0
#include <coppice/testing/decay.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <set>
#include <utility>
#include <vector>

namespace {

using coppice::testing::choices;
using coppice::testing::decay_kind;

std::vector<std::byte> pattern(std::size_t size_bytes, std::uint64_t seed) {
    std::vector<std::byte> result(size_bytes);
    for (std::size_t i = 0; i < size_bytes; ++i) {
        result[i] = std::byte{static_cast<std::uint8_t>(coppice::testing::mixed(seed + i))};
    }
    return result;
}

} // namespace

TEST_CASE("decay changes what it reports and nothing else, in every way") {
    auto const whole = pattern(9000, 1);
    auto const before = pattern(6000, 2);
    std::array<std::size_t, coppice::testing::kinds_of_decay> seen{};
    std::set<std::pair<std::uint64_t, std::size_t>> places;
    for (auto pick = choices::random(7); seen[0] + seen[1] + seen[2] + seen[3] < 4000;
         pick.next()) {
        auto file = whole;
        auto const done = coppice::testing::harm(file, before, pick);
        INFO(pick.name());
        if (!done) {
            REQUIRE(file == whole);
            continue;
        }
        ++seen[static_cast<std::size_t>(done->kind)];
        places.emplace(done->offset, done->size_bytes);
        REQUIRE(file.size() == whole.size());
        auto const first = static_cast<std::ptrdiff_t>(done->offset);
        auto const last = first + static_cast<std::ptrdiff_t>(done->size_bytes);
        REQUIRE(std::equal(file.begin(), file.begin() + first, whole.begin()));
        REQUIRE(std::equal(file.begin() + last, file.end(), whole.begin() + last));
        REQUIRE_FALSE(file == whole);
        if (done->kind == decay_kind::outdated && done->offset + done->size_bytes <= 6000) {
            REQUIRE(std::equal(file.begin() + first, file.begin() + last, before.begin() + first));
        }
    }
    for (auto const count : seen) CHECK(count > 500);
    CHECK(places.size() > 600); // bytes, 18 sectors and 3 blocks
}

TEST_CASE("decay that would change nothing is none") {
    std::vector<std::byte> zeros(512);
    std::size_t none = 0;
    for (auto pick = choices::random(3, 0); none < 20; pick.next()) {
        auto file = zeros;
        auto const done = coppice::testing::harm(file, zeros, pick);
        none += done ? 0U : 1U;
        REQUIRE(done.has_value() == (file != zeros));
        if (done) REQUIRE(done->kind != decay_kind::outdated);
    }
}

TEST_CASE("the same choices do the same harm with every compiler") {
    auto file = pattern(9000, 1);
    auto const before = pattern(6000, 2);
    for (auto [pick, i] = std::pair(choices::random(11), 0); i < 100; pick.next(), ++i) {
        static_cast<void>(coppice::testing::harm(file, before, pick));
    }
    CHECK(coppice::format::checksum(file) == 0x1A29'9218'1995'C2F9U);
}
