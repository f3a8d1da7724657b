// SPDX-License-Identifier: BSL-1.0
#include <coppice/tree/diff.hpp>
#include <coppice/tree/find.hpp>
#include <coppice/tree/patcher.hpp>
#include <coppice/tree/rank.hpp>
#include <coppice/tree/tolerant_walk.hpp>

#include <catch2/catch.hpp>
#include <growing_tree.hpp>
#include <kind_of.hpp>

#include <algorithm>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace format = coppice::format;
namespace tree = coppice::tree;
using grove::growing_tree;

namespace {

std::string text_in(grove::image_source const& source, format::stored_value const& value) {
    return std::string(value.out_of_line ? source.value(value.extent()) : value.raw);
}

/// Compares all ways to read the tree with the content that it should have.
void must_read_as(growing_tree const& at, bool thoroughly) {
    auto const& content = at.content();
    auto const report = at.check();
    for (auto const& each : report.findings) FAIL(each.what << " at " << each.offset);
    REQUIRE(report.entries == content.size());
    REQUIRE(at.now().root.entries == content.size());
    REQUIRE(report.bytes == at.now().root.bytes);
    tree::cursor<grove::image_source> cursor(at.source(), at.now());
    cursor.first();
    for (auto const& [key, value] : content) {
        REQUIRE(cursor.valid());
        REQUIRE(cursor.key() == key);
        REQUIRE(text_in(at.source(), cursor.value()) == value);
        cursor.next();
    }
    REQUIRE_FALSE(cursor.valid());
    if (!thoroughly) return;
    for (auto each = content.rbegin(); each != content.rend(); ++each) {
        cursor.prev();
        REQUIRE(cursor.valid());
        REQUIRE(cursor.key() == each->first);
        auto const copy = cursor;
        REQUIRE(copy == cursor);
    }
    for (std::uint32_t i = 0; i < 320; ++i) { // also those that were erased
        auto const found = tree::find(at.source(), at.now(), grove::numbered(i));
        REQUIRE(found.has_value() == content.contains(grove::numbered(i)));
    }
    std::uint64_t index = 0;
    for (auto const& [key, value] : content) {
        for (auto const& wanted : {key, key + '\0', key.substr(0, key.size() - 1)}) {
            auto const there = content.find(wanted);
            auto const found = tree::find(at.source(), at.now(), wanted);
            REQUIRE(found.has_value() == (there != content.end()));
            if (found) REQUIRE(text_in(at.source(), *found) == there->second);
            auto const next = content.lower_bound(wanted);
            REQUIRE(cursor.seek(wanted) == found.has_value());
            REQUIRE(cursor.valid() == (next != content.end()));
            if (cursor.valid()) REQUIRE(cursor.key() == next->first);
        }
        REQUIRE(tree::rank(at.source(), at.now(), key) == index);
        cursor.seek_nth(index++);
        REQUIRE(cursor.key() == key);
    }
    auto expected = content.begin();
    tree::walk_tolerantly(
        at.source(), at.now(),
        [&](std::string_view key, format::stored_value const&) {
            REQUIRE(expected != content.end());
            REQUIRE(key == (expected++)->first);
        },
        [](tree::lost_range const& lost) { FAIL(lost.reason); });
    REQUIRE(expected == content.end());
}

/// What a diff tells, applied to the content of before.
grove::content after_diff(growing_tree const& at, tree::tree_ref const& from,
                          grove::content before) {
    using walk = tree::subtree_walk<grove::image_source>;
    auto const same = [](auto const& a, auto const& b) {
        return a.raw == b.raw && a.out_of_line == b.out_of_line;
    };
    tree::key_limits const all;
    tree::diff<grove::image_source, decltype(same)> diff(
        walk(at.source(), from, all), walk(at.source(), at.now(), all), tree::stores::one, same);
    for (; !diff.done(); diff.next()) {
        if (auto const value = diff.after()) {
            before[std::string(diff.key())] = text_in(at.source(), *value);
        } else {
            before.erase(std::string(diff.key()));
        }
    }
    return before;
}

} // namespace

TEST_CASE("a patch is worth it as long as it is cheaper than the average write of its cycle") {
    CHECK(tree::patch_is_worth_it(100, 100, {}));
    CHECK_FALSE(tree::patch_is_worth_it(101, 100, {}));
    CHECK(tree::patch_is_worth_it(200, 1000, {200, 5}));
    CHECK_FALSE(tree::patch_is_worth_it(201, 1000, {200, 5}));
    // What does not grow never folds.
    for (std::uint64_t writes = 0; writes < 65535; writes += 1000) {
        CHECK(tree::patch_is_worth_it(100, 4000, {100 * writes, writes}));
    }
}

TEST_CASE("random transactions over patched trees keep to std::map") {
    std::size_t patches = 0;
    std::size_t trees = 0;
    for (std::uint32_t seed = 1; seed <= 24; ++seed) {
        std::mt19937 random(seed);
        auto const pick = [&](std::uint32_t below) {
            return static_cast<std::uint32_t>(random() % below);
        };
        coppice::node_sizes const sizes{.leaf_bytes = 128U << (seed % 4),
                                        .inner_bytes = 128U << (seed / 4 % 3),
                                        .inline_value_bytes = 32};
        growing_tree at(sizes);
        auto const keys = 20 + pick(300);
        grove::changes first;
        for (std::uint32_t i = 0; i < keys; i += 1 + pick(3)) first[grove::numbered(i)] = "begin";
        at.apply(first);
        for (std::uint32_t step = 0; step < 120; ++step) {
            auto const from = at.now();
            auto const before = at.content();
            if (pick(25) == 0) {
                auto const low = pick(keys);
                at.erase_range(grove::numbered(low), grove::numbered(low + pick(keys / 4)));
            } else {
                grove::changes edits;
                auto const count = pick(8) == 0 ? 1 + pick(30) : 1 + pick(2);
                for (std::uint32_t i = 0; i < count; ++i) {
                    auto const key = grove::numbered(pick(keys), pick(9) == 0 ? "k" : "key");
                    auto const size = pick(12) == 0 ? 33 + pick(60) : pick(12);
                    if (pick(3) == 0) {
                        edits[key] = std::nullopt;
                    } else {
                        edits[key] = std::string(size, static_cast<char>('a' + pick(26)));
                    }
                }
                at.apply(edits);
            }
            must_read_as(at, step % 20 == 0);
            REQUIRE(after_diff(at, from, before) == at.content());
            patches += at.check().patches;
            ++trees;
        }
    }
    CHECK(patches > 2 * trees); // else the rest shows nothing
}

TEST_CASE("several folds within one transaction make one patch of the base that is written") {
    coppice::node_sizes const sizes{.leaf_bytes = 1024, .inner_bytes = 256};
    grove::image_sink sink;
    grove::image_source source;
    tree::arena memory;
    auto const fold = [&](tree::tree_ref const& on, grove::changes const& edits) {
        grove::walk by(edits, memory, sizes.inline_value_bytes);
        return tree::apply(source, memory, sizes, on, by);
    };
    auto const content = grove::numbered_content(200);
    auto const base = tree::relocate(sink, fold({}, {content.begin(), content.end()}));
    source.file = sink.file;
    auto const nodes = sink.written.size();
    auto const once = fold(base, {{grove::numbered(7), "one"}});
    auto const twice = fold(once, {{grove::numbered(8), "two"}});
    CHECK(once.root.patch.in_memory());
    CHECK(twice.root.patch.in_memory());
    auto const written = tree::relocate(sink, twice);
    source.file = sink.file;
    CHECK(sink.written.size() == nodes + written.height); // one patch a level
    CHECK(tree::check(source, written, sizes).findings.empty());
    CHECK(tree::find(source, written, grove::numbered(7))->raw == "one");
    CHECK(tree::find(source, written, grove::numbered(8))->raw == "two");
    auto const leaf_patch = sink.written[nodes];
    format::leaf_patch_view const patch(
        source.node(leaf_patch, format::patch_level_bit)); // the first one cost nothing
    CHECK(patch.writes() == 0);
    CHECK(patch.spent_bytes() == 0);
    CHECK(patch.count() == 2);
}

TEST_CASE("patches are made only where they are asked for and cost less than nodes") {
    auto const written = [](bool patches) {
        coppice::node_sizes const sizes{.leaf_bytes = 4096,
                                        .inner_bytes = 1024,
                                        .inline_value_bytes = 1024,
                                        .patches = patches};
        growing_tree at(sizes);
        grove::changes first;
        for (std::uint32_t i = 0; i < 5000; ++i) first[grove::numbered(i)] = std::string(100, 'v');
        at.apply(first);
        auto const before = at.written_bytes();
        std::mt19937 random(1);
        for (std::uint32_t i = 0; i < 200; ++i) {
            at.apply({{grove::numbered(random() % 5000), std::string(100, 'w')}});
        }
        CHECK((at.check().patches > 0) == patches);
        CHECK(at.check().findings.empty());
        return (at.written_bytes() - before) / 200;
    };
    CHECK(3 * written(true) < written(false));
}

TEST_CASE("a change that is not where its key belongs is found by the check") {
    coppice::node_sizes const sizes{.leaf_bytes = 1024, .inner_bytes = 256};
    growing_tree at(sizes);
    grove::changes first;
    for (std::uint32_t i = 0; i < 20; ++i) first[grove::numbered(2 * i)] = "value";
    at.apply(first);
    at.apply({{grove::numbered(9), "new"}});
    REQUIRE(at.now().root.patch.offset() != 0);
    auto source = grove::image_source{at.source().file, false, {}};
    auto const place = at.now().root.patch.offset() + 16 + 8 + 2 + 1 + 8;
    CHECK(format::load<std::uint16_t>(source.file.data() + place) == 10);
    CHECK(tree::check(source, at.now(), sizes).findings.empty());
    format::store(source.file.data() + place, std::uint16_t{12});
    source.nodes.clear();
    auto const report = tree::check(source, at.now(), sizes);
    auto const named =
        std::any_of(report.findings.begin(), report.findings.end(), [](auto const& each) {
            return each.what == "a change of a leaf patch is not where its key belongs";
        });
    CHECK(named);
}

// Keys of a damaged leaf that do not ascend became changes that do not: what they have in common
// was taken from the first and the last, and cut off one between them that is shorter, which ended
// the process.
TEST_CASE("a leaf whose keys do not ascend is found out where a patch would be made of it") {
    using format::leaf_change;
    grove::image_sink sink;
    format::leaf_item const items[] = {
        {"abc1", {"1", false}}, {"abc15", {"2", false}}, {"abc2", {"3", false}}};
    format::leaf_measure measure;
    for (auto const& each : items) measure.add(each.key.size(), each.value);
    auto node = sink.allocate_node(measure.node_bytes());
    format::write_leaf(items, node);
    auto const text = coppice::as_text(node);
    auto const at = text.find("abc15");
    REQUIRE(at != text.npos);
    node[at] = std::byte{'b'}; // the key is "bbc" now, and its value begins with the rest
    constexpr auto key_sizes = format::node_header_bytes + 4 * 3 + 2 * 4;
    REQUIRE(format::load<std::uint16_t>(node.data() + key_sizes + 2) == 5);
    format::store(node.data() + key_sizes + 2, std::uint16_t{3});
    auto const base = sink.seal_node(node);
    leaf_change const erased[] = {{1, true, true, {"abc15", {}}}};
    node = sink.allocate_node(format::leaf_patch_bytes(erased));
    format::write_leaf_patch(erased, 3, 2, {60'000, 1}, node);
    auto const patch = sink.seal_node(node);
    grove::image_source source;
    source.file = sink.file;
    tree::tree_ref const forged{{base, 2, base.size_bytes() + patch.size_bytes(), patch}, 1};
    tree::arena memory;
    grove::changes const edits{{"abc3", "4"}};
    grove::walk by(edits, memory, 32);
    CHECK(support::kind_of([&] {
              static_cast<void>(tree::apply(source, memory, {}, forged, by));
          }) == coppice::errc::corrupt);
}
