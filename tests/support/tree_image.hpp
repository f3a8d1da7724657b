// SPDX-License-Identifier: BSL-1.0
#pragma once
// A tree as the bytes of a file: written by `tree::relocate`, read back with all the checks that
// reading a file takes. Each node is handed out as a block of its own that is exactly as long as
// the node, so that a sanitizer sees each access beside it.

#include <coppice/error.hpp>
#include <coppice/format/checksum.hpp>
#include <coppice/format/extent.hpp>
#include <coppice/format/inner_patch.hpp>
#include <coppice/tree/relocate.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace grove {

/// A file that grows at its end. Models `tree::relocation_sink`.
struct image_sink {
    std::vector<std::byte> file = std::vector<std::byte>(coppice::format::data_begin_offset);
    std::vector<std::byte> node{};
    std::vector<coppice::format::node_ref> written{};

    [[nodiscard]] coppice::mutable_bytes allocate_node(std::size_t size_bytes) {
        node.assign(size_bytes, std::byte{0xEE});
        return node;
    }
    [[nodiscard]] coppice::format::node_ref seal_node(coppice::mutable_bytes sealed) {
        auto const ref = coppice::format::node_ref::at(file.size(), sealed.size(),
                                                       coppice::format::checksum(sealed));
        file.insert(file.end(), sealed.begin(), sealed.end());
        written.push_back(ref);
        return ref;
    }
    [[nodiscard]] coppice::format::extent_ref add_extent(std::string_view value) {
        auto const data = coppice::as_bytes(value);
        coppice::format::extent_ref const ref{file.size(), value.size(),
                                              coppice::format::checksum(data)};
        file.insert(file.end(), data.begin(), data.end());
        file.resize(static_cast<std::size_t>(coppice::align8(file.size())));
        return ref;
    }
};

/// Would both trees, whose nodes are in memory, become the same bytes at the end of this file, and
/// the same reference, with all checksums, totals and offsets?
[[nodiscard]] inline bool are_written_alike(image_sink const& file,
                                            coppice::tree::tree_ref const& a,
                                            coppice::tree::tree_ref const& b) {
    auto a_file = file;
    auto b_file = file;
    auto const a_written = coppice::tree::relocate(a_file, a);
    auto const b_written = coppice::tree::relocate(b_file, b);
    return a_written == b_written && a_file.file == b_file.file;
}

/// Reads nodes of a file, and of memory. Without `verify_checksums` it believes every checksum,
/// which is what reading a file is like whose checksums someone has computed anew after a change.
struct image_source {
    std::vector<std::byte> file{};
    bool verify_checksums = true;
    mutable std::map<std::uint64_t, std::unique_ptr<std::byte[]>> nodes{};

    [[nodiscard]] std::byte const* node(coppice::format::node_ref ref, unsigned level) const {
        using coppice::errc;
        using coppice::error;
        if (ref.in_memory()) return ref.memory();
        auto& copy = nodes[ref.hot];
        if (!copy) copy = read(ref);
        if (std::to_integer<unsigned>(copy[1]) != level) {
            throw error(errc::corrupt, "a node of the wrong level", {}, ref.offset());
        }
        return copy.get();
    }

    /// A value that lies out of line.
    [[nodiscard]] std::string_view value(coppice::format::extent_ref const& extent) const {
        auto const stored = coppice::format::extent_stored_bytes(extent.length_bytes);
        if (extent.offset > file.size() || stored > file.size() - extent.offset) {
            throw coppice::error(coppice::errc::corrupt, "a value behind the end", {},
                                 extent.offset);
        }
        auto const data = coppice::bytes{file}.subspan(
            static_cast<std::size_t>(extent.offset), static_cast<std::size_t>(extent.length_bytes));
        if (verify_checksums && coppice::format::checksum(data) != extent.checksum) {
            throw coppice::error(coppice::errc::corrupt, "a value's checksum", {}, extent.offset);
        }
        return coppice::as_text(data);
    }

  private:
    [[nodiscard]] std::unique_ptr<std::byte[]> read(coppice::format::node_ref ref) const {
        using coppice::errc;
        using coppice::error;
        auto const size = static_cast<std::size_t>(ref.size_bytes());
        if (ref.offset() > file.size() || size > file.size() - ref.offset() || size < 2) {
            throw error(errc::corrupt, "a node behind the end", {}, ref.offset());
        }
        auto copy = std::make_unique<std::byte[]>(size);
        std::memcpy(copy.get(), file.data() + ref.offset(), size);
        coppice::bytes const whole{copy.get(), size};
        if (verify_checksums && coppice::format::checksum(whole) != ref.checksum) {
            throw error(errc::corrupt, "a node's checksum", {}, ref.offset());
        }
        coppice::format::check_node(whole, ref.offset());
        return copy;
    }
};

/// A tree in a file of its own.
struct tree_image {
    coppice::format::tree_ref tree{};
    image_source source{};
    std::vector<coppice::format::node_ref> written{}; ///< its nodes, leaf to root
};

[[nodiscard]] inline tree_image image_of(coppice::format::tree_ref const& memory_tree) {
    image_sink sink;
    tree_image result;
    result.tree = coppice::tree::relocate(sink, memory_tree);
    result.source.file = std::move(sink.file);
    result.written = std::move(sink.written);
    return result;
}

} // namespace grove
