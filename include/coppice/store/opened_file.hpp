// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/opened_file.hpp: a storage that was recognised as a database, and its image.
// Owns: reading the header, the first mapping, growing it, and the first bytes of a fresh file.
// Invariant: the image maps at least as far as was asked for; growing shares what is verified.

#include <coppice/error.hpp>
#include <coppice/format/commit_record.hpp>
#include <coppice/format/file_header.hpp>
#include <coppice/format/superblock.hpp>
#include <coppice/options.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/store/image.hpp>
#include <coppice/store/recovery.hpp>
#include <coppice/store/revision.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace coppice::inline COPPICE_ABI::store {

/// A file that is open, and how it is seen.
template <storage::storage Storage> struct opened_file {
    std::shared_ptr<Storage> storage;
    std::shared_ptr<file_image const> image;

    [[nodiscard]] format::file_header const& header() const noexcept { return image->header; }

    /// Makes sure that the image reaches to `end_offset`.
    void cover(std::uint64_t end_offset) {
        image->verified->reserve(end_offset);
        if (end_offset <= image->map.size_bytes) return;
        auto grown = std::make_shared<file_image>(*image);
        grown->map = storage->map(end_offset);
        image = std::move(grown);
    }

    /// The state that a record describes. @param end_offset the end of the record's commit
    [[nodiscard]] revision_ptr state(commit_record record, record_ref at,
                                     std::uint64_t end_offset) {
        cover(end_offset);
        return revision_ptr(new revision(image, std::move(record), at, end_offset));
    }
};

/// Recognises a database. @throws errc::not_a_database, unsupported_version, corrupt
template <storage::storage Storage>
[[nodiscard]] opened_file<Storage> recognise(std::shared_ptr<Storage> storage, verify how,
                                             std::string const& path) {
    std::vector<std::byte> block(format::block_bytes);
    block.resize(storage->read(0, block));
    auto image = std::make_shared<file_image>();
    image->header = format::decode_file_header(block, path);
    image->identity = storage->identity();
    auto const size_bytes = storage->size();
    image->map = storage->map(size_bytes);
    image->verified = std::make_shared<verified_table>(size_bytes);
    image->verify = how;
    image->path = path;
    return {std::move(storage), std::move(image)};
}

/// A header for a database that did not exist before. @param uuid random
[[nodiscard]] inline format::file_header fresh_header(node_sizes nodes,
                                                      std::array<std::uint64_t, 2> const& uuid) {
    nodes.inline_value_bytes = std::min(nodes.inline_value_bytes, nodes.leaf_bytes / 4);
    format::file_header header;
    header.nodes = nodes;
    if (!format::valid(nodes)) {
        throw error(errc::invalid_argument, "node sizes must be 128 to 65,536 bytes");
    }
    format::store(header.uuid.data(), uuid[0]);
    format::store(header.uuid.data() + 8, uuid[1]);
    return header;
}

/// Ends a fresh file whose transaction bytes end at `record_offset`: record, header, slot 0. All of
/// it becomes durable with one sync, since nobody can see the file before it is renamed.
/// @param slot has the counter and the features to begin with
/// @return the slot as it was written
template <storage::storage Storage>
superblock seal_fresh_file(Storage& storage, format::file_header const& header,
                           commit_record const& record, std::uint64_t record_offset,
                           superblock slot) {
    auto const image = format::encode(record);
    name_record(slot, record, {record_offset, format::record_checksum(image)});
    slot.verify_from = slot.end_offset;
    slot.uuid = header.uuid;
    slot.generation = header.generation;

    std::vector<std::byte> blocks(format::data_begin_offset);
    auto const first = format::encode(header);
    std::copy(first.begin(), first.end(), blocks.begin());
    auto const slot_image = format::encode(slot);
    std::copy(slot_image.begin(), slot_image.end(), blocks.begin() + format::slot_offset(0));
    storage.write(0, blocks);
    storage.write(record_offset, image);
    storage.sync();
    return slot;
}

} // namespace coppice::inline COPPICE_ABI::store
