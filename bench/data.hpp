// SPDX-License-Identifier: BSL-1.0
#pragma once
// bench/data.hpp: the pairs that are written, and the keys in the order in which they are asked.
// Owns: random data, Debian's package lists, a list of words, and the values of updates.
// Invariant: the same arguments give the same data, so that every engine sees the same work and
//   every answer can be told right from wrong.

#include "bench/engine.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

inline constexpr std::size_t key_bytes = 16;
inline constexpr std::size_t value_bytes = 100;

/// Pairs sorted by key, and the bytes that they view.
struct data_set {
    std::vector<std::string> texts; ///< one large one, or one for each file
    std::vector<pair> pairs;

    [[nodiscard]] std::uint64_t bytes() const noexcept;
    [[nodiscard]] totals expected() const noexcept;
};

/// Random keys of 16 bytes, each with version 0 of its value.
[[nodiscard]] data_set random_data(std::size_t count, std::uint64_t seed,
                                   std::size_t bytes_of_value = value_bytes);
/// "name version" -> stanza, from apt's lists or dpkg's; nothing where there are none.
[[nodiscard]] std::optional<data_set> package_data();
/// word -> a number of 8 bytes; nothing where the machine has no list of words.
[[nodiscard]] std::optional<data_set> word_data();

/// Keys one behind the other in memory, in the order of their use.
class key_list {
  public:
    /// The keys of all pairs, shuffled.
    key_list(std::span<pair const> pairs, std::uint64_t seed);
    /// Random keys of 16 bytes.
    key_list(std::size_t count, std::uint64_t seed);

    [[nodiscard]] std::vector<std::string_view> const& keys() const noexcept { return keys_; }

  private:
    std::string text_;
    std::vector<std::string_view> keys_;
};

/// The places of `count` pairs, shuffled.
[[nodiscard]] std::vector<std::uint32_t> shuffled_places(std::size_t count, std::uint64_t seed);

/// Incompressible values that name their key and a version in their first word.
class value_source {
  public:
    explicit value_source(std::size_t bytes_of_value = value_bytes);

    /// A value; the view lives until the next call.
    [[nodiscard]] std::string_view make(std::string_view key, std::uint64_t version);
    /// The version of a value that was made for this key; any large number for another value.
    [[nodiscard]] static std::uint64_t version_of(std::string_view key,
                                                  std::string_view value) noexcept;

  private:
    std::string pool_;
    std::string value_;
};

/// Mixes the bits of a number (the finaliser of splitmix64).
[[nodiscard]] constexpr std::uint64_t mixed(std::uint64_t word) noexcept {
    word = (word ^ (word >> 30U)) * 0xbf58476d1ce4e5b9U;
    word = (word ^ (word >> 27U)) * 0x94d049bb133111ebU;
    return word ^ (word >> 31U);
}

} // namespace bench
