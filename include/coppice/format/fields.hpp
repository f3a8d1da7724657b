// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/format/fields.hpp: a layout told once, for writing and for reading.
// Owns: the two visitors of a list of fields and offsets: `field_writer` and `field_reader`.
// Invariant: what one writes at an offset the other reads there. A flag takes a word of 8 bytes.
//   Thread safety: pure. Throws: nothing.

#include <coppice/format/endian.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>

namespace coppice::inline COPPICE_ABI::format {

/// Writes each field that it is called with. REQUIRES: the bytes are there.
class field_writer {
  public:
    explicit field_writer(std::byte* to) noexcept : to_(to) {}

    template <std::unsigned_integral T>
    void operator()(std::size_t offset, T const& field) const noexcept {
        store(to_ + offset, field);
    }
    void operator()(std::size_t offset, bool const& field) const noexcept {
        store(to_ + offset, std::uint64_t{field});
    }
    template <std::size_t Size>
    void operator()(std::size_t offset, std::array<std::byte, Size> const& field) const noexcept {
        std::copy(field.begin(), field.end(), to_ + offset);
    }

  private:
    std::byte* to_;
};

/// Reads each field that it is called with. REQUIRES: the bytes are there.
class field_reader {
  public:
    explicit field_reader(std::byte const* from) noexcept : from_(from) {}

    template <std::unsigned_integral T>
    void operator()(std::size_t offset, T& field) const noexcept {
        field = load<T>(from_ + offset);
    }
    void operator()(std::size_t offset, bool& field) const noexcept {
        field = load<std::uint64_t>(from_ + offset) != 0;
    }
    template <std::size_t Size>
    void operator()(std::size_t offset, std::array<std::byte, Size>& field) const noexcept {
        std::copy_n(from_ + offset, Size, field.begin());
    }

  private:
    std::byte const* from_;
};

} // namespace coppice::inline COPPICE_ABI::format
