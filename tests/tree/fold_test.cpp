// SPDX-License-Identifier: BSL-1.0
#include <coppice/tree/fold.hpp>

#include <coppice/tree/arena.hpp>
#include <coppice/tree/edits.hpp>
#include <coppice/tree/find.hpp>

#include <catch2/catch.hpp>
#include <memory_source.hpp>

#include <string>
#include <vector>

namespace {

using namespace coppice;
using tree::edit_map;

} // namespace

TEST_CASE("one edit, and many, are in the tree whichever way is taken") {
    grove::memory_source const source;
    tree::arena memory;
    format::tree_ref tree;
    auto const fold = [&](edit_map const& edits) {
        tree = tree::fold(source, memory, grove::tiny, tree, edit_map::walk(edits), edits.size());
    };
    edit_map many;
    std::vector<std::string> keys;
    for (int i = 100; i < 200; ++i) keys.push_back(std::to_string(i));
    for (auto const& key : keys) many.put(key, {"v", false});
    fold(many);
    CHECK(tree.root.entries == 100);
    auto const before = tree;
    edit_map one;
    one.put("150", {"other", false});
    fold(one);
    CHECK(tree.root.entries == 100);
    CHECK(tree::find(source, tree, "150")->raw == "other");
    CHECK(tree::find(source, before, "150")->raw == "v");
    edit_map gone;
    gone.erase("150"); // the short way puts only
    fold(gone);
    CHECK(tree.root.entries == 99);
    CHECK_FALSE(tree::find(source, tree, "150"));
}
