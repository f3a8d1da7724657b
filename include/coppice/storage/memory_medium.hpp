// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/memory_medium.hpp: a database that is only in memory.
// Owns: `memory_storage` (bytes that grow), `memory_lock` (the turn, and a page), `memory_medium`
//   (the place of them). Model `storage`, `writer_lock`, `medium`.
// Invariants: bytes that a view shows never move; copies of a medium share the place, so several
//   handles see one database. Nothing outlives the last handle, snapshot and view.

#include <coppice/storage/concepts.hpp>
#include <coppice/storage/turn.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace coppice::storage {

/// Bytes at offsets in memory. It grows by doubling into a new buffer; older buffers live as long
/// as a view of them does, and later writes reach them too.
class memory_storage {
  public:
    explicit memory_storage(std::uint64_t number) noexcept : number_(number) {}

    [[nodiscard]] std::uint64_t size() const {
        std::lock_guard const guard(mutex_);
        return size_bytes_;
    }
    [[nodiscard]] std::size_t read(std::uint64_t offset, mutable_bytes buffer) const {
        std::lock_guard const guard(mutex_);
        if (offset >= size_bytes_ || buffer.empty()) return 0;
        auto const count = std::min<std::uint64_t>(buffer.size(), size_bytes_ - offset);
        std::memcpy(buffer.data(), current_.data.get() + offset, static_cast<std::size_t>(count));
        return static_cast<std::size_t>(count);
    }
    /// Throws std::bad_alloc, and then nothing was written.
    void write(std::uint64_t offset, bytes data) {
        std::lock_guard const guard(mutex_);
        if (data.empty()) return;
        reserve(offset + data.size());
        std::memcpy(current_.data.get() + offset, data.data(), data.size());
        for (auto const& old : older_) {
            auto const alive = old.data.lock();
            if (!alive || offset >= old.size_bytes) continue;
            auto const count = std::min<std::uint64_t>(data.size(), old.size_bytes - offset);
            std::memcpy(alive.get() + offset, data.data(), static_cast<std::size_t>(count));
        }
        size_bytes_ = std::max<std::uint64_t>(size_bytes_, offset + data.size());
    }
    void sync() noexcept {}
    void truncate(std::uint64_t size_bytes) {
        std::lock_guard const guard(mutex_);
        reserve(size_bytes);
        if (size_bytes < size_bytes_) {
            std::memset(current_.data.get() + size_bytes, 0,
                        static_cast<std::size_t>(size_bytes_ - size_bytes));
        }
        size_bytes_ = size_bytes;
    }
    /// Everything that is reserved, at least `size_bytes`.
    [[nodiscard]] mapped_view map(std::uint64_t size_bytes) const {
        std::lock_guard const guard(mutex_);
        reserve(size_bytes);
        return {current_.data, current_.size_bytes};
    }
    [[nodiscard]] file_identity identity() const noexcept { return {0, number_}; }

  private:
    struct block {
        std::shared_ptr<std::byte> data;
        std::uint64_t size_bytes = 0;
    };
    struct older_block {
        std::weak_ptr<std::byte> data;
        std::uint64_t size_bytes = 0;
    };

    void reserve(std::uint64_t size_bytes) const {
        if (size_bytes <= current_.size_bytes) return;
        constexpr std::uint64_t least_bytes = 64 * 1024;
        auto const wanted = std::max({size_bytes, current_.size_bytes * 2, least_bytes});
        // 16-aligned and zeroed; nodes are read in place.
        auto const units = static_cast<std::size_t>((wanted + 15U) / 16U);
        std::shared_ptr<unit[]> const owner(new unit[units]());
        block next{std::shared_ptr<std::byte>(owner, owner[0].bytes), units * 16U};
        if (size_bytes_ != 0) {
            std::memcpy(next.data.get(), current_.data.get(),
                        static_cast<std::size_t>(size_bytes_));
        }
        std::erase_if(older_, [](auto const& old) { return old.data.expired(); });
        older_.push_back({current_.data, current_.size_bytes});
        current_ = std::move(next);
    }

    struct alignas(16) unit {
        std::byte bytes[16];
    };

    mutable std::mutex mutex_;
    mutable block current_;
    mutable std::vector<older_block> older_;
    std::uint64_t size_bytes_ = 0;
    std::uint64_t number_;
};

/// The turn between threads; there are no other processes.
class memory_lock {
  public:
    memory_lock() {
        std::random_device random;
        for (auto& byte : identity_.boot_id) byte = static_cast<std::byte>(random());
        identity_.token = (std::uint64_t{random()} << 32U) | random() | 1U;
    }

    [[nodiscard]] bool acquire(deadline until) { return turn_.acquire(until, "memory"); }
    void release() noexcept { turn_.release(); }
    void check_held() const noexcept {}
    [[nodiscard]] std::byte const* page() const noexcept {
        return reinterpret_cast<std::byte const*>(page_.data());
    }
    void write_page(std::uint64_t offset, bytes data) noexcept {
        for (std::size_t at = 0; at < data.size(); at += 8) {
            std::uint64_t word;
            std::memcpy(&word, data.data() + at, 8);
            std::atomic_ref<std::uint64_t>(page_[(offset + at) / 8])
                .store(word, std::memory_order_release);
        }
    }
    [[nodiscard]] process_identity const& identity() const noexcept { return identity_; }
    void poison() noexcept { poisoned_.fetch_add(1, std::memory_order_acq_rel); }
    [[nodiscard]] std::uint64_t poison_count() const noexcept {
        return poisoned_.load(std::memory_order_acquire);
    }

  private:
    turn turn_;
    std::array<std::uint64_t, 512> page_{};
    process_identity identity_;
    std::atomic<std::uint64_t> poisoned_{0};
};

/// A place in memory.
class memory_medium {
  public:
    using storage_type = memory_storage;
    using lock_type = memory_lock;

    memory_medium() : place_(std::make_shared<place>()) {}

    [[nodiscard]] std::shared_ptr<memory_storage> open(access /*how*/) {
        std::lock_guard const guard(place_->mutex);
        if (!place_->named) throw error(errc::not_found, "opening a database", place_->path);
        return place_->named;
    }
    [[nodiscard]] std::shared_ptr<memory_storage> fresh() {
        std::lock_guard const guard(place_->mutex);
        place_->fresh = std::make_shared<memory_storage>(++place_->last_number);
        return place_->fresh;
    }
    void replace(memory_storage& fresh) {
        std::lock_guard const guard(place_->mutex);
        if (place_->fresh.get() != &fresh) {
            throw error(errc::io_failed, "the fresh storage was taken away", place_->path);
        }
        place_->named = std::move(place_->fresh);
    }
    void sync_name() noexcept {}
    [[nodiscard]] bool discard_fresh() {
        std::lock_guard const guard(place_->mutex);
        return std::exchange(place_->fresh, nullptr) != nullptr;
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
    [[nodiscard]] std::string const& path() const noexcept { return place_->path; }

  private:
    struct place {
        mutable std::mutex mutex;
        std::shared_ptr<memory_storage> named;
        std::shared_ptr<memory_storage> fresh;
        std::uint64_t last_number = 0;
        std::shared_ptr<memory_lock> lock = std::make_shared<memory_lock>();
        std::string path = "(memory)";
    };

    std::shared_ptr<place> place_;
};

static_assert(storage<memory_storage>);
static_assert(writer_lock<memory_lock>);
static_assert(medium<memory_medium>);

} // namespace coppice::storage
