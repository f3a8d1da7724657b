// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/salvage.hpp: what can be saved of a damaged file, in a new one.
// Owns: the way from a found commit to a fresh database, and the account of what was lost.
// Invariant: the damaged file is only read. What is copied was confirmed by a checksum, unless
//   `unconfirmed` was asked for. All parts of a tree together are read at most once, so the work is
//   O(bytes of the file), also where a file is forged.

#include <coppice/commit_id.hpp>
#include <coppice/error.hpp>
#include <coppice/format/extent.hpp>
#include <coppice/store/appended_source.hpp>
#include <coppice/store/appender.hpp>
#include <coppice/store/found_commits.hpp>
#include <coppice/store/image.hpp>
#include <coppice/store/opened_file.hpp>
#include <coppice/store/placing.hpp>
#include <coppice/store/stray_leaves.hpp>
#include <coppice/store/tags.hpp>
#include <coppice/tree/builder.hpp>
#include <coppice/tree/tolerant_walk.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coppice::inline COPPICE_ABI::store {

using tree::lost_range;

/// What a salvage may be told.
struct salvage_choice {
    /// The commit to save; if not given, the one that opening would show, else the newest.
    std::optional<commit_id> at = {};
    /// Fills lost ranges with what looks like entries of them, though nothing vouches for that:
    /// they may be of any commit, also values that were replaced and keys that were erased.
    bool unconfirmed = false;
};

/// A key whose value is lost.
struct lost_key {
    std::string key;
    std::string reason;
    std::uint64_t offset = 0; ///< of the damage in the file
};

/// What was saved, and what was not.
struct salvage_report {
    commit_id taken{};         ///< the commit that was saved; 0: no commit was left
    commit_id newest{};        ///< the newest of which there is a trace
    bool header_holds = false; ///< was the file header whole?
    bool slot_holds = false;   ///< was `taken` named by a superblock slot, as in a sound file?
    std::uint64_t entries = 0; ///< saved, and confirmed by checksums
    std::uint64_t unconfirmed_entries = 0; ///< put in their place, with nothing to vouch for them
    std::vector<lost_range> lost_ranges;   ///< ascending; neighbours are told as one
    std::vector<lost_key> lost_keys;       ///< ascending
    /// The names that `taken` knew, of older commits. The new file holds one commit and no names:
    /// `at` saves what they name, each into a file of its own.
    std::vector<tagged_commit> tags;
    bool tags_lost = false; ///< is a part of the names damaged?

    /// Is all of the newest commit there, and does a slot say that it is the newest?
    [[nodiscard]] bool complete() const noexcept {
        return slot_holds && taken == newest && lost_ranges.empty() && lost_keys.empty() &&
               !tags_lost;
    }
};

namespace detail {

/// The nodes and values of a damaged file, each read and compared, all together no more than the
/// file has bytes: more is named only by a forgery.
class rationed_source {
  public:
    rationed_source(file_image const& image, std::uint64_t limit_offset) noexcept
        : image_(image), limit_offset_(limit_offset), left_bytes_(image.map.size_bytes) {}

    [[nodiscard]] std::byte const* node(node_ref ref, unsigned level) const {
        spend(ref.size_bytes(), ref.offset());
        return image_.node(ref, level, limit_offset_);
    }
    [[nodiscard]] std::string_view value(extent_ref const& ref) const {
        spend(format::extent_stored_bytes(ref.length_bytes), ref.offset);
        return image_.value(ref, limit_offset_);
    }

  private:
    void spend(std::uint64_t size_bytes, std::uint64_t offset) const {
        if (size_bytes > left_bytes_) {
            throw error(errc::corrupt, "the tree names more bytes than the file has", {}, offset);
        }
        left_bytes_ -= size_bytes;
    }

    file_image const& image_;
    std::uint64_t limit_offset_;
    mutable std::uint64_t left_bytes_;
};

/// Builds a tree of what is left of another one.
template <storage::storage Storage> class rebuilder {
  public:
    rebuilder(file_image const& image, Storage& fresh, salvage_report& report)
        : image_(image),
          appender_(fresh, format::data_begin_offset),
          source_(nullptr, appender_, fresh),
          builder_(source_, appender_, image.header.nodes),
          report_(report),
          stray_source_(image, image.map.size_bytes) {
        appender_.spill();
    }

    /// From now on lost ranges are filled with these.
    void fill_with(stray_entries entries) { stray_ = std::move(entries); }

    /// Takes what can be read of the tree that a record names.
    void take(found_commit const& from) {
        rationed_source const source(image_, from.at.offset);
        tree::walk_tolerantly(
            source, from.record.user,
            [&](std::string_view key, format::stored_value const& stored) {
                if (add(source, key, stored)) ++report_.entries;
            },
            [&](lost_range range) { lose(std::move(range)); });
    }

    /// Tells a range as lost, and fills it as far as that was asked for.
    void lose(lost_range range) {
        for (auto at = stray_.lower_bound(range.from);
             at != stray_.end() && (!range.to || at->first < std::string_view(*range.to)); ++at) {
            if (add(stray_source_, at->first, at->second)) ++report_.unconfirmed_entries;
        }
        auto& told = report_.lost_ranges;
        if (told.empty() || told.back().to != range.from) {
            told.push_back(std::move(range));
            return;
        }
        auto& before = told.back();
        before.to = std::move(range.to);
        auto const most = std::numeric_limits<std::uint64_t>::max() - before.entries;
        before.entries += std::min(most, range.entries);
    }

    [[nodiscard]] tree_ref finish() {
        auto const built = builder_.finish();
        appender_.flush();
        return built;
    }
    [[nodiscard]] std::uint64_t end_offset() const noexcept { return appender_.end_offset(); }

  private:
    bool add(rationed_source const& source, std::string_view key, format::stored_value stored) {
        std::array<std::byte, format::extent_ref::encoded_bytes> reference{};
        if (stored.out_of_line) {
            auto const extent = stored.extent();
            try {
                appender_.add_extent(source.value(extent)).encode(reference.data());
            } catch (error const& e) {
                if (e.kind() != errc::corrupt) throw;
                report_.lost_keys.push_back({std::string(key), e.what(), extent.offset});
                return false;
            }
            stored.raw = as_text(reference);
        }
        builder_.add(key, stored);
        return true;
    }

    file_image const& image_;
    appender<Storage> appender_;
    appended_source<Storage> source_;
    tree::builder<appended_source<Storage>, appender<Storage>> builder_;
    salvage_report& report_;
    stray_entries stray_;
    rationed_source stray_source_;
};

/// Takes the names that can be read.
inline void take_tags(file_image const& image, found_commit const& from, salvage_report& report) {
    rationed_source const source(image, from.at.offset);
    auto const value_of = [&](format::stored_value const& stored) -> std::string_view {
        if (!stored.out_of_line) return stored.raw;
        auto const extent = stored.extent();
        return extent.length_bytes == tag_value_bytes ? source.value(extent) : std::string_view();
    };
    tree::walk_tolerantly(
        source, from.record.system,
        [&](std::string_view key, format::stored_value const& stored) {
            if (!key.starts_with(tag_prefix)) return;
            commit_id id;
            try {
                id = id_in(value_of(stored));
            } catch (error const& e) {
                if (e.kind() != errc::corrupt) throw;
            }
            key.remove_prefix(tag_prefix.size());
            if (id.value != 0) report.tags.push_back({std::string(key), id});
            report.tags_lost = report.tags_lost || id.value == 0;
        },
        [&](lost_range const&) { report.tags_lost = true; });
}

/// The whole of a damaged file, with every checksum compared at every read.
template <storage::storage Storage>
[[nodiscard]] file_image damaged_image(Storage const& storage, format::file_header const& header,
                                       std::string const& path) {
    file_image image;
    image.header = header;
    image.identity = storage.identity();
    auto const size_bytes = storage.size();
    image.map = storage.map(size_bytes);
    image.map.size_bytes = size_bytes; // a view may reach beyond the end, where nothing is
    image.verified = std::make_shared<verified_table>();
    image.verify = coppice::verify::every_read;
    image.path = path;
    return image;
}

/// The one commit of the new file.
[[nodiscard]] inline commit_record salvaged_record(salvage_report const& report,
                                                   std::optional<found_commit> const& from) {
    commit_record record;
    record.commit_id = 1;
    if (from) {
        record.commit_id = from->record.commit_id;
        record.time_us = from->record.time_us;
        record.note = from->record.note;
    }
    if (!report.lost_ranges.empty() || !report.lost_keys.empty()) {
        // It is not that commit any more.
        record.note = from
                          ? "salvaged from commit " + std::to_string(record.commit_id) + ", in part"
                          : "salvaged from no commit";
        record.commit_id = std::min(record.commit_id + 1, format::max_counter);
    }
    record.begin_offset = format::data_begin_offset;
    record.data_summed = false;
    return record;
}

} // namespace detail

/// Makes a new database of what can be read of one commit of a damaged file.
/// @param broken the damaged file; is only read, and must not change meanwhile
/// @param path its path, for messages
/// @param medium where the new one goes; nothing may be there
/// @throws errc::corrupt where no commit is left (and `unconfirmed` was not asked for), or nothing
///   at all, history_gone without the commit that was asked for, already_exists, and errno of the
///   system, unsupported_version and unsupported_feature; then no new file is there
template <storage::storage Storage, storage::medium Medium>
salvage_report salvage(Storage const& broken, std::string const& path, Medium medium,
                       salvage_choice const& choice) {
    auto const found = find_commits(broken, choice.at, path);
    if (!found.taken && !choice.unconfirmed) {
        throw error(errc::corrupt,
                    "no commit record is left in the file; what looks like entries "
                    "can be taken as unconfirmed",
                    path);
    }
    auto const image = detail::damaged_image(broken, found.header, path);
    salvage_report report;
    report.newest = found.newest;
    report.header_holds = found.header_holds;
    report.slot_holds = found.slot_holds;
    auto const header = fresh_header(found.header.nodes, {medium.random(), medium.random()});
    auto const nonce = medium.random();
    using target_storage = typename Medium::storage_type;
    place_file(std::move(medium), [&](target_storage& fresh, superblock slot) {
        detail::rebuilder<target_storage> rebuild(image, fresh, report);
        if (choice.unconfirmed) {
            rebuild.fill_with(find_stray_leaves(
                {image.map.data.get(), static_cast<std::size_t>(image.map.size_bytes)}));
        }
        if (found.taken) {
            report.taken = {found.taken->record.commit_id};
            rebuild.take(*found.taken);
            detail::take_tags(image, *found.taken, report);
        } else {
            rebuild.lose({{}, {}, 0, "no commit record is left", 0});
        }
        auto const root = rebuild.finish();
        if (!found.taken && root.height == 0) {
            throw error(errc::corrupt, "nothing of a database is left in the file", path);
        }
        auto record = detail::salvaged_record(report, found.taken);
        record.user = root;
        record.nonce = nonce;
        return seal_fresh_file(fresh, header, record, rebuild.end_offset(), slot);
    });
    return report;
}

} // namespace coppice::inline COPPICE_ABI::store
