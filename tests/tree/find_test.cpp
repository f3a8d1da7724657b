// SPDX-License-Identifier: BSL-1.0
#include <coppice/tree/find.hpp>

#include <catch2/catch.hpp>
#include <memory_source.hpp>

namespace tree = coppice::tree;

TEST_CASE("nothing is found in the empty tree") {
    grove::memory_source const source;
    CHECK_FALSE(tree::find(source, {}, ""));
    CHECK_FALSE(tree::find(source, {}, "k"));
    CHECK(source.opened == 0);
}

TEST_CASE("every key is found and its neighbours are not") {
    grove::bench bench{grove::tiny};
    auto content = grove::numbered_content(500);
    content[""] = "the empty key";
    content[std::string(1, '\0')] = "a zero";
    content["\xff\xff"] = std::string(500, 'o');
    auto const built = bench.build(content);
    CHECK(built.height >= 4);
    for (auto const& [key, value] : content) {
        auto const found = tree::find(bench.source, built, key);
        REQUIRE(found);
        CHECK(grove::text_of(*found) == value);
        if (!content.contains(key + '\0')) CHECK_FALSE(tree::find(bench.source, built, key + '\0'));
        auto const shorter = key.substr(0, key.empty() ? 0 : key.size() - 1);
        if (!content.contains(shorter)) CHECK_FALSE(tree::find(bench.source, built, shorter));
    }
}

TEST_CASE("a point read opens as many nodes as the tree is high") {
    grove::bench bench{grove::tiny};
    auto const built = bench.build(grove::numbered_content(1000));
    for (auto const* const key : {"", "key00000000", "key00000777", "key00000777x", "z"}) {
        bench.source.opened = 0;
        static_cast<void>(tree::find(bench.source, built, key));
        CHECK(bench.source.opened == built.height);
    }
}
