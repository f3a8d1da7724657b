// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/old_file.hpp: the last of a large file that was replaced, let go of in a thread.
// Owns: that thread. The kernel gives back the pages and blocks of a file without a name when the
//   last who maps it lets go, a good while for a large one, and who does it waits.
// Invariant: the thread ends before this does, but in a fork, where it is the parent's. Thread
//   safety: none; the caller has the lock of compactions.

#include <coppice/version.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

namespace coppice::inline COPPICE_ABI::store {

/// Lets go of files. Lock is told by `is_forked` whether this is a child of who began.
template <typename Lock> class old_file {
  public:
    /// What is smaller is gone before a thread has begun.
    static constexpr std::uint64_t least_bytes = std::uint64_t{32} << 20U;

    old_file() = default;
    old_file(old_file const&) = delete;
    old_file& operator=(old_file const&) = delete;
    ~old_file() { end(); }

    /// Lets go of a mapping, once it is done with the one before. Where there can be no thread it
    /// does so itself.
    void let_go(std::shared_ptr<std::byte const> map, std::shared_ptr<Lock> lock) noexcept {
        end();
        try {
            lock_ = std::move(lock);
            thread_ = std::thread([last = std::move(map)]() mutable { last.reset(); });
        } catch (std::system_error const&) { // the closure has let go of it
        } catch (std::bad_alloc const&) {
        }
    }

  private:
    void end() noexcept {
        if (!thread_.joinable()) return;
        if (lock_->is_forked()) return thread_.detach();
        thread_.join();
    }

    std::shared_ptr<Lock> lock_;
    std::thread thread_;
};

} // namespace coppice::inline COPPICE_ABI::store
