// SPDX-License-Identifier: BSL-1.0
#pragma once
// tools/coppice/identity_text.hpp: the identity of a commit as a word, as in 42:00d1f0c0ffee4711.

#include <coppice/commit_id.hpp>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace tool {

[[nodiscard]] inline std::string to_text(coppice::commit_identity const& identity) {
    std::string text = std::to_string(identity.id.value) + ':';
    for (int shift = 60; shift >= 0; shift -= 4) {
        text += "0123456789abcdef"[identity.checksum >> static_cast<unsigned>(shift) & 15U];
    }
    return text;
}

/// The identity that a word is; nothing where it is none.
[[nodiscard]] inline std::optional<coppice::commit_identity> identity_of(std::string_view text) {
    constexpr std::size_t digits = 16;
    auto const colon = text.find(':');
    if (colon == std::string_view::npos || text.size() - colon - 1 != digits) return {};
    coppice::commit_identity result;
    auto const number = [&](std::string_view part, std::uint64_t& to, int base) {
        auto const [end, wrong] = std::from_chars(part.data(), part.data() + part.size(), to, base);
        return wrong == std::errc{} && end == part.data() + part.size();
    };
    auto const good = number(text.substr(0, colon), result.id.value, 10) &&
                      number(text.substr(colon + 1), result.checksum, 16);
    return good ? std::optional(result) : std::nullopt;
}

} // namespace tool
