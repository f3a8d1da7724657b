// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/published.hpp: a value that one thread replaces and any number take, lock-free.
// Owns: `counted` (an intrusive count), `ref_ptr` (one reference), `published` (the cell).
// Invariant: a `ref_ptr` keeps its object alive; `published::load` never waits for anybody.
//   The cell packs the pointer and a count of loads under way into one word (split reference
//   counting, as in Anthony Williams, "C++ Concurrency in Action", 7.2.4); user addresses have
//   48 bits at most on the 64-bit machines that are supported.

#include <coppice/assert.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace coppice::inline COPPICE_ABI::store {

/// Base of objects that count their references.
class counted {
  public:
    counted() = default;
    counted(counted const&) = delete;
    counted& operator=(counted const&) = delete;

    void add_references(std::int64_t by) const noexcept {
        references_.fetch_add(by, std::memory_order_relaxed);
    }
    /// @return was that the last one?
    [[nodiscard]] bool drop_references(std::int64_t by) const noexcept {
        return references_.fetch_sub(by, std::memory_order_acq_rel) == by;
    }

  protected:
    ~counted() = default;

  private:
    mutable std::atomic<std::int64_t> references_{0};
};

/// One reference to a `counted` object.
template <typename T> class ref_ptr {
  public:
    ref_ptr() = default;
    explicit ref_ptr(T const* object) noexcept : object_(object) {
        if (object_ != nullptr) object_->add_references(1);
    }
    ref_ptr(ref_ptr const& other) noexcept : ref_ptr(other.object_) {}
    ref_ptr(ref_ptr&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    ref_ptr& operator=(ref_ptr other) noexcept {
        std::swap(object_, other.object_);
        return *this;
    }
    ~ref_ptr() {
        if (object_ != nullptr && object_->drop_references(1)) delete object_;
    }

    [[nodiscard]] T const* get() const noexcept { return object_; }
    [[nodiscard]] T const& operator*() const noexcept {
        COPPICE_ASSERT(object_ != nullptr);
        return *object_;
    }
    [[nodiscard]] T const* operator->() const noexcept {
        COPPICE_ASSERT(object_ != nullptr);
        return object_;
    }
    explicit operator bool() const noexcept { return object_ != nullptr; }

  private:
    T const* object_ = nullptr;
};

/// A cell that holds one reference. Any number of threads may `load`, one at a time `store`.
template <typename T> class published {
  public:
    published() = default;
    published(published const&) = delete;
    published& operator=(published const&) = delete;
    ~published() { store({}); }

    /// The object published last; null before the first. Lock-free.
    [[nodiscard]] ref_ptr<T> load() const noexcept {
        // The count in the word is part of the cell's references: whoever replaces the object
        // leaves that many with it, one for each load under way.
        auto word = word_.fetch_add(1, std::memory_order_acquire) + 1;
        auto const* const object = pointer(word);
        ref_ptr<T> result(object);
        // A count of 0 says that the object was replaced and is back: what this load has added went
        // with it.
        while (pointer(word) == object && loads_in(word) != 0) {
            if (word_.compare_exchange_weak(word, word - 1, std::memory_order_relaxed)) {
                return result;
            }
        }
        // Replaced meanwhile: one reference was left for this load, and `result` has its own.
        if (object != nullptr) static_cast<void>(object->drop_references(1));
        return result;
    }

    /// Publishes another object.
    void store(ref_ptr<T> next) noexcept {
        if (next) next->add_references(cell_references);
        auto const address = reinterpret_cast<std::uintptr_t>(next.get());
        COPPICE_ASSERT((address >> 48U) == 0);
        auto const old = word_.exchange(std::uint64_t{address} << 16U, std::memory_order_acq_rel);
        auto const* const object = pointer(old);
        if (object == nullptr) return;
        if (object->drop_references(cell_references - loads_in(old))) delete object;
    }

  private:
    /// The cell counts for more than all loads under way can be, since such a load may give back
    /// its part before the one that replaced the object has handed it over.
    static constexpr std::int64_t cell_references = std::int64_t{1} << 32U;

    [[nodiscard]] static T const* pointer(std::uint64_t word) noexcept {
        return reinterpret_cast<T const*>(static_cast<std::uintptr_t>(word >> 16U));
    }

    /// How many loads of the object are under way.
    [[nodiscard]] static std::int64_t loads_in(std::uint64_t word) noexcept {
        return static_cast<std::int64_t>(word & 0xFFFFU);
    }

    mutable std::atomic<std::uint64_t> word_{0};
};

} // namespace coppice::inline COPPICE_ABI::store
