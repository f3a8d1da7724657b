// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/file_storage.hpp: the bytes of one open file.
// Owns: the descriptor; models `storage`.
// Invariants: it stays the same file for life, whatever its name comes to mean. No state but the
//   descriptor and a hint about it, so any thread may call anything at any time.

#include <coppice/storage/concepts.hpp>
#include <coppice/storage/mapping.hpp>
#include <coppice/storage/posix.hpp>
#include <coppice/storage/write_back.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace coppice::storage {

/// Bytes at offsets in a file. See the concept `storage` for what each call does.
class file_storage {
  public:
    /// See `takes_helpers`.
    static constexpr bool with_helpers = true;

    /// @param file open for what will be asked of it
    /// @param path for messages
    /// @param read_ahead may the kernel read more of the file than a view of it is asked for?
    file_storage(posix::descriptor file, std::string path, bool read_ahead = true)
        : file_(std::move(file)),
          path_(std::move(path)),
          read_ahead_(read_ahead),
          identity_(posix::status_of(file_.get(), path_).identity) {}

    [[nodiscard]] std::uint64_t size() const {
        return posix::status_of(file_.get(), path_).size_bytes;
    }

    [[nodiscard]] std::size_t read(std::uint64_t offset, mutable_bytes buffer) const {
        return posix::read_at(file_.get(), offset, buffer, path_);
    }

    void write(std::uint64_t offset, bytes data) {
        posix::write_at(file_.get(), offset, data, path_);
        auto const now = written_.written(offset, offset + data.size());
        if (!now.empty()) posix::begin_write_back(file_.get(), now.begin_offset, now.end_offset);
    }

    void sync() { posix::sync_data(file_.get(), path_); }

    void truncate(std::uint64_t size_bytes) {
        posix::truncate(file_.get(), size_bytes, path_);
        written_.cut(size_bytes);
    }

    /// Becomes a copy of another file that shares its blocks until one of both is written.
    /// REQUIRES: an empty file. @return false where the file system cannot; then it may have to be
    /// copied
    [[nodiscard]] bool share_blocks(file_storage const& original) noexcept {
        return posix::share_blocks(file_.get(), original.file_.get());
    }

    /// A view of at least `size_bytes`, and of far more where the address space allows, so that a
    /// growing file is rarely mapped again.
    [[nodiscard]] mapped_view map(std::uint64_t size_bytes) const {
        if (size_bytes > most_view_bytes) posix::fail(ENOMEM, "mapping a file", path_);
        auto const generous = std::max(least_view_bytes, whole_pages(size_bytes) * 2);
        try {
            return map_file(file_.get(), generous, path_, read_ahead_);
        } catch (error const& e) {
            if (e.code() != std::errc::not_enough_memory) throw;
            return map_file(file_.get(), whole_pages(size_bytes), path_, read_ahead_);
        }
    }

    [[nodiscard]] file_identity identity() const noexcept { return identity_; }

  private:
    static constexpr std::uint64_t least_view_bytes = std::uint64_t{1} << 20U;
    static constexpr std::uint64_t most_view_bytes = std::uint64_t{1} << 61U;

    [[nodiscard]] static std::uint64_t whole_pages(std::uint64_t size_bytes) noexcept {
        constexpr std::uint64_t page_bytes = std::uint64_t{1} << 16U;
        return (size_bytes + page_bytes - 1) & ~(page_bytes - 1);
    }

    posix::descriptor file_;
    std::string path_;
    bool read_ahead_;
    file_identity identity_;
    write_back written_;
};

static_assert(storage<file_storage>);

} // namespace coppice::storage
