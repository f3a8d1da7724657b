// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/verified.hpp: which parts of a file this process has verified already.
// Owns: a table of tags with room for about two for each node of a file, which grows with it. A tag
//   lies anywhere in one line of the cache. A miss only means to verify again.
// Invariant: a tag names exact bytes (offset and size), so a hit never stands for other bytes.
//   No shared write once warm. Thread safety: any number of threads.

#include <coppice/format/reference.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

namespace coppice::inline COPPICE_ABI::store {

/// The set of verified parts of one file.
class verified_table {
  public:
    explicit verified_table(std::uint64_t file_bytes = 0) : current_(add(slot_bits(file_bytes))) {}
    verified_table(verified_table const&) = delete;
    verified_table& operator=(verified_table const&) = delete;

    /// Was this part verified, and not forgotten since?
    [[nodiscard]] bool contains(std::uint64_t tag) const noexcept {
        return current_.load(std::memory_order_acquire)->contains(tag);
    }
    /// Asks for what `contains` will look at: only a hint.
    void prefetch(std::uint64_t tag) const noexcept {
        auto const& now = *current_.load(std::memory_order_acquire);
        __builtin_prefetch(&now.line_of(now.home(tag)));
    }
    void insert(std::uint64_t tag) noexcept {
        current_.load(std::memory_order_acquire)->insert(tag);
    }

    /// Makes room for a file of that size. Does nothing where memory is short: a small table only
    /// forgets more.
    void reserve(std::uint64_t file_bytes) noexcept {
        auto const bits = slot_bits(file_bytes);
        if (bits <= current_.load(std::memory_order_acquire)->bits) return;
        std::lock_guard const guard(growth_);
        auto* const before = current_.load(std::memory_order_acquire);
        if (bits <= before->bits) return;
        try {
            auto* const grown = add(bits);
            for (std::size_t i = 0; i < std::size_t{1} << before->bits; ++i) {
                auto const tag = before->tag_at(i);
                if (tag != 0) grown->insert(tag);
            }
            current_.store(grown, std::memory_order_release);
        } catch (std::bad_alloc const&) {
            return;
        }
    }

    /// The tag of a run of bytes that is not a node: no node of a file has this bit set.
    [[nodiscard]] static constexpr std::uint64_t extent_tag(std::uint64_t offset) noexcept {
        return format::memory_bit | (offset / 8) << 19U;
    }

  private:
    /// Between 4 KiB, since files are opened often that are hardly read, and 32 MiB.
    static constexpr unsigned least_bits = 9;
    static constexpr unsigned most_bits = 22;

    /// Two slots for each 4 KiB, and room for the file to double.
    [[nodiscard]] static unsigned slot_bits(std::uint64_t file_bytes) noexcept {
        auto const wanted = static_cast<unsigned>(std::bit_width(file_bytes / 4096)) + 2;
        return std::clamp(wanted, least_bits, most_bits);
    }

    static constexpr std::size_t line_slots = 8;
    struct alignas(64) line {
        std::array<std::uint64_t, line_slots> slots;

        [[nodiscard]] std::atomic_ref<std::uint64_t> slot(std::size_t place) noexcept {
            return std::atomic_ref(slots[place % line_slots]);
        }
    };

    struct table {
        explicit table(unsigned size_bits)
            : bits(size_bits),
              memory(zeros((std::size_t{8} << bits) + sizeof(line))),
              lines(first_line(memory.get())) {}

        [[nodiscard]] std::size_t home(std::uint64_t tag) const noexcept {
            return static_cast<std::size_t>((tag * 0x9E37'79B9'7F4A'7C15U) >> (64 - bits));
        }
        [[nodiscard]] line& line_of(std::size_t place) const noexcept {
            return lines[place / line_slots];
        }
        [[nodiscard]] std::uint64_t tag_at(std::size_t place) const noexcept {
            return line_of(place).slot(place).load(std::memory_order_acquire);
        }
        /// A tag is mostly at home; else it is further on in the same line, round its end.
        [[nodiscard]] bool contains(std::uint64_t tag) const noexcept {
            auto const at = home(tag);
            auto& line = line_of(at);
            for (std::size_t i = 0; i < line_slots; ++i) {
                if (line.slot(at + i).load(std::memory_order_acquire) == tag) return true;
            }
            return false;
        }
        /// Takes the first free slot; in a full line the tag at home goes. Threads that take the
        /// same slot lose one of their tags.
        void insert(std::uint64_t tag) const noexcept {
            auto const at = home(tag);
            auto& line = line_of(at);
            for (std::size_t i = 0; i < line_slots; ++i) {
                auto const slot = line.slot(at + i);
                auto const there = slot.load(std::memory_order_acquire);
                if (there == tag) return;
                if (there == 0) return slot.store(tag, std::memory_order_release);
            }
            line.slot(at).store(tag, std::memory_order_release);
        }

        /// The zeros of calloc cost no memory until they are touched.
        [[nodiscard]] static std::unique_ptr<void, void (*)(void*)> zeros(std::size_t size_bytes) {
            void* const memory = std::calloc(size_bytes, 1);
            if (memory == nullptr) throw std::bad_alloc();
            return {memory, std::free};
        }
        [[nodiscard]] static line* first_line(void* memory) noexcept {
            auto space = 2 * sizeof(line);
            return static_cast<line*>(std::align(alignof(line), sizeof(line), memory, space));
        }

        unsigned bits;
        std::unique_ptr<void, void (*)(void*)> memory;
        line* lines;
    };

    [[nodiscard]] table* add(unsigned bits) {
        tables_.push_back(std::make_unique<table>(bits));
        return tables_.back().get();
    }

    std::mutex growth_;
    std::vector<std::unique_ptr<table>> tables_; // older ones may be in use until the end
    std::atomic<table*> current_;
};

} // namespace coppice::inline COPPICE_ABI::store
