// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/lock_registry.hpp: the lock files that this process has open, each once.
// Owns: every descriptor of a lock file, from opening to closing; the turn, the kernel's lock and
//   the live page of each.
// Invariants: one entry for each inode. A descriptor of it is closed only together with the entry,
//   under the registry's mutex: closing one earlier would drop the lock without a sign.

#include <coppice/storage/lock_file.hpp>
#include <coppice/storage/mapping.hpp>
#include <coppice/storage/turn.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace coppice::storage {

/// All that this process has of one lock file. Used through the registry and writer_lock.hpp only.
class lock_entry {
  public:
    lock_entry(posix::descriptor file, std::string path, process_state const& process)
        : file_(std::move(file)),
          path_(std::move(path)),
          process_(process),
          identity_(posix::status_of(file_.get(), path_).identity) {}

    [[nodiscard]] file_identity identity() const noexcept { return identity_; }
    [[nodiscard]] std::byte const* page() const noexcept { return page_.data.get(); }
    [[nodiscard]] process_state const& process() const noexcept { return process_; }
    [[nodiscard]] turn& threads() noexcept { return threads_; }
    [[nodiscard]] bool is_writable() const noexcept { return kernel_.has_value(); }

    /// How often the lock was taken after somebody else had it. REQUIRES: the lock.
    [[nodiscard]] std::uint64_t owner_changes() const noexcept { return owner_changes_; }
    void poison() noexcept { poison_count_.fetch_add(1, std::memory_order_acq_rel); }
    [[nodiscard]] std::uint64_t poison_count() const noexcept {
        return poison_count_.load(std::memory_order_acquire);
    }

    /// Takes the lock between processes and leaves this process's name in the file.
    /// @return false when the deadline passed. REQUIRES: the turn.
    /// Throws as writer_lock says; the lock is not held then, or not known to be ours.
    [[nodiscard]] bool lock(deadline until, lock_place const& place);
    void unlock() noexcept { kernel_->release(); }

    /// Throws `lock_lost` unless the place still names this file.
    void require_in_place(lock_place const& place) const;
    /// Throws `lock_lost` unless the kernel still has this process's lock.
    void require_locked() const;
    /// Throws `second_copy` where the record names one. The descriptors then stay open for ever,
    /// since closing them would drop the lock of the other copy.
    void require_only_copy();

    void write(std::uint64_t offset, bytes data) {
        posix::write_at(file_.get(), offset, data, path_);
    }

  private:
    friend class lock_registry;

    /// The record as it is now; read where the file is mapped, at no call, else from the file.
    [[nodiscard]] owner_record owner() const {
        if (page_.data == nullptr) return read_owner(file_.get(), path_);
        return owner_at(page_.data.get() + owner_record_offset);
    }
    void park(posix::descriptor file) { parked_.push_back(std::move(file)); }
    void make_writable(posix::descriptor file);
    void map_page();
    [[nodiscard]] bool may_be_closed() noexcept;

    posix::descriptor file_;
    std::vector<posix::descriptor> parked_;
    std::string path_;
    process_state const& process_;
    file_identity identity_;
    mapped_view page_;
    std::optional<kernel_lock> kernel_;
    turn threads_;
    std::uint64_t owner_changes_ = 0;
    std::atomic<std::uint64_t> poison_count_{0};
    std::atomic<bool> stays_open_{false};
    std::uint64_t users_ = 0;
};

inline bool lock_entry::lock(deadline until, lock_place const& place) {
    require_only_copy();
    if (!kernel_->acquire(until, path_)) return false;
    // A second copy may have come between. The lock is one for both then, and it is not ours to
    // give back.
    require_only_copy();
    try {
        require_in_place(place);
        auto const ours = record_of(process_);
        if (owner() != ours) {
            ++owner_changes_; // first: what was written in between is not known any more
            write_owner(file_.get(), ours, path_);
        }
    } catch (...) {
        kernel_->release();
        throw;
    }
    return true;
}

inline void lock_entry::require_in_place(lock_place const& place) const {
    auto const found = posix::status_at(place.directory->get(), place.name, place.path);
    if (!found || found->identity != identity_) {
        throw error(errc::lock_lost, "the lock file was removed or replaced; open again", path_);
    }
}

inline void lock_entry::require_locked() const {
    // A question in the name of the open file is answered with the locks of this process too.
    struct flock question {};
    question.l_type = F_WRLCK;
    question.l_whence = SEEK_SET;
    if (::fcntl(file_.get(), F_OFD_GETLK, &question) != 0) return; // It cannot be asked here.
    // Some remote file systems name no process.
    bool const others =
        question.l_pid > 0 && question.l_pid != static_cast<pid_t>(process_.identity.pid);
    if (question.l_type == F_UNLCK || others) {
        throw error(errc::lock_lost, "the program closed the lock file behind coppice", path_);
    }
}

inline void lock_entry::require_only_copy() {
    if (!is_second_copy(owner(), process_)) return;
    stays_open_ = true;
    throw error(errc::second_copy, "share one copy of coppice in this process", path_);
}

inline void lock_entry::make_writable(posix::descriptor file) {
    parked_.push_back(std::move(file_));
    file_ = std::move(file);
    require_only_copy();
    auto const status = posix::status_of(file_.get(), path_);
    // Growing never takes away what another process may have written meanwhile.
    if (status.size_bytes < live_page_size_bytes) {
        posix::reserve(file_.get(), live_page_size_bytes, path_);
    }
    map_page();
    kernel_.emplace(file_.get(), path_);
}

inline void lock_entry::map_page() {
    if (page_.data != nullptr) return;
    page_ = map_file(file_.get(), live_page_size_bytes, path_);
}

/// Takes this process's name out of the file, unless another process has the lock. False where
/// the lock may be that of a second copy.
inline bool lock_entry::may_be_closed() noexcept {
    try {
        auto const record = read_owner(file_.get(), path_);
        if (is_second_copy(record, process_)) return false;
        // Also where the descriptors stay open: the name alone would keep other copies out.
        auto const named = is_writable() && record == record_of(process_);
        if (named && kernel_->acquire(std::chrono::steady_clock::time_point::min(), path_)) {
            // Nobody but the owner of the lock writes the record, so it is read once more.
            if (read_owner(file_.get(), path_) == record) write_owner(file_.get(), {}, path_);
            kernel_->release();
        }
        return !stays_open_;
    } catch (...) {
        return false;
    }
}

/// The entries of this process. Thread-safe. A fork finds an empty one, see process.hpp.
class lock_registry {
  public:
    /// The registry of this process, made at first use and never freed.
    [[nodiscard]] static lock_registry& local() {
        auto& process = current_process();
        auto* seen = process.locks.load(std::memory_order_acquire);
        if (seen != nullptr) return *seen;
        auto fresh = std::unique_ptr<lock_registry>(new lock_registry(process));
        bool const first = process.locks.compare_exchange_strong(
            seen, fresh.get(), std::memory_order_acq_rel, std::memory_order_acquire);
        return first ? *fresh.release() : *seen;
    }

    /// One more user of the lock file, which is made if missing.
    /// @param database its status, whose rights a new lock file takes over
    /// Throws `lock_unusable`, `second_copy`, `io_failed`.
    [[nodiscard]] lock_entry& attach_writer(lock_place const& place,
                                            std::optional<posix::file_status> const& database);

    /// One more user of an existing lock file's live page; null where there is none to be read.
    [[nodiscard]] lock_entry* attach_reader(lock_place const& place);

    /// One user less; with the last one all is closed.
    void detach(lock_entry& entry) noexcept {
        std::lock_guard const guard(mutex_);
        --entry.users_;
        drop_unused();
    }

  private:
    explicit lock_registry(process_state const& process) : process_(process) {}

    [[nodiscard]] lock_entry* find(posix::file_status const& status) noexcept {
        auto const wanted = status.identity;
        auto const found = std::find_if(entries_.begin(), entries_.end(), [&](auto const& entry) {
            return entry->identity() == wanted;
        });
        return found == entries_.end() ? nullptr : found->get();
    }

    [[nodiscard]] lock_entry& add(posix::descriptor file, std::string const& path) {
        entries_.reserve(entries_.size() + 1);
        entries_.push_back(std::make_unique<lock_entry>(std::move(file), path, process_));
        return *entries_.back();
    }

    /// Also what could not be closed when its last user went, since a call of the system failed.
    void drop_unused() noexcept {
        std::erase_if(entries_,
                      [](auto const& each) { return each->users_ == 0 && each->may_be_closed(); });
    }

    [[nodiscard]] static lock_entry& share(lock_entry& entry) noexcept {
        ++entry.users_;
        return entry;
    }

    [[nodiscard]] lock_entry* adopt_for_writing(posix::descriptor file, lock_place const& place);
    [[nodiscard]] lock_entry& add_reader(posix::descriptor file, std::string const& path);

    std::mutex mutex_;
    process_state const& process_;
    std::vector<std::unique_ptr<lock_entry>> entries_;
};

inline lock_entry& lock_registry::attach_writer(lock_place const& place,
                                                std::optional<posix::file_status> const& database) {
    constexpr int most_races = 100;
    std::lock_guard const guard(mutex_);
    for (int race = 0; race < most_races; ++race) {
        // Looked up first: what has an entry is not opened again.
        auto const status = posix::status_at(place.directory->get(), place.name, place.path);
        if (status) {
            require_plain_lock_file(*status, place.path);
            auto* const entry = find(*status);
            if (entry != nullptr) entry->require_only_copy();
            if (entry != nullptr && entry->is_writable()) return share(*entry);
        }
        auto* const entry = adopt_for_writing(open_lock_file(place, database), place);
        if (entry != nullptr) return share(*entry);
    }
    throw error(errc::lock_unusable, "the lock file comes and goes", place.path);
}

/// Finds or makes the entry of an open lock file; null where the file is already removed.
inline lock_entry* lock_registry::adopt_for_writing(posix::descriptor file,
                                                    lock_place const& place) {
    auto const status = posix::status_of(file.get(), place.path);
    auto* entry = find(status);
    if (entry != nullptr && entry->is_writable()) {
        entry->park(std::move(file));
        require_plain_lock_file(status, place.path);
        return entry;
    }
    if (entry == nullptr) {
        // Nothing of this copy is locked here, so a file that is no lock file may be closed.
        require_plain_lock_file(status, place.path);
        if (status.links == 0) return nullptr;
        auto second = posix::descriptor(::fcntl(file.get(), F_DUPFD_CLOEXEC, 3));
        if (!second) posix::fail(errno, "opening the lock file", place.path);
        entry = &add(std::move(second), place.path);
    }
    try {
        entry->make_writable(std::move(file));
    } catch (...) {
        drop_unused();
        throw;
    }
    return entry;
}

inline lock_entry* lock_registry::attach_reader(lock_place const& place) {
    std::lock_guard const guard(mutex_);
    auto const status = posix::status_at(place.directory->get(), place.name, place.path);
    if (!status || !status->is_plain_file()) return nullptr;
    if (auto* const entry = find(*status)) return &share(*entry);
    auto file = open_lock_file_read_only(place);
    if (!file) return nullptr;
    auto const opened = posix::status_of(file.get(), place.path);
    if (auto* const entry = find(opened)) {
        entry->park(std::move(file));
        return &share(*entry);
    }
    bool const long_enough = opened.size_bytes >= live_page_size_bytes;
    if (!opened.is_plain_file() || !long_enough) return nullptr;
    return &share(add_reader(std::move(file), place.path));
}

inline lock_entry& lock_registry::add_reader(posix::descriptor file, std::string const& path) {
    auto& entry = add(std::move(file), path);
    try {
        entry.map_page();
    } catch (...) {
        drop_unused();
        throw;
    }
    return entry;
}

} // namespace coppice::storage
