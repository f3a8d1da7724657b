// SPDX-License-Identifier: BSL-1.0
#include <coppice/tree/subtree_walk.hpp>

#include <catch2/catch.hpp>
#include <kind_of.hpp>
#include <memory_source.hpp>
#include <tree_image.hpp>

#include <compare>
#include <string>
#include <vector>

namespace {

namespace format = coppice::format;
namespace tree = coppice::tree;
using memory_walk = tree::subtree_walk<grove::memory_source>;
using image_walk = tree::subtree_walk<grove::image_source>;

/// The keys that a walk comes by when it opens everything.
template <typename Walk> std::vector<std::string> all_keys(Walk at) {
    std::vector<std::string> keys;
    while (!at.at_end()) {
        if (at.at_subtree()) {
            at.open();
        } else {
            keys.emplace_back(at.key());
            at.next();
        }
    }
    return keys;
}

/// The keys of a map within limits, found the plain way.
std::vector<std::string> keys_within(grove::content const& all, tree::key_limits const& limits) {
    std::vector<std::string> keys;
    for (auto const& [key, value] : all) {
        if (limits.from && (limits.with_from ? key < *limits.from : key <= *limits.from)) continue;
        if (limits.to && (limits.with_to ? key > *limits.to : key >= *limits.to)) continue;
        keys.push_back(key);
    }
    return keys;
}

/// Inner nodes of which each names the one below it as both of its children: as high as a tree may
/// be, with 2^39 ways to the same leaf.
grove::tree_image one_leaf_many_times(bool same_separators) {
    grove::image_sink sink;
    grove::bench bench{grove::tiny};
    auto at = tree::relocate(sink, bench.put({}, "a"));
    for (unsigned level = 1; level < format::max_height; ++level) {
        std::string const low(1, same_separators ? 'm' : static_cast<char>('z' - level / 2));
        std::vector<format::inner_item> const items{{"", at.root}, {low, at.root}};
        auto const node = sink.allocate_node(format::inner_node_bytes(items));
        format::write_inner(level, items, node);
        at.root.node = sink.seal_node(node);
        ++at.height;
    }
    return {at, {sink.file, true, {}}, sink.written};
}

} // namespace

TEST_CASE("separators in two pieces are ordered as the whole texts are") {
    std::vector<std::string> const texts{
        "",  "a",     std::string("a\0", 2), "aa", "ab", "abc", "abd", "\x7f", "\x80", "\xff",
        "b", "abcabc"};
    for (auto const& a : texts) {
        for (auto const& b : texts) {
            auto const expected = a.compare(b) <=> 0;
            for (std::size_t i = 0; i <= a.size(); ++i) {
                tree::separator const left{std::string_view(a).substr(0, i),
                                           std::string_view(a).substr(i)};
                CHECK(((tree::compare(left, b) <=> 0) == expected));
                for (std::size_t j = 0; j <= b.size(); ++j) {
                    tree::separator const right{std::string_view(b).substr(0, j),
                                                std::string_view(b).substr(j)};
                    CHECK(((tree::compare(left, right) <=> 0) == expected));
                }
            }
        }
    }
}

TEST_CASE("a walk that opens everything comes by every key within its limits") {
    grove::bench bench{grove::tiny};
    auto const model = grove::numbered_content(200);
    auto const built = bench.build(model);
    CHECK(all_keys(memory_walk(bench.source, {}, {})).empty());
    std::vector<std::string> bounds{"", "key00000003x", "zzz"};
    for (auto const i : {0U, 1U, 57U, 58U, 199U}) bounds.push_back(grove::numbered(i));
    std::vector<tree::key_limits> all{{}};
    for (auto const& from : bounds) {
        for (bool const with : {false, true}) {
            all.push_back({from, with, {}, false});
            all.push_back({{}, true, from, with});
            for (auto const& to : bounds) {
                all.push_back({from, with, to, false});
                all.push_back({from, with, to, true});
            }
        }
    }
    for (auto const& limits : all) {
        INFO(limits.from.value_or("-")
             << limits.with_from << " to " << limits.to.value_or("-") << limits.with_to);
        CHECK(all_keys(memory_walk(bench.source, built, limits)) == keys_within(model, limits));
    }
}

TEST_CASE("limits keep a walk from the nodes outside them") {
    grove::bench bench{grove::tiny};
    auto const built = bench.build(grove::numbered_content(5'000));
    bench.source.opened = 0;
    tree::key_limits const limits{"key00002000", true, "key00002003", false};
    CHECK(all_keys(memory_walk(bench.source, built, limits)).size() == 3);
    CHECK(bench.source.opened <= 2U * built.height + 2U);
    // On the way down the walk knows where it is, and it passes nothing behind the limits.
    memory_walk at(bench.source, built, limits);
    while (at.level() > 0) {
        at.open();
        REQUIRE(at.at_subtree());
        if (at.level() + 2U < built.height) {
            REQUIRE(at.low());
            CHECK((tree::compare(*at.low(), "key00001000") > 0));
            CHECK((tree::compare(*at.low(), *limits.from) <= 0));
        }
    }
    unsigned passed = 0;
    for (; !at.at_end(); at.skip()) ++passed;
    CHECK(passed <= 3);
}

TEST_CASE("a subtree that is skipped is not read and begins at its bound or behind it") {
    grove::bench bench{grove::tiny};
    auto const model = grove::numbered_content(300);
    auto const built = bench.build(model);
    // Each path down: open the first child of a level, skip what follows it on that level.
    memory_walk at(bench.source, built, {});
    at.open();
    std::vector<std::string> firsts;
    while (!at.at_end()) {
        REQUIRE(at.at_subtree());
        auto inside = at;
        while (inside.at_subtree()) inside.open();
        firsts.emplace_back(inside.key());
        if (at.low()) CHECK((tree::compare(*at.low(), inside.key()) <= 0));
        auto const opened = bench.source.opened;
        at.skip();
        CHECK(bench.source.opened == opened);
    }
    CHECK(firsts.size() == format::inner_view(built.root.node.memory()).count());
    CHECK(std::is_sorted(firsts.begin(), firsts.end()));
}

TEST_CASE("a tree that names a node again and again is refused instead of walked for ever") {
    for (bool const same : {false, true}) {
        auto const image = one_leaf_many_times(same);
        CHECK(support::kind_of([&] {
                  static_cast<void>(all_keys(image_walk(image.source, image.tree, {})));
              }) == coppice::errc::corrupt);
        // Leaves may be passed without a look at their keys, but not two separators that descend.
        CHECK(support::kind_of([&] {
                  image_walk at(image.source, image.tree, {});
                  while (!at.at_end()) {
                      if (at.level() == 0) {
                          at.skip();
                      } else {
                          at.open();
                      }
                  }
              }) == coppice::errc::corrupt);
    }
}

TEST_CASE("keys and separators that do not ascend are refused and the walk is at its end") {
    grove::bench bench{grove::tiny};
    auto image = grove::image_of(bench.build(grove::numbered_content(60)));
    image.source.verify_checksums = false;
    unsigned refused = 0;
    for (auto const ref : image.written) {
        for (auto at = ref.offset() + format::node_header_bytes; at < ref.end_offset(); ++at) {
            if (image.source.file[at] != std::byte{'3'}) continue;
            image.source.file[at] = std::byte{'k'}; // a digit of a key or separator, or a value's
            image.source.nodes.clear();
            image_walk walk(image.source, image.tree, {});
            std::string before;
            try {
                while (!walk.at_end()) {
                    if (walk.at_subtree()) {
                        walk.open();
                        continue;
                    }
                    CHECK(before < walk.key());
                    before = walk.key();
                    walk.next();
                }
            } catch (coppice::error const& e) {
                CHECK(e.kind() == coppice::errc::corrupt);
                CHECK(walk.at_end());
                ++refused;
            }
            image.source.file[at] = std::byte{'3'};
        }
    }
    CHECK(refused > 10);
}
