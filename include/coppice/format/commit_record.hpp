// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/format/commit_record.hpp: the last bytes of a transaction, and the chain of them.
// Owns: the fields of a record, their encoding, the skip rule, the one way from bytes to a record.
// Invariant: a decoded record has a good checksum, lies at the place it was asked for at, and
//   names only lower offsets than its own, so walking the chain ends.
//   0 magic u32 | 4 size_bytes u16 | 6 user height u8 | 7 system height u8 | 8 commit_id u64 |
//   16 id_span u32 | 20 note_bytes u16 | 22 flags u16 | 24 time_us u64 | 32 user root: hot,
//   checksum, entries, bytes (4 u64) | 64 begin u64 | 72 data checksum u64 | 80 previous: offset,
//   checksum | 96 skip: offset, checksum | 112 index u64 | 120 nonce u64 | system root (4 u64, if
//   flagged) | patch of the user root: hot, checksum (if flagged) | note | zero padding to 8 |
//   checksum u64

#include <coppice/assert.hpp>
#include <coppice/bytes.hpp>
#include <coppice/error.hpp>
#include <coppice/format/checksum.hpp>
#include <coppice/format/endian.hpp>
#include <coppice/format/fields.hpp>
#include <coppice/format/reference.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

namespace coppice::inline COPPICE_ABI::format {

/// A tree as a commit record names it.
struct tree_ref {
    subtree root;            ///< null for the empty tree
    std::uint8_t height = 0; ///< levels of nodes: 0 empty, 1 a single leaf

    friend bool operator==(tree_ref const&, tree_ref const&) noexcept = default;
};

/// The tallest tree that is accepted: far above what a file of 2^47 bytes can hold.
inline constexpr unsigned max_height = 40;

/// Where a record lies and what its checksum is: the identity of a commit, with its id.
struct record_ref {
    std::uint64_t offset = 0; ///< 0 is none
    std::uint64_t checksum = 0;

    [[nodiscard]] bool is_null() const noexcept { return offset == 0; }
    friend bool operator==(record_ref, record_ref) noexcept = default;
};

/// What a commit record says.
struct commit_record {
    std::uint64_t commit_id = 0;     ///< the last commit it covers
    std::uint32_t id_span = 0;       ///< commit_id minus the first id it covers
    std::uint64_t time_us = 0;       ///< since 1970 UTC; strictly above the previous record's
    tree_ref user;                   ///< the user's key space
    tree_ref system;                 ///< coppice's own
    std::uint64_t begin_offset = 0;  ///< where this transaction's bytes begin
    std::uint64_t data_checksum = 0; ///< of [begin_offset, record), if `data_summed`
    bool data_summed = true;         ///< false after two syncs: nothing to verify
    record_ref previous;             ///< the record before it in this file
    record_ref skip;                 ///< an older one, see `skip_target`
    std::uint64_t index = 0;         ///< records before it in this file
    std::uint64_t nonce = 0;         ///< random
    bool kept = false;               ///< a compaction has written it
    std::string note;                ///< the user's words

    friend bool operator==(commit_record const&, commit_record const&) noexcept = default;
};

inline constexpr std::uint32_t commit_record_magic = 0x6365'7263U; // "crec"
inline constexpr std::size_t commit_record_fixed_bytes = 128;
/// The longest record: with a system root, a patched root, and the longest note.
inline constexpr std::size_t commit_record_max_bytes =
    commit_record_fixed_bytes + 32 + 16 + 4096 + 8;

namespace detail {

inline constexpr std::uint16_t record_has_system_root = 1;
inline constexpr std::uint16_t record_data_summed = 2;
inline constexpr std::uint16_t record_has_patched_root = 4;
inline constexpr std::uint16_t record_kept = 8;
inline constexpr std::uint16_t record_flags =
    record_has_system_root | record_data_summed | record_has_patched_root | record_kept;

/// The layout of a root in 32 bytes, from `at` on.
template <typename Root, typename Field>
void each_root_field(std::size_t at, Root& root, Field const& field) noexcept {
    field(at, root.node.hot);
    field(at + 8, root.node.checksum);
    field(at + 16, root.entries);
    field(at + 24, root.bytes);
}

/// The layout of what every record has, but for its lengths, heights and flags.
template <typename Record, typename Field>
void each_record_field(Record& record, Field const& field) noexcept {
    field(8, record.commit_id);
    field(16, record.id_span);
    field(24, record.time_us);
    each_root_field(32, record.user.root, field);
    field(64, record.begin_offset);
    field(72, record.data_checksum);
    field(80, record.previous.offset);
    field(88, record.previous.checksum);
    field(96, record.skip.offset);
    field(104, record.skip.checksum);
    field(112, record.index);
    field(120, record.nonce);
}

} // namespace detail

/// The bytes a record takes.
[[nodiscard]] inline std::size_t encoded_bytes(commit_record const& record) noexcept {
    auto const system = record.system.root.node.is_null() ? 0U : 32U;
    auto const patch = record.user.root.patch.is_null() ? 0U : 16U;
    return static_cast<std::size_t>(
        align8(commit_record_fixed_bytes + system + patch + record.note.size()) + 8);
}

/// Encodes a record. The last eight bytes are its checksum. REQUIRES: no patch of the system root.
[[nodiscard]] inline std::vector<std::byte> encode(commit_record const& record) {
    // The lower bound always holds; it shows the compiler that there is something to write to.
    std::vector<std::byte> image(std::max(encoded_bytes(record), commit_record_fixed_bytes + 8));
    auto* const to = image.data();
    auto const system = !record.system.root.node.is_null();
    auto const patched = !record.user.root.patch.is_null();
    COPPICE_ASSERT(record.system.root.patch.is_null());
    store(to, commit_record_magic);
    store(to + 4, static_cast<std::uint16_t>(image.size()));
    to[6] = std::byte{record.user.height};
    to[7] = std::byte{record.system.height};
    store(to + 20, static_cast<std::uint16_t>(record.note.size()));
    store(to + 22,
          static_cast<std::uint16_t>((system ? detail::record_has_system_root : 0U) |
                                     (patched ? detail::record_has_patched_root : 0U) |
                                     (record.data_summed ? detail::record_data_summed : 0U) |
                                     (record.kept ? detail::record_kept : 0U)));
    detail::each_record_field(record, field_writer(to));
    auto* tail = to + commit_record_fixed_bytes;
    if (system) {
        detail::each_root_field(0, record.system.root, field_writer(tail));
        tail += 32;
    }
    if (patched) {
        store(tail, record.user.root.patch.hot);
        store(tail + 8, record.user.root.patch.checksum);
        tail += 16;
    }
    if (!record.note.empty()) std::memcpy(tail, record.note.data(), record.note.size());
    store(to + image.size() - 8, checksum(bytes{image}.first(image.size() - 8)));
    return image;
}

/// The checksum that stands at the end of an encoded record.
[[nodiscard]] inline std::uint64_t record_checksum(bytes image) noexcept {
    return load<std::uint64_t>(image.data() + image.size() - 8);
}

/// Reads the record at `offset`; nothing where the bytes are not a whole, good record.
/// @param image at least the record's bytes, beginning with it; more may follow
/// @param offset where in the file `image` begins
[[nodiscard]] std::optional<commit_record> decode_record(bytes image, std::uint64_t offset);

namespace detail {

/// Everything that a good record keeps to; whoever forged a checksum can break it.
[[nodiscard]] inline bool plausible(commit_record const& record, std::uint64_t offset) noexcept {
    auto const tree_fits = [&](tree_ref const& tree) {
        if (tree.root.node.is_null()) return tree.height == 0 && tree.root.entries == 0;
        return tree.height > 0 && tree.height <= max_height && !tree.root.node.in_memory() &&
               tree.root.node.offset() >= data_begin_offset &&
               tree.root.node.end_offset() <= offset;
    };
    auto const patch_fits = [&](subtree const& root) {
        return root.patch.is_null() ||
               (!root.node.is_null() && !root.patch.in_memory() &&
                root.patch.offset() >= root.node.end_offset() && root.patch.end_offset() <= offset);
    };
    auto const before = [&](record_ref ref) {
        return ref.is_null() || (ref.offset >= data_begin_offset && ref.offset < offset);
    };
    return record.id_span < record.commit_id && record.index < record.commit_id &&
           record.begin_offset >= data_begin_offset && record.begin_offset <= offset &&
           tree_fits(record.user) && tree_fits(record.system) && patch_fits(record.user.root) &&
           before(record.previous) && before(record.skip) &&
           (record.index == 0) == record.previous.is_null() &&
           (record.previous.is_null() || record.previous.offset < record.begin_offset);
}

} // namespace detail

inline std::optional<commit_record> decode_record(bytes image, std::uint64_t offset) {
    if (image.size() < commit_record_fixed_bytes + 8) return {};
    auto const* const from = image.data();
    if (load<std::uint32_t>(from) != commit_record_magic) return {};
    std::size_t const size_bytes = load<std::uint16_t>(from + 4);
    std::size_t const note_bytes = load<std::uint16_t>(from + 20);
    auto const flags = load<std::uint16_t>(from + 22);
    auto const system = (flags & detail::record_has_system_root) != 0;
    auto const patched = (flags & detail::record_has_patched_root) != 0;
    auto const note_begin = commit_record_fixed_bytes + (system ? 32U : 0U) + (patched ? 16U : 0U);
    if (size_bytes > image.size() || size_bytes != align8(note_begin + note_bytes) + 8) return {};
    auto const whole = image.first(size_bytes);
    if (checksum(whole.first(size_bytes - 8)) != record_checksum(whole)) return {};
    if ((flags & ~detail::record_flags) != 0) return {};

    commit_record record;
    detail::each_record_field(record, field_reader(from));
    record.user.height = std::to_integer<std::uint8_t>(from[6]);
    record.data_summed = (flags & detail::record_data_summed) != 0;
    record.kept = (flags & detail::record_kept) != 0;
    if (system) {
        detail::each_root_field(commit_record_fixed_bytes, record.system.root, field_reader(from));
        record.system.height = std::to_integer<std::uint8_t>(from[7]);
    }
    if (patched) {
        auto const* const patch = from + note_begin - 16;
        record.user.root.patch = {load<std::uint64_t>(patch), load<std::uint64_t>(patch + 8)};
        if (record.user.root.patch.is_null()) return {};
    }
    record.note.assign(as_text(whole.subspan(note_begin, note_bytes)));
    if (!detail::plausible(record, offset)) return {};
    return record;
}

/// The index that the skip pointer of record number `index` names: Myers' skew-binary jump
/// pointers ("An applicative random-access stack", 1983). Any older record is reached in
/// O(log n) steps by taking the skip where it does not pass the goal, else the previous.
/// REQUIRES: `index > 0`.
[[nodiscard]] constexpr std::uint64_t skip_target(std::uint64_t index) noexcept {
    COPPICE_ASSERT(index > 0);
    // Written in skew-binary, a number n is a sum of terms 2^k - 1; the record that n names lies
    // n - (its smallest term) further back. Greedy subtraction of terms finds that smallest one.
    std::uint64_t rest = index;
    std::uint64_t last_term = 1;
    for (unsigned k = 63; k > 0; --k) {
        auto const term = (std::uint64_t{1} << k) - 1;
        while (rest >= term) {
            rest -= term;
            last_term = term;
        }
    }
    return index - last_term;
}

static_assert(skip_target(1) == 0 && skip_target(2) == 1 && skip_target(3) == 0);
static_assert(skip_target(7) == 0 && skip_target(10) == 7 && skip_target(11) == 10);

} // namespace coppice::inline COPPICE_ABI::format
