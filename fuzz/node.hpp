// SPDX-License-Identifier: BSL-1.0
#pragma once
// Any bytes as a node: what passes check_leaf or check_inner can be read with every accessor
// without leaving its bytes. The first byte of the input chooses what is set right beforehand.

#include <coppice/format/inner.hpp>
#include <coppice/format/leaf.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
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
        node[10] = node[11] = std::byte{0};
        auto const wide = node.size() >= format::wide_node_bytes;
        node[0] = std::byte((choices & 2U) != 0 ? (wide ? 4U : 2U) : (wide ? 3U : 1U));
        node[1] = std::byte((choices & 2U) != 0 ? 1U : 0U);
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
    return 0;
}
