// SPDX-License-Identifier: BSL-1.0
#include <coppice/format/leaf_patch.hpp>
#include <coppice/format/patch_writer.hpp>

#include <catch2/catch.hpp>
#include <kind_of.hpp>
#include <node_block.hpp>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace format = coppice::format;
using coppice::errc;
using node_block::block;

namespace {

/// A patch of a leaf of four entries "b", "d", "f", "h": "a" and "e" are new, "d" is another,
/// "f" is gone, "i" is new at the end.
std::vector<format::leaf_change> patch_sample() {
    return {{0, false, false, {"a", {"new", false}}},
            {1, true, false, {"d", {"other", false}}},
            {2, false, false, {"e", {"new", false}}},
            {2, true, true, {"f", {}}},
            {4, false, false, {"i", {"last", false}}}};
}

block leaf_patch_of(std::vector<format::leaf_change> const& changes, std::size_t base_count,
                    std::size_t entries) {
    block node(format::leaf_patch_bytes(changes));
    format::write_leaf_patch(changes, base_count, entries, {700, 3}, node.writable());
    return node;
}

block patched_base() {
    return node_block::leaf_of({{"b", "1"}, {"d", "2"}, {"f", "3"}, {"h", "4"}});
}

/// Reads a patch that was accepted together with a base that it fits; a sanitizer sees each read.
std::size_t read_leaf_patch(block const& patch) {
    auto const base_count = format::load_node_header(patch.data()).patched;
    std::vector<node_block::entry> entries;
    for (std::size_t i = 0; i < base_count; ++i) {
        entries.push_back({"k" + std::to_string(10000 + i), "v"});
    }
    if (entries.empty()) return 0; // no leaf has so few
    auto const base = node_block::leaf_of(entries);
    format::leaf_node const leaf(base.data(), patch.data());
    std::size_t sum = 0;
    for (std::size_t i = 0; i < leaf.count(); ++i) {
        sum += leaf.key(i).size() + leaf.value(i).raw.size();
        auto const run = leaf.run(i);
        if (run.index < run.first || run.index >= run.last || run.last > run.in.count()) {
            FAIL("a run that leaves its node");
        }
    }
    for (auto const* const key : {"", "a", "d", "e", "k10001", "k2", "\xff"}) {
        auto const [index, found] = leaf.lower_bound(key);
        if (index > leaf.count() || (found && index == leaf.count())) FAIL("an index outside");
        sum += index + (leaf.find(key) ? 1U : 0U);
        leaf.prefetch(key);
    }
    return sum;
}

std::optional<errc> leaf_patch_refusal(block const& patch) {
    try {
        format::check_leaf_patch(patch.all(), node_block::offset);
    } catch (coppice::error const& e) {
        return e.kind();
    }
    static_cast<void>(read_leaf_patch(patch));
    return {};
}

} // namespace

TEST_CASE("the fields of a leaf patch lie where the specification says") {
    auto const patch = leaf_patch_of(patch_sample(), 4, 6);
    auto const u16 = [&](std::size_t at) { return format::load<std::uint16_t>(patch.data() + at); };
    CHECK(patch.data()[0] == std::byte{5});
    CHECK(patch.data()[1] == std::byte{0x80});
    CHECK(u16(2) == 5);
    CHECK(format::load<std::uint32_t>(patch.data() + 4) == patch.size());
    CHECK(u16(10) == 4);
    CHECK(patch.data()[13] == std::byte{1});
    auto const flags = 16 + 4 * 5 + 2 * 6 + 2 * 5;
    CHECK(patch.data()[flags + 3] == std::byte{0x80});
    auto const fields = static_cast<std::size_t>(flags + 5);
    CHECK(format::load<std::uint32_t>(patch.data() + fields) == 700);
    CHECK(u16(fields + 4) == 3);
    CHECK(u16(fields + 6) == 6);
    CHECK(u16(fields + 8) == 0);
    CHECK(u16(fields + 10) == 3);
    CHECK(u16(fields + 12) == 4);
    CHECK(u16(fields + 14) == 5);
    CHECK(u16(fields + 16) == 8);
    CHECK(u16(16 + 4 * 5) == fields + 18);
    CHECK_FALSE(leaf_patch_refusal(patch));
}

TEST_CASE("a leaf and its patch read as one leaf") {
    auto const base = patched_base();
    auto const patch = leaf_patch_of(patch_sample(), 4, 6);
    format::leaf_node const leaf(base.data(), patch.data());
    std::vector<std::pair<std::string, std::string>> const expected{
        {"a", "new"}, {"b", "1"}, {"d", "other"}, {"e", "new"}, {"h", "4"}, {"i", "last"}};
    REQUIRE(leaf.count() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
        CHECK(leaf.key(i) == expected[i].first);
        CHECK(leaf.value(i).raw == expected[i].second);
        CHECK(leaf.lower_bound(expected[i].first).index == i);
        CHECK(leaf.lower_bound(expected[i].first).found);
        REQUIRE(leaf.find(expected[i].first));
        CHECK(leaf.find(expected[i].first)->raw == expected[i].second);
    }
    std::map<std::string, std::size_t> const absent{{"", 0},  {"aa", 1}, {"c", 2},  {"dd", 3},
                                                    {"f", 4}, {"g", 4},  {"ha", 5}, {"j", 6}};
    for (auto const& [key, index] : absent) {
        INFO(key);
        CHECK(leaf.lower_bound(key).index == index);
        CHECK_FALSE(leaf.lower_bound(key).found);
        CHECK_FALSE(leaf.find(key));
    }
}

TEST_CASE("a leaf without a patch is one run") {
    auto const base = patched_base();
    format::leaf_node const leaf(base.data(), nullptr);
    CHECK(leaf.count() == 4);
    CHECK(leaf.run(2).first == 0);
    CHECK(leaf.run(2).index == 2);
    CHECK(leaf.run(2).last == 4);
}

TEST_CASE("a leaf patch that leads out of itself or of its base is refused") {
    auto const sound = leaf_patch_of(patch_sample(), 4, 6);
    auto const flags = 16 + 4 * 5 + 2 * 6 + 2 * 5;
    auto const fields = flags + 5;
    auto const with = [&](int at, std::uint16_t value) {
        block changed(sound.all());
        format::store(changed.data() + at, value);
        return changed;
    };
    CHECK_FALSE(leaf_patch_refusal(block(sound.all())));
    CHECK(leaf_patch_refusal(with(fields + 6, 7)) == errc::corrupt);   // entries
    CHECK(leaf_patch_refusal(with(fields + 8, 9)) == errc::corrupt);   // a place that descends
    CHECK(leaf_patch_refusal(with(fields + 12, 2)) == errc::corrupt);  // behind a replaced one
    CHECK(leaf_patch_refusal(with(fields + 14, 4)) == errc::corrupt);  // erases nothing
    CHECK(leaf_patch_refusal(with(fields + 16, 9)) == errc::corrupt);  // replaces one behind all
    CHECK(leaf_patch_refusal(with(fields + 16, 10)) == errc::corrupt); // before one behind all
    CHECK(leaf_patch_refusal(with(10, 3)) == errc::corrupt);           // of a smaller base
    CHECK(leaf_patch_refusal(with(2, 65)) == errc::corrupt);           // too many changes
    CHECK(leaf_patch_refusal(with(0, 0x0005)) == errc::corrupt);       // no level of a patch
    CHECK(leaf_patch_refusal(with(0, 0x8105)) == errc::corrupt);       // level of an inner patch
    CHECK(leaf_patch_refusal(with(0, 0x8006)) == errc::corrupt);       // kind of an inner patch
    CHECK(leaf_patch_refusal(with(12, 0)) == errc::corrupt);           // no flags of each entry
    CHECK(leaf_patch_refusal(with(flags, 0x8080)) == errc::corrupt);   // erased, with a value
    CHECK(leaf_patch_refusal(with(flags, 0x0002)) == errc::unsupported_feature);
    auto const all_gone = leaf_patch_of({{0, true, true, {"b", {}}}}, 1, 0);
    CHECK(leaf_patch_refusal(all_gone) == errc::corrupt);
}

TEST_CASE("no byte of a leaf patch leads outside whatever it becomes") {
    auto const sound = leaf_patch_of(patch_sample(), 4, 6);
    std::size_t accepted = 0;
    for (std::size_t at = 0; at < sound.size(); ++at) {
        for (unsigned value = 0; value < 256; ++value) {
            block changed(sound.all());
            changed.data()[at] = std::byte(value);
            accepted += leaf_patch_refusal(changed) ? 0U : 1U;
        }
    }
    CHECK(accepted > 1000); // bytes of keys, values, heads
    for (std::size_t size = 0; size < sound.size(); ++size) {
        CHECK(leaf_patch_refusal(block(sound.all().first(size))));
    }
}

TEST_CASE("a leaf is no leaf patch") { CHECK(leaf_patch_refusal(patched_base()) == errc::corrupt); }

TEST_CASE("a patch whose keys are not those of its places leads to nothing outside") {
    auto const base = patched_base();
    auto const patch = leaf_patch_of({{0, true, true, {"z", {}}}}, 4, 3); // erases "b"
    REQUIRE_FALSE(leaf_patch_refusal(block(patch.all())));
    format::leaf_node const leaf(base.data(), patch.data());
    auto const [index, found] = leaf.lower_bound("h");
    CHECK(index == leaf.count());
    CHECK_FALSE(found);
}
