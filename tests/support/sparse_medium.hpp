// SPDX-License-Identifier: BSL-1.0
#pragma once
// A medium in a file system that leaves holes where zeros are written, so that a test can have a
// value of many gigabytes on a small disk. Models `storage` and `medium`.

#include <coppice/storage/file_medium.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

namespace sparse {

/// A file; zeros behind its end are not written, it only becomes longer.
class storage : public coppice::storage::file_storage {
  public:
    explicit storage(file_storage&& file) : file_storage(std::move(file)) {}

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
class medium {
  public:
    using storage_type = storage;
    using lock_type = coppice::storage::path_lock;

    medium(std::filesystem::path const& path, bool create_directories)
        : inner_(path, create_directories) {}

    [[nodiscard]] std::shared_ptr<storage> open(coppice::storage::access how) {
        return std::make_shared<storage>(std::move(*inner_.open(how)));
    }
    [[nodiscard]] std::shared_ptr<storage> fresh() {
        return std::make_shared<storage>(std::move(*inner_.fresh()));
    }
    void replace(storage const& fresh) { inner_.replace(fresh); }
    void sync_name() { inner_.sync_name(); }
    [[nodiscard]] bool discard_fresh() { return inner_.discard_fresh(); }
    [[nodiscard]] coppice::storage::standing compare(storage const& opened) const {
        return inner_.compare(opened);
    }
    [[nodiscard]] bool remove() { return inner_.remove(); }
    [[nodiscard]] std::shared_ptr<lock_type> lock() { return inner_.lock(); }
    [[nodiscard]] std::shared_ptr<lock_type> reader_lock() { return inner_.reader_lock(); }
    [[nodiscard]] std::uint64_t random() { return inner_.random(); }
    [[nodiscard]] std::string const& path() const noexcept { return inner_.path(); }

  private:
    coppice::storage::file_medium inner_;
};

static_assert(coppice::storage::medium<medium>);

} // namespace sparse
