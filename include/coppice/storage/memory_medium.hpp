// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/memory_medium.hpp: the place of a database that is only in memory.
// Owns: `memory_lock` (the turn, and a page) and `memory_medium` (what the place names); they model
//   `writer_lock` and `medium`.
// Invariants: copies of a medium share the place, so several handles see one database. Nothing
//   outlives the last handle, snapshot and view. There are no other processes, but there are forks.

#include <coppice/storage/concepts.hpp>
#include <coppice/storage/live_page.hpp>
#include <coppice/storage/memory_storage.hpp>
#include <coppice/storage/process.hpp>
#include <coppice/storage/turn.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace coppice::storage {

/// The lock of a database in memory, one for all handles. Any thread may call anything.
class memory_lock {
  public:
    [[nodiscard]] bool acquire(deadline until) {
        check_held();
        return turn_.acquire(until, path_);
    }
    void bind(std::thread::id thread) noexcept {
        if (!is_forked()) turn_.bind(thread);
    }
    void unbind(std::thread::id thread) noexcept {
        if (!is_forked()) turn_.unbind(thread);
    }
    void release() noexcept {
        if (!is_forked()) turn_.release();
    }
    [[nodiscard]] bool is_forked() const noexcept { return forked(identity_.token); }
    /// Nobody can take this lock away; throws `errc::forked` in a child.
    void check_held() const { require_not_forked(identity_.token, path_); }

    [[nodiscard]] std::byte const* page() const noexcept {
        return reinterpret_cast<std::byte const*>(page_.data());
    }
    void write_page(std::uint64_t offset, bytes data) {
        check_held();
        require_page_words(offset, data, path_);
        for (std::size_t at = 0; at < data.size(); at += 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, data.data() + at, 8);
            auto& target = page_[(static_cast<std::size_t>(offset) + at) / 8];
            std::atomic_ref(target).store(word, std::memory_order_release);
        }
    }

    [[nodiscard]] process_identity const& identity() const noexcept { return identity_; }
    [[nodiscard]] static std::uint64_t owner_changes() noexcept { return 0; }
    void poison() noexcept { poison_count_.fetch_add(1, std::memory_order_acq_rel); }
    [[nodiscard]] std::uint64_t poison_count() const noexcept {
        return poison_count_.load(std::memory_order_acquire);
    }

  private:
    std::string path_ = "(memory)";
    process_identity identity_ = current_process().identity;
    turn turn_;
    std::array<std::uint64_t, live_page_size_bytes / 8> page_{};
    std::atomic<std::uint64_t> poison_count_{0};
};

static_assert(writer_lock<memory_lock>);

/// A place in memory. See the concept `medium` for what each call does. Any thread may call
/// anything, in the process that made it.
class memory_medium {
  public:
    using storage_type = memory_storage;
    using lock_type = memory_lock;

    memory_medium() : place_(std::make_shared<place>()) {}

    [[nodiscard]] std::shared_ptr<memory_storage> open(access /*how*/) {
        std::lock_guard const guard(place_->mutex);
        if (!place_->named) throw error(errc::not_found, "nothing is there yet", place_->path);
        return place_->named;
    }

    [[nodiscard]] std::shared_ptr<memory_storage> fresh() {
        auto made = std::make_shared<memory_storage>();
        std::lock_guard const guard(place_->mutex);
        return place_->fresh = std::move(made);
    }

    void replace(memory_storage const& fresh) {
        std::lock_guard const guard(place_->mutex);
        if (place_->fresh.get() != &fresh) {
            posix::fail(ENOENT, "the fresh storage was taken away", place_->path);
        }
        place_->named = std::move(place_->fresh);
    }

    void sync_name() noexcept {}

    [[nodiscard]] bool discard_fresh() {
        std::lock_guard const guard(place_->mutex);
        return std::exchange(place_->fresh, nullptr) != nullptr;
    }

    [[nodiscard]] std::optional<file_identity> companion() const {
        std::lock_guard const guard(place_->mutex);
        return place_->fresh ? std::optional(place_->fresh->identity()) : std::nullopt;
    }

    [[nodiscard]] standing compare(memory_storage const& opened) const {
        std::lock_guard const guard(place_->mutex);
        if (!place_->named) return standing::missing;
        return place_->named.get() == &opened ? standing::same : standing::replaced;
    }

    [[nodiscard]] bool remove() {
        std::lock_guard const guard(place_->mutex);
        return std::exchange(place_->named, nullptr) != nullptr;
    }

    [[nodiscard]] std::shared_ptr<memory_lock> lock() { return place_->lock; }
    [[nodiscard]] std::shared_ptr<memory_lock> reader_lock() { return place_->lock; }
    [[nodiscard]] std::shared_ptr<memory_lock> compaction_lock() { return place_->compaction; }
    [[nodiscard]] std::uint64_t random() { return current_process().randoms.draw(); }
    [[nodiscard]] std::string const& path() const noexcept { return place_->path; }

  private:
    struct place {
        std::mutex mutex;
        std::shared_ptr<memory_storage> named;
        std::shared_ptr<memory_storage> fresh;
        std::shared_ptr<memory_lock> lock = std::make_shared<memory_lock>();
        std::shared_ptr<memory_lock> compaction = std::make_shared<memory_lock>();
        std::string path = "(memory)";
    };

    std::shared_ptr<place> place_;
};

static_assert(medium<memory_medium>);

} // namespace coppice::storage
