// SPDX-License-Identifier: BSL-1.0
#include <coppice/tree/find_many.hpp>

#include <catch2/catch.hpp>
#include <memory_source.hpp>
#include <rapidcheck.h>

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

/// Remembers what it was told to come.
struct told_source : grove::memory_source {
    mutable std::vector<coppice::format::node_ref> told;
    void prefetch(coppice::format::node_ref ref) const { told.push_back(ref); }
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
    CHECK(source.opened == keys.size() * built.height);
    CHECK(source.told.size() == keys.size() * (built.height - 1U));
}
