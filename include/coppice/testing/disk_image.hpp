// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/testing/disk_image.hpp: what is on a disk at one moment, and what can be done to it.
// Owns: `disk_image` (files by inode, two names, the page of the lock file), `operation`, and what
//   an operation does to an image.
// Invariant: values without behaviour: an image can be copied, compared, hashed and kept.

#include <coppice/bytes.hpp>
#include <coppice/format/checksum.hpp>
#include <coppice/format/endian.hpp>
#include <coppice/testing/file_content.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace coppice::testing {

/// The smallest part of a write that a disk keeps or loses as a whole, in most models.
inline constexpr std::size_t sector_bytes = 512;

/// What can be done to a disk.
enum class operation_kind : std::uint8_t {
    write,       ///< data at an offset of a file
    truncate,    ///< a file gets another size
    sync,        ///< a file is made durable
    failed_sync, ///< a sync failed: the rest is visible, clean, and not on the disk
    evict,       ///< a sector that a failed sync gave up is read from the disk again
    create,      ///< an empty file under the name of the companion
    rename,      ///< the companion takes the name of the database
    discard,     ///< the name of the companion goes away
    remove,      ///< the name of the database goes away
    sync_name,   ///< both names are made durable
    page         ///< words of the live page; never on the disk for sure
};

/// One thing that was done, by one process.
struct operation {
    operation_kind kind{};
    std::uint64_t inode = 0;
    std::uint64_t offset = 0; ///< of the data; of `truncate` the new size in bytes
    std::vector<std::byte> data{};
    std::uint64_t process = 0;
};

/// All that is on a disk. An inode of 0 is no file.
struct disk_image {
    std::map<std::uint64_t, file_content> files{};
    std::uint64_t database = 0;  ///< what the path of the database names
    std::uint64_t companion = 0; ///< what the name for fresh files names
    std::array<std::byte, 4096> page{};
    std::uint64_t boot = 1; ///< how often the machine was started

    friend bool operator==(disk_image const&, disk_image const&) = default;
};

/// Does an operation to an image, or the first `size_bytes` of a write.
inline void apply(disk_image& to, operation const& done, std::size_t size_bytes) {
    switch (done.kind) {
    case operation_kind::write:
    case operation_kind::evict: {
        auto& file = to.files[done.inode].own();
        if (done.kind == operation_kind::evict) {
            if (done.offset >= file.size()) return;
            size_bytes = std::min<std::size_t>(size_bytes, file.size() - done.offset);
        }
        file.resize(std::max<std::size_t>(file.size(), done.offset + size_bytes));
        std::copy_n(done.data.begin(), size_bytes,
                    file.begin() + static_cast<std::ptrdiff_t>(done.offset));
        return;
    }
    case operation_kind::truncate: to.files[done.inode].resize(done.offset); return;
    case operation_kind::create:
        to.files[done.inode];
        to.companion = done.inode;
        return;
    case operation_kind::rename:
        to.database = done.inode;
        if (to.companion == done.inode) to.companion = 0;
        return;
    case operation_kind::discard: to.companion = 0; return;
    case operation_kind::remove: to.database = 0; return;
    case operation_kind::page:
        std::copy(done.data.begin(), done.data.end(),
                  to.page.begin() + static_cast<std::ptrdiff_t>(done.offset));
        return;
    case operation_kind::sync:
    case operation_kind::failed_sync:
    case operation_kind::sync_name: return;
    }
}
inline void apply(disk_image& to, operation const& done) { apply(to, done, done.data.size()); }

/// A number for all that a process could find on a disk; the same on every platform.
[[nodiscard]] inline std::uint64_t hash_of(disk_image const& image) {
    format::checksum_stream sum;
    auto const add = [&](std::uint64_t number) {
        std::array<std::byte, 8> bytes_of_it{};
        format::store(bytes_of_it.data(), number);
        sum.update(bytes_of_it);
    };
    for (auto const inode : {image.database, image.companion}) {
        auto const at = image.files.find(inode);
        add(at == image.files.end() ? ~std::uint64_t{0} : at->second.size());
        if (at != image.files.end()) sum.update(at->second);
    }
    sum.update(image.page);
    add(image.boot);
    return sum.digest();
}

} // namespace coppice::testing
