// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/memory_storage.hpp: bytes at offsets in memory; models `storage`.
// Owns: a buffer that is exchanged for one of twice its size when it is full.
// Invariants: a view's bytes never move: a buffer lives as long as a view of it, and what is
//   written later is written to every buffer that lives and reaches so far. Beyond the size all
//   bytes are zero. Views are read without a lock, since a writer never writes where they read.

#include <coppice/storage/concepts.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

namespace coppice::storage {

/// Bytes at offsets in memory. Any thread may call anything. A view has all that is reserved, so it
/// has to be made again only for what lies beyond its `size_bytes`.
class memory_storage {
  public:
    memory_storage() noexcept : number_(next_number().fetch_add(1)) {}

    [[nodiscard]] std::uint64_t size() const {
        std::lock_guard const guard(mutex_);
        return size_bytes_;
    }

    [[nodiscard]] std::size_t read(std::uint64_t offset, mutable_bytes buffer) const {
        std::lock_guard const guard(mutex_);
        if (offset >= size_bytes_ || buffer.empty()) return 0;
        auto const rest = static_cast<std::size_t>(size_bytes_ - offset);
        auto const count = std::min(buffer.size(), rest);
        std::memcpy(buffer.data(), current_.data.get() + offset, count);
        return count;
    }

    /// Throws std::bad_alloc, and then nothing was written.
    void write(std::uint64_t offset, bytes data) {
        std::lock_guard const guard(mutex_);
        if (data.empty()) return;
        if (offset > most_bytes || data.size() > most_bytes - offset) throw std::bad_alloc();
        reserve(offset + data.size());
        for_each_buffer(offset, data.size(), [&](std::byte* to, std::size_t count) {
            std::memmove(to, data.data(), count);
        });
        size_bytes_ = std::max<std::uint64_t>(size_bytes_, offset + data.size());
    }

    void sync() noexcept {}

    /// Throws std::bad_alloc, and then nothing has changed.
    void truncate(std::uint64_t size_bytes) {
        std::lock_guard const guard(mutex_);
        reserve(size_bytes);
        if (size_bytes < size_bytes_) {
            for_each_buffer(size_bytes, static_cast<std::size_t>(size_bytes_ - size_bytes),
                            [](std::byte* to, std::size_t count) { std::memset(to, 0, count); });
        }
        size_bytes_ = size_bytes;
    }

    /// Throws std::bad_alloc.
    [[nodiscard]] mapped_view map(std::uint64_t size_bytes) const {
        std::lock_guard const guard(mutex_);
        reserve(std::max(size_bytes, least_bytes));
        return {current_.data, current_.size_bytes};
    }

    [[nodiscard]] file_identity identity() const noexcept { return {0, number_}; }

  private:
    static constexpr std::uint64_t least_bytes = std::uint64_t{64} << 10U;
    static constexpr std::uint64_t most_bytes = std::numeric_limits<std::uint64_t>::max() / 8;

    struct block {
        std::shared_ptr<std::byte> data;
        std::uint64_t size_bytes = 0;
    };
    struct older_block {
        std::weak_ptr<std::byte> data;
        std::uint64_t size_bytes = 0;
    };

    [[nodiscard]] static std::atomic<std::uint64_t>& next_number() noexcept {
        static std::atomic<std::uint64_t> number{1};
        return number;
    }

    /// The zeros of calloc cost no memory until they are touched.
    [[nodiscard]] static block allocate(std::uint64_t size_bytes) {
        void* const zeros = std::calloc(static_cast<std::size_t>(size_bytes), 1);
        if (zeros == nullptr) throw std::bad_alloc();
        return {std::shared_ptr<std::byte>(static_cast<std::byte*>(zeros), std::free), size_bytes};
    }

    void reserve(std::uint64_t size_bytes) const {
        if (size_bytes <= current_.size_bytes) return;
        if (size_bytes > most_bytes) throw std::bad_alloc();
        auto next = allocate(std::max({size_bytes, current_.size_bytes * 2, least_bytes}));
        if (size_bytes_ != 0) {
            std::memcpy(next.data.get(), current_.data.get(),
                        static_cast<std::size_t>(size_bytes_));
        }
        std::erase_if(older_, [](auto const& old) { return old.data.expired(); });
        if (current_.data != nullptr) older_.push_back({current_.data, current_.size_bytes});
        current_ = std::move(next);
    }

    /// Calls with the place of `offset` in each buffer, and how much of the range it has.
    template <typename Change>
    void for_each_buffer(std::uint64_t offset, std::size_t size_bytes, Change&& change) {
        change(current_.data.get() + offset, size_bytes);
        for (auto const& old : older_) {
            auto const alive = old.data.lock();
            if (alive == nullptr || offset >= old.size_bytes) continue;
            auto const rest = static_cast<std::size_t>(old.size_bytes - offset);
            change(alive.get() + offset, std::min(size_bytes, rest));
        }
    }

    mutable std::mutex mutex_;
    mutable block current_;
    mutable std::vector<older_block> older_;
    std::uint64_t size_bytes_ = 0;
    std::uint64_t number_;
};

static_assert(storage<memory_storage>);

} // namespace coppice::storage
