// SPDX-License-Identifier: BSL-1.0
#include <coppice/tree/check_report.hpp>

#include <catch2/catch.hpp>

namespace tree = coppice::tree;

TEST_CASE("leaves are as full as their bytes are of what they may have") {
    coppice::node_sizes const sizes{.leaf_bytes = 1000, .inner_bytes = 128};
    tree::check_report report;
    CHECK(report.leaf_fill(sizes) == 1.0);
    report.leaves = 4;
    report.leaf_bytes = 3000;
    CHECK(report.leaf_fill(sizes) == 0.75);
}
