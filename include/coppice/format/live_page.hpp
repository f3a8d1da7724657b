// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/format/live_page.hpp: what the writers of one boot tell each other and the readers.
// Owns: the fields of the live page (the first part of the lock file), their encoding and check.
// Invariant: the page may be lost at any time without harm; it is believed only if its checksum
//   holds and boot, uuid, generation and file are those at hand.
//   0 magic u64 | 8 boot id[16] | 24 uuid[16] | 40 generation u64 | 48 device u64 | 56 inode u64 |
//   64 mark counter u64 | 72 mark checksum u64 | 80 busy u64 | 88 name_synced u64 | 96 checksum |
//   104 zero[24] | 128 visible commit id u64 | 136 its file's tag u64 (polled, not summed)

#include <coppice/bytes.hpp>
#include <coppice/format/checksum.hpp>
#include <coppice/format/endian.hpp>
#include <coppice/format/fields.hpp>
#include <coppice/format/file_header.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace coppice::inline COPPICE_ABI::format {

/// What the page says of the database. See the commit rules in docs/design.md.
struct live_page {
    std::array<std::byte, 16> boot_id{}; ///< of the boot in which it was written
    std::array<std::byte, 16> uuid{};    ///< of the database
    std::uint64_t generation = 0;        ///< of the file
    std::uint64_t device = 0;            ///< of the file
    std::uint64_t inode = 0;             ///< of the file
    std::uint64_t mark_counter = 0;      ///< of the last slot whose sync returned
    std::uint64_t mark_checksum = 0;     ///< of the same slot
    bool busy = false;                   ///< a writer may have written what nobody vouches for
    bool name_synced = false;            ///< the directory was synced for this file in this boot

    friend bool operator==(live_page const&, live_page const&) noexcept = default;
};

/// The two words that readers poll.
struct visible_state {
    std::uint64_t commit_id = 0; ///< the newest commit whose promise was kept; 0: unknown
    std::uint64_t file_tag = 0;  ///< of the file that holds it, see `file_tag_of`

    friend bool operator==(visible_state, visible_state) noexcept = default;
};

inline constexpr std::uint64_t live_page_magic = 0x3165'6761'7065'766CU; // "lvepage1"
inline constexpr std::size_t live_page_bytes = 144;
inline constexpr std::size_t visible_offset = 128;

/// A number that tells a file from its predecessors and successors at the same path.
[[nodiscard]] inline std::uint64_t file_tag_of(file_header const& header) noexcept {
    return load<std::uint64_t>(header.uuid.data()) ^ header.generation;
}

namespace detail {

/// The layout of the page, between its magic and its checksum.
template <typename Page, typename Field>
void each_page_field(Page& page, Field const& field) noexcept {
    field(8, page.boot_id);
    field(24, page.uuid);
    field(40, page.generation);
    field(48, page.device);
    field(56, page.inode);
    field(64, page.mark_counter);
    field(72, page.mark_checksum);
    field(80, page.busy);
    field(88, page.name_synced);
}

} // namespace detail

/// The page as one write, mark first, so that it is stored before what it vouches for shows.
[[nodiscard]] inline std::array<std::byte, live_page_bytes> encode(
    live_page const& page, visible_state const& visible) noexcept {
    std::array<std::byte, live_page_bytes> image{};
    auto* const to = image.data();
    store(to, live_page_magic);
    detail::each_page_field(page, field_writer(to));
    store(to + 96, checksum(bytes{image}.first(96)));
    store(to + visible_offset, visible.commit_id);
    store(to + visible_offset + 8, visible.file_tag);
    return image;
}

namespace detail {

/// Other processes change the page at any time, so it is read in whole words.
[[nodiscard]] inline std::uint64_t load_word(std::byte const* page, std::size_t offset) noexcept {
    auto* const word = reinterpret_cast<std::uint64_t*>(const_cast<std::byte*>(page + offset));
    auto const raw = std::atomic_ref<std::uint64_t>(*word).load(std::memory_order_acquire);
    return little(raw);
}

} // namespace detail

/// Reads the page; nothing where its checksum does not hold.
/// @param page 8-aligned, at least 256 bytes, may change while it is read
[[nodiscard]] inline std::optional<live_page> load_live_page(std::byte const* page) noexcept {
    std::array<std::byte, 104> copy{};
    for (std::size_t at = 0; at < copy.size(); at += 8) {
        store(copy.data() + at, detail::load_word(page, at));
    }
    auto const* const from = copy.data();
    if (load<std::uint64_t>(from) != live_page_magic ||
        load<std::uint64_t>(from + 96) != checksum(bytes{copy}.first(96))) {
        return {};
    }
    live_page result;
    detail::each_page_field(result, field_reader(from));
    return result;
}

/// Reads the two polled words: two loads, no lock.
[[nodiscard]] inline visible_state load_visible(std::byte const* page) noexcept {
    auto const commit_id = detail::load_word(page, visible_offset);
    return {commit_id, detail::load_word(page, visible_offset + 8)};
}

} // namespace coppice::inline COPPICE_ABI::format
