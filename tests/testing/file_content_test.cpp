// SPDX-License-Identifier: BSL-1.0
#include <coppice/testing/file_content.hpp>

#include <coppice/bytes.hpp>

#include <catch2/catch.hpp>

#include <vector>

using coppice::testing::file_content;

TEST_CASE("a copied content shares its bytes until one of them changes") {
    file_content one(std::vector<std::byte>(100, std::byte{7}));
    auto two = one;
    CHECK(one.data() == two.data());
    two.own()[3] = std::byte{8};
    CHECK(one[3] == std::byte{7});
    CHECK(two[3] == std::byte{8});
    CHECK(one.data() != two.data());
    CHECK_FALSE(one == two);
    auto const* const before = two.data();
    two.own()[3] = std::byte{7}; // alone: nothing is copied
    CHECK(two.data() == before);
    CHECK(one == two);
}

TEST_CASE("an empty content reads, grows and shrinks as a vector does") {
    file_content none;
    CHECK(none.empty());
    CHECK(none == file_content(std::vector<std::byte>{}));
    auto const copy = none;
    none.resize(3);
    CHECK(none.size() == 3);
    CHECK(none[2] == std::byte{0});
    CHECK(copy.empty());
    auto const shared = none;
    none.resize(3); // no change, no copy
    CHECK(none.data() == shared.data());
    none.resize(1);
    CHECK(shared.size() == 3);
    CHECK(coppice::bytes{none}.size() == 1);
}
