// SPDX-License-Identifier: BSL-1.0
#pragma once
// What mutate.py puts around each branch condition of a copy of the headers: all mutants are in one
// program, and the environment says which of them is active. None is by default.

#include <cstdlib>
#include <type_traits>

namespace mutation {

/// 4 x place + kind; 0 is none. Kinds: 0 the opposite, 1 always true, 2 always false, 3 the bound
/// of a comparison moved by one.
inline unsigned long const active = [] {
    auto const* const text = std::getenv("COPPICE_MUTANT");
    return text != nullptr ? std::strtoul(text, nullptr, 10) : 0UL;
}();

/// A condition, or what the mutant at this place makes of it.
[[nodiscard]] constexpr bool at(unsigned long place, bool condition) noexcept {
    if (std::is_constant_evaluated()) return condition;
    if (active == 4 * place) return !condition;
    if (active == 4 * place + 1) return true;
    return active != 4 * place + 2 && condition;
}
/// Is the bound to be moved?
[[nodiscard]] constexpr bool moved(unsigned long place) noexcept {
    return !std::is_constant_evaluated() && active == 4 * place + 3;
}

} // namespace mutation
