// SPDX-License-Identifier: BSL-1.0
#pragma once
// Children of the test process: forked, never exec'ed, with a pipe through which they report
// numbers. A child never returns into the test: it ends with _exit. None is left behind, whatever
// happens.

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

// What writes down the notes of ./dev coverage at the end of a process; null in all other builds.
extern "C" int __llvm_profile_write_file() __attribute__((weak)); // NOLINT: clang has it so

namespace workbench {

/// What a child reports: a kind of its own and a number.
struct report {
    std::uint64_t kind = 0;
    std::uint64_t number = 0;
};

/// The child's end of the pipe. Reports are written whole.
class reporter {
  public:
    explicit reporter(int pipe) noexcept : pipe_(pipe) {}
    void tell(std::uint64_t kind, std::uint64_t number) const {
        report const each{kind, number};
        if (::write(pipe_, &each, sizeof each) != static_cast<ssize_t>(sizeof each)) ::_exit(9);
    }

  private:
    int pipe_;
};

/// A forked child that runs a function. It ends with 0, or with 3 if the function threw.
class child {
  public:
    explicit child(std::function<void(reporter const&)> const& body) {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe failed");
        std::fflush(nullptr);
        pid_ = ::fork();
        if (pid_ < 0) throw std::runtime_error("fork failed");
        if (pid_ == 0) {
            ::close(ends[0]);
            run(body, ends[1]);
        }
        ::close(ends[1]);
        pipe_ = ends[0];
    }
    child(child&& other) noexcept
        : pid_(std::exchange(other.pid_, 0)),
          pipe_(std::exchange(other.pipe_, -1)),
          held_(std::move(other.held_)) {}
    child& operator=(child&& other) noexcept {
        std::swap(pid_, other.pid_);
        std::swap(pipe_, other.pipe_);
        std::swap(held_, other.held_);
        return *this;
    }
    ~child() {
        if (pid_ > 0) {
            signal(SIGKILL);
            static_cast<void>(wait());
        }
        if (pipe_ >= 0) ::close(pipe_);
    }

    void signal(int number) const { ::kill(pid_, number); }
    /// Waits for its end. @return the exit code, or 128 and the signal
    int wait() {
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        pid_ = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }

    /// The reports that are there; waits for the first one as long as the child lives.
    [[nodiscard]] std::vector<report> next_reports() { return read(true); }
    /// The reports that are there now.
    [[nodiscard]] std::vector<report> reports_so_far() { return read(false); }
    /// All reports up to the end of the child.
    [[nodiscard]] std::vector<report> all_reports() {
        std::vector<report> all;
        for (;;) {
            auto const more = next_reports();
            if (more.empty()) return all;
            all.insert(all.end(), more.begin(), more.end());
        }
    }

  private:
    [[noreturn]] static void run(std::function<void(reporter const&)> const& body, int pipe) {
        int code = 0;
        try {
            body(reporter(pipe));
        } catch (std::exception const& e) {
            std::fprintf(stderr, "a child failed: %s\n", e.what());
            code = 3;
        }
        std::fflush(nullptr);
        if (&__llvm_profile_write_file != nullptr) static_cast<void>(__llvm_profile_write_file());
        ::_exit(code);
    }

    [[nodiscard]] std::vector<report> read(bool wait_for_one) {
        std::vector<report> result;
        for (;;) {
            pollfd waiting{pipe_, POLLIN, 0};
            auto const wait = wait_for_one && result.empty() ? -1 : 0;
            auto const ready = ::poll(&waiting, 1, wait);
            if (ready < 0 && errno == EINTR) continue;
            if (ready <= 0) return result;
            std::array<std::byte, 4096> buffer;
            auto const got = ::read(pipe_, buffer.data(), buffer.size());
            if (got <= 0) return result;
            held_.insert(held_.end(), buffer.begin(), buffer.begin() + got);
            auto const whole = held_.size() / sizeof(report);
            for (std::size_t i = 0; i < whole; ++i) {
                report each;
                std::memcpy(&each, held_.data() + i * sizeof each, sizeof each);
                result.push_back(each);
            }
            held_.erase(held_.begin(),
                        held_.begin() + static_cast<std::ptrdiff_t>(whole * sizeof(report)));
        }
    }

    pid_t pid_ = 0;
    int pipe_ = -1;
    std::vector<std::byte> held_;
};

inline void sleep_ms(unsigned milliseconds) {
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

} // namespace workbench
