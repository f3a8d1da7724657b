// SPDX-License-Identifier: BSL-1.0
#pragma once
// Any bytes as a node: what passes the check of its kind can be read with every accessor
// without leaving its bytes. The first byte of the input chooses what is set right beforehand.

#include <coppice/format/inner_patch.hpp>
#include <coppice/format/leaf_patch.hpp>
#include <coppice/format/node_writer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace fuzz_node_detail {

namespace format = coppice::format;

/// Where the node is said to lie: references of the input are below it or not.
inline constexpr std::uint64_t offset = std::uint64_t{1} << 24U;

/// Reads everything; what is read decides a number, so that nothing is optimised away.
inline std::uint64_t read(format::leaf_view const& leaf) {
    std::uint64_t sum = leaf.prefix_bytes();
    for (std::size_t i = 0; i < leaf.count(); ++i) {
        auto const key = leaf.key(i);
        auto const value = leaf.value(i);
        sum += static_cast<std::uint64_t>(std::count(key.begin(), key.end(), 'a'));
        sum += static_cast<std::uint64_t>(std::count(value.raw.begin(), value.raw.end(), 'b'));
        sum += leaf.head(i);
        sum += value.length_bytes() + leaf.flags(i);
        sum += leaf.lower_bound(key).index;
        sum += leaf.lower_bound(key.substr(0, key.size() / 2)).index;
    }
    return sum + leaf.lower_bound({}).index + leaf.lower_bound("\xff\xff\xff\xff\xff").index;
}

inline std::uint64_t read(format::inner_view const& inner) {
    std::uint64_t sum = inner.level() + inner.prefix().size();
    for (std::size_t i = 0; i < inner.count(); ++i) {
        auto const child = inner.child(i);
        sum += child.node.offset() + child.node.size_bytes() + child.entries + child.bytes;
        if (child.node.in_memory() || child.node.end_offset() > offset) __builtin_trap();
        if (i + 1 == inner.count()) break;
        auto const separator = inner.separator(i);
        auto const way = inner.child_for(separator);
        if (way >= inner.count()) __builtin_trap();
        sum += way + inner.head(i) + inner.suffix(i).size();
    }
    return sum + inner.child_for({}) + inner.child_for("\xff\xff\xff\xff\xff");
}

/// A leaf of as many entries as the patch says, to be read together with it.
inline std::uint64_t read_leaf_patch(std::byte const* patch) {
    auto const base_count = format::load_node_header(patch).patched;
    if (base_count == 0) return 0; // no leaf has so few
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < base_count; ++i) keys.push_back("k" + std::to_string(100'000 + i));
    std::vector<format::leaf_item> items;
    format::leaf_measure measure;
    for (auto const& key : keys) {
        items.push_back({key, {"v", false}});
        measure.add(key.size(), items.back().value);
    }
    std::vector<std::byte> base(measure.node_bytes());
    format::write_leaf(items, base);
    format::leaf_node const leaf(base.data(), patch);
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < leaf.count(); ++i) {
        auto const run = leaf.run(i);
        if (run.index < run.first || run.index >= run.last || run.last > run.in.count()) {
            __builtin_trap();
        }
        auto const key = leaf.key(i);
        sum += static_cast<std::uint64_t>(std::count(key.begin(), key.end(), 'a'));
        sum += leaf.value(i).length_bytes();
        auto const [index, found] = leaf.lower_bound(key);
        if (index > leaf.count() || (found && index == leaf.count())) __builtin_trap();
        sum += index + (leaf.find(key) ? 1U : 0U);
    }
    return sum + leaf.lower_bound({}).index + leaf.lower_bound("ÿÿÿ").index;
}

/// The same for an inner patch.
inline std::uint64_t read_inner_patch(std::byte const* patch) {
    auto const base_count = format::load_node_header(patch).patched;
    std::vector<std::string> lows;
    for (std::size_t i = 0; i < base_count; ++i) lows.push_back("k" + std::to_string(100'000 + i));
    std::vector<format::inner_item> items;
    for (auto const& low : lows) items.push_back({low, {format::node_ref::at(16384, 64, 1), 1, 1}});
    std::vector<std::byte> base(format::inner_node_bytes(items));
    format::write_inner(1, items, base);
    format::inner_node const inner(base.data(), patch);
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < inner.count(); ++i) {
        auto const child = inner.child(i);
        sum += child.entries + child.bytes;
        if (child.pair().in_memory() || child.node.end_offset() > offset) __builtin_trap();
        if (child.patch.end_offset() > offset || inner.pair(i) != child.pair()) __builtin_trap();
        if (i + 1 == inner.count()) break;
        if (inner.child_for(inner.separator(i)) >= inner.count()) __builtin_trap();
    }
    return sum + inner.child_for({}) + inner.child_for("ÿÿÿ");
}

} // namespace fuzz_node_detail

/// How many shortened forms of an input the replay tries.
inline constexpr std::size_t fuzz_node_cuts = 64;

/// @param data one byte of choices, then a node
inline int fuzz_node(std::uint8_t const* data, std::size_t size) {
    using namespace fuzz_node_detail;
    if (size < 1 || size > 200'000) return 0;
    auto const choices = data[0];
    std::vector<std::byte> node(size - 1);
    if (!node.empty()) std::memcpy(node.data(), data + 1, node.size());
    if ((choices & 1U) != 0 && node.size() >= 16) { // the header fits the size
        format::store(node.data() + 4, static_cast<std::uint32_t>(node.size()));
        auto const wide = node.size() >= format::wide_node_bytes;
        auto const inner = (choices & 2U) != 0;
        node[0] = std::byte(inner ? (wide ? 4U : 2U) : (wide ? 3U : 1U));
        node[1] = std::byte(inner ? 1U : 0U);
        if ((choices & 4U) != 0) { // a patch
            node[0] = std::byte(inner ? 6U : 5U);
            node[1] |= std::byte{format::patch_level_bit};
        } else if ((choices & 8U) == 0 || !inner) {
            node[10] = node[11] = std::byte{0};
        }
    }
    static volatile std::uint64_t read_so_far = 0;
    try {
        format::check_leaf(node, offset);
        read_so_far = read_so_far + read(format::leaf_view(node.data()));
    } catch (coppice::error const&) { // refused
        read_so_far = read_so_far + 1;
    }
    try {
        if (node.size() > 1 && node[1] != std::byte{0}) {
            format::check_inner(node, offset);
            read_so_far = read_so_far + read(format::inner_view(node.data()));
        }
    } catch (coppice::error const&) { // refused
        read_so_far = read_so_far + 1;
    }
    try {
        format::check_leaf_patch(node, offset);
        read_so_far = read_so_far + read_leaf_patch(node.data());
    } catch (coppice::error const&) { // refused
        read_so_far = read_so_far + 1;
    }
    try {
        format::check_inner_patch(node, offset);
        read_so_far = read_so_far + read_inner_patch(node.data());
    } catch (coppice::error const&) { // refused
        read_so_far = read_so_far + 1;
    }
    return 0;
}
