// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/format/superblock.hpp: the two slots that point at the newest commit record.
// Owns: the fields of a slot, their encoding, and the one way from bytes to a `superblock`.
// Invariant: a decoded `superblock` has a good checksum, belongs to this file, and its offsets are
//   in order: data begin <= verify_from <= end, and the record lies below `end`.
//   0 magic u64 | 8 counter u64 | 16 commit_id u64 | 24 record_offset u64 | 32 record_bytes u32 |
//   36 flags u32 | 40 record_checksum u64 | 48 end u64 | 56 verify_from u64 | 64 features u64 |
//   72 uuid[16] | 88 generation u64 | 96 boot_id[16] | 112 zero u64 | 120 checksum u64

#include <coppice/bytes.hpp>
#include <coppice/format/checksum.hpp>
#include <coppice/format/endian.hpp>
#include <coppice/format/fields.hpp>
#include <coppice/format/file_header.hpp>
#include <coppice/format/reference.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace coppice::inline COPPICE_ABI::format {

/// What a slot says. `checksum` identifies the very bytes of the slot, for the mark.
struct superblock {
    std::uint64_t counter = 0;           ///< of slot writes; strictly increases, 0 is none
    std::uint64_t commit_id = 0;         ///< the newest commit it covers
    std::uint64_t record_offset = 0;     ///< where that commit's record begins
    std::uint32_t record_bytes = 0;      ///< how long the record is
    std::uint32_t flags = 0;             ///< none defined; refused where set
    std::uint64_t record_checksum = 0;   ///< what the record's own checksum is
    std::uint64_t end_offset = 0;        ///< end of the valid bytes
    std::uint64_t verify_from = 0;       ///< below it all was durable before the slot
    std::uint64_t features = 0;          ///< incompatible features in use in this file
    std::array<std::byte, 16> uuid{};    ///< of the file it belongs to
    std::uint64_t generation = 0;        ///< of the file it belongs to
    std::array<std::byte, 16> boot_id{}; ///< of the machine when it was written; zeros: unknown
    std::uint64_t checksum = 0;          ///< of the 120 bytes before it

    friend bool operator==(superblock const&, superblock const&) noexcept = default;
};

/// The used bytes of a slot; the rest of its block is zero.
inline constexpr std::size_t superblock_bytes = 128;
/// "coppslot", little-endian.
inline constexpr std::uint64_t superblock_magic = 0x746F'6C73'7070'6F63U;
/// The highest counter and commit id. A million commits a second reach it after 146,000 years, so
/// only a forgery does; the bound keeps every sum with them from wrapping around.
inline constexpr std::uint64_t max_counter = (std::uint64_t{1} << 62U) - 1;
/// The features that this library knows; none yet.
inline constexpr std::uint64_t known_features = 0;

/// Where slot 0 and slot 1 lie: each alone in a block.
[[nodiscard]] constexpr std::uint64_t slot_offset(unsigned slot) noexcept {
    return block_bytes * (1U + slot);
}

namespace detail {

/// The layout of a slot, between its magic and its checksum.
template <typename Slot, typename Field>
void each_slot_field(Slot& slot, Field const& field) noexcept {
    field(8, slot.counter);
    field(16, slot.commit_id);
    field(24, slot.record_offset);
    field(32, slot.record_bytes);
    field(36, slot.flags);
    field(40, slot.record_checksum);
    field(48, slot.end_offset);
    field(56, slot.verify_from);
    field(64, slot.features);
    field(72, slot.uuid);
    field(88, slot.generation);
    field(96, slot.boot_id);
}

} // namespace detail

/// Encodes a slot and sets `slot.checksum`.
[[nodiscard]] inline std::array<std::byte, superblock_bytes> encode(superblock& slot) noexcept {
    std::array<std::byte, superblock_bytes> image{};
    auto* const to = image.data();
    store(to, superblock_magic);
    detail::each_slot_field(slot, field_writer(to));
    slot.checksum = checksum(bytes{image}.first(120));
    store(to + 120, slot.checksum);
    return image;
}

/// Was this slot written before the machine was last started? Then what it names was read from the
/// device, and not from a cache that a failed sync has left.
[[nodiscard]] inline bool of_earlier_boot(superblock const& slot,
                                          std::array<std::byte, 16> const& now) noexcept {
    return slot.boot_id != now && slot.boot_id != std::array<std::byte, 16>{};
}

/// What the bytes of a slot turned out to be.
enum class slot_state : std::uint8_t {
    empty,  ///< all zeros: never written, or durably zeroed by a recovery
    good,   ///< checksum holds, belongs to this file, offsets in order
    broken, ///< anything else: torn, damaged, of another file
};

/// The result of looking at a slot. `slot` has a meaning only where `state` is good.
struct decoded_slot {
    slot_state state = slot_state::empty;
    superblock slot{};
};

/// Looks at the bytes of a slot. Pure; never throws.
[[nodiscard]] inline decoded_slot decode_slot(bytes image, file_header const& header) noexcept {
    if (std::all_of(image.begin(), image.end(), [](std::byte b) { return b == std::byte{0}; })) {
        return {};
    }
    decoded_slot result{slot_state::broken, {}};
    if (image.size() < superblock_bytes) return result;
    auto const* const from = image.data();
    auto& slot = result.slot;
    slot.checksum = load<std::uint64_t>(from + 120);
    if (load<std::uint64_t>(from) != superblock_magic ||
        slot.checksum != checksum(image.first(120))) {
        return result;
    }
    detail::each_slot_field(slot, field_reader(from));
    auto const in_order =
        slot.counter != 0 && slot.counter <= max_counter && slot.commit_id != 0 &&
        slot.commit_id <= max_counter && slot.record_offset >= data_begin_offset &&
        slot.end_offset < max_file_bytes && slot.end_offset % 8 == 0 &&
        slot.record_offset < slot.end_offset &&
        slot.record_bytes <= slot.end_offset - slot.record_offset &&
        slot.verify_from >= data_begin_offset && slot.verify_from <= slot.end_offset;
    auto const ours = slot.uuid == header.uuid && slot.generation == header.generation;
    if (in_order && ours) result.state = slot_state::good;
    return result;
}

} // namespace coppice::inline COPPICE_ABI::format
