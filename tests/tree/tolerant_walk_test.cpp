// SPDX-License-Identifier: BSL-1.0
// Over files with damage and forgeries: tests/store/salvage_test.cpp.
#include <coppice/tree/tolerant_walk.hpp>

#include <coppice/tree/builder.hpp>

#include <catch2/catch.hpp>
#include <memory_source.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

using walked_entries = std::map<std::string, std::string>;

/// A source that gives all nodes but some.
struct holey_source {
    grove::memory_source inner;
    std::set<std::uint64_t> holes;

    [[nodiscard]] std::byte const* node(grove::format::node_ref ref, unsigned level) const {
        if (holes.contains(ref.hot)) throw coppice::error(coppice::errc::corrupt, "a hole");
        return inner.node(ref, level);
    }
};

struct walked_tree {
    grove::counting_arena arena;
    grove::memory_source source;
    grove::format::tree_ref tree;
    walked_entries entries;

    explicit walked_tree(unsigned count) {
        grove::tree::builder build(source, arena, grove::tiny);
        for (unsigned i = 0; i < count; ++i) {
            auto const key = "key" + std::to_string(10000 + i);
            auto const value = std::to_string(i);
            build.add(key, {value, false});
            entries[key] = value;
        }
        tree = build.finish();
    }
    /// The children of the root, and so on: one child of each node, down to a level.
    [[nodiscard]] grove::format::subtree below(unsigned level, std::size_t which) const {
        auto at = tree.root;
        for (auto l = tree.height - 1U; l > level; --l) {
            grove::format::inner_view const inner(at.node.memory());
            at = inner.child(which % inner.count());
        }
        return at;
    }
};

struct walk_result {
    walked_entries entries;
    std::vector<grove::tree::lost_range> lost;
};

walk_result walk(holey_source const& source, grove::format::tree_ref const& tree) {
    walk_result result;
    grove::tree::walk_tolerantly(
        source, tree,
        [&](std::string_view key, grove::stored_value const& value) {
            REQUIRE((result.entries.empty() || result.entries.rbegin()->first < key));
            result.entries.emplace(key, value.raw);
        },
        [&](grove::tree::lost_range range) { result.lost.push_back(std::move(range)); });
    return result;
}

} // namespace

TEST_CASE("a tolerant walk over a sound tree gives all entries") {
    for (unsigned const count : {0U, 1U, 5U, 400U}) {
        walked_tree const sound(count);
        auto const result = walk({}, sound.tree);
        CHECK(result.entries == sound.entries);
        CHECK(result.lost.empty());
    }
}

TEST_CASE("a hole at any level costs exactly the range that is told") {
    walked_tree const sound(400);
    REQUIRE(sound.tree.height > 3);
    for (unsigned level = 0; level < sound.tree.height; ++level) {
        for (std::size_t which = 0; which < 3; ++which) {
            auto const hole = sound.below(level, which);
            auto const result = walk({{}, {hole.node.hot}}, sound.tree);
            REQUIRE(result.lost.size() == 1);
            auto const& lost = result.lost.front();
            CHECK_THAT(lost.reason, Catch::Contains("a hole"));
            CHECK(lost.entries == hole.entries);
            auto left = sound.entries;
            left.erase(left.lower_bound(lost.from),
                       lost.to ? left.lower_bound(*lost.to) : left.end());
            CHECK(left.size() == sound.entries.size() - hole.entries);
            CHECK(result.entries == left);
        }
    }
}

TEST_CASE("errors that are not damage end a tolerant walk") {
    struct refusing_source {
        [[noreturn]] std::byte const* node(grove::format::node_ref, unsigned) const {
            throw coppice::error(coppice::errc::unsupported_feature, "a kind of node");
        }
    };
    walked_tree const sound(20);
    CHECK_THROWS_AS(grove::tree::walk_tolerantly(
                        refusing_source{}, sound.tree, [](auto, auto) {}, [](auto) {}),
                    coppice::error);
}

TEST_CASE("a leaf that contradicts the separators above it is left out") {
    walked_tree const sound(400);
    // The first leaf stands where the second one was.
    auto const parent = sound.below(1, 0);
    auto const* const node = parent.node.memory();
    grove::format::inner_view const inner(node);
    auto* const hot = const_cast<std::byte*>(node) + grove::format::node_header_bytes +
                      grove::format::inner_view::heads_bytes(inner.count());
    grove::format::store(hot + 8, inner.node(0).hot);
    auto const result = walk({}, sound.tree);
    REQUIRE(result.lost.size() == 1);
    CHECK(result.lost.front().reason == "the keys of a node do not ascend");
    CHECK(result.lost.front().from == inner.separator(0));
    CHECK(result.entries.size() == sound.entries.size() - inner.entries(1));
}

TEST_CASE("a leaf that reaches beyond the separator behind it is left out") {
    walked_tree const sound(400);
    auto const parent = sound.below(1, 0);
    grove::format::inner_view const inner(parent.node.memory());
    auto* const hot = const_cast<std::byte*>(parent.node.memory()) +
                      grove::format::node_header_bytes +
                      grove::format::inner_view::heads_bytes(inner.count());
    grove::format::store(hot, inner.node(1).hot);
    auto const result = walk({}, sound.tree);
    REQUIRE(result.lost.size() == 1);
    CHECK(result.lost.front().from.empty());
    CHECK(result.lost.front().to == inner.separator(0));
    CHECK(result.entries.size() == sound.entries.size() - inner.entries(0));
}

TEST_CASE("an inner node whose separators do not ascend is left out whole") {
    walked_tree const sound(400);
    auto const parent = sound.below(1, 0);
    grove::format::inner_view const inner(parent.node.memory());
    const_cast<char&>(inner.suffix(inner.count() - 2).front()) = '\xff';
    auto const result = walk({}, sound.tree);
    REQUIRE(result.lost.size() == 1);
    CHECK(result.lost.front().entries == parent.entries);
    CHECK(result.entries.size() == sound.entries.size() - parent.entries);
}
