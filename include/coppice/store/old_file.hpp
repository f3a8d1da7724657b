// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/old_file.hpp: the last of a large file that was replaced, let go of in a thread.
// Owns: that thread. The kernel gives back the pages and blocks of a file without a name when the
//   last who maps it lets go, a good while for a large one, and who does it waits.
// Invariant: the thread ends before this does, but in a fork, where it is the parent's. Thread
//   safety: none; the caller has the lock of compactions.

#include <coppice/storage/left_in_fork.hpp>
#include <coppice/version.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <thread>
#include <utility>

namespace coppice::inline COPPICE_ABI::store {

/// Lets go of files.
class old_file {
  public:
    /// What is smaller is gone before a thread has begun.
    static constexpr std::uint64_t least_bytes = std::uint64_t{32} << 20U;

    /// Lets go of a mapping, once it is done with the one before. Where there can be no thread it
    /// does so itself.
    void let_go(std::shared_ptr<std::byte const> map) noexcept {
        try {
            thread_.emplace([last = std::move(map)]() mutable { last.reset(); });
        } catch (std::exception const&) { // the closure has let go of it
        }
    }

  private:
    storage::left_in_fork<std::jthread> thread_;
};

} // namespace coppice::inline COPPICE_ABI::store
