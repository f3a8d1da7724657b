// SPDX-License-Identifier: BSL-1.0
#include <coppice/format/heads.hpp>

#include <catch2/catch.hpp>
#include <rapidcheck.h>

#include <algorithm>
#include <vector>

namespace format = coppice::format;

namespace {

/// The heads alone in a block of exactly their size, `shift` bytes into it, so that a sanitizer
/// sees each byte read beyond them.
std::vector<std::byte> image_of(std::vector<std::uint32_t> const& heads, std::size_t shift) {
    std::vector<std::byte> image(shift + 4 * heads.size());
    for (std::size_t i = 0; i < heads.size(); ++i) {
        format::store(image.data() + shift + 4 * i, heads[i]);
    }
    return image;
}

} // namespace

TEST_CASE("the first head that is not below is that of std::lower_bound, for every count") {
    for (std::size_t count = 0; count <= 300; ++count) {
        std::vector<std::uint32_t> heads;
        for (std::uint32_t i = 0; i < count; ++i) heads.push_back(10 * (i - i % 3)); // some equal
        auto const image = image_of(heads, count % 4);
        for (std::uint32_t wanted = 0; wanted < 10 * count + 20; wanted += 5) {
            auto const at = std::lower_bound(heads.begin(), heads.end(), wanted);
            if (format::first_head_from(image.data() + count % 4, count, wanted) !=
                static_cast<std::size_t>(at - heads.begin())) {
                FAIL(count << " heads, " << wanted);
            }
        }
    }
}

TEST_CASE("heads of all sizes are counted as one by one, with and without vectors, in any order") {
    CHECK(rc::check([](std::vector<std::uint32_t> heads, std::uint32_t wanted, bool sorted) {
        for (auto const edge : {0U, 1U, 0x7FFF'FFFFU, 0x8000'0000U, 0xFFFF'FFFFU}) {
            heads.push_back(edge);
        }
        if (sorted) std::sort(heads.begin(), heads.end());
        auto const image = image_of(heads, 0);
        for (auto const goal : {wanted, 0U, 1U, 0x7FFF'FFFFU, 0x8000'0000U, 0xFFFF'FFFFU}) {
            auto const below = format::detail::count_below_plain(image.data(), heads.size(), goal);
            RC_ASSERT(format::detail::count_below(image.data(), heads.size(), goal) == below);
            auto const first = format::first_head_from(image.data(), heads.size(), goal);
            RC_ASSERT(first <= heads.size());
            if (sorted) RC_ASSERT(first == below);
        }
    }));
}

TEST_CASE("a partition is found at every place, in as many steps as its length has bits") {
    for (std::size_t length = 0; length <= 65; ++length) {
        for (std::size_t at = 0; at <= length; ++at) {
            std::size_t steps = 0;
            auto const found = format::partition_index(7, 7 + length, [&](std::size_t i) {
                ++steps;
                return i < 7 + at;
            });
            REQUIRE(found == 7 + at);
            REQUIRE((std::size_t{1} << steps) <= 2 * (length + 1));
        }
    }
}
