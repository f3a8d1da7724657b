// SPDX-License-Identifier: BSL-1.0
// libFuzzer's way into fuzz/file.hpp.

#include "fuzz/file.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    return fuzz_file(data, size);
}
