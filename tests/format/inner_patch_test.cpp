// SPDX-License-Identifier: BSL-1.0
#include <coppice/format/inner_patch.hpp>
#include <coppice/format/patch_writer.hpp>

#include <catch2/catch.hpp>
#include <kind_of.hpp>
#include <node_block.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace format = coppice::format;
using coppice::errc;
using format::child_change;
using node_block::block;

namespace {

format::node_ref some_node(std::uint64_t number) {
    return format::node_ref::at(16384 + 64 * number, 64, number);
}

/// Children from "" on, "d", "h", "l"; the second one with a patch.
block base_to_patch() {
    std::vector<format::inner_item> const items{{"", {some_node(0), 10, 100}},
                                                {"d", {some_node(1), 11, 101, some_node(9)}},
                                                {"h", {some_node(2), 12, 102}},
                                                {"l", {some_node(3), 13, 103}}};
    block node(format::inner_node_bytes(items));
    format::write_inner(1, items, node.writable());
    return node;
}

/// The first child has a patch, the second is another; behind it comes "f", with a patch, and "g";
/// behind the last one "p".
std::vector<format::inner_change> inner_sample() {
    return {{0, child_change::patched, some_node(20), 20, 200, {}},
            {1, child_change::replaced, some_node(21), 21, 201, {}},
            {1, child_change::added, some_node(22), 22, 202, "f"},
            {1, child_change::patched, some_node(23), 23, 203, {}},
            {1, child_change::added, some_node(24), 24, 204, "g"},
            {3, child_change::added, some_node(25), 25, 205, "p"}};
}

block inner_patch_of(std::vector<format::inner_change> const& changes, std::size_t base_count,
                     std::size_t children) {
    block node(format::inner_patch_bytes(changes));
    format::write_inner_patch(1, changes, base_count, children, {500, 2}, node.writable());
    return node;
}

/// Reads a patch that was accepted together with a base that it fits.
void read_inner_patch(block const& patch) {
    auto const base_count = format::load_node_header(patch.data()).patched;
    std::vector<std::string> lows;
    for (std::size_t i = 0; i < base_count; ++i) lows.push_back("k" + std::to_string(10000 + i));
    std::vector<format::inner_item> items;
    for (std::size_t i = 0; i < base_count; ++i) items.push_back({lows[i], {some_node(i), 1, 1}});
    block base(format::inner_node_bytes(items));
    format::write_inner(1, items, base.writable());
    format::inner_node const inner(base.data(), patch.data());
    for (std::size_t i = 0; i < inner.count(); ++i) {
        auto const child = inner.child(i);
        if (child.node.end_offset() > node_block::offset) FAIL("a child behind its parent");
        if (child.patch.end_offset() > node_block::offset) FAIL("a patch behind its parent");
        if (inner.pair(i) != child.pair()) FAIL("a pair that is another child");
        if (i + 1 < inner.count()) static_cast<void>(inner.separator(i).size());
    }
    for (auto const* const key : {"", "d", "f", "k10001", "k2", "\xff"}) {
        auto const way = inner.child_for(key);
        if (way >= inner.count()) FAIL("a way outside");
        if (inner.child_of(key) != inner.pair(way)) FAIL("two ways to a child");
    }
}

std::optional<errc> inner_patch_refusal(block const& patch) {
    try {
        format::check_inner_patch(patch.all(), node_block::offset);
    } catch (coppice::error const& e) {
        return e.kind();
    }
    read_inner_patch(patch);
    return {};
}

} // namespace

TEST_CASE("the fields of an inner patch lie where the specification says") {
    auto const patch = inner_patch_of(inner_sample(), 4, 7);
    auto const u16 = [&](std::size_t at) { return format::load<std::uint16_t>(patch.data() + at); };
    auto const u64 = [&](std::size_t at) { return format::load<std::uint64_t>(patch.data() + at); };
    CHECK(patch.data()[0] == std::byte{6});
    CHECK(patch.data()[1] == std::byte{0x81});
    CHECK(u16(2) == 6);
    CHECK(u16(8) == 0);
    CHECK(u16(10) == 4);
    CHECK(format::load<std::uint32_t>(patch.data() + 16) == 500);
    CHECK(u16(20) == 2);
    CHECK(u16(22) == 7);
    CHECK(u64(24 + 8 * 5) == some_node(25).hot);
    CHECK(u64(24 + 8 * 6) == 20);
    auto const places = std::size_t{24} + 16 * 6;
    CHECK(u16(places) == 0);
    CHECK(u16(places + 2) == 5);
    CHECK(u16(places + 4) == 6);
    CHECK(u16(places + 6) == 4);
    CHECK(u16(places + 10) == 14);
    auto const texts = std::size_t{24} + 32 * 6;
    CHECK(u16(places + 12) == texts);
    CHECK(u16(places + 12 + 10) == texts + 3);
    CHECK(format::load_u48(patch.data() + places + 24) == 20);
    CHECK(format::load_u48(patch.data() + places + 24 + 6 * 6) == 200);
    CHECK(patch.data()[texts] == std::byte{'f'});
    CHECK_FALSE(inner_patch_refusal(patch));
}

TEST_CASE("an inner node and its patch read as one node") {
    auto const base = base_to_patch();
    auto const patch = inner_patch_of(inner_sample(), 4, 7);
    format::inner_node const inner(base.data(), patch.data());
    REQUIRE(inner.count() == 7);
    std::vector<format::subtree> const expected{
        {some_node(0), 20, 200, some_node(20)},
        {some_node(21), 21, 201},
        {some_node(22), 23, 203, some_node(23)},
        {some_node(24), 24, 204},
        {some_node(2), 12, 102},
        {some_node(3), 13, 103},
        {some_node(25), 25, 205},
    };
    std::vector<std::string> const separators{"d", "f", "g", "h", "l", "p"};
    for (std::size_t i = 0; i < expected.size(); ++i) {
        INFO(i);
        CHECK(inner.child(i) == expected[i]);
        CHECK(inner.pair(i) == expected[i].pair());
        CHECK(inner.entries(i) == expected[i].entries);
        if (i < 6) CHECK(inner.separator(i) == separators[i]);
    }
    std::vector<std::pair<std::string, std::size_t>> const ways{
        {"", 0},   {"c", 0}, {"d", 1}, {"ez", 1}, {"f", 2}, {"g", 3},
        {"gz", 3}, {"h", 4}, {"l", 5}, {"oz", 5}, {"p", 6}, {"z", 6}};
    for (auto const& [key, way] : ways) {
        INFO(key);
        CHECK(inner.child_for(key) == way);
        CHECK(inner.child_of(key) == inner.pair(way));
    }
}

TEST_CASE("a patched child of a base keeps its patch beside the changes of others") {
    auto const base = base_to_patch();
    auto const patch = inner_patch_of({{2, child_change::patched, some_node(30), 1, 1, {}}}, 4, 4);
    format::inner_node const inner(base.data(), patch.data());
    CHECK(inner.child(1).patch == some_node(9));
    CHECK(inner.child(2).patch == some_node(30));
    CHECK(inner.child(3).patch.is_null());
    CHECK(format::inner_node(base.data(), nullptr).child(1).patch == some_node(9));
}

TEST_CASE("an inner patch that leads out of itself or of its base is refused") {
    auto const sound = inner_patch_of(inner_sample(), 4, 7);
    auto const places = std::size_t{24} + 16 * 6;
    auto const with = [&](std::size_t at, std::uint16_t value) {
        block changed(sound.all());
        format::store(changed.data() + at, value);
        return changed;
    };
    CHECK(inner_patch_refusal(with(22, 6)) == errc::corrupt);           // children
    CHECK(inner_patch_refusal(with(places, 8)) == errc::corrupt);       // a place that descends
    CHECK(inner_patch_refusal(with(places + 2, 7)) == errc::corrupt);   // a change of no kind
    CHECK(inner_patch_refusal(with(places + 6, 5)) == errc::corrupt);   // replaces an added one
    CHECK(inner_patch_refusal(with(places + 10, 18)) == errc::corrupt); // behind the last child
    CHECK(inner_patch_refusal(with(places + 12, 24 + 32 * 6 + 1)) == errc::corrupt); // a text
    CHECK(inner_patch_refusal(with(places + 16, 24 + 32 * 6)) == errc::corrupt);     // descends
    CHECK(inner_patch_refusal(with(places + 22, 60000)) == errc::corrupt);           // beyond
    CHECK(inner_patch_refusal(with(10, 3)) == errc::corrupt); // of a smaller base
    CHECK(inner_patch_refusal(with(2, 0)) == errc::corrupt);  // no change
    CHECK(inner_patch_refusal(with(2, 65)) == errc::corrupt); // too many
    CHECK(inner_patch_refusal(with(8, 1)) == errc::unsupported_feature);
    CHECK(inner_patch_refusal(with(0, 0x8006)) == errc::corrupt); // level of a leaf patch
    CHECK(inner_patch_refusal(with(0, 0x0106)) == errc::corrupt); // no level of a patch
    for (std::size_t k = 0; k < 6; ++k) {
        block changed(sound.all());
        format::store(changed.data() + 24 + 8 * k,
                      format::node_ref::at(node_block::offset, 64, 0).hot);
        CHECK(inner_patch_refusal(changed) == errc::corrupt); // a child that is not below it
    }
    auto const twice = inner_patch_of({{1, child_change::patched, some_node(1), 1, 1, {}},
                                       {1, child_change::patched, some_node(2), 1, 1, {}}},
                                      4, 4);
    CHECK(inner_patch_refusal(twice) == errc::corrupt);
}

TEST_CASE("no byte of an inner patch leads outside whatever it becomes") {
    auto const sound = inner_patch_of(inner_sample(), 4, 7);
    std::size_t accepted = 0;
    for (std::size_t at = 0; at < sound.size(); ++at) {
        for (unsigned value = 0; value < 256; ++value) {
            block changed(sound.all());
            changed.data()[at] = std::byte(value);
            accepted += inner_patch_refusal(changed) ? 0U : 1U;
        }
    }
    CHECK(accepted > 1000); // totals, checksums, texts
    for (std::size_t size = 0; size < sound.size(); ++size) {
        CHECK(inner_patch_refusal(block(sound.all().first(size))));
    }
}

TEST_CASE("the patches of an inner node are counted and lie between base and parent") {
    auto const sound = base_to_patch();
    auto const refusal = [](block const& node) -> std::optional<errc> {
        try {
            format::check_inner(node.all(), node_block::offset);
        } catch (coppice::error const& e) {
            return e.kind();
        }
        return {};
    };
    format::inner_view const inner(sound.data());
    auto const bits = inner.refs_begin() + 16 * 4;
    auto const with = [&](std::size_t at, std::uint64_t value) {
        block changed(sound.all());
        format::store(changed.data() + at, value);
        return changed;
    };
    CHECK_FALSE(refusal(sound));
    CHECK_FALSE(refusal(with(bits, 1)));                   // of another child
    CHECK(refusal(with(bits, 0)) == errc::corrupt);        // none, where one is counted
    CHECK(refusal(with(bits, 3)) == errc::corrupt);        // two
    CHECK(refusal(with(bits, 1U << 4U)) == errc::corrupt); // of a child that is not there
    CHECK(refusal(with(inner.patch_refs_begin(), 0)) == errc::corrupt);
    CHECK(refusal(with(inner.patch_refs_begin(), some_node(0).hot)) == errc::corrupt); // below it
    CHECK(refusal(with(inner.patch_refs_begin(),
                       format::node_ref::at(node_block::offset, 64, 0).hot)) == errc::corrupt);
}

TEST_CASE("nodes of other kinds are no inner patches and inner patches no inner nodes") {
    CHECK(inner_patch_refusal(base_to_patch()) == errc::corrupt);
    auto const patch = inner_patch_of(inner_sample(), 4, 7);
    auto const check = [&] { format::check_inner(patch.all(), node_block::offset); };
    CHECK(support::kind_of(check) == errc::corrupt);
}

TEST_CASE("the patches of an inner node that fills whole words of bits are counted") {
    std::vector<std::string> lows{""};
    for (int i = 100; i < 163; ++i) lows.push_back("k" + std::to_string(i));
    std::vector<format::inner_item> items;
    for (std::size_t i = 0; i < lows.size(); ++i) items.push_back({lows[i], {some_node(i), 1, 1}});
    items.back().child.patch = some_node(100);
    block node(format::inner_node_bytes(items));
    format::write_inner(1, items, node.writable());
    REQUIRE(format::load_node_header(node.data()).count == 64);
    CHECK_NOTHROW(format::check_inner(node.all(), node_block::offset));
    CHECK(format::inner_view(node.data()).child(63).patch == some_node(100));
}

TEST_CASE("an inner patch ends with its last separator") {
    auto const sound = inner_patch_of(inner_sample(), 4, 7);
    block longer(sound.all().size() + 8);
    std::copy(sound.all().begin(), sound.all().end(), longer.data());
    format::store(longer.data() + 4, static_cast<std::uint32_t>(longer.all().size()));
    CHECK(inner_patch_refusal(longer) == errc::corrupt);
}
