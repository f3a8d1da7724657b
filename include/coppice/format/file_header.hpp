// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/format/file_header.hpp: block 0 of the file, written once and never again.
// Owns: magic, format version, checksum algorithm, uuid, generation, node sizes; 4 KiB on disk.
// Invariant: a `file_header` was either made here or decoded from bytes whose checksum held.
//   0 magic[16] | 16 version u32 | 20 algorithm u32 | 24 uuid[16] | 40 generation u64 |
//   48 leaf_bytes u32 | 52 inner_bytes u32 | 56 inline_value_bytes u32 | 60 patches u32 |
//   64 checksum u64

#include <coppice/bytes.hpp>
#include <coppice/error.hpp>
#include <coppice/format/checksum.hpp>
#include <coppice/format/endian.hpp>
#include <coppice/options.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace coppice::inline COPPICE_ABI::format {

/// The size of the header and of each superblock slot on disk: one damage block each.
inline constexpr std::size_t block_bytes = 4096;
/// The version of the format that this library writes, and the only one that it reads.
inline constexpr std::uint32_t format_version = 1;
/// The first bytes of every database: as PNG's, they show a transfer that changed line ends.
inline constexpr std::string_view file_magic{"\x89"
                                             "coppice\r\n\x1a\n\0\0\0\0",
                                             16};

/// Identity and creation parameters of a file.
struct file_header {
    std::array<std::byte, 16> uuid{}; ///< of the database; compaction keeps it
    std::uint64_t generation = 1;     ///< of the file; each compaction adds one
    node_sizes nodes{};               ///< fixed for the life of the database

    static constexpr std::size_t encoded_bytes = 72;

    friend bool operator==(file_header const& a, file_header const& b) noexcept {
        return a.uuid == b.uuid && a.generation == b.generation &&
               a.nodes.leaf_bytes == b.nodes.leaf_bytes &&
               a.nodes.inner_bytes == b.nodes.inner_bytes &&
               a.nodes.inline_value_bytes == b.nodes.inline_value_bytes &&
               a.nodes.patches == b.nodes.patches;
    }
};

/// The whole first block.
[[nodiscard]] inline std::array<std::byte, block_bytes> encode(file_header const& header) {
    std::array<std::byte, block_bytes> block{};
    auto* const to = block.data();
    std::memcpy(to, file_magic.data(), file_magic.size());
    store(to + 16, format_version);
    store(to + 20, checksum_algorithm_xxh3_64);
    std::memcpy(to + 24, header.uuid.data(), header.uuid.size());
    store(to + 40, header.generation);
    store(to + 48, header.nodes.leaf_bytes);
    store(to + 52, header.nodes.inner_bytes);
    store(to + 56, header.nodes.inline_value_bytes);
    store(to + 60, std::uint32_t{header.nodes.patches});
    store(to + 64, checksum(bytes{block}.first(64)));
    return block;
}

/// Are these node sizes ones that the library works with?
[[nodiscard]] constexpr bool valid(node_sizes const& nodes) noexcept {
    auto const sane = [](std::uint32_t size) { return size >= 128 && size <= 65536; };
    return sane(nodes.leaf_bytes) && sane(nodes.inner_bytes) &&
           nodes.inline_value_bytes <= nodes.leaf_bytes / 4;
}

/// Reads block 0. Changes and allocates nothing.
/// @param block the first bytes of the file, as many as there are, up to 4 KiB
/// @param path for messages
/// @throws error not_a_database (also for an empty file), unsupported_version, or corrupt
[[nodiscard]] inline file_header decode_file_header(bytes block, std::string const& path) {
    if (block.size() < file_magic.size() || as_text(block.first(file_magic.size())) != file_magic) {
        throw error(errc::not_a_database, "the first bytes are not those of coppice", path, 0);
    }
    if (block.size() < block_bytes) {
        throw error(errc::corrupt, "the file ends inside its header", path, block.size());
    }
    auto const* const from = block.data();
    if (auto const version = load<std::uint32_t>(from + 16); version != format_version) {
        throw error(errc::unsupported_version,
                    "format version " + std::to_string(version) + ", this library reads " +
                        std::to_string(format_version),
                    path, 16);
    }
    if (auto const sum = load<std::uint32_t>(from + 20); sum != checksum_algorithm_xxh3_64) {
        throw error(errc::unsupported_version, "checksum algorithm " + std::to_string(sum), path,
                    20);
    }
    if (load<std::uint64_t>(from + 64) != checksum(block.first(64))) {
        throw error(errc::corrupt, "the checksum of the file header does not hold", path, 64);
    }
    file_header header;
    std::copy_n(from + 24, header.uuid.size(), header.uuid.begin());
    header.generation = load<std::uint64_t>(from + 40);
    header.nodes = {load<std::uint32_t>(from + 48), load<std::uint32_t>(from + 52),
                    load<std::uint32_t>(from + 56), load<std::uint32_t>(from + 60) != 0};
    if (!valid(header.nodes) || load<std::uint32_t>(from + 60) > 1) {
        throw error(errc::corrupt, "the node sizes in the file header make no sense", path, 48);
    }
    return header;
}

} // namespace coppice::inline COPPICE_ABI::format
