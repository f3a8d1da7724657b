// SPDX-License-Identifier: BSL-1.0
#pragma once
// An array that this process shares with those that it forks, and the forking of a team of them.
// Simulated machines protect memory all the time, for which a process stops all its threads: so a
// team of processes examines nearly twice the images of a team of threads.

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace explorer {

/// Objects that begin as zeros; they cost no memory until they are touched.
template <typename T> class shared_memory {
    static_assert(std::is_trivially_destructible_v<T>);

  public:
    explicit shared_memory(std::size_t count) : size_bytes_(count * sizeof(T)) {
        auto* const at = ::mmap(nullptr, size_bytes_, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at == MAP_FAILED) throw std::bad_alloc();
        first_ = static_cast<T*>(at);
    }
    shared_memory(shared_memory const&) = delete;
    shared_memory& operator=(shared_memory const&) = delete;
    ~shared_memory() { ::munmap(first_, size_bytes_); }

    [[nodiscard]] T& operator[](std::size_t i) noexcept { return first_[i]; }
    [[nodiscard]] T const& operator[](std::size_t i) const noexcept { return first_[i]; }

  private:
    std::size_t size_bytes_;
    T* first_ = nullptr;
};

/// Calls `work(member)` for each member of a team, each in a process of its own; of one alone in
/// this one, for debuggers and profilers. What they find goes into shared memory.
/// @param ended called with (member, status) of a process that did not end by itself
inline void in_processes(unsigned count, std::function<void(unsigned)> const& work,
                         std::function<void(unsigned, int)> const& ended) {
    if (count == 1) return work(0);
    std::fflush(stdout);
    std::vector<::pid_t> team;
    for (unsigned i = 0; i < count; ++i) {
        auto const child = ::fork();
        if (child < 0) throw std::runtime_error("cannot fork");
        if (child == 0) {
            work(i);
            std::exit(0);
        }
        team.push_back(child);
    }
    for (unsigned i = 0; i < count; ++i) {
        int status = 0;
        ::waitpid(team[i], &status, 0);
        if (status != 0) ended(i, status);
    }
}

} // namespace explorer
