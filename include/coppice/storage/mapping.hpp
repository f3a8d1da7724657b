// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/mapping.hpp: files seen as memory, read-only.
// Owns: the making of a `mapped_view` of a descriptor.
// Invariants: a view cannot be written through; it outlives the descriptor, a rename and a
//   removal; it may be longer than the file, and then shows what is appended later.

#include <coppice/storage/concepts.hpp>
#include <coppice/storage/posix.hpp>

#include <boost/interprocess/exceptions.hpp>
#include <boost/interprocess/file_mapping.hpp>
#include <boost/interprocess/mapped_region.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>

namespace coppice::storage {

/// A file that is open, as what Boost asks a mapping for. Owns nothing.
class mappable_file {
  public:
    explicit mappable_file(int file) noexcept { handle_.handle = file; }
    [[nodiscard]] auto get_mapping_handle() const noexcept { return handle_; }

  private:
    decltype(boost::interprocess::file_mapping().get_mapping_handle()) handle_{};
};

/// Maps the first bytes of an open file, read-only. Cost: one system call, no reading.
/// @param file readable; may be closed as soon as this returns
/// @param size_bytes may be beyond the end of the file, whose bytes alone may be touched
/// @param read_ahead may a page that is touched bring others along from the device?
/// Throws `errc::io_failed` with the errno of mmap, or ENOMEM where Boost gives none.
[[nodiscard]] inline mapped_view map_file(int file, std::uint64_t size_bytes,
                                          std::string const& path, bool read_ahead = true) {
    // Boost takes a size of 0 for the whole file.
    if (size_bytes == 0) return {};
    posix::require_range(0, size_bytes, path);
    try {
        auto const region = std::make_shared<boost::interprocess::mapped_region>(
            mappable_file(file), boost::interprocess::read_only, 0,
            static_cast<std::size_t>(size_bytes));
        if (!read_ahead) region->advise(boost::interprocess::mapped_region::advice_random);
        auto const* const first = static_cast<std::byte const*>(region->get_address());
        return {std::shared_ptr<std::byte const>(region, first), size_bytes};
    } catch (boost::interprocess::interprocess_exception const& e) {
        posix::fail(e.get_native_error() != 0 ? e.get_native_error() : ENOMEM, "mapping a file",
                    path);
    }
}

} // namespace coppice::storage
