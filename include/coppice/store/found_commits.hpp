// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/found_commits.hpp: the commits that can be found in a file that recovery refuses.
// Owns: which header, slot and commit records of a damaged file may be believed, and the choice.
// Invariant: reads only. A record is believed by its own checksum, and because it lies where it
//   says: a copy of a database in a value lies elsewhere. Reads the file once, and no record more
//   often than twice.

#include <coppice/commit_id.hpp>
#include <coppice/error.hpp>
#include <coppice/format/commit_record.hpp>
#include <coppice/format/file_header.hpp>
#include <coppice/store/recovery.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace coppice::inline COPPICE_ABI::store {

/// A commit, by its record.
struct found_commit {
    commit_record record;
    record_ref at;
};

/// What a damaged file tells of its commits.
struct found_commits {
    format::file_header header;        ///< with sizes of nodes as by default, where it is damaged
    bool header_holds = false;         ///< is the header whole?
    bool slot_holds = false;           ///< was `taken` named by a slot, and whole?
    std::optional<found_commit> taken; ///< the one to work with, if there is any
    commit_id newest{};                ///< the newest of which there is a trace
};

namespace detail {

/// Reads the header of a file that may be damaged.
/// @throws errc::unsupported_version where it is whole, and of a version that is unknown
template <readable Storage>
[[nodiscard]] std::optional<format::file_header> surviving_header(Storage const& storage,
                                                                  std::string const& path) {
    std::vector<std::byte> block(format::block_bytes);
    block.resize(storage.read(0, block));
    try {
        return format::decode_file_header(block, path);
    } catch (error const& e) {
        auto const whole =
            block.size() == format::block_bytes && format::load<std::uint64_t>(block.data() + 64) ==
                                                       format::checksum(bytes{block}.first(64));
        if (e.kind() == errc::unsupported_version && whole) throw;
        return {};
    }
}

/// The slots that are good; without a header by what they say of themselves. Newest first.
template <readable Storage>
[[nodiscard]] std::vector<superblock> surviving_slots(
    Storage const& storage, std::optional<format::file_header> const& header,
    std::string const& path) {
    std::vector<superblock> good;
    for (unsigned i = 0; i < 2; ++i) {
        std::array<std::byte, format::superblock_bytes> image{};
        if (storage.read(format::slot_offset(i), image) != image.size()) continue;
        auto own = header.value_or(format::file_header{});
        if (!header) {
            std::copy_n(image.begin() + 72, own.uuid.size(), own.uuid.begin());
            own.generation = format::load<std::uint64_t>(image.data() + 88);
        }
        auto const seen = format::decode_slot(image, own);
        if (seen.state != slot_state::good) continue;
        check_features(seen.slot, path);
        good.push_back(seen.slot);
    }
    std::sort(good.begin(), good.end(),
              [](auto const& a, auto const& b) { return a.counter > b.counter; });
    return good;
}

/// Where a record was found.
struct record_place {
    std::uint64_t commit_id = 0;
    std::uint64_t first_id = 0;
    record_ref at;
};

/// All runs of bytes that are whole commit records, newest first; of equals the first in the file.
template <readable Storage>
[[nodiscard]] std::vector<record_place> find_records(Storage const& storage) {
    constexpr std::size_t window_bytes = std::size_t{1} << 20U;
    constexpr std::size_t overlap_bytes = format::commit_record_max_bytes;
    std::vector<record_place> found;
    std::vector<std::byte> buffer(window_bytes + overlap_bytes);
    auto const end = storage.size();
    for (auto begin = format::data_begin_offset; begin < end; begin += window_bytes) {
        auto const window = bytes{buffer}.first(storage.read(begin, buffer));
        for (std::size_t i = 0; i < window_bytes && i + 8 <= window.size(); i += 8) {
            if (format::load<std::uint32_t>(window.data() + i) != format::commit_record_magic) {
                continue;
            }
            auto const image = window.subspan(i, std::min(overlap_bytes, window.size() - i));
            auto const record = format::decode_record(image, begin + i);
            if (!record) continue;
            auto const whole = image.first(format::encoded_bytes(*record));
            found.push_back({record->commit_id,
                             record->commit_id - record->id_span,
                             {begin + i, format::record_checksum(whole)}});
        }
    }
    std::sort(found.begin(), found.end(), [](auto const& a, auto const& b) {
        return a.commit_id != b.commit_id ? a.commit_id > b.commit_id : a.at.offset < b.at.offset;
    });
    return found;
}

/// Reads a record, and asks whether it belongs where it lies: a slot names it, or it ends a
/// transaction whose last part is a root, or follows the record that it names, or is the first.
template <readable Storage>
[[nodiscard]] std::optional<found_commit> confirmed(Storage const& storage, record_ref at,
                                                    std::vector<superblock> const& slots) {
    auto record = read_record(storage, at);
    if (!record || record->commit_id > format::max_counter) return {};
    auto const ends_there = [&](format::tree_ref const& tree) {
        auto const& last = tree.root.patch.is_null() ? tree.root.node : tree.root.patch;
        return !last.is_null() && last.end_offset() == at.offset;
    };
    auto const named = std::any_of(slots.begin(), slots.end(),
                                   [&](auto const& slot) { return record_of(slot) == at; });
    auto const belongs = named || ends_there(record->user) || ends_there(record->system) ||
                         (record->index == 0 && at.offset == format::data_begin_offset) ||
                         read_record(storage, record->previous).has_value();
    if (!belongs) return {};
    return found_commit{*std::move(record), at};
}

} // namespace detail

/// Finds the newest commit of a damaged file: what a slot names, if that holds as recovery wants
/// it; else the newest record that is there.
/// @param wanted another commit instead
/// @throws errc::history_gone if `wanted` is not there, unsupported_feature, unsupported_version
template <readable Storage>
[[nodiscard]] found_commits find_commits(Storage const& storage, std::optional<commit_id> wanted,
                                         std::string const& path) {
    found_commits result;
    auto const header = detail::surviving_header(storage, path);
    result.header_holds = header.has_value();
    result.header = header.value_or(format::file_header{});
    auto const slots = detail::surviving_slots(storage, header, path);
    for (auto const& slot : slots) {
        result.newest.value = std::max(result.newest.value, slot.commit_id);
        if (result.slot_holds) continue;
        if (auto record = verify_chain(storage, slot)) {
            result.taken = found_commit{*std::move(record), record_of(slot)};
            result.slot_holds = true;
        }
    }
    auto is_sought = wanted.has_value();
    auto const sought_id = wanted.value_or(commit_id{}).value;
    auto const holds = [&](std::uint64_t first_id, std::uint64_t last_id) {
        return first_id <= sought_id && sought_id <= last_id;
    };
    if (result.taken) {
        auto const& record = result.taken->record;
        if (holds(record.commit_id - record.id_span, record.commit_id)) is_sought = false;
    }
    for (auto const& each : detail::find_records(storage)) {
        auto const needed = is_sought ? holds(each.first_id, each.commit_id) : !result.taken;
        if (!needed && each.commit_id <= result.newest.value) continue;
        auto found = detail::confirmed(storage, each.at, slots);
        if (!found) continue;
        result.newest.value = std::max(result.newest.value, each.commit_id);
        if (!needed) continue;
        result.slot_holds = false;
        result.taken = std::move(found);
        is_sought = false;
    }
    if (is_sought) {
        throw error(errc::history_gone,
                    "no record of commit " + std::to_string(sought_id) + " is left", path);
    }
    return result;
}

} // namespace coppice::inline COPPICE_ABI::store
