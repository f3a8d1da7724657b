// SPDX-License-Identifier: BSL-1.0
#pragma once
// tools/coppice/time_text.hpp: a time from its text, as log prints it or shorter.
// Invariant: what iso_time prints is read back to the same microsecond.

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>

namespace tool {

namespace detail {

/// Takes a number of so many digits off the front of a text.
[[nodiscard]] inline std::optional<unsigned> take_digits(std::string_view& text,
                                                         std::size_t digits) {
    unsigned number = 0;
    if (text.size() < digits) return {};
    auto const* const end = text.data() + digits;
    auto const [stop, wrong] = std::from_chars(text.data(), end, number);
    if (wrong != std::errc{} || stop != end) return {};
    text.remove_prefix(digits);
    return number;
}

[[nodiscard]] inline bool take(std::string_view& text, char wanted) noexcept {
    if (!text.starts_with(wanted)) return false;
    text.remove_prefix(1);
    return true;
}

/// Takes the fraction of a second off the front of a text: one to six digits.
[[nodiscard]] inline std::optional<std::chrono::microseconds> take_fraction(
    std::string_view& text) {
    constexpr std::array<unsigned, 7> unit = {0, 100'000, 10'000, 1'000, 100, 10, 1};
    auto digits = text.find_first_not_of("0123456789");
    if (digits == text.npos) digits = text.size();
    if (digits == 0 || digits >= unit.size()) return {};
    return std::chrono::microseconds(*take_digits(text, digits) * unit.at(digits));
}

/// The same time as the clock has it, or the first or last that it can show.
[[nodiscard]] inline std::chrono::system_clock::time_point within_clock(
    std::chrono::sys_time<std::chrono::microseconds> time) noexcept {
    using clock_time = std::chrono::system_clock::time_point;
    constexpr auto first = std::chrono::ceil<std::chrono::microseconds>(clock_time::min());
    constexpr auto last = std::chrono::floor<std::chrono::microseconds>(clock_time::max());
    return std::clamp(time, first, last);
}

} // namespace detail

/// Reads 2024-02-29, or with a time of day behind a T: 12:34, 12:34:56, 12:34:56.789012; a Z may
/// follow. All are UTC; a date alone is its first moment.
/// What no clock can show is the first or the last time that one can.
/// @return nothing where the text is not such a time, or no such time exists
[[nodiscard]] inline std::optional<std::chrono::system_clock::time_point> time_of(
    std::string_view text) {
    namespace chrono = std::chrono;
    auto const year = detail::take_digits(text, 4);
    if (!year || !detail::take(text, '-')) return {};
    auto const month = detail::take_digits(text, 2);
    if (!month || !detail::take(text, '-')) return {};
    auto const day = detail::take_digits(text, 2);
    if (!day) return {};
    chrono::year_month_day const date(chrono::year(static_cast<int>(*year)), chrono::month(*month),
                                      chrono::day(*day));
    if (!date.ok()) return {};
    chrono::microseconds of_day{0};
    if (detail::take(text, 'T')) {
        auto const hour = detail::take_digits(text, 2);
        if (!hour || *hour > 23 || !detail::take(text, ':')) return {};
        auto const minute = detail::take_digits(text, 2);
        if (!minute || *minute > 59) return {};
        of_day += chrono::hours(*hour) + chrono::minutes(*minute);
        if (detail::take(text, ':')) {
            auto const second = detail::take_digits(text, 2);
            if (!second || *second > 59) return {};
            of_day += chrono::seconds(*second);
            if (detail::take(text, '.')) {
                auto const fraction = detail::take_fraction(text);
                if (!fraction) return {};
                of_day += *fraction;
            }
        }
        static_cast<void>(detail::take(text, 'Z'));
    }
    if (!text.empty()) return {};
    return detail::within_clock(chrono::sys_days(date) + of_day);
}

/// Reads 90s, 15m, 36h, 30d or 8w: a number of seconds, minutes, hours, days or weeks.
/// @return nothing where the text is not such a time, or longer than a hundred years
[[nodiscard]] inline std::optional<std::chrono::microseconds> duration_of(std::string_view text) {
    constexpr std::uint64_t longest = std::uint64_t{100} * 366 * 24 * 60 * 60;
    constexpr std::string_view units = "smhdw";
    constexpr std::array<std::uint64_t, 5> seconds = {1, 60, 3600, 86'400, 604'800};
    auto const unit = text.empty() ? text.npos : units.find(text.back());
    if (unit == text.npos) return {};
    text.remove_suffix(1);
    std::uint64_t number = 0;
    auto const* const end = text.data() + text.size();
    auto const [stop, wrong] = std::from_chars(text.data(), end, number);
    if (wrong != std::errc{} || stop != end || number > longest / seconds.at(unit)) return {};
    return std::chrono::seconds(number * seconds.at(unit));
}

} // namespace tool
