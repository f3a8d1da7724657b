// SPDX-License-Identifier: BSL-1.0
#pragma once
// What the tests of crashes and of concurrency stand on: a folder of their own, how much to do,
// which sanitizer is at work, and a counter of distinct cases.

#include <coppice/bytes.hpp>
#include <coppice/format/checksum.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_set>

#include <malloc.h>
#include <unistd.h>

namespace workbench {

#if defined(__SANITIZE_THREAD__)
inline constexpr bool under_tsan = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
inline constexpr bool under_tsan = true;
#else
inline constexpr bool under_tsan = false;
#endif
#else
inline constexpr bool under_tsan = false;
#endif

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool under_asan = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool under_asan = true;
#else
inline constexpr bool under_asan = false;
#endif
#else
inline constexpr bool under_asan = false;
#endif

/// What counted work is divided by where a sanitizer makes it slow: it is there for the memory that
/// the code touches, which is the same in each case; the plain build counts the cases.
inline constexpr unsigned fewer = under_asan || under_tsan ? 4 : 1;

/// How many times the ordinary amount of work is to be done: COPPICE_TEST_SCALE, at least 1.
inline unsigned scale() {
    auto const* const text = std::getenv("COPPICE_TEST_SCALE");
    auto const wanted = text != nullptr ? std::strtoul(text, nullptr, 10) : 1UL;
    return wanted < 1 ? 1U : static_cast<unsigned>(wanted > 100'000 ? 100'000 : wanted);
}

/// Keeps freed memory in the process: tests that open thousands of handles spend most of their time
/// in giving it back and asking for it.
inline void keep_memory() noexcept {
    ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
    ::mallopt(M_TRIM_THRESHOLD, 512 << 20);
}

/// Says why a test does nothing here. @return is that so?
inline bool skip_forks() {
    if (under_tsan) std::printf("skipped: the thread sanitizer does not follow forks\n");
    return under_tsan;
}

/// A folder that is gone, with all that is in it, when this is.
class folder {
  public:
    folder() {
        auto pattern = (std::filesystem::temp_directory_path() / "coppice-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
        path_ = pattern;
    }
    folder(folder const&) = delete;
    folder& operator=(folder const&) = delete;
    ~folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    [[nodiscard]] std::filesystem::path const& path() const noexcept { return path_; }
    [[nodiscard]] std::filesystem::path operator/(std::string_view name) const {
        return path_ / name;
    }

  private:
    std::filesystem::path path_;
};

/// Counts how many different things were tried.
class distinct_cases {
  public:
    /// @return was it a new one?
    bool add(std::uint64_t hash) { return seen_.insert(hash).second; }
    bool add(coppice::bytes data) { return add(coppice::format::checksum(data)); }
    [[nodiscard]] std::size_t count() const noexcept { return seen_.size(); }

  private:
    std::unordered_set<std::uint64_t> seen_;
};

/// A small generator of numbers: the same seed gives the same numbers with every library.
class dice {
  public:
    explicit dice(std::uint64_t seed) noexcept : state_(seed) {}
    [[nodiscard]] std::uint64_t next() noexcept {
        state_ += 0x9E37'79B9'7F4A'7C15U;
        auto z = state_;
        z = (z ^ (z >> 30U)) * 0xBF58'476D'1CE4'E5B9U;
        z = (z ^ (z >> 27U)) * 0x94D0'49BB'1331'11EBU;
        return z ^ (z >> 31U);
    }
    /// A number below `limit`.
    [[nodiscard]] std::uint64_t below(std::uint64_t limit) noexcept { return next() % limit; }

  private:
    std::uint64_t state_;
};

} // namespace workbench
