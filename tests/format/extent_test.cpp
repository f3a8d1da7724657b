// SPDX-License-Identifier: BSL-1.0
#include <coppice/format/extent.hpp>

#include <catch2/catch.hpp>
#include <rapidcheck.h>

#include <vector>

namespace format = coppice::format;

namespace {

constexpr auto mib = format::extent_piece_bytes;

} // namespace

TEST_CASE("a value up to 1 MiB has no table") {
    for (auto const length : {std::uint64_t{0}, std::uint64_t{1}, mib - 1, mib}) {
        CHECK(format::extent_pieces(length) == 0);
        CHECK(format::extent_table_bytes(length) == 0);
        CHECK(format::extent_stored_bytes(length) == coppice::align8(length));
    }
}

TEST_CASE("a value above 1 MiB has one checksum for each piece") {
    struct {
        std::uint64_t length, pieces, last;
    } const table[] = {{mib + 1, 2, 1},
                       {2 * mib - 1, 2, mib - 1},
                       {2 * mib, 2, mib},
                       {2 * mib + 1, 3, 1},
                       {5 * mib + 7, 6, 7},
                       {64 * mib, 64, mib},
                       {(mib << 27U) - 1, std::uint64_t{1} << 27U, mib - 1}};
    for (auto const& [length, pieces, last] : table) {
        CAPTURE(length);
        CHECK(format::extent_pieces(length) == pieces);
        CHECK(format::extent_table_bytes(length) == 8 * pieces);
        CHECK(format::extent_stored_bytes(length) == 8 * pieces + coppice::align8(length));
        CHECK(format::extent_piece_size(length, 0) == mib);
        CHECK(format::extent_piece_size(length, pieces - 1) == last);
    }
}

TEST_CASE("the pieces of a value add up to it") {
    CHECK(rc::check([] {
        auto const length = *rc::gen::inRange<std::uint64_t>(mib + 1, 40 * mib);
        std::uint64_t sum = 0;
        for (std::uint64_t i = 0; i < format::extent_pieces(length); ++i) {
            auto const size = format::extent_piece_size(length, i);
            RC_ASSERT(size > 0U);
            RC_ASSERT(size <= mib);
            sum += size;
        }
        RC_ASSERT(sum == length);
    }));
}

TEST_CASE("the checksum of a table covers the length and every byte of the table") {
    std::vector<std::byte> table(24, std::byte{5});
    auto const sum = format::extent_table_checksum(3 * mib, table);
    CHECK(format::extent_table_checksum(3 * mib - 1, table) != sum);
    for (auto& byte : table) {
        byte ^= std::byte{1};
        CHECK(format::extent_table_checksum(3 * mib, table) != sum);
        byte ^= std::byte{1};
    }
    // It is the plain checksum of the length, eight bytes, followed by the table.
    std::vector<std::byte> whole(8);
    format::store(whole.data(), 3 * mib);
    whole.insert(whole.end(), table.begin(), table.end());
    CHECK(sum == format::checksum(whole));
}

static_assert(format::extent_piece_bytes == 1048576);
static_assert(noexcept(format::extent_stored_bytes(1)));
