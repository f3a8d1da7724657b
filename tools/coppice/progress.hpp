// SPDX-License-Identifier: BSL-1.0
#pragma once
// tools/coppice/progress.hpp: a bar on stderr for work that takes a while.
// Owns: when it is drawn: only on a terminal, at most ten times a second, not at once.
// Invariant: it is erased when the object goes away, also by an exception.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include <unistd.h>

namespace tool {

/// A bar of progress.
class progress {
  public:
    explicit progress(std::string label)
        : label_(std::move(label)), terminal_(::isatty(STDERR_FILENO) == 1) {}
    progress(progress const&) = delete;
    progress& operator=(progress const&) = delete;
    ~progress() {
        if (drawn_) draw("\r\033[K");
    }

    /// @param all 0 where it is not known; then only the number is shown
    void show(std::uint64_t done, std::uint64_t all) {
        if (!terminal_) return;
        auto const now = std::chrono::steady_clock::now();
        if (now < next_) return;
        next_ = now + std::chrono::milliseconds(100);
        drawn_ = true;
        draw("\r" + label_ + " " + (all == 0 ? std::to_string(done) : bar(done, all)) + "\033[K");
    }

  private:
    [[nodiscard]] static std::string bar(std::uint64_t done, std::uint64_t all) {
        constexpr std::size_t width = 40;
        auto const part = static_cast<double>(std::min(done, all)) / static_cast<double>(all);
        auto const full = static_cast<std::size_t>(part * width);
        return "[" + std::string(full, '#') + std::string(width - full, '.') + "] " +
               std::to_string(static_cast<int>(part * 100)) + " %";
    }
    static void draw(std::string const& text) {
        static_cast<void>(!::write(STDERR_FILENO, text.data(), text.size()));
    }

    std::string label_;
    bool terminal_;
    bool drawn_ = false;
    std::chrono::steady_clock::time_point next_ =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
};

} // namespace tool
