// SPDX-License-Identifier: BSL-1.0
// The other unit: see with_assertions_test.cpp.
#undef COPPICE_ASSERTIONS
#define COPPICE_ASSERTIONS 0
#define ABI_UNIT without_assertions
#include <abi_unit.hpp>
