// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/recovery.hpp: from the bytes of a file to the newest whole commit in it.
// Owns: reading the two slots, the check of the chain of records back to `verify_from`, the choice.
// Invariant: pure reading; nothing is written, whatever is found. The work is bounded by the bytes
//   of the commits that no sync vouches for, never by the size of the file.
// Source: rules R1 to R8 of docs/design.md, "Recovery".

#include <coppice/error.hpp>
#include <coppice/format/checksum.hpp>
#include <coppice/format/commit_record.hpp>
#include <coppice/format/superblock.hpp>
#include <coppice/storage/concepts.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace coppice::inline COPPICE_ABI::store {

using format::commit_record;
using format::decoded_slot;
using format::record_ref;
using format::slot_state;
using format::superblock;

/// What recovery needs of a storage: its size and its bytes.
template <typename S>
concept readable = requires(S const& storage, std::uint64_t offset, mutable_bytes buffer) {
    { storage.size() } -> std::same_as<std::uint64_t>;
    { storage.read(offset, buffer) } -> std::same_as<std::size_t>;
};

/// Both slots as they were read.
struct slot_pair {
    std::array<decoded_slot, 2> slots;

    [[nodiscard]] bool good(unsigned i) const noexcept {
        return slots[i].state == slot_state::good;
    }
    /// The good slot with the higher counter; nothing where none is good.
    [[nodiscard]] std::optional<unsigned> newest() const noexcept {
        if (!good(0) && !good(1)) return {};
        if (good(0) && good(1)) return slots[0].slot.counter > slots[1].slot.counter ? 0U : 1U;
        return good(0) ? 0U : 1U;
    }
    friend bool operator==(slot_pair const& a, slot_pair const& b) noexcept {
        for (unsigned i = 0; i < 2; ++i) {
            if (a.slots[i].state != b.slots[i].state || a.slots[i].slot != b.slots[i].slot) {
                return false;
            }
        }
        return true;
    }
};

/// Reads both slots. A slot that another process is writing at this moment can look broken; it is
/// believed to be so only after two reads that agree.
template <readable Storage>
[[nodiscard]] slot_pair read_slots(Storage const& storage, format::file_header const& header) {
    // Both with one call: they lie a block apart.
    constexpr auto apart = format::slot_offset(1) - format::slot_offset(0);
    using image = std::array<std::byte, apart + format::superblock_bytes>;
    auto const read_once = [&] {
        image raw{};
        static_cast<void>(storage.read(format::slot_offset(0), raw));
        return raw;
    };
    auto const decoded = [&](image const& raw) {
        auto const slot = [&](std::size_t at) {
            return format::decode_slot(bytes{raw}.subspan(at, format::superblock_bytes), header);
        };
        return slot_pair{{slot(0), slot(apart)}};
    };
    constexpr int most_reads = 100;
    auto raw = read_once();
    for (int i = 0; i < most_reads; ++i) {
        auto const result = decoded(raw);
        auto const broken = result.slots[0].state == slot_state::broken ||
                            result.slots[1].state == slot_state::broken;
        if (!broken) return result;
        auto const again = read_once();
        if (again == raw) return result;
        raw = again;
    }
    return decoded(raw);
}

/// Reads the record at `ref`; nothing where the bytes there are not that record.
/// @param most_bytes how long it is, where that is known
template <readable Storage>
[[nodiscard]] std::optional<commit_record> read_record(
    Storage const& storage, record_ref ref,
    std::size_t most_bytes = format::commit_record_max_bytes) {
    std::vector<std::byte> image(std::min(most_bytes, format::commit_record_max_bytes));
    image.resize(storage.read(ref.offset, image));
    auto record = format::decode_record(image, ref.offset);
    if (!record) return {};
    auto const whole = bytes{image}.first(format::encoded_bytes(*record));
    if (format::record_checksum(whole) != ref.checksum) return {};
    return record;
}

/// The checksum of the bytes [begin, end) of a file; nothing where the file ends before.
template <readable Storage>
[[nodiscard]] std::optional<std::uint64_t> range_checksum(Storage const& storage,
                                                          std::uint64_t begin, std::uint64_t end) {
    format::checksum_stream sum;
    std::vector<std::byte> buffer(
        static_cast<std::size_t>(std::min<std::uint64_t>(end - begin, std::uint64_t{1} << 20U)));
    while (begin < end) {
        auto const wanted = std::min<std::uint64_t>(buffer.size(), end - begin);
        auto const piece = mutable_bytes{buffer}.first(static_cast<std::size_t>(wanted));
        if (storage.read(begin, piece) != piece.size()) return {};
        sum.update(piece);
        begin += wanted;
    }
    return sum.digest();
}

/// The record that a slot names.
[[nodiscard]] inline record_ref record_of(superblock const& slot) noexcept {
    return {slot.record_offset, slot.record_checksum};
}

/// Makes a slot name a record, with which the bytes of its commit end.
inline void name_record(superblock& slot, commit_record const& record, record_ref at) noexcept {
    auto const size_bytes = format::encoded_bytes(record);
    slot.commit_id = record.commit_id;
    slot.record_offset = at.offset;
    slot.record_bytes = static_cast<std::uint32_t>(size_bytes);
    slot.record_checksum = at.checksum;
    slot.end_offset = at.offset + size_bytes;
}

/// Does everything hold that this slot relies on and that no earlier sync vouches for?
/// @return the newest record, or nothing
template <readable Storage>
[[nodiscard]] std::optional<commit_record> verify_chain(Storage const& storage,
                                                        superblock const& slot) {
    if (slot.end_offset > storage.size()) return {};
    auto newest = read_record(storage, record_of(slot), slot.record_bytes);
    if (!newest || newest->commit_id != slot.commit_id ||
        format::encoded_bytes(*newest) != slot.record_bytes) {
        return {};
    }
    auto record = newest;
    auto record_offset = slot.record_offset;
    while (record_offset >= slot.verify_from) {
        if (record->begin_offset < slot.verify_from || !record->data_summed) return {};
        auto const sum = range_checksum(storage, record->begin_offset, record_offset);
        if (sum != record->data_checksum) return {};
        if (record->previous.is_null()) break;
        record_offset = record->previous.offset;
        if (record_offset < slot.verify_from) break;
        record = read_record(storage, record->previous);
        if (!record) return {};
    }
    return newest;
}

/// What reading a file came to.
struct recovered {
    slot_pair slots;
    unsigned index = 0;             ///< the slot that was taken
    commit_record record;           ///< its record
    std::array<bool, 2> rejected{}; ///< slots that do not hold though they are not empty
    std::uint64_t file_bytes = 0;   ///< how large the file was
    [[nodiscard]] superblock const& slot() const noexcept { return slots.slots[index].slot; }
    [[nodiscard]] bool any_rejected() const noexcept { return rejected[0] || rejected[1]; }
};

/// A slot names features that this library must know to read the file.
inline void check_features(superblock const& slot, std::string const& path) {
    auto const unknown = slot.features & ~format::known_features;
    if (unknown != 0 || slot.flags != 0) {
        throw error(errc::unsupported_feature,
                    "the file uses features " + std::to_string(slot.features) + ", flags " +
                        std::to_string(slot.flags),
                    path);
    }
}

/// Takes the newest slot whose chain holds.
/// @param believe skips the check of the chain: a writer of this boot vouches for the bytes
/// @throws errc::corrupt where no slot holds, errc::unsupported_feature
template <readable Storage>
[[nodiscard]] recovered recover(Storage const& storage, format::file_header const& header,
                                bool believe, std::string const& path) {
    recovered result;
    result.slots = read_slots(storage, header);
    result.file_bytes = storage.size();
    auto const& slots = result.slots.slots;
    if (result.slots.good(0) && result.slots.good(1) &&
        slots[0].slot.counter == slots[1].slot.counter) {
        throw error(errc::corrupt, "both superblock slots have the same counter", path,
                    format::slot_offset(0));
    }
    for (unsigned i = 0; i < 2; ++i) result.rejected[i] = slots[i].state == slot_state::broken;
    auto candidate = result.slots.newest();
    while (candidate) {
        auto const& slot = slots[*candidate].slot;
        check_features(slot, path);
        auto const vouched_for = believe && slot.end_offset <= result.file_bytes;
        auto record = vouched_for ? read_record(storage, record_of(slot), slot.record_bytes)
                                  : verify_chain(storage, slot);
        if (record) {
            result.index = *candidate;
            result.record = *std::move(record);
            return result;
        }
        result.rejected[*candidate] = true;
        auto const other = 1U - *candidate;
        auto const has_other = result.slots.good(other) && !result.rejected[other];
        candidate = has_other ? std::optional(other) : std::nullopt;
    }
    throw error(errc::corrupt, "no superblock slot holds; the file is damaged or was cut short",
                path, format::slot_offset(0));
}

} // namespace coppice::inline COPPICE_ABI::store
