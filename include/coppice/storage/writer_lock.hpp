// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/writer_lock.hpp: one writer, in this process and on this machine.
// Owns: one use of a lock file that the registry has open; models `writer_lock`.
// Invariants: the turn between threads comes first, the lock between processes second, and both
//   are given back in the other order; in a fork nothing is locked, unlocked or written.

#include <coppice/storage/concepts.hpp>
#include <coppice/storage/lock_registry.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace coppice::storage {

/// The lock of a database, as one medium uses it. Any thread may call anything.
class path_lock {
  public:
    path_lock(lock_entry& entry, lock_place place) noexcept
        : entry_(&entry), place_(std::move(place)) {}
    path_lock(path_lock const&) = delete;
    path_lock& operator=(path_lock const&) = delete;
    ~path_lock() {
        // The registry of the parent is not the child's; it is left alone there.
        if (!is_forked()) lock_registry::local().detach(*entry_);
    }

    /// The lock beside a database, made if missing. @param database its status, if it is there
    [[nodiscard]] static std::shared_ptr<path_lock> for_writing(
        lock_place place, std::optional<struct stat> const& database) {
        auto& entry = lock_registry::local().attach_writer(place, database);
        return share(entry, std::move(place));
    }
    /// The lock for its live page only; null where there is none to be read.
    [[nodiscard]] static std::shared_ptr<path_lock> for_reading(lock_place place) {
        auto* const entry = lock_registry::local().attach_reader(place);
        return entry == nullptr ? nullptr : share(*entry, std::move(place));
    }

    [[nodiscard]] bool acquire(deadline until) {
        require_not_forked(token(), place_.path);
        if (!entry_->threads().acquire(until, place_.path)) return false;
        try {
            if (entry_->lock(until, place_)) return true;
        } catch (...) {
            entry_->threads().release();
            throw;
        }
        entry_->threads().release();
        return false;
    }
    void release() noexcept {
        if (is_forked()) return;
        entry_->unlock();
        entry_->threads().release();
    }
    void check_held() const {
        require_not_forked(token(), place_.path);
        entry_->require_in_place(place_);
        entry_->require_locked();
    }
    [[nodiscard]] std::byte const* page() const noexcept { return entry_->page(); }
    void write_page(std::uint64_t offset, bytes data) {
        require_not_forked(token(), place_.path);
        entry_->write(offset, data);
    }
    [[nodiscard]] process_identity const& identity() const noexcept {
        return entry_->process().identity;
    }
    void poison() noexcept { entry_->poison(); }
    [[nodiscard]] std::uint64_t poison_count() const noexcept { return entry_->poison_count(); }

  private:
    [[nodiscard]] static std::shared_ptr<path_lock> share(lock_entry& entry, lock_place place) {
        try {
            return std::make_shared<path_lock>(entry, std::move(place));
        } catch (...) {
            lock_registry::local().detach(entry);
            throw;
        }
    }
    [[nodiscard]] std::uint64_t token() const noexcept { return entry_->process().identity.token; }
    [[nodiscard]] bool is_forked() const noexcept { return forked(token()); }

    lock_entry* entry_;
    lock_place place_;
};

static_assert(writer_lock<path_lock>);

} // namespace coppice::storage
