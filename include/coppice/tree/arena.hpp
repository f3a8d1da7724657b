// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/tree/arena.hpp: memory that grows and never moves, for nodes, keys and values that are
//   not in a file yet.
// Owns: the chunks. Models `node_sink`: what it seals are memory references.
// Invariant: nothing handed out is moved or freed before the arena is; whoever hands out views
//   into it shares its ownership. Allocating is for one thread at a time, reading is free.

#include <coppice/bytes.hpp>
#include <coppice/tree/tree.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace coppice::inline COPPICE_ABI::tree {

/// A bump allocator in chunks.
class arena {
  public:
    arena() = default;
    arena(arena const&) = delete;
    arena& operator=(arena const&) = delete;

    /// `size_bytes` of writable memory, aligned to 16. @throws std::bad_alloc
    [[nodiscard]] std::byte* allocate(std::size_t size_bytes) {
        auto const rounded = (size_bytes + 15U) & ~std::size_t{15};
        if (rounded > left_bytes_) grow(rounded);
        auto* const memory = next_;
        next_ += rounded;
        left_bytes_ -= rounded;
        return memory;
    }

    /// A copy of the text that lives as long as the arena.
    [[nodiscard]] std::string_view copy(std::string_view text) {
        if (text.empty()) return {};
        auto* const memory = allocate(text.size());
        std::memcpy(memory, text.data(), text.size());
        return {reinterpret_cast<char const*>(memory), text.size()};
    }

    [[nodiscard]] mutable_bytes allocate_node(std::size_t size_bytes) {
        return {allocate(size_bytes), size_bytes};
    }
    [[nodiscard]] node_ref seal_node(mutable_bytes node) noexcept {
        return node_ref::in_memory_at(node.data(), node.size());
    }

    /// Keeps another arena as long as this one lives: what is here refers to what is there.
    void adopt(std::shared_ptr<arena const> other) {
        if (std::find(adopted_.begin(), adopted_.end(), other) != adopted_.end()) return;
        held_bytes_ += other->held_bytes();
        adopted_.push_back(std::move(other));
    }

    /// Bytes of all chunks, and of adopted arenas.
    [[nodiscard]] std::size_t held_bytes() const noexcept { return held_bytes_; }

  private:
    struct alignas(16) unit {
        std::byte bytes[16];
    };

    void grow(std::size_t at_least_bytes) {
        auto const chunk_bytes = std::max(at_least_bytes, next_chunk_bytes_);
        chunks_.reserve(chunks_.size() + 1);
        chunks_.emplace_back(new unit[chunk_bytes / sizeof(unit)]);
        next_ = chunks_.back()[0].bytes;
        left_bytes_ = chunk_bytes;
        held_bytes_ += chunk_bytes;
        next_chunk_bytes_ = std::min<std::size_t>(next_chunk_bytes_ * 2, std::size_t{1} << 20U);
    }

    std::vector<std::unique_ptr<unit[]>> chunks_;
    std::vector<std::shared_ptr<arena const>> adopted_;
    std::byte* next_ = nullptr;
    std::size_t left_bytes_ = 0;
    std::size_t held_bytes_ = 0;
    std::size_t next_chunk_bytes_ = 4096;
};

static_assert(node_sink<arena>);

} // namespace coppice::inline COPPICE_ABI::tree
