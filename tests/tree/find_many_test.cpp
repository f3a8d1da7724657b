// SPDX-License-Identifier: BSL-1.0
#include <coppice/tree/find_many.hpp>

#include <catch2/catch.hpp>
#include <memory_source.hpp>
#include <rapidcheck.h>

#include <cstdint>
#include <string>
#include <vector>

namespace tree = coppice::tree;

namespace {

using answers = std::vector<std::optional<coppice::format::stored_value>>;

template <typename Source>
answers found(Source const& source, coppice::format::tree_ref const& in,
              std::vector<std::string_view> const& keys) {
    answers result(keys.size(), coppice::format::stored_value{"left over", true});
    tree::find_many(source, in, keys, result);
    return result;
}

/// Writes down what it is told to expect, '+', and at what level a node is opened.
struct told_source : grove::memory_source {
    mutable std::string calls;
    mutable std::vector<std::byte const*> expected;

    void prefetch(coppice::format::node_ref ref, std::uint64_t most_bytes) const {
        CHECK(most_bytes == tree::searched_bytes);
        calls += '+';
        expected.push_back(ref.memory());
    }
    [[nodiscard]] std::byte const* node(coppice::format::node_ref ref, unsigned level) const {
        calls += static_cast<char>('0' + level);
        auto const* const found = grove::memory_source::node(ref, level);
        opened_nodes.push_back(found);
        return found;
    }
    mutable std::vector<std::byte const*> opened_nodes;
};

} // namespace

TEST_CASE("nothing is found in the empty tree, for any number of keys") {
    grove::memory_source const source;
    CHECK(found(source, {}, {}).empty());
    for (auto const& each : found(source, {}, {"", "a", "b"})) CHECK_FALSE(each);
    CHECK(source.opened == 0);
}

TEST_CASE("several keys at once are found as each of them alone") {
    grove::bench bench{grove::tiny};
    auto content = grove::numbered_content(700);
    content[""] = "the empty key";
    content["\xff\xff"] = std::string(500, 'o');
    auto const built = bench.build(content);
    std::vector<std::string> all;
    for (auto const& [key, value] : content) {
        all.push_back(key);
        all.push_back(key + "x");
    }
    CHECK(rc::check([&] {
        auto const count = *rc::gen::inRange<std::size_t>(0, tree::find_batch + 1);
        std::vector<std::string_view> keys;
        for (std::size_t i = 0; i < count; ++i) {
            keys.emplace_back(all[*rc::gen::inRange<std::size_t>(0, all.size())]);
        }
        auto const many = found(bench.source, built, keys);
        for (std::size_t i = 0; i < count; ++i) {
            auto const one = tree::find(bench.source, built, keys[i]);
            RC_ASSERT(one.has_value() == many[i].has_value());
            if (one) RC_ASSERT(one->raw.data() == many[i]->raw.data());
            if (one) RC_ASSERT(one->raw.size() == many[i]->raw.size());
        }
    }));
}

TEST_CASE("all nodes of a level are asked for before the first of them is opened") {
    grove::bench bench{grove::tiny};
    auto const built = bench.build(grove::numbered_content(1000));
    REQUIRE(built.height >= 4);
    told_source source;
    std::vector<std::string_view> const keys{"key00000001", "key00000500", "key00000999"};
    for (auto const& each : found(source, built, keys)) CHECK(each);
    // The root is there already; each node below it has been asked for when it is opened.
    std::string expected;
    for (unsigned level = built.height; --level > 0;) {
        for (unsigned i = 0; i < 3; ++i) expected += std::to_string(level) + '+';
    }
    CHECK(source.calls == expected + "000");
    auto const& opened = source.opened_nodes;
    CHECK(std::vector(opened.begin() + 3, opened.end()) == source.expected);
}
