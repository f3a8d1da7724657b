// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/verified.hpp: which parts of a file this process has verified already.
// Owns: a table of tags, which grows with what was read, up to two tags for each 4 KiB of the file.
//   A tag lies anywhere in one line of the cache. A miss only means to verify again.
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
    explicit verified_table(std::uint64_t file_bytes = 0)
        : most_bits_(bits_for(file_bytes)), current_(add(least_bits)) {}
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
        auto& now = *current_.load(std::memory_order_acquire);
        if (now.insert(tag) && now.crowded()) grow(now);
    }

    /// Lets it grow with a file of that size.
    void reserve(std::uint64_t file_bytes) noexcept {
        auto const wanted = bits_for(file_bytes);
        auto most = most_bits_.load();
        while (most < wanted && !most_bits_.compare_exchange_weak(most, wanted)) continue;
    }

    /// How many bytes the table has, without those that it had before it grew.
    [[nodiscard]] std::size_t size_bytes() const noexcept {
        return std::size_t{8} << current_.load(std::memory_order_acquire)->bits;
    }

    /// The tag of a run of bytes that is not a node: no node of a file has this bit set.
    [[nodiscard]] static constexpr std::uint64_t extent_tag(std::uint64_t offset) noexcept {
        return format::memory_bit | (offset / 8) << 19U;
    }

  private:
    /// 4 KiB at first, since files are opened often that are hardly read, and 32 MiB at most.
    static constexpr unsigned least_bits = 9;
    static constexpr unsigned largest_bits = 22;

    /// Two slots for each 4 KiB, and room for the file to double.
    [[nodiscard]] static unsigned bits_for(std::uint64_t file_bytes) noexcept {
        auto const wanted = static_cast<unsigned>(std::bit_width(file_bytes / 4096)) + 2;
        return std::clamp(wanted, least_bits, largest_bits);
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
        /// same slot lose one of their tags. @return is it new?
        bool insert(std::uint64_t tag) noexcept {
            auto const at = home(tag);
            auto& line = line_of(at);
            for (std::size_t i = 0; i < line_slots; ++i) {
                auto const slot = line.slot(at + i);
                auto const there = slot.load(std::memory_order_acquire);
                if (there == tag) return false;
                if (there != 0) continue;
                slot.store(tag, std::memory_order_release);
                taken.fetch_add(1, std::memory_order_relaxed);
                return true;
            }
            line.slot(at).store(tag, std::memory_order_release);
            return true;
        }
        /// Are more than a quarter of the slots taken? Of lines with two tags, one in 4,000 wants a
        /// ninth.
        [[nodiscard]] bool crowded() const noexcept {
            return taken.load(std::memory_order_relaxed) > (std::size_t{1} << bits) / 4;
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
        std::atomic<std::size_t> taken{0};
    };

    /// Makes the table four times as large, if that is allowed and nobody else has or does: a fork
    /// reads on, and must not wait for a thread that it does not have. Does nothing where memory is
    /// short: a small table only forgets more.
    void grow(table const& crowded) noexcept {
        auto const most = most_bits_.load(std::memory_order_relaxed);
        if (crowded.bits >= most) return;
        std::unique_lock const guard(growth_, std::try_to_lock);
        if (!guard || current_.load(std::memory_order_acquire) != &crowded) return;
        try {
            auto* const grown = add(std::min(crowded.bits + 2, most));
            for (std::size_t i = 0; i < std::size_t{1} << crowded.bits; ++i) {
                if (auto const tag = crowded.tag_at(i); tag != 0) grown->insert(tag);
            }
            current_.store(grown, std::memory_order_release);
        } catch (std::bad_alloc const&) {
            return;
        }
    }

    [[nodiscard]] table* add(unsigned bits) {
        tables_.push_back(std::make_unique<table>(bits));
        return tables_.back().get();
    }

    std::mutex growth_;
    std::vector<std::unique_ptr<table>> tables_; // older ones may be in use until the end
    std::atomic<unsigned> most_bits_;
    std::atomic<table*> current_;
};

} // namespace coppice::inline COPPICE_ABI::store
