// SPDX-License-Identifier: BSL-1.0
#include <coppice/tree/tree.hpp>

#include <catch2/catch.hpp>
#include <memory_source.hpp>
#include <tree_image.hpp>

#include <type_traits>

namespace tree = coppice::tree;

TEST_CASE("a tree is a small value, and the empty one is the default") {
    tree::tree_ref const empty;
    CHECK(empty.height == 0);
    CHECK(empty.root.node.is_null());
    CHECK(empty == tree::tree_ref{});
    grove::bench bench;
    auto const one = bench.put({}, "k");
    CHECK(one != empty);
    CHECK(one.height == 1);
    CHECK(one.root.entries == 1);
}

TEST_CASE("nothing changed is an equality of two trees") {
    grove::bench bench{grove::tiny};
    auto const before = bench.build(grove::numbered_content(200));
    CHECK(bench.apply(before, {}) == before);
    CHECK(bench.erase_range(before, "b", "a") == before);
    CHECK(bench.erase_range(before, "a", "a") == before);
}

static_assert(std::is_trivially_copyable_v<tree::tree_ref>);
static_assert(sizeof(tree::tree_ref) <= 56);
static_assert(tree::node_source<grove::memory_source> && tree::node_source<grove::image_source>);
static_assert(tree::node_sink<grove::counting_arena> && tree::node_sink<grove::image_sink>);
static_assert(!tree::node_sink<grove::memory_source>);
