// SPDX-License-Identifier: BSL-1.0
#pragma once
// A medium in a file system that leaves holes where zeros are written, so that a test can have a
// value of many gigabytes on a small disk. Models `storage` and `medium`.

#include <coppice/storage/file_medium.hpp>
#include <medium_around.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <utility>

namespace sparse {

/// A file; zeros behind its end are not written, it only becomes longer.
class storage : public coppice::storage::file_storage {
  public:
    explicit storage(file_storage&& file) : file_storage(std::move(file)) {}
    [[nodiscard]] file_storage const& inner() const noexcept { return *this; }

    void write(std::uint64_t offset, coppice::bytes data) {
        auto const zeros =
            std::all_of(data.begin(), data.end(), [](std::byte b) { return b == std::byte{0}; });
        if (zeros && offset >= size()) {
            truncate(offset + data.size());
        } else {
            file_storage::write(offset, data);
        }
    }
};

/// The place of such a file.
class medium : public support::medium_around<storage, coppice::storage::file_medium> {
  public:
    medium(std::filesystem::path const& path, bool create_directories, bool read_ahead = true)
        : medium_around({path, create_directories, read_ahead},
                        support::adopt<storage, coppice::storage::file_storage>) {}
};

static_assert(coppice::storage::medium<medium>);

} // namespace sparse
