// SPDX-License-Identifier: BSL-1.0
#pragma once
// bench/totals.hpp: what is kept of pairs that were read, to verify them.
// Owns: the one way in which every engine is made to touch what it reads: the first eight bytes of
//   each key and of each value. The rest of a value is not looked at, except by W13, which sums it.
// Invariant: equal pairs in equal order give equal totals, whatever engine they came from.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace bench {

/// The first eight bytes of a text as a number, shorter ones padded with zeros.
[[nodiscard]] inline std::uint64_t first_word(std::string_view text) noexcept {
    std::uint64_t word = 0;
    if (text.size() >= sizeof word) {
        std::memcpy(&word, text.data(), sizeof word);
    } else if (!text.empty()) {
        std::memcpy(&word, text.data(), text.size());
    }
    return word;
}

/// The sum of all whole words of a text.
[[nodiscard]] inline std::uint64_t sum_of_words(std::string_view text) noexcept {
    std::uint64_t sum = 0;
    std::size_t at = 0;
    for (; at + 8 <= text.size(); at += 8) sum += first_word(text.substr(at, 8));
    return sum;
}

/// Count, bytes and sums of the pairs of a walk, and whether their keys ascended.
struct totals {
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;    ///< of keys and values
    std::uint64_t words = 0;    ///< sum of the first words
    std::uint64_t last_key = 0; ///< the first word of the last key, comparable
    bool ordered = true;        ///< did the first words of the keys never descend?

    void add(std::string_view key, std::string_view value) noexcept {
        auto const word = __builtin_bswap64(first_word(key));
        ordered = ordered && last_key <= word;
        last_key = word;
        ++count;
        bytes += key.size() + value.size();
        words += word + first_word(value);
    }
    /// Adds other pairs, whose order among these does not matter.
    totals& operator+=(totals const& others) noexcept {
        count += others.count;
        bytes += others.bytes;
        words += others.words;
        return *this;
    }
};

/// The same pairs, in whatever order?
[[nodiscard]] inline bool same_pairs(totals const& a, totals const& b) noexcept {
    return a.count == b.count && a.bytes == b.bytes && a.words == b.words;
}

} // namespace bench
