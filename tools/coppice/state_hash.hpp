// SPDX-License-Identifier: BSL-1.0
#pragma once
// tools/coppice/state_hash.hpp: a number for all entries of a database, as traces hold it.
// Owns: the sum of the hashes of the entries: XXH3-64 over the length of the key, key, and value.
// Invariant: it does not depend on the order in which entries are added and removed, so that the
//   hash of a commit can be had from the one before it and the difference.

#include <coppice/bytes.hpp>
#include <coppice/format/checksum.hpp>
#include <coppice/format/endian.hpp>
#include <coppice/snapshot.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tool {

/// The hash of a set of entries. It tells accidents, not forgers.
class state_hash {
  public:
    void add(std::string_view key, std::string_view value) noexcept { sum_ += of(key, value); }
    void remove(std::string_view key, std::string_view value) noexcept { sum_ -= of(key, value); }
    [[nodiscard]] std::uint64_t value() const noexcept { return sum_; }

  private:
    [[nodiscard]] static std::uint64_t of(std::string_view key, std::string_view value) noexcept {
        std::array<std::byte, 8> length{};
        coppice::format::store(length.data(), std::uint64_t{key.size()});
        coppice::format::checksum_stream stream;
        stream.update(length);
        stream.update(coppice::as_bytes(key));
        stream.update(coppice::as_bytes(value));
        return stream.digest();
    }

    std::uint64_t sum_ = 0;
};

/// The hash of a whole state. Reads all of it.
[[nodiscard]] inline std::uint64_t hash_of(coppice::snapshot const& state) {
    state_hash sum;
    for (auto const& [key, value] : state.all()) sum.add(key, value);
    return sum.value();
}

} // namespace tool
