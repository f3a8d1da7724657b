// SPDX-License-Identifier: BSL-1.0
// bench/measure.cpp: reading /proc and folders.

#include "bench/measure.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>

namespace bench {

namespace {

/// The number behind "name" in a file of lines "name number ...".
[[nodiscard]] std::uint64_t number_in(char const* path, std::string_view name) {
    std::ifstream file(path);
    std::string line;
    while (std::getline(file, line)) {
        if (line.starts_with(name)) return std::stoull(line.substr(name.size()));
    }
    return 0;
}

} // namespace

bytes_written bytes_written::now() {
    constexpr auto path = "/proc/self/io";
    return {number_in(path, "wchar:"), number_in(path, "write_bytes:")};
}

std::uint64_t bytes_read_from_device() { return number_in("/proc/self/io", "read_bytes:"); }

memory_use memory_use::now() {
    constexpr auto path = "/proc/self/smaps_rollup";
    return {number_in(path, "Rss:"), number_in(path, "Anonymous:")};
}

std::uint64_t folder_bytes(std::filesystem::path const& folder) {
    std::uint64_t sum = 0;
    for (auto const& file : std::filesystem::recursive_directory_iterator(folder)) {
        struct stat info {};
        if (file.is_regular_file() && stat(file.path().c_str(), &info) == 0) {
            sum += static_cast<std::uint64_t>(info.st_blocks) * 512;
        }
    }
    return sum;
}

double percentile(std::vector<double> values, double share) {
    auto const last = static_cast<double>(values.size() - 1);
    auto const at = values.begin() + static_cast<std::ptrdiff_t>(last * share + 0.5);
    std::nth_element(values.begin(), at, values.end());
    return *at;
}

} // namespace bench
