// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/held_lock.hpp: a writer's lock for the length of a scope.
// Owns: one turn with the lock, if it was had in time.
// Invariant: a lock that was had is held until destruction.

#include <coppice/storage/concepts.hpp>

namespace coppice::storage {

/// Holds a lock. Throws what `acquire` throws.
template <writer_lock Lock> class [[nodiscard]] held_lock {
  public:
    /// @param until when waiting ends; not given, it waits for as long as it takes
    explicit held_lock(Lock& lock, deadline until = {})
        : lock_(lock), held_(lock_.acquire(until)) {}
    held_lock(held_lock const&) = delete;
    held_lock& operator=(held_lock const&) = delete;
    ~held_lock() {
        if (held_) lock_.release();
    }

    /// Was it had in time?
    [[nodiscard]] bool is_held() const noexcept { return held_; }

  private:
    Lock& lock_;
    bool held_;
};

} // namespace coppice::storage
