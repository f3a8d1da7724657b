// SPDX-License-Identifier: BSL-1.0
#include <coppice/format/patch_writer.hpp>
#include <coppice/tree/open_node.hpp>

#include <catch2/catch.hpp>
#include <kind_of.hpp>
#include <memory_source.hpp>
#include <node_block.hpp>

#include <string>
#include <vector>

namespace format = coppice::format;
namespace tree = coppice::tree;
using coppice::errc;

namespace {

format::node_ref kept(tree::arena& in, coppice::bytes node) {
    auto const to = in.allocate_node(node.size());
    std::copy(node.begin(), node.end(), to.begin());
    return in.seal_node(to);
}

} // namespace

TEST_CASE("a leaf is opened with its patch if that is of a leaf of its size") {
    tree::arena memory;
    grove::memory_source const source;
    auto const leaf = kept(memory, node_block::leaf_of({{"a", "1"}, {"c", "2"}}).all());
    std::vector<format::leaf_change> const changes{{1, false, false, {"b", {"new", false}}}};
    std::vector<std::byte> patch(format::leaf_patch_bytes(changes));
    format::write_leaf_patch(changes, 2, 3, {}, patch);
    auto const fits = kept(memory, patch);
    format::write_leaf_patch(changes, 3, 4, {}, patch);
    auto const other = kept(memory, patch);
    CHECK(tree::open_leaf(source, {leaf}).count() == 2);
    CHECK(tree::open_leaf(source, {leaf, fits}).count() == 3);
    CHECK(tree::open_leaf(source, {leaf, fits}).key(1) == "b");
    CHECK(source.opened == 5);
    using support::kind_of;
    CHECK(kind_of([&] {
              static_cast<void>(tree::open_leaf(source, {leaf, other}));
          }) == errc::corrupt);
    CHECK(kind_of([&] {
              static_cast<void>(tree::open_leaf(source, {leaf, leaf}));
          }) == errc::corrupt);
    CHECK(kind_of([&] { static_cast<void>(tree::open_leaf(source, {fits})); }) == errc::corrupt);
}

TEST_CASE("an inner node is opened with its patch if that is of a node of its size and level") {
    tree::arena memory;
    grove::memory_source const source;
    auto const inner = kept(memory, node_block::inner_of({"d", "m"}).all());
    std::vector<format::inner_change> const changes{
        {1, format::child_change::added, format::node_ref::at(16384, 64, 1), 1, 64, "f"}};
    std::vector<std::byte> patch(format::inner_patch_bytes(changes));
    format::write_inner_patch(1, changes, 3, 4, {}, patch);
    auto const fits = kept(memory, patch);
    format::write_inner_patch(1, changes, 2, 3, {}, patch);
    auto const other = kept(memory, patch);
    format::write_inner_patch(2, changes, 3, 4, {}, patch);
    auto const higher = kept(memory, patch);
    CHECK(tree::open_inner(source, {inner}, 1).count() == 3);
    CHECK(tree::open_inner(source, {inner, fits}, 1).count() == 4);
    CHECK(tree::open_inner(source, {inner, fits}, 1).separator(1) == "f");
    using support::kind_of;
    for (auto const wrong : {other, higher, inner}) {
        CHECK(kind_of([&] {
                  static_cast<void>(tree::open_inner(source, {inner, wrong}, 1));
              }) == errc::corrupt);
    }
}
