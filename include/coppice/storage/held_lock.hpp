// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/held_lock.hpp: a writer's lock for the length of a scope.
// Owns: one turn with the lock, which it waits for as long as it takes.
// Invariant: the lock is held from construction to destruction.

#include <coppice/storage/concepts.hpp>

namespace coppice::storage {

/// Holds a lock. Throws what `acquire` throws.
template <writer_lock Lock> class [[nodiscard]] held_lock {
  public:
    explicit held_lock(Lock& lock) : lock_(lock) { static_cast<void>(lock_.acquire({})); }
    held_lock(held_lock const&) = delete;
    held_lock& operator=(held_lock const&) = delete;
    ~held_lock() { lock_.release(); }

  private:
    Lock& lock_;
};

} // namespace coppice::storage
