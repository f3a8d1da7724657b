// SPDX-License-Identifier: BSL-1.0
// libFuzzer's way into fuzz/operations.hpp.

#include "fuzz/operations.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    return fuzz_operations(data, size);
}
