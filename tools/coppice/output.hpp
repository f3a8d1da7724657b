// SPDX-License-Identifier: BSL-1.0
#pragma once
// tools/coppice/output.hpp: what the tool writes: data to stdout or a file, words to stderr.
// Owns: the buffer, short writes, and what happens when the reader of a pipe goes away.
// Invariant: data that was written before an error is not flushed after it; `finish` reports every
//   failure there is to report.

#include "tools/coppice/exit_code.hpp"

#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace tool {

/// Thrown when whoever read stdout has seen enough, as in `coppice scan FILE | head`.
struct reader_gone {};

[[nodiscard]] inline failure os_failure(std::string const& what) {
    auto const reason = std::error_code(errno, std::generic_category()).message();
    return {exit_code::unavailable, what + ": " + reason};
}

/// One line of words on stderr. Nobody can be told when that fails.
inline void say(std::string_view words) {
    std::string line = "coppice: ";
    line.append(words).append("\n");
    static_cast<void>(!::write(STDERR_FILENO, line.data(), line.size()));
}

/// Buffered output that sees every error.
class output {
  public:
    /// To stdout for "-", else to a file, which is emptied.
    explicit output(std::string name = "-") : name_(std::move(name)) {
        if (name_ == "-") return;
        file_ = ::open(name_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (file_ < 0) throw os_failure(name_);
    }
    output(output const&) = delete;
    output& operator=(output const&) = delete;
    ~output() {
        if (file_ != STDOUT_FILENO) ::close(file_);
    }

    void write(std::string_view text) {
        if (buffer_.size() + text.size() <= buffer_bytes) {
            buffer_ += text;
            return;
        }
        flush();
        if (text.size() < buffer_bytes) {
            buffer_ += text;
        } else {
            write_now(text);
        }
    }

    /// Writes what is left and closes a file, which may be the moment when a disk says it is full.
    void finish() {
        flush();
        if (file_ == STDOUT_FILENO) return;
        auto const closed = ::close(std::exchange(file_, STDOUT_FILENO));
        if (closed != 0) throw os_failure(name_);
    }

  private:
    static constexpr std::size_t buffer_bytes = std::size_t{1} << 16U;

    void flush() {
        write_now(buffer_);
        buffer_.clear();
    }

    void write_now(std::string_view text) {
        while (!text.empty()) {
            auto const written = ::write(file_, text.data(), text.size());
            if (written >= 0) {
                text.remove_prefix(static_cast<std::size_t>(written));
            } else if (errno == EPIPE && file_ == STDOUT_FILENO) {
                throw reader_gone();
            } else if (errno != EINTR) {
                throw os_failure(name_ == "-" ? "stdout" : name_);
            }
        }
    }

    std::string name_;
    int file_ = STDOUT_FILENO;
    std::string buffer_;
};

} // namespace tool
