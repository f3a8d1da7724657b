// SPDX-License-Identifier: BSL-1.0
#include <coppice/tree/check.hpp>

#include <catch2/catch.hpp>
#include <memory_source.hpp>
#include <tree_image.hpp>

#include <algorithm>
#include <functional>
#include <numeric>

namespace {

namespace format = coppice::format;
using coppice::tree::check_report;
using grove::tree_image;

/// A tree of some levels in a file, in which every third value lies out of line.
grove::content some_content() {
    auto content = grove::numbered_content(90);
    for (unsigned i = 0; i < 90; i += 3) content[grove::numbered(i)] = std::string(33 + i, 'o');
    return content;
}

/// The tree in a file, its checksums believed, so that the check sees what is behind them.
struct planted {
    tree_image image{};

    planted() {
        grove::bench bench{grove::tiny};
        image = grove::image_of(bench.build(some_content()));
        image.source.verify_checksums = false;
    }

    [[nodiscard]] std::byte* at(format::node_ref ref, std::size_t position = 0) {
        return image.source.file.data() + ref.offset() + position;
    }
    template <typename T> void set(format::node_ref ref, std::size_t position, T value) {
        format::store(at(ref, position), value);
    }
    /// Node number `i` of a level, in the order of the file.
    [[nodiscard]] format::node_ref node(unsigned level, std::size_t i = 0) {
        for (auto const ref : image.written) {
            if (std::to_integer<unsigned>(*at(ref, 1)) == level && i-- == 0) return ref;
        }
        throw std::logic_error("no such node");
    }
    [[nodiscard]] std::size_t count(format::node_ref ref) { return inner_or_leaf_count(ref); }
    /// A leaf with two entries or more, or one with a value out of line.
    [[nodiscard]] format::node_ref leaf(bool out_of_line = false) {
        for (std::size_t i = 1;; ++i) {
            auto const ref = node(0, i);
            format::leaf_view const view(at(ref));
            if (!out_of_line && view.count() >= 2) return ref;
            if (out_of_line && view.value(0).out_of_line) return ref;
        }
    }
    /// Where the key, or the value, of an entry stands in its leaf.
    [[nodiscard]] std::size_t key_at(format::node_ref ref, std::size_t i) {
        return place(ref, format::leaf_view(at(ref)).key(i));
    }
    [[nodiscard]] std::size_t value_at(format::node_ref ref, std::size_t i) {
        return place(ref, format::leaf_view(at(ref)).value(i).raw);
    }
    [[nodiscard]] std::size_t suffix_at(format::node_ref ref, std::size_t i) {
        return place(ref, format::inner_view(at(ref)).suffix(i));
    }
    [[nodiscard]] std::size_t hot_at(format::node_ref ref, std::size_t i) {
        return format::node_header_bytes + format::inner_view::heads_bytes(count(ref)) + 8 * i;
    }
    /// Entries (or, with `count` added to `i`, bytes) of child `i`.
    [[nodiscard]] std::size_t total_at(format::node_ref ref, std::size_t i) {
        return hot_at(ref, 0) + 18 * count(ref) + 6 * i;
    }
    void set_total(format::node_ref ref, std::size_t i, std::uint64_t value) {
        format::store_u48(at(ref, total_at(ref, i)), value);
    }

    [[nodiscard]] check_report check(coppice::node_sizes const& sizes = grove::tiny) {
        image.source.nodes.clear();
        return coppice::tree::check(image.source, image.tree, sizes, [&](auto const& extent) {
            static_cast<void>(image.source.value(extent));
        });
    }

  private:
    [[nodiscard]] std::size_t inner_or_leaf_count(format::node_ref ref) {
        return format::load_node_header(at(ref)).count;
    }
    [[nodiscard]] std::size_t place(format::node_ref ref, std::string_view text) {
        return static_cast<std::size_t>(text.data() - reinterpret_cast<char const*>(at(ref)));
    }
};

bool names(check_report const& report, std::string_view what) {
    return std::any_of(report.findings.begin(), report.findings.end(), [&](auto const& finding) {
        return finding.what.find(what) != std::string::npos;
    });
}

/// A violation, and words of the finding that must name it.
struct violation {
    char const* name;
    std::function<void(planted&)> plant;
    char const* expected;
};

std::vector<violation> const in_leaves{
    {"unknown kind", [](auto& p) { p.set(p.leaf(), 0, std::uint8_t{9}); }, "node kind 9"},
    {"level of a leaf", [](auto& p) { p.set(p.leaf(), 1, std::uint8_t{3}); }, "level"},
    {"no entries", [](auto& p) { p.set(p.leaf(), 2, std::uint16_t{0}); }, "without entries"},
    {"other size", [](auto& p) { p.set(p.leaf(), 4, std::uint32_t{64}); }, "size"},
    {"reserved bytes", [](auto& p) { p.set(p.leaf(), 14, std::uint16_t{1}); }, "reserved"},
    {"keys in another order",
     [](auto& p) {
         auto const ref = p.leaf();
         std::swap_ranges(p.at(ref, p.key_at(ref, 0)), p.at(ref, p.key_at(ref, 0)) + 11,
                          p.at(ref, p.key_at(ref, 1)));
     },
     "the keys of a leaf do not ascend"},
    {"the same key twice",
     [](auto& p) {
         auto const ref = p.leaf();
         std::copy_n(p.at(ref, p.key_at(ref, 0)), 11, p.at(ref, p.key_at(ref, 1)));
     },
     "the keys of a leaf do not ascend"},
    {"a key above its separator",
     [](auto& p) {
         auto const ref = p.leaf();
         p.set(ref, p.key_at(ref, p.count(ref) - 1), std::uint8_t{'z'});
     },
     "outside the bounds"},
    {"a key below its separator",
     [](auto& p) { p.set(p.leaf(), p.key_at(p.leaf(), 0), std::uint8_t{'a'}); },
     "outside the bounds"},
    {"a head", [](auto& p) { *p.at(p.leaf(), 16) ^= std::byte{1}; }, "head of a leaf"},
    {"a prefix that is not shared", [](auto& p) { p.set(p.leaf(), 8, std::uint16_t{11}); },
     "the prefix or a head of a leaf"},
    {"padding",
     [](auto& p) {
         for (std::size_t i = 0;; ++i) {
             auto const ref = p.node(0, i);
             auto const last = format::leaf_view(p.at(ref)).value(p.count(ref) - 1).raw;
             if (p.value_at(ref, p.count(ref) - 1) + last.size() == ref.size_bytes()) continue;
             return p.set(ref, ref.size_bytes() - 1, std::uint8_t{1});
         }
     },
     "padding"},
    {"an unknown entry flag", [](auto& p) { p.set(p.leaf(), 12, std::uint8_t{0x40}); },
     "entry flags"},
    {"flags for each and for all",
     [](auto& p) {
         for (std::size_t i = 0;; ++i) {
             if (*p.at(p.node(0, i), 13) == std::byte{0}) continue;
             return p.set(p.node(0, i), 12, std::uint8_t{1});
         }
     },
     "flags for each entry and for all"},
    {"an empty value out of line",
     [](auto& p) {
         auto const ref = p.leaf(true);
         p.set(ref, p.value_at(ref, 0) + 8, std::uint64_t{0});
     },
     "an empty value"},
    {"a value that passes its leaf",
     [](auto& p) {
         auto const ref = p.leaf(true);
         p.set(ref, p.value_at(ref, 0) + 8, std::uint64_t{100'000});
     },
     "a value that does not lie before its leaf"},
    {"a value behind the end",
     [](auto& p) {
         auto const ref = p.leaf(true);
         p.set(ref, p.value_at(ref, 0) + 8, format::max_file_bytes - 1);
     },
     "a value behind the end"},
    {"a value in memory",
     [](auto& p) {
         auto const ref = p.leaf(true);
         p.set(ref, p.value_at(ref, 0), format::memory_bit | 16384U);
     },
     "points outside"},
    {"a value that overlaps a node",
     [](auto& p) {
         auto const ref = p.leaf(true);
         p.set(ref, p.value_at(ref, 0), p.node(0, 0).offset());
     },
     "overlaps another part"},
    {"the same value twice",
     [](auto& p) {
         std::vector<std::byte> reference;
         for (std::size_t i = 0;; ++i) {
             auto const ref = p.node(0, i);
             if (!format::leaf_view(p.at(ref)).value(0).out_of_line) continue;
             auto* const at = p.at(ref, p.value_at(ref, 0));
             if (!reference.empty()) {
                 std::copy(reference.begin(), reference.end(), at);
                 return;
             }
             reference.assign(at, at + 24);
         }
     },
     "named twice"},
};

std::vector<violation> const in_inner_nodes{
    {"one child", [](auto& p) { p.set(p.node(1), 2, std::uint16_t{1}); }, "fewer than two"},
    {"level", [](auto& p) { p.set(p.node(1), 1, std::uint8_t{2}); }, "wrong level"},
    {"a kind of leaf", [](auto& p) { p.set(p.node(1), 0, std::uint8_t{1}); }, "kind"},
    {"a patch", [](auto& p) { p.set(p.node(1), 10, std::uint16_t{1}); }, "damaged node"},
    {"reserved bytes", [](auto& p) { p.set(p.node(1), 15, std::uint8_t{1}); }, "reserved"},
    {"a head", [](auto& p) { *p.at(p.node(2), 16) ^= std::byte{1}; }, "head of an inner node"},
    {"padding of the heads",
     [](auto& p) {
         for (std::size_t i = 0;; ++i) {
             auto const ref = p.node(1, i);
             if (p.count(ref) % 2 != 0) continue;
             return p.set(ref, p.hot_at(ref, 0) - 1, std::uint8_t{1});
         }
     },
     "padding"},
    {"separators in another order",
     [](auto& p) {
         auto const ref = p.node(1, 0);
         std::swap(*p.at(ref, p.suffix_at(ref, 0)), *p.at(ref, p.suffix_at(ref, 1)));
     },
     "a separator that does not ascend"},
    {"a separator outside the bounds of its node",
     [](auto& p) {
         auto const ref = p.node(1, 0);
         p.set(ref, p.suffix_at(ref, p.count(ref) - 2), std::uint8_t{'z'});
     },
     "passes the bounds"},
    {"entries", [](auto& p) { p.set_total(p.node(1), 1, 77); }, "77 entries where"},
    {"entries of a whole subtree", [](auto& p) { p.set_total(p.node(2), 0, 5); },
     "5 entries where"},
    {"bytes", [](auto& p) { p.set_total(p.node(1), p.count(p.node(1)), 8); }, "8 bytes where"},
    {"entries of the root", [](auto& p) { p.image.tree.root.entries = 91; }, "91 entries where 90"},
    {"bytes of the root", [](auto& p) { p.image.tree.root.bytes -= 8; }, "bytes where"},
    {"a child named twice",
     [](auto& p) {
         auto const ref = p.node(1);
         std::copy_n(p.at(ref, p.hot_at(ref, 0)), 8, p.at(ref, p.hot_at(ref, 1)));
     },
     "named twice"},
    {"a child of another parent",
     [](auto& p) {
         std::copy_n(p.at(p.node(1, 0), p.hot_at(p.node(1, 0), 0)), 8,
                     p.at(p.node(1, 1), p.hot_at(p.node(1, 1), 0)));
     },
     "named twice"},
    {"children that overlap",
     [](auto& p) {
         auto const ref = p.node(1);
         auto const hot = format::load<std::uint64_t>(p.at(ref, p.hot_at(ref, 0)));
         p.set(ref, p.hot_at(ref, 1), hot + (std::uint64_t{1} << 19U));
     },
     "overlaps another part"},
    {"a child behind its parent",
     [](auto& p) { p.set(p.node(1), p.hot_at(p.node(1), 0), p.node(2).hot); }, "points outside"},
    {"itself as child", [](auto& p) { p.set(p.node(2), p.hot_at(p.node(2), 0), p.node(2).hot); },
     "points outside"},
    {"a child in memory",
     [](auto& p) { p.set(p.node(1), p.hot_at(p.node(1), 0), p.node(0).hot | format::memory_bit); },
     "points outside"},
    {"a height too small", [](auto& p) { --p.image.tree.height; }, "wrong level"},
    {"a height too large", [](auto& p) { ++p.image.tree.height; }, "wrong level"},
    {"a height above all", [](auto& p) { p.image.tree.height = 41; }, "greatest height"},
    {"no height", [](auto& p) { p.image.tree.height = 0; }, "an empty tree that names"},
    {"no root", [](auto& p) { p.image.tree.root.node = {}; }, "an empty tree that names"},
    {"entries in the empty tree",
     [](auto& p) {
         p.image.tree = {{{}, 1, 0}, 0};
     },
     "an empty tree that names"},
    {"a root behind the end",
     [](auto& p) { p.image.tree.root.node = format::node_ref::at(1 << 30, 64, 0); },
     "behind the end"},
};

void report_each(std::vector<violation> const& violations) {
    for (auto const& [name, plant, expected] : violations) {
        INFO(name);
        planted each;
        plant(each);
        auto const report = each.check();
        REQUIRE_FALSE(report.findings.empty());
        INFO(report.findings.front().what);
        CHECK(names(report, expected));
    }
}

} // namespace

TEST_CASE("a sound tree has no findings, and its totals are counted") {
    planted sound;
    auto const report = sound.check();
    for (auto const& finding : report.findings) UNSCOPED_INFO(finding.what);
    CHECK(report.findings.empty());
    CHECK(report.unlisted_findings == 0);
    CHECK(report.entries == 90);
    CHECK(report.nodes == sound.image.written.size());
    CHECK(report.bytes == sound.image.tree.root.bytes);
    CHECK(report.leaves < report.nodes);
    CHECK(report.leaf_bytes < report.bytes);
    CHECK(report.leaf_fill(grove::tiny) > 0.5);
    CHECK(report.leaf_fill(grove::tiny) <= 1.0);
}

TEST_CASE("the empty tree is sound") {
    grove::bench const bench;
    auto const report = bench.check({});
    CHECK(report.findings.empty());
    CHECK(report.nodes == 0);
    CHECK(report.leaf_fill(bench.sizes) == 1.0);
}

TEST_CASE("what is wrong in a leaf is reported by name") { report_each(in_leaves); }

TEST_CASE("what is wrong in an inner node or in a tree is reported by name") {
    report_each(in_inner_nodes);
}

TEST_CASE("nodes that should have been cut are reported") {
    planted large;
    auto sizes = grove::tiny;
    sizes.leaf_bytes = 48;
    CHECK(names(large.check(sizes), "a leaf that should have been cut"));
    grove::bench bench{{.leaf_bytes = 128, .inner_bytes = 512, .inline_value_bytes = 32}};
    auto const wide = bench.build(grove::numbered_content(200));
    CHECK(names(coppice::tree::check(bench.source, wide, grove::tiny),
                "an inner node that should have been cut"));
}

TEST_CASE("an unreadable node is one finding, and its siblings are walked") {
    planted damaged;
    damaged.image.source.verify_checksums = true;
    auto const sound = damaged.check();
    REQUIRE(sound.findings.empty());
    auto const ref = damaged.leaf();
    *damaged.at(ref, 20) ^= std::byte{1};
    auto const report = damaged.check();
    REQUIRE(report.findings.size() == 1);
    CHECK(report.findings[0].offset == ref.offset());
    CHECK(report.leaves == sound.leaves - 1);
    CHECK(report.nodes == sound.nodes - 1);
}

TEST_CASE("an unreadable value is one finding with its place") {
    planted damaged;
    damaged.image.source.verify_checksums = true;
    auto const ref = damaged.leaf(true);
    auto const extent = format::leaf_view(damaged.at(ref)).value(0).extent();
    damaged.image.source.file[extent.offset] ^= std::byte{1};
    auto const report = damaged.check();
    REQUIRE(report.findings.size() == 1);
    CHECK(report.findings[0].offset == extent.offset);
    CHECK(names(report, "checksum"));
    // Without a callable for values they are not read.
    CHECK(coppice::tree::check(damaged.image.source, damaged.image.tree, grove::tiny)
              .findings.empty());
}

TEST_CASE("findings beyond the cap are counted") {
    grove::bench bench{grove::tiny};
    auto image = grove::image_of(bench.build(grove::numbered_content(6000)));
    image.source.verify_checksums = false;
    std::size_t leaves = 0;
    for (auto const ref : image.written) {
        auto* const node = image.source.file.data() + ref.offset();
        if (node[1] != std::byte{0}) continue;
        node[16] ^= std::byte{1};
        ++leaves;
    }
    REQUIRE(leaves > check_report::max_findings);
    auto const report = coppice::tree::check(image.source, image.tree, grove::tiny);
    CHECK(report.findings.size() == check_report::max_findings);
    CHECK(report.unlisted_findings == leaves - check_report::max_findings);
    CHECK(report.leaves == leaves);
}

TEST_CASE("a tree whose every node names one child many times is checked in no time") {
    // 2^39 ways lead from the root to the only leaf.
    grove::image_sink sink;
    grove::bench bench;
    auto at = coppice::tree::relocate(sink, bench.put({}, "k"));
    for (unsigned level = 1; level < format::max_height; ++level) {
        std::vector<format::inner_item> const items{{"", at.root}, {"m", at.root}};
        auto const node = sink.allocate_node(format::inner_node_bytes(items));
        format::write_inner(level, items, node);
        at.root.node = sink.seal_node(node);
        ++at.height;
    }
    grove::image_source source;
    source.file = sink.file;
    auto const report = coppice::tree::check(source, at, {});
    CHECK(report.nodes == format::max_height);
    CHECK(names(report, "named twice"));
}

TEST_CASE("values that overlap are read once, however often they are named") {
    grove::image_sink sink;
    auto const extent = sink.add_extent(std::string(1000, 'v'));
    std::string raw(24, '\0');
    std::vector<std::string> keys;
    for (unsigned i = 0; i < 500; ++i) keys.push_back(grove::numbered(i));
    extent.encode(reinterpret_cast<std::byte*>(raw.data()));
    std::vector<format::leaf_item> items;
    format::leaf_measure measure;
    for (auto const& key : keys) {
        items.push_back({key, {raw, true}});
        measure.add(key.size(), items.back().value);
    }
    auto const node = sink.allocate_node(measure.node_bytes());
    format::write_leaf(items, node);
    format::tree_ref const tree{{sink.seal_node(node), 500, 0}, 1};
    grove::image_source source;
    source.file = sink.file;
    std::size_t reads = 0;
    auto const report = coppice::tree::check(source, tree, {}, [&](auto const&) { ++reads; });
    CHECK(reads == 1);
    CHECK(names(report, "named twice"));
}

TEST_CASE("a source that checks nothing is checked all the same") {
    struct trusting {
        std::vector<std::byte> const& file;
        [[nodiscard]] std::byte const* node(format::node_ref ref, unsigned) const {
            return file.data() + ref.offset();
        }
    };
    planted each;
    auto const child = each.hot_at(each.node(1), 0);
    auto const report = [&] {
        return coppice::tree::check(trusting{each.image.source.file}, each.image.tree, grove::tiny);
    };
    auto const sound = format::load<std::uint64_t>(each.at(each.node(1), child));
    CHECK(report().findings.empty());
    each.set(each.node(1), child, each.node(2).hot);
    CHECK(names(report(), "a child that does not lie before its parent"));
    each.set(each.node(1), child, each.node(0).hot | format::memory_bit);
    CHECK(names(report(), "a node of a file names memory"));
    each.set(each.node(1), child, sound + 1);
    CHECK(names(report(), "a node of the wrong kind, level, size or count"));
}
