// SPDX-License-Identifier: BSL-1.0
// Decisions: the same numbers everywhere for a seed and an index, and every combination once.

#include <coppice/testing/choices.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <set>
#include <stdexcept>

namespace {

using coppice::testing::choices;
using coppice::testing::mixed;
using numbers = std::vector<std::uint64_t>;

numbers some_of(choices pick, std::size_t count, std::uint64_t bound) {
    numbers result;
    while (result.size() < count) result.push_back(pick.below(bound));
    return result;
}

/// What a body answers in every combination of its choices.
template <typename Body> std::vector<numbers> every(Body body) {
    std::vector<numbers> result;
    auto pick = choices::all();
    do {
        result.push_back(body(pick));
    } while (pick.next());
    return result;
}

bool all_different(std::vector<numbers> const& found) {
    return std::set<numbers>(found.begin(), found.end()).size() == found.size();
}

} // namespace

TEST_CASE("mixing is splitmix64") {
    STATIC_REQUIRE(mixed(0) == 0xE220'A839'7B1D'CDAFU); // the first number of the reference, seed 0
    STATIC_REQUIRE(mixed(1) == 0x910A'2DEC'8902'5CC1U);
    STATIC_REQUIRE(mixed(~std::uint64_t{0}) == 0xE4D9'7177'1B65'2C20U);
}

TEST_CASE("a seed and an index give the same numbers on every platform") {
    CHECK(some_of(choices::random(0), 5, 1000) == numbers{180, 188, 466, 991, 480});
    CHECK(some_of(choices::random(42, 7), 5, 1000) == numbers{471, 394, 489, 411, 86});
    CHECK(some_of(choices::random((std::uint64_t{1} << 63U) + 1, std::uint64_t{1} << 40U), 2,
                  ~std::uint64_t{0}) == numbers{0xD182'FA55'AFC0'B54AU, 0x11FA'18F5'0B45'2F16U});
}

TEST_CASE("random choices go on to the next index, and begin anew there") {
    auto pick = choices::random(5, 10);
    CHECK_FALSE(pick.exhaustive());
    for (int i = 0; i < 17; ++i) static_cast<void>(pick.below(3));
    CHECK(pick.next());
    CHECK(pick.name() == "5:11");
    CHECK(some_of(pick, 20, 1000) == some_of(choices::random(5, 11), 20, 1000));
    CHECK(some_of(pick, 20, 1000) != some_of(choices::random(5, 10), 20, 1000));
    CHECK(some_of(pick, 20, 1000) != some_of(choices::random(11, 5), 20, 1000));
}

TEST_CASE("random numbers stay below their bound and reach all that is below it") {
    auto pick = choices::random(1);
    for (std::uint64_t bound = 1; bound < 20; ++bound) {
        std::set<std::uint64_t> seen;
        for (int i = 0; i < 1000; ++i) seen.insert(pick.below(bound));
        CHECK(seen.size() == bound);
        CHECK(*seen.rbegin() == bound - 1);
    }
    int heads = 0;
    for (int i = 0; i < 10'000; ++i) heads += pick.flip() ? 1 : 0;
    CHECK(heads > 4'700);
    CHECK(heads < 5'300);
}

TEST_CASE("all combinations come, each once, the last decision turning fastest") {
    auto const found = every([](choices& pick) {
        CHECK(pick.exhaustive());
        return numbers{pick.below(2), pick.below(1), pick.below(3), pick.flip() ? 1U : 0U};
    });
    CHECK(found.size() == 12);
    CHECK(all_different(found));
    CHECK(std::is_sorted(found.begin(), found.end()));
    CHECK(found.front() == numbers{0, 0, 0, 0});
    CHECK(found.back() == numbers{1, 0, 2, 1});
}

TEST_CASE("bounds and the number of decisions may depend on earlier decisions") {
    // All orders of five things: after each one there is one less to choose from.
    auto const orders = every([](choices& pick) {
        numbers left(5);
        std::iota(left.begin(), left.end(), 0);
        numbers order;
        while (!left.empty()) {
            auto const at = left.begin() + static_cast<std::ptrdiff_t>(pick.below(left.size()));
            order.push_back(*at);
            left.erase(at);
        }
        return order;
    });
    CHECK(orders.size() == 120);
    CHECK(all_different(orders));
    // All ways to write 6 as a sum: 2 to the power of 5.
    auto const sums = every([](choices& pick) {
        numbers parts;
        for (std::uint64_t left = 6; left != 0; left -= parts.back()) {
            parts.push_back(pick.below(left) + 1);
        }
        return parts;
    });
    CHECK(sums.size() == 32);
    CHECK(all_different(sums));
}

TEST_CASE("where there is nothing to decide there is one combination") {
    CHECK(every([](choices&) { return numbers{}; }).size() == 1);
    CHECK(every([](choices& pick) { return numbers{pick.below(1)}; }).size() == 1);
}

TEST_CASE("after the last combination the first one comes again") {
    auto pick = choices::all();
    do {
        static_cast<void>(pick.below(3));
    } while (pick.next());
    CHECK(pick.below(3) == 0);
}

TEST_CASE("a body that asks something else after the same answers is found out") {
    auto pick = choices::all();
    static_cast<void>(pick.below(2));
    static_cast<void>(pick.below(3));
    REQUIRE(pick.next());
    CHECK_THROWS_AS(pick.below(5), std::logic_error);
}

TEST_CASE("bytes decide, as many for each decision as its bound needs, and then all is 0") {
    std::array<std::byte, 7> const input{std::byte{7},    std::byte{200}, std::byte{1},
                                         std::byte{0x23}, std::byte{1},   std::byte{255},
                                         std::byte{9}};
    auto pick = choices::of(input);
    CHECK_FALSE(pick.exhaustive());
    CHECK(pick.below(10) == 7);
    CHECK(pick.below(1) == 0); // nothing to decide, so no byte is used
    CHECK(pick.below(256) == 200);
    CHECK(pick.below(257) == 0x123 % 257);
    CHECK(pick.flip());
    CHECK(pick.more());
    CHECK(pick.below(~std::uint64_t{0}) == 0xFF09'0000'0000'0000U);
    CHECK_FALSE(pick.more());
    CHECK(pick.below(1000) == 0);
    CHECK_FALSE(pick.next());
    CHECK(pick.name() == "7 bytes");
    CHECK(choices::random(1).more());
    CHECK(choices::all().more());
    CHECK_FALSE(choices::of({}).more());
}

TEST_CASE("a run has a name") {
    CHECK(choices::random(12, 34).name() == "12:34");
    auto pick = choices::all();
    CHECK(pick.name() == "combination");
    for (int run = 0; run < 4; ++run) {
        static_cast<void>(pick.below(2));
        static_cast<void>(pick.below(3));
        if (run < 3) REQUIRE(pick.next());
    }
    CHECK(pick.name() == "combination 1 0");
}
