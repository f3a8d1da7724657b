// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/format/heads.hpp: the search among the heads of a node, four bytes of each key.
// Owns: how heads are counted: a few halvings in a large node, then one pass whose loads do not
//   wait for each other, so that the misses of a cold node overlap and a warm one has no branches.
// Invariant: never reads beyond the heads, and gives at most their number, also where a damaged
//   node has them out of order. Thread safety: pure. Throws: nothing.

#include <coppice/format/endian.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace coppice::inline COPPICE_ABI::format {

/// The first index in [first, last) for which `is_before` is false. The bounds move without a
/// branch that depends on the data, so a search costs no mispredictions.
template <typename IsBefore>
[[nodiscard]] inline std::size_t partition_index(std::size_t first, std::size_t last,
                                                 IsBefore is_before) noexcept {
    auto length = last - first;
    while (length > 0) {
        auto const half = length / 2;
        auto const before = is_before(first + half);
        first = before ? first + half + 1 : first;
        length = before ? length - half - 1 : half;
    }
    return first;
}

namespace detail {

/// How many of the heads are below `wanted`, one by one: the meaning of `count_below`.
[[nodiscard]] inline std::size_t count_below_plain(std::byte const* heads, std::size_t count,
                                                   std::uint32_t wanted) noexcept {
    std::size_t below = 0;
    for (std::size_t i = 0; i < count; ++i) {
        below += load<std::uint32_t>(heads + 4 * i) < wanted ? 1U : 0U;
    }
    return below;
}

/// The same, four at a time: with whatever vectors the target has, or none.
[[nodiscard]] inline std::size_t count_below(std::byte const* heads, std::size_t count,
                                             std::uint32_t wanted) noexcept {
#if defined(__GNUC__)
    if constexpr (std::endian::native == std::endian::little) {
        using four = std::uint32_t __attribute__((vector_size(16)));
        four const goal = {wanted, wanted, wanted, wanted};
        four sum = {};
        std::size_t i = 0;
        for (; i + 4 <= count; i += 4) {
            four at;
            std::memcpy(&at, heads + 4 * i, sizeof at);
            sum -= reinterpret_cast<four>(at < goal); // true is all ones: minus one
        }
        auto const below = std::size_t{sum[0]} + sum[1] + sum[2] + sum[3];
        return below + count_below_plain(heads + 4 * i, count - i, wanted);
    }
#endif
    return count_below_plain(heads, count, wanted);
}

} // namespace detail

/// The first of the heads that is not below `wanted`; `count` if there is none.
/// @param heads u32[count], ascending
[[nodiscard]] inline std::size_t first_head_from(std::byte const* heads, std::size_t count,
                                                 std::uint32_t wanted) noexcept {
    constexpr std::size_t at_once = 64; // four lines of memory
    std::size_t first = 0;
    while (count > at_once) {
        auto const half = count / 2;
        auto const below = load<std::uint32_t>(heads + 4 * (first + half)) < wanted;
        first = below ? first + half + 1 : first;
        count = below ? count - half - 1 : half;
    }
    return first + detail::count_below(heads + 4 * first, count, wanted);
}

} // namespace coppice::inline COPPICE_ABI::format
