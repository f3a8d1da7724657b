// SPDX-License-Identifier: BSL-1.0
// bench/data.cpp: random pairs, shuffles, values.

#include "bench/data.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <random>

namespace bench {

namespace {

constexpr std::size_t pool_bytes = std::size_t{1} << 20U;

using key = std::array<char, key_bytes>;

[[nodiscard]] key random_key(std::mt19937_64& random) {
    std::array<std::uint64_t, 2> const halves = {random(), random()};
    key result;
    std::memcpy(result.data(), halves.data(), sizeof result);
    return result;
}

[[nodiscard]] std::string random_text(std::size_t bytes, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::string text(bytes, '\0');
    for (std::size_t at = 0; at + 8 <= bytes; at += 8) {
        auto const word = random();
        std::memcpy(text.data() + at, &word, sizeof word);
    }
    return text;
}

} // namespace

std::uint64_t data_set::bytes() const noexcept { return expected().bytes; }

totals data_set::expected() const noexcept {
    totals sum;
    for (auto const& [key, value] : pairs) sum.add(key, value);
    return sum;
}

data_set random_data(std::size_t count, std::uint64_t seed, std::size_t bytes_of_value) {
    std::mt19937_64 random(seed);
    std::vector<key> keys(count);
    for (auto& key : keys) key = random_key(random);
    std::sort(keys.begin(), keys.end(), [](key const& a, key const& b) {
        return std::memcmp(a.data(), b.data(), key_bytes) < 0;
    });

    data_set data;
    auto& text = data.texts.emplace_back();
    auto const record_bytes = key_bytes + bytes_of_value;
    text.reserve(count * record_bytes);
    data.pairs.reserve(count);
    value_source values(bytes_of_value);
    for (auto const& key : keys) {
        std::string_view const name(key.data(), key.size());
        text.append(name).append(values.make(name, 0));
        std::string_view const record(text.data() + text.size() - record_bytes, record_bytes);
        data.pairs.emplace_back(record.substr(0, key_bytes), record.substr(key_bytes));
    }
    return data;
}

std::vector<std::uint32_t> shuffled_places(std::size_t count, std::uint64_t seed) {
    std::vector<std::uint32_t> places(count);
    std::iota(places.begin(), places.end(), 0U);
    std::shuffle(places.begin(), places.end(), std::mt19937_64(seed));
    return places;
}

key_list::key_list(std::span<pair const> pairs, std::uint64_t seed) {
    std::size_t bytes = 0;
    for (auto const& [key, value] : pairs) bytes += key.size();
    text_.reserve(bytes);
    keys_.reserve(pairs.size());
    for (auto const place : shuffled_places(pairs.size(), seed)) {
        auto const key = pairs[place].first;
        text_.append(key);
        keys_.emplace_back(text_.data() + text_.size() - key.size(), key.size());
    }
}

key_list::key_list(std::size_t count, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    text_.reserve(count * key_bytes);
    keys_.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        auto const key = random_key(random);
        text_.append(key.data(), key.size());
        keys_.emplace_back(text_.data() + text_.size() - key_bytes, key_bytes);
    }
}

value_source::value_source(std::size_t bytes_of_value)
    : pool_(random_text(pool_bytes, 5)), value_(bytes_of_value, '\0') {}

std::string_view value_source::make(std::string_view key, std::uint64_t version) {
    auto const word = mixed(first_word(key)) + version;
    auto const offset = mixed(word) % (pool_.size() - value_.size());
    std::memcpy(value_.data(), pool_.data() + offset, value_.size());
    std::memcpy(value_.data(), &word, sizeof word);
    return value_;
}

std::uint64_t value_source::version_of(std::string_view key, std::string_view value) noexcept {
    return first_word(value) - mixed(first_word(key));
}

} // namespace bench
