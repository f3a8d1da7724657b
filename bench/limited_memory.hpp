// SPDX-License-Identifier: BSL-1.0
#pragma once
// bench/limited_memory.hpp: little memory for a process, its share of the page cache included.
// Owns: a control group of cgroup v2, or v1 where that has the limit, as long as the object lives.
// Invariant: nothing but the group that it makes is changed.

#include <cstdint>
#include <filesystem>

namespace bench {

class limited_memory {
  public:
    /// Makes a group that may use so many bytes.
    /// @throws std::runtime_error why this machine does not allow it
    explicit limited_memory(std::uint64_t bytes);
    limited_memory(limited_memory const&) = delete;
    limited_memory& operator=(limited_memory const&) = delete;
    /// REQUIRES: the processes that entered have ended.
    ~limited_memory();

    /// Puts this process into the group.
    void enter() const;

  private:
    std::filesystem::path group_;
};

} // namespace bench
