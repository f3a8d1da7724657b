// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/testing/decay.hpp: harm that a disk does to bytes that were durable already.
// Owns: the kinds of harm, and how one is chosen and done to the bytes of a file.
// Invariant: outside the range that is reported nothing changes, the size never does, and within
//   it something changes: a choice that would change nothing gives no harm.

#include <coppice/bytes.hpp>
#include <coppice/testing/choices.hpp>
#include <coppice/testing/disk_image.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

namespace coppice::testing {

/// What becomes of durable bytes without any power cut.
enum class decay_kind : std::uint8_t {
    flipped_bit, ///< one bit, or a few in one byte
    lost,        ///< a sector or block reads as zeros, ones or noise
    misdirected, ///< a write went to the wrong place: another sector or block of the same file
    outdated     ///< a write was lost, or a read is stale: what stood there before is back
};
inline constexpr std::size_t kinds_of_decay = 4;

/// What was done to a file.
struct decay {
    decay_kind kind{};
    std::uint64_t offset = 0;
    std::size_t size_bytes = 0;
};

namespace detail {

/// Changes the bytes at `offset`. @return do they differ from what they were?
inline bool overwrite(mutable_bytes file, std::size_t offset, bytes with) noexcept {
    auto* const to = file.data() + offset;
    if (std::memcmp(to, with.data(), with.size()) == 0) return false;
    std::memcpy(to, with.data(), with.size());
    return true;
}

/// What a sector or a block that is lost reads as.
[[nodiscard]] inline std::vector<std::byte> nothing(std::size_t size_bytes, choices& pick) {
    std::vector<std::byte> result(size_bytes);
    auto const kind = pick.below(3);
    if (kind == 1) std::fill(result.begin(), result.end(), std::byte{0xFF});
    if (kind == 2) {
        auto state = pick.below(std::uint64_t{1} << 32U);
        for (auto& each : result) each = std::byte{static_cast<std::uint8_t>(mixed(++state))};
    }
    return result;
}

} // namespace detail

/// Harms one place of a file: of an image, or `machine.database_bytes()` while processes have it
/// open. An engine with checksums answers as before, or says that the file is damaged; coppice can
/// also find an older commit where the whole sector of the newest superblock slot is harmed.
/// @param file not empty, @param before earlier bytes of it, for `outdated`; may be empty
/// @param pick random choices, or all of them for files of a few hundred bytes
/// @return what was done; nothing where the choice fell on what would change nothing
[[nodiscard]] inline std::optional<decay> harm(mutable_bytes file, bytes before, choices& pick) {
    decay done{static_cast<decay_kind>(pick.below(kinds_of_decay))};
    if (done.kind == decay_kind::flipped_bit) {
        done.offset = pick.below(file.size());
        done.size_bytes = 1;
        file[done.offset] ^= std::byte{static_cast<std::uint8_t>(1 + pick.below(255))};
        return done;
    }
    constexpr std::array<std::size_t, 2> units{sector_bytes, 4096};
    auto const unit = units[pick.below(units.size())];
    done.offset = unit * pick.below((file.size() + unit - 1) / unit);
    done.size_bytes = std::min<std::size_t>(unit, file.size() - done.offset);
    auto changed = false;
    if (done.kind == decay_kind::lost) {
        changed = detail::overwrite(file, done.offset, detail::nothing(done.size_bytes, pick));
    } else if (done.kind == decay_kind::misdirected) {
        auto const from = unit * pick.below((file.size() - done.size_bytes) / unit + 1);
        std::vector<std::byte> const other(file.begin() + static_cast<std::ptrdiff_t>(from),
                                           file.begin() +
                                               static_cast<std::ptrdiff_t>(from + done.size_bytes));
        changed = detail::overwrite(file, done.offset, other);
    } else {
        std::vector<std::byte> old(done.size_bytes); // it was not there: zeros
        if (done.offset < before.size()) {
            auto const part = before.subspan(
                done.offset, std::min<std::size_t>(old.size(), before.size() - done.offset));
            std::copy(part.begin(), part.end(), old.begin());
        }
        changed = detail::overwrite(file, done.offset, old);
    }
    return changed ? std::optional(done) : std::nullopt;
}

} // namespace coppice::testing
