// SPDX-License-Identifier: BSL-1.0
#include <coppice/tree/put_one.hpp>

#include <catch2/catch.hpp>
#include <kind_of.hpp>
#include <memory_source.hpp>
#include <tree_image.hpp>

#include <coppice/tree/relocate.hpp>

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace tree = coppice::tree;

namespace {

/// A tree that is changed in memory, one entry at a time, and written now and then.
class tree_of_puts {
  public:
    explicit tree_of_puts(coppice::node_sizes const& sizes) : sizes_(sizes) {
        memory_.push_back(std::make_unique<tree::arena>());
    }

    void apply(grove::changes const& edits) { now_ = after(edits, now_); }

    /// Puts an entry the short way, or where there is none, the long way; they must not differ.
    void put(std::string const& key, std::string const& value) {
        grove::changes const edits{{key, value}};
        grove::walk by(edits, *memory_.back(), sizes_.inline_value_bytes);
        auto const made =
            tree::put_one(source_, *memory_.back(), sizes_, now_, by.key(), *by.value());
        auto const expected = after(edits, now_);
        ++puts;
        if (made) {
            ++short_ways;
            REQUIRE(grove::are_written_alike(sink_, *made, expected));
        }
        now_ = made ? *made : expected;
    }

    /// Writes what is in memory.
    void flush() {
        now_ = tree::relocate(sink_, now_);
        source_.file = sink_.file;
        REQUIRE(tree::check(source_, now_, sizes_, [&](auto const& extent) {
                    static_cast<void>(source_.value(extent));
                }).findings.empty());
    }

    std::size_t puts = 0;
    std::size_t short_ways = 0;

  private:
    [[nodiscard]] tree::tree_ref after(grove::changes const& edits, tree::tree_ref const& on) {
        grove::walk by(edits, *memory_.back(), sizes_.inline_value_bytes);
        return tree::apply(source_, *memory_.back(), sizes_, on, by);
    }

    coppice::node_sizes sizes_;
    grove::image_sink sink_;
    grove::image_source source_;
    std::vector<std::unique_ptr<tree::arena>> memory_;
    tree::tree_ref now_;
};

/// Erases so many keys from a number on, which leaves small nodes.
grove::changes erased(std::uint32_t first, std::uint32_t count) {
    grove::changes edits;
    for (auto i = first; i < first + count; ++i) edits[grove::numbered(i)] = std::nullopt;
    return edits;
}

} // namespace

TEST_CASE("an entry that is put the short way makes the same bytes as the long way") {
    std::size_t puts = 0;
    std::size_t short_ways = 0;
    for (std::uint32_t seed = 1; seed <= 36; ++seed) {
        std::mt19937 random(seed);
        auto const pick = [&](std::uint32_t below) {
            return static_cast<std::uint32_t>(random() % below);
        };
        coppice::node_sizes const sizes{.leaf_bytes = 128U << (seed % 5),
                                        .inner_bytes = 128U << (seed / 5 % 4),
                                        .inline_value_bytes = 32,
                                        .patches = seed % 6 != 0};
        tree_of_puts at(sizes);
        auto const keys = 50 + pick(1000);
        grove::changes first;
        for (std::uint32_t i = 0; i < keys; i += 1 + pick(3)) first[grove::numbered(i)] = "begin";
        at.apply(first);
        at.flush();
        auto const longest_unwritten = 1 + pick(8);
        for (std::uint32_t step = 0; step < 150; ++step) {
            auto const key = pick(6) == 0 ? grove::numbered(keys + step) // at the right edge
                                          : grove::numbered(pick(keys), pick(9) == 0 ? "k" : "key");
            auto const size = pick(12) == 0 ? 33 + pick(60) : pick(12);
            at.put(key, std::string(size, static_cast<char>('a' + pick(3))));
            if (pick(20) == 0) at.apply(erased(pick(keys), pick(4) == 0 ? pick(keys / 2) : 1));
            if (pick(longest_unwritten) == 0) at.flush();
        }
        puts += at.puts;
        short_ways += at.short_ways;
    }
    CHECK(puts == 36 * 150);
    CHECK(short_ways > puts / 2); // else the rest shows little
}

TEST_CASE("the short way is the usual one in a tree of some size") {
    tree_of_puts at({});
    grove::changes first;
    for (std::uint32_t i = 0; i < 20000; ++i) first[grove::numbered(i)] = std::string(100, 'v');
    at.apply(first);
    at.flush();
    std::mt19937 random(1);
    for (int i = 0; i < 100; ++i) {
        at.put(grove::numbered(static_cast<std::uint32_t>(random() % 20000)) + "new", "value");
        if (i % 2 == 0) at.flush();
    }
    CHECK(at.short_ways >= 80);
}

TEST_CASE("both ways agree where a leaf becomes small enough to be merged") {
    // Leaves of three large values, of which single ones go, or become small.
    tree_of_puts at({.leaf_bytes = 1024, .inner_bytes = 256, .inline_value_bytes = 256});
    grove::changes first;
    for (std::uint32_t i = 0; i < 300; ++i) first[grove::numbered(i)] = std::string(250, 'v');
    at.apply(first);
    at.flush();
    std::mt19937 random(1);
    for (int step = 0; step < 300; ++step) {
        auto const number = static_cast<std::uint32_t>(random() % 300);
        at.apply(erased(number, 1));
        at.flush();
        at.put(grove::numbered(static_cast<std::uint32_t>(random() % 300)), "small");
    }
}

// The estimate of a leaf's size left out that positions take twice the room from 64 KiB on, so a
// leaf got a patch that should have been cut.
TEST_CASE("both ways agree where a leaf becomes wide") {
    coppice::node_sizes const sizes{
        .leaf_bytes = 65536, .inner_bytes = 1024, .inline_value_bytes = 16384};
    grove::changes first;
    for (std::uint32_t i = 0; i < 4000; ++i) first[grove::numbered(i)] = std::string(34, 'v');
    std::size_t short_ways = 0;
    for (std::size_t size = 12000; size <= 16384; size += 200) {
        tree_of_puts at(sizes);
        at.apply(first);
        at.flush();
        at.put(grove::numbered(700) + "new", std::string(size, 'w'));
        short_ways += at.short_ways;
    }
    CHECK(short_ways > 0);
    CHECK(short_ways < 22); // the larger ones do not fit
}

TEST_CASE("the short way gives up where there is no node to be changed") {
    coppice::node_sizes const sizes{};
    grove::memory_source const source;
    tree::arena memory;
    CHECK_FALSE(tree::put_one(source, memory, sizes, {}, "key", {"value", false}));
}

namespace {

using coppice::format::leaf_change;
using coppice::format::leaf_item;

coppice::format::node_ref add_leaf(grove::image_sink& to, std::vector<leaf_item> const& items) {
    coppice::format::leaf_measure measure;
    for (auto const& each : items) measure.add(each.key.size(), each.value);
    auto const node = to.allocate_node(measure.node_bytes());
    coppice::format::write_leaf(items, node);
    return to.seal_node(node);
}
/// A patch whose base has cost so much that another patch is worth it.
coppice::format::node_ref add_patch(grove::image_sink& to, std::vector<leaf_change> const& changes,
                                    std::size_t base_count, std::size_t entries) {
    auto const node = to.allocate_node(coppice::format::leaf_patch_bytes(changes));
    coppice::format::write_leaf_patch(changes, base_count, entries, {60'000, 1}, node);
    return to.seal_node(node);
}

} // namespace

// A patch of a damaged file inserts a key that its base has. The new patch stands for the base's
// entry, so both together have one entry less than the old pair counted; the new pair was in
// memory, where nobody compares, and counted it all the same. The last entry was read behind the
// end.
TEST_CASE("a patch that inserts what its base has already is found out") {
    grove::image_sink sink;
    std::string const value(30, 'v');
    auto const base =
        add_leaf(sink, {{"A", {value, false}}, {"K", {value, false}}, {"Z", {value, false}}});
    auto const patch = add_patch(sink, {{1, false, false, {"K", {value, false}}}}, 3, 4);
    auto const right = add_leaf(sink, {{"a", {value, false}}, {"b", {value, false}}});
    auto const left_bytes = base.size_bytes() + patch.size_bytes();
    coppice::format::inner_item const children[] = {{"", {base, 4, left_bytes, patch}},
                                                    {"a", {right, 2, right.size_bytes()}}};
    auto const node = sink.allocate_node(coppice::format::inner_node_bytes(children));
    coppice::format::write_inner(1, children, node);
    auto const root = sink.seal_node(node);
    tree::tree_ref const forged{{root, 6, left_bytes + right.size_bytes() + root.size_bytes()}, 2};
    grove::image_source source;
    source.file = sink.file;
    coppice::node_sizes const sizes{
        .leaf_bytes = 256, .inner_bytes = 128, .inline_value_bytes = 32, .patches = true};
    tree::arena memory;
    auto const put = [&](std::string_view key) {
        return support::kind_of([&] {
            static_cast<void>(tree::put_one(source, memory, sizes, forged, key, {"new", false}));
        });
    };
    CHECK(put("K") == coppice::errc::corrupt);
    CHECK_FALSE(put("a"));
}
