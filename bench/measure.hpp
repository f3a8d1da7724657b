// SPDX-License-Identifier: BSL-1.0
#pragma once
// bench/measure.hpp: clocks, and what Linux counts of a process and a folder.
// Owns: wall time, thread CPU time, /proc/self/io, /proc/self/smaps_rollup, sizes, percentiles.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <utility>
#include <vector>

namespace bench {

/// Wall time since it was made.
class stopwatch {
  public:
    [[nodiscard]] double seconds() const {
        return std::chrono::duration<double>(clock::now() - begin_).count();
    }

  private:
    using clock = std::chrono::steady_clock;
    clock::time_point begin_ = clock::now();
};

/// CPU time of this thread since it was made: what others do on the machine counts less.
class cpu_stopwatch {
  public:
    [[nodiscard]] double seconds() const { return now() - begin_; }

  private:
    [[nodiscard]] static double now() {
        timespec time{};
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
    }
    double begin_ = now();
};

/// What this process has written so far, from /proc/self/io.
struct bytes_written {
    std::uint64_t to_calls = 0; ///< given to write calls; a store to a shared map is not seen
    std::uint64_t to_pages = 0; ///< made dirty in the page cache, counted by whole pages

    [[nodiscard]] static bytes_written now();
    friend bytes_written operator-(bytes_written const& a, bytes_written const& b) noexcept {
        return {a.to_calls - b.to_calls, a.to_pages - b.to_pages};
    }
};

/// What this process has read from the device so far, from /proc/self/io.
[[nodiscard]] std::uint64_t bytes_read_from_device();

/// What this process has in memory, from /proc/self/smaps_rollup.
struct memory_use {
    std::uint64_t resident_kib = 0;
    std::uint64_t anonymous_kib = 0;

    [[nodiscard]] static memory_use now();
};

/// Bytes that the files of a folder take on the device; holes do not count.
[[nodiscard]] std::uint64_t folder_bytes(std::filesystem::path const& folder);

/// The value below which a share of the values lies. REQUIRES: not empty, 0 <= share <= 1.
[[nodiscard]] double percentile(std::vector<double> values, double share);
[[nodiscard]] inline double median(std::vector<double> values) {
    return percentile(std::move(values), 0.5);
}

} // namespace bench
