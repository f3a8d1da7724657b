// SPDX-License-Identifier: BSL-1.0
// libFuzzer's way into fuzz/dump.hpp.

#include "fuzz/dump.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    return fuzz_dump(data, size);
}
