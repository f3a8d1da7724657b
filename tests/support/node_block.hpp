// SPDX-License-Identifier: BSL-1.0
#pragma once
// Nodes for the tests of format/: each in a block of memory that is exactly as long as the node, so
// that a sanitizer sees each access beside it; and the changes that hostile bytes are made of.

#include <coppice/format/node_writer.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace node_block {

namespace format = coppice::format;

/// Where the nodes of these tests are said to lie.
inline constexpr std::uint64_t offset = 1'000'000;

/// A node in a block of exactly its size.
class block {
  public:
    explicit block(std::size_t size) : size_(size), data_(new std::byte[size]) {
        std::fill_n(data_.get(), size, std::byte{0xEE});
    }
    explicit block(coppice::bytes from) : block(from.size()) {
        std::copy(from.begin(), from.end(), data_.get());
    }
    [[nodiscard]] std::byte* data() const noexcept { return data_.get(); }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] coppice::mutable_bytes writable() const noexcept { return {data(), size_}; }
    [[nodiscard]] coppice::bytes all() const noexcept { return {data(), size_}; }

  private:
    std::size_t size_;
    std::unique_ptr<std::byte[]> data_;
};

/// An entry that owns its key and the raw form of its value.
struct entry {
    std::string key{};
    std::string raw{};
    bool out_of_line = false;
};

/// The raw form of a value out of line at a place that a node at `offset` may name.
[[nodiscard]] inline std::string reference_to(std::uint64_t length) {
    std::string raw(format::extent_ref::encoded_bytes, '\0');
    format::extent_ref{16384, length, 5}.encode(reinterpret_cast<std::byte*>(raw.data()));
    return raw;
}

[[nodiscard]] inline block leaf_of(std::vector<entry> const& entries) {
    std::vector<format::leaf_item> items;
    format::leaf_measure measure;
    for (auto const& [key, raw, out_of_line] : entries) {
        items.push_back({key, {raw, out_of_line}});
        measure.add(key.size(), items.back().value);
    }
    block node(measure.node_bytes());
    format::write_leaf(items, node.writable());
    return node;
}

/// Child `i` of the inner nodes of these tests.
[[nodiscard]] inline format::subtree child(std::uint64_t i) {
    return {format::node_ref::at(16384 + 64 * (i % 10'000), 64, 1000 + i), 3 + i, 64 + 8 * i};
}

/// An inner node with these separators: one child more.
[[nodiscard]] inline block inner_of(std::vector<std::string> const& separators,
                                    unsigned level = 1) {
    std::vector<format::inner_item> items{{"", child(0)}};
    for (auto const& separator : separators) items.push_back({separator, child(items.size())});
    block node(format::inner_node_bytes(items));
    format::write_inner(level, items, node.writable());
    return node;
}

/// Shows every node that is the given one with one byte, or one field of 2, 4 or 8 bytes, changed
/// to values at which something may break; and with one bit flipped.
inline void for_each_change(block const& node, std::function<void(block const&)> const& show) {
    auto const change = [&](std::size_t at, auto value) {
        if (at + sizeof(value) > node.size()) return;
        block changed(node.all());
        format::store(changed.data() + at, value);
        show(changed);
    };
    auto const size = node.size();
    for (std::size_t at = 0; at < size; ++at) {
        auto const old = std::to_integer<unsigned>(node.data()[at]);
        for (auto const value : {0U, 1U, 2U, 3U, 4U, 5U, 0x7FU, 0x80U, 0xFFU, old + 1, old - 1}) {
            change(at, static_cast<std::uint8_t>(value));
        }
        for (unsigned bit = 0; bit < 8; ++bit) {
            change(at, static_cast<std::uint8_t>(old ^ (1U << bit)));
        }
        if (at % 2 != 0) continue;
        for (std::size_t const value : {std::size_t{0}, size - 8, size - 1, size, size + 1,
                                        std::size_t{0x7FFF}, std::size_t{0xFFFF}}) {
            change(at, static_cast<std::uint16_t>(value));
            change(at, static_cast<std::uint32_t>(value));
        }
        change(at, std::uint32_t{0x7FFFFFFF});
        change(at, std::uint32_t{0xFFFFFFFF});
        change(at, ~std::uint64_t{0});
        change(at, std::uint64_t{1} << 63U);
    }
}

/// Keys, their neighbours, their beginnings, and texts that begin with them.
[[nodiscard]] inline std::vector<std::string> around(std::set<std::string> const& keys) {
    std::vector<std::string> result{"", "\xff\xff\xff\xff\xff", std::string(5, '\0')};
    for (auto const& key : keys) {
        result.push_back(key);
        result.push_back(key.substr(0, key.size() / 2));
        result.push_back(key + '\0');
        result.push_back(key + '\xff');
        if (key.empty()) continue;
        result.push_back(key.substr(0, key.size() - 1));
        result.push_back(key.substr(1));
        auto near = key;
        near.back() = static_cast<char>(near.back() + 1);
        result.push_back(near);
        near.back() = static_cast<char>(near.back() - 2);
        result.push_back(near);
    }
    return result;
}

} // namespace node_block
