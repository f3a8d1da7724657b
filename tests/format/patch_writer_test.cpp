// SPDX-License-Identifier: BSL-1.0
#include <coppice/format/patch_writer.hpp>

#include <catch2/catch.hpp>
#include <node_block.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace format = coppice::format;
using node_block::block;

TEST_CASE("what patches have cost is summed up as far as their fields reach") {
    format::patch_history at;
    at = at.with(100).with(50);
    CHECK(at.spent_bytes == 150);
    CHECK(at.writes == 2);
    format::patch_history const often{5, 65535};
    CHECK(often.with(100).writes == 65535);
    CHECK(often.with(100).spent_bytes == 5);
    format::patch_history const dear{0xFFFF'FF00U, 9};
    CHECK(dear.with(0xFF).spent_bytes == 0xFFFF'FFFFU);
    CHECK(dear.with(0x100).writes == 9);
}

TEST_CASE("a leaf patch is as long as is said of it and says what was written") {
    for (std::size_t count = 1; count <= format::max_patch_changes; ++count) {
        std::vector<std::string> keys;
        for (std::size_t k = 0; k < count; ++k) keys.push_back("key" + std::to_string(100 + k));
        std::vector<format::leaf_change> changes;
        auto const reference = node_block::reference_to(9);
        for (std::size_t k = 0; k < count; ++k) {
            auto const erased = k % 3 == 1;
            changes.push_back({k, k % 3 != 0, erased, {keys[k], {}}});
            if (!erased) changes.back().item.value = {k % 2 == 0 ? reference : keys[k], k % 2 == 0};
        }
        block node(format::leaf_patch_bytes(changes));
        auto const entries = count + (count + 2) / 3 - (count + 1) / 3;
        format::write_leaf_patch(changes, count, entries, {1, 2}, node.writable());
        format::check_leaf_patch(node.all(), node_block::offset);
        format::leaf_patch_view const patch(node.data());
        REQUIRE(patch.count() == count);
        CHECK(patch.spent_bytes() == 1);
        CHECK(patch.writes() == 2);
        for (std::size_t k = 0; k < count; ++k) {
            CHECK(patch.base_index(k) == k);
            CHECK(patch.replaces(k) == changes[k].replaces);
            CHECK(patch.erased(k) == changes[k].erased);
            CHECK(patch.changed().key(k) == keys[k]);
            CHECK(patch.changed().value(k).raw == changes[k].item.value.raw);
            CHECK(patch.changed().value(k).out_of_line == changes[k].item.value.out_of_line);
        }
        block again(node.size());
        format::write_leaf_patch(changes, count, entries, {1, 2}, again.writable());
        CHECK(std::equal(node.data(), node.data() + node.size(), again.data()));
    }
}

TEST_CASE("an inner patch is as long as is said of it and says what was written") {
    for (std::size_t count = 1; count <= format::max_patch_changes; ++count) {
        std::vector<std::string> lows;
        for (std::size_t k = 0; k < count; ++k) lows.push_back(std::string(k % 11, 'x') + "y");
        std::vector<format::inner_change> changes;
        std::size_t children = count + 1;
        for (std::size_t k = 0; k < count; ++k) {
            auto const adds = k % 2 == 0;
            children += adds ? 1U : 0U;
            changes.push_back({k,
                               adds ? format::child_change::added : format::child_change::patched,
                               format::node_ref::at(16384 + 64 * k, 64, k), k, 2 * k,
                               adds ? std::string_view(lows[k]) : std::string_view{}});
        }
        block node(format::inner_patch_bytes(changes));
        format::write_inner_patch(3, changes, count + 1, children, {7, 8}, node.writable());
        format::check_inner_patch(node.all(), node_block::offset);
        format::inner_patch_view const patch(node.data());
        REQUIRE(patch.count() == count);
        CHECK(patch.spent_bytes() == 7);
        CHECK(patch.writes() == 8);
        CHECK(patch.children() == children);
        CHECK(patch.base_count() == count + 1);
        for (std::size_t k = 0; k < count; ++k) {
            CHECK(patch.base_index(k) == k);
            CHECK(patch.node(k) == changes[k].node);
            CHECK(patch.entries(k) == k);
            CHECK(patch.bytes(k) == 2 * k);
            CHECK(patch.separator(k) == changes[k].separator);
        }
    }
}
