// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/assert.hpp: the one macro of the library, for broken preconditions and invariants.
// Owns: COPPICE_ASSERT(condition). Bad input is never asserted, it throws `error`.
// Invariant: used only inside the inline namespace COPPICE_ABI, since its text depends on
//   COPPICE_ASSERTIONS. With assertions off the condition is parsed and never evaluated.

#include <coppice/version.hpp>

#if COPPICE_ASSERTIONS
#include <cstdio>
#include <cstdlib>

namespace coppice::assertion {

[[noreturn]] inline void failed(char const* condition, char const* file, int line) noexcept {
    std::fprintf(stderr, "coppice: assertion failed: %s, %s:%d\n", condition, file, line);
    std::abort();
}

} // namespace coppice::assertion

#define COPPICE_ASSERT(condition)                                                                  \
    ((condition) ? static_cast<void>(0)                                                            \
                 : ::coppice::assertion::failed(#condition, __FILE__, __LINE__))
#else
#define COPPICE_ASSERT(condition) static_cast<void>(sizeof((condition) ? 1 : 0))
#endif
