// SPDX-License-Identifier: BSL-1.0
#include <coppice/tree/builder.hpp>

#include <catch2/catch.hpp>
#include <kind_of.hpp>
#include <memory_source.hpp>

#include <optional>
#include <string>
#include <vector>

namespace tree = coppice::tree;
using coppice::errc;

namespace {

using builder = tree::builder<grove::memory_source, grove::counting_arena>;

std::optional<errc> refusal(std::vector<std::string> const& keys,
                            coppice::node_sizes const& sizes) {
    grove::bench bench{sizes};
    builder build(bench.source, bench.arena, sizes);
    return support::kind_of([&] {
        for (auto const& key : keys) build.add(key, {"v", false});
        static_cast<void>(build.finish());
    });
}

} // namespace

TEST_CASE("nothing builds the empty tree") {
    grove::bench bench;
    builder build(bench.source, bench.arena, bench.sizes);
    CHECK(build.finish() == tree::tree_ref{});
    CHECK(bench.arena.made == 0);
}

TEST_CASE("a built tree is dense at every size") {
    for (auto const& sizes : {grove::tiny, coppice::node_sizes{}}) {
        for (std::uint64_t const count : {1U, 2U, 10U, 100U, 1000U, 20'000U}) {
            CAPTURE(sizes.leaf_bytes, count);
            grove::bench bench{sizes};
            auto const content = grove::numbered_content(count);
            auto const built = bench.build(content);
            CHECK(bench.difference(built, content).empty());
            auto const report = bench.check(built);
            CHECK(bench.arena.made == report.nodes);
            // In leaves of 128 bytes the last entry that does not fit is a fifth of the leaf.
            if (count >= 1000 && sizes.leaf_bytes == 4096) CHECK(report.leaf_fill(sizes) >= 0.95);
            if (count >= 1000) CHECK(report.leaf_fill(sizes) >= 0.75);
        }
    }
}

TEST_CASE("whole subtrees go in unopened where they are large enough") {
    grove::bench bench{grove::tiny};
    auto const content = grove::numbered_content(2000);
    auto const low = bench.build(content);
    grove::content other;
    for (auto const& [key, value] : content) other["kez" + key.substr(3)] = value;
    auto const high = bench.build(other);
    REQUIRE(low.height == high.height);
    bench.arena.made = 0;
    bench.source.opened = 0;
    builder build(bench.source, bench.arena, bench.sizes);
    build.add_subtree(low.height - 1U, low.root, "");
    build.add_subtree(high.height - 1U, high.root, "kez");
    auto const both = build.finish();
    CHECK(bench.arena.made == 1);
    CHECK(bench.source.opened == 0);
    auto all = content;
    all.merge(other);
    CHECK(bench.difference(both, all).empty());
}

TEST_CASE("trees of any two heights are joined") {
    for (std::uint64_t const left : {1U, 3U, 30U, 300U, 3000U}) {
        for (std::uint64_t const right : {1U, 3U, 30U, 300U, 3000U}) {
            CAPTURE(left, right);
            grove::bench bench{grove::tiny};
            auto all = grove::numbered_content(left);
            auto const low = bench.build(all);
            grove::content other;
            for (std::uint64_t i = 0; i < right; ++i) other[grove::numbered(i, "kez")] = "v";
            auto const high = bench.build(other);
            builder build(bench.source, bench.arena, bench.sizes);
            build.add_subtree(low.height - 1U, low.root, "");
            build.add_subtree(high.height - 1U, high.root, "kez");
            all.merge(other);
            CHECK(bench.difference(build.finish(), all).empty());
        }
    }
}

TEST_CASE("entries of the greatest key size make nodes with two children or more") {
    grove::bench bench;
    grove::content content;
    for (unsigned i = 0; i < 40; ++i) {
        content[std::string(65530, 'k') + std::to_string(10000 + i)] = "v";
        content[std::to_string(i)] = std::string(1024, 'v');
    }
    CHECK(bench.difference(bench.build(content), content).empty());
}

TEST_CASE("keys that do not ascend never become a node") {
    std::vector<std::string> many;
    for (unsigned i = 0; i < 100; ++i) many.push_back(grove::numbered(i));
    CHECK(refusal(many, grove::tiny) == std::nullopt);
    for (std::size_t i = 1; i < many.size(); ++i) {
        auto keys = many;
        std::swap(keys[i - 1], keys[i]);
        CHECK(refusal(keys, grove::tiny) == errc::corrupt);
        keys = many;
        keys[i] = keys[i - 1];
        CHECK(refusal(keys, grove::tiny) == errc::corrupt);
    }
    CHECK(refusal({"b", "a"}, {}) == errc::corrupt);
    CHECK(refusal({"", ""}, {}) == errc::corrupt);
}
