// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/writer_lock.hpp: one writer, in this process and on this machine.
// Owns: one use of a lock file that the registry has open; models `writer_lock`.
// Invariants: the turn between threads comes first, the lock between processes second, and both are
//   given back in the other order, at the latest at the end of this use. In a fork nothing is
//   locked, unlocked, written or closed, and no mutex is touched.

#include <coppice/storage/concepts.hpp>
#include <coppice/storage/lock_registry.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace coppice::storage {

/// The lock of a database, as one medium uses it. Any thread may call anything. See the concept
/// `writer_lock` for what each call does.
///
/// A program that itself opens and closes the lock file drops the lock of the whole process; that
/// cannot be prevented, but `check_held` notices it.
class path_lock {
  public:
    /// What a lock is opened for. One for the page cannot be taken.
    enum class purpose : bool { page, writing };

    /// @param entry a use that attach gave, and that is given back at the end
    path_lock(lock_entry& entry, lock_place place, purpose opened_for) noexcept
        : entry_(entry), place_(std::move(place)), purpose_(opened_for) {}
    path_lock(path_lock const&) = delete;
    path_lock& operator=(path_lock const&) = delete;
    ~path_lock() {
        // The registry of the parent is not the child's; all is left as it stands.
        if (is_forked()) return;
        release();
        lock_registry::local().detach(entry_);
    }

    /// The lock beside a database, made if missing. @param database its status, if it is there
    /// Throws `errc::lock_unusable`, `errc::second_copy`, `errc::io_failed`.
    [[nodiscard]] static std::shared_ptr<path_lock> for_writing(
        lock_place const& place, std::optional<posix::file_status> const& database) {
        return share(lock_registry::local().attach_writer(place, database), place,
                     purpose::writing);
    }
    /// The lock for its live page only; null where there is none to be read.
    [[nodiscard]] static std::shared_ptr<path_lock> for_reading(lock_place const& place) {
        auto* const entry = lock_registry::local().attach_reader(place);
        return entry == nullptr ? nullptr : share(*entry, place, purpose::page);
    }

    [[nodiscard]] bool acquire(deadline until) {
        require_writer();
        if (!entry_.threads().acquire(until, place_.path)) return false;
        bool locked = false;
        try {
            locked = entry_.lock(until, place_);
        } catch (...) {
            entry_.threads().release();
            throw;
        }
        held_ = locked;
        if (!locked) entry_.threads().release();
        return locked;
    }

    void bind(std::thread::id thread) noexcept {
        if (!is_forked() && held_) entry_.threads().bind(thread);
    }
    void unbind(std::thread::id thread) noexcept {
        if (!is_forked() && held_) entry_.threads().unbind(thread);
    }

    /// Does nothing where this use does not hold the lock.
    void release() noexcept {
        if (is_forked() || !held_.exchange(false)) return;
        entry_.unlock();
        entry_.threads().release();
    }

    [[nodiscard]] bool is_forked() const noexcept { return forked(token()); }

    void check_held() const {
        require_writer();
        entry_.require_in_place(place_);
        entry_.require_locked();
        entry_.require_only_copy();
    }

    [[nodiscard]] std::byte const* page() const noexcept { return entry_.page(); }

    void write_page(std::uint64_t offset, bytes data) {
        require_writer();
        require_page_words(offset, data, place_.path);
        // The kernel copies word by word only what is aligned at both ends.
        alignas(8) std::array<std::byte, live_page_store_bytes> words;
        if (!data.empty()) std::memcpy(words.data(), data.data(), data.size());
        entry_.write(offset, bytes(words).first(data.size()));
    }

    [[nodiscard]] process_identity const& identity() const noexcept {
        return entry_.process().identity;
    }
    [[nodiscard]] std::uint64_t owner_changes() const noexcept { return entry_.owner_changes(); }
    void poison() noexcept { entry_.poison(); }
    [[nodiscard]] std::uint64_t poison_count() const noexcept { return entry_.poison_count(); }

  private:
    [[nodiscard]] static std::shared_ptr<path_lock> share(lock_entry& entry,
                                                          lock_place const& place, purpose what) {
        try {
            return std::make_shared<path_lock>(entry, place, what);
        } catch (...) {
            lock_registry::local().detach(entry);
            throw;
        }
    }

    void require_writer() const {
        require_not_forked(token(), place_.path);
        if (purpose_ == purpose::page) {
            throw error(errc::read_only, "the lock was opened for its page only", place_.path);
        }
    }
    [[nodiscard]] std::uint64_t token() const noexcept { return entry_.process().identity.token; }

    lock_entry& entry_;
    lock_place place_;
    purpose purpose_;
    std::atomic<bool> held_{false};
};

static_assert(writer_lock<path_lock>);

} // namespace coppice::storage
