// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/testing/power_cut.hpp: the images that a power cut can leave of a disk.
// Owns: the levels of harm, and how a choice is made among all that a level allows.
// Invariant: what is durable is untouched, except within the blocks of `cut_level::blocks`. Size
//   and data of a file are independent of each other, and names of both.

#include <coppice/testing/choices.hpp>
#include <coppice/testing/disk.hpp>

#include <algorithm>
#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

namespace coppice::testing {

/// How much harm a power cut does to what was not durable. Each level allows all of `in_order`;
/// from `sectors` on each allows what the one before allows.
enum class cut_level : std::uint8_t {
    in_order,     ///< a prefix of the operations is kept, each whole
    whole_writes, ///< any subset of the writes; old or new size
    sectors,      ///< of each sector any version it had since the last sync; any size in between
    bytes,        ///< of each sector any mixture of its versions; any subset of the names
    garbage,      ///< a sector may become zeros, ones, noise, or what another sector held
    blocks        ///< also durable bytes in the 4 KiB around a sector that was being written
};

/// All images that a power cut at one moment can leave.
class power_cut {
  public:
    explicit power_cut(disk const& at, cut_level level = cut_level::sectors)
        : disk_(&at), level_(level) {
        find_versions();
    }
    explicit power_cut(disk&&, cut_level = cut_level::sectors) = delete; // it looks at the disk

    /// How many sectors may or may not have been written.
    [[nodiscard]] std::size_t pending_sectors() const noexcept { return sectors_.size(); }

    /// One of the images. With random choices the correlated ones are as likely as the rest: all,
    /// none, all but one, only one, a prefix, a suffix, a run that is lost.
    /// The page of the lock file is as it was, the boot count is one higher.
    [[nodiscard]] disk_image image(choices& pick) const {
        auto left = disk_->durable();
        left.page = disk_->cached().page;
        left.boot = disk_->cached().boot + 1;
        if (level_ == cut_level::in_order || level_ == cut_level::whole_writes) {
            keep_writes(left, pick);
        } else {
            keep_sectors(left, pick);
        }
        keep_names(left, pick);
        std::erase_if(left.files, [&](auto const& file) {
            return file.first != left.database && file.first != left.companion;
        });
        return left;
    }

  private:
    using sector = std::array<std::byte, sector_bytes>;
    struct pending_sector {
        std::uint64_t inode;
        std::uint64_t offset;
        std::vector<sector> versions;        ///< the first is the durable one
        std::bitset<sector_bytes> written{}; ///< bytes that were written since the last sync
        bool in_flight = false;              ///< may it be written at the very moment of the cut?
    };
    using places_of_sectors = std::map<std::pair<std::uint64_t, std::uint64_t>, std::size_t>;

    [[nodiscard]] static sector sector_at(std::vector<std::byte> const& file,
                                          std::uint64_t offset) {
        sector found{};
        if (offset < file.size()) {
            std::copy_n(file.begin() + static_cast<std::ptrdiff_t>(offset),
                        std::min<std::size_t>(sector_bytes, file.size() - offset), found.begin());
        }
        return found;
    }

    void find_versions() {
        std::map<std::uint64_t, std::vector<std::byte>> seen;
        places_of_sectors places;
        for (auto const& each : disk_->pending()) {
            auto const& done = each.done;
            auto const [file, is_new] = seen.try_emplace(done.inode);
            if (is_new) {
                auto const durable = disk_->durable().files.find(done.inode);
                if (durable != disk_->durable().files.end()) file->second = durable->second.seen();
                sizes_[done.inode].push_back(file->second.size());
            }
            auto end = done.offset + done.data.size();
            if (done.kind == operation_kind::truncate) {
                // What is cut off becomes zeros, should the file grow again.
                end = std::max<std::uint64_t>(file->second.size(), done.offset);
                file->second.resize(done.offset);
            } else {
                file->second.resize(std::max<std::size_t>(file->second.size(), end));
                std::copy(done.data.begin(), done.data.end(),
                          file->second.begin() + static_cast<std::ptrdiff_t>(done.offset));
            }
            note_versions(file->second, each, end, places);
            note_size(sizes_[done.inode], file->second.size());
        }
    }
    /// Notes what an operation that changes the bytes up to `end` has made of each sector.
    void note_versions(std::vector<std::byte> const& file, pending_operation const& seen,
                       std::uint64_t end, places_of_sectors& places) {
        auto const& done = seen.done;
        auto const is_write = done.kind == operation_kind::write;
        for (auto at = done.offset / sector_bytes * sector_bytes; at < end; at += sector_bytes) {
            auto const now = sector_at(file, at);
            auto const known = places.find({done.inode, at});
            auto const place = known == places.end() ? sectors_.size() : known->second;
            if (known == places.end()) {
                auto const durable = durable_sector(done.inode, at);
                if (!is_write && now == durable) continue;
                places[{done.inode, at}] = place;
                sectors_.push_back({done.inode, at, {durable}, {}, false});
            }
            auto& [inode, offset, versions, written, in_flight] = sectors_[place];
            in_flight = in_flight || (is_write && !seen.given_up);
            for (auto i = std::max(at, done.offset); i < std::min(at + sector_bytes, end); ++i) {
                written.set(static_cast<std::size_t>(i - at));
            }
            if (versions.back() != now) versions.push_back(now);
        }
    }
    [[nodiscard]] sector durable_sector(std::uint64_t inode, std::uint64_t offset) const {
        auto const file = disk_->durable().files.find(inode);
        return file == disk_->durable().files.end() ? sector{} : sector_at(file->second, offset);
    }
    /// A size, and the sector boundaries between it and the one before, up to a few.
    static void note_size(std::vector<std::uint64_t>& sizes, std::uint64_t size) {
        auto const before = sizes.back();
        if (before == size) return;
        auto const [low, high] = std::minmax(before, size);
        auto const step =
            std::max<std::uint64_t>(1, (high - low) / sector_bytes / 4) * sector_bytes;
        for (auto at = (low / sector_bytes + 1) * sector_bytes; at < high; at += step) {
            sizes.push_back(at);
        }
        sizes.push_back(size);
    }

    void keep_writes(disk_image& left, choices& pick) const {
        auto const& pending = disk_->pending();
        auto const prefix = level_ == cut_level::in_order ? pick.below(pending.size() + 1) : 0;
        for (std::size_t i = 0; i < pending.size(); ++i) {
            auto const kept = level_ == cut_level::in_order ? i < prefix : pick.flip();
            if (kept) apply(left, pending[i].done);
        }
        if (level_ == cut_level::in_order) return;
        for (auto const& [inode, sizes] : sizes_) {
            auto const way = pick.below(3); // as written, the old size, the new size
            if (way != 0) left.files[inode].resize(way == 1 ? sizes.front() : sizes.back());
        }
    }

    /// For each pending sector the number of its version.
    [[nodiscard]] std::vector<std::size_t> choose_versions(choices& pick) const {
        auto const count = sectors_.size();
        std::vector<std::size_t> chosen(count, 0);
        auto const newest = [&](std::size_t i) { chosen[i] = sectors_[i].versions.size() - 1; };
        auto const any = [&](std::size_t i) {
            chosen[i] = pick.below(sectors_[i].versions.size());
        };
        auto const pattern = pick.exhaustive() || count == 0 ? 7 : pick.below(12);
        switch (pattern) {
        case 0: break;
        case 1:
            for (std::size_t i = 0; i < count; ++i) newest(i);
            break;
        case 2: newest(pick.below(count)); break;
        case 3: {
            auto const lost = pick.below(count);
            for (std::size_t i = 0; i < count; ++i) {
                if (i != lost) newest(i);
            }
            break;
        }
        case 4:
        case 5: {
            auto const cut = pick.below(count + 1);
            for (std::size_t i = 0; i < count; ++i) {
                if ((i < cut) == (pattern == 4)) newest(i);
            }
            break;
        }
        case 6: {
            auto const begin = pick.below(count);
            auto const end = begin + (std::uint64_t{1} << pick.below(8));
            for (std::size_t i = 0; i < count; ++i) {
                if (i < begin || i >= end) newest(i);
            }
            break;
        }
        default:
            for (std::size_t i = 0; i < count; ++i) any(i);
        }
        return chosen;
    }

    void keep_sectors(disk_image& left, choices& pick) const {
        for (auto const& [inode, sizes] : sizes_) {
            left.files[inode].resize(sizes[pick.below(sizes.size())]);
        }
        auto const chosen = choose_versions(pick);
        for (std::size_t i = 0; i < sectors_.size(); ++i) {
            auto const& each = sectors_[i];
            auto content = each.versions[chosen[i]];
            if (level_ >= cut_level::bytes) harm(content, each, chosen[i], pick);
            place(left.files[each.inode].own(), each.offset, content);
            if (level_ == cut_level::blocks && each.in_flight && pick.below(8) == 0) {
                harm_block(left.files[each.inode].own(), each, pick);
            }
        }
    }
    static void place(std::vector<std::byte>& file, std::uint64_t offset, sector const& content) {
        if (offset >= file.size()) return;
        std::copy_n(content.begin(), std::min<std::size_t>(sector_bytes, file.size() - offset),
                    file.begin() + static_cast<std::ptrdiff_t>(offset));
    }

    /// Mixes two versions of a sector at any byte, and from `garbage` on makes noise of some. Bytes
    /// that were not written stay as they are: a disk with power-safe overwrite harms no others.
    /// @param chosen the version that `content` is
    void harm(sector& content, pending_sector const& of, std::size_t chosen, choices& pick) const {
        auto const before = content;
        auto const way = pick.below(level_ >= cut_level::garbage ? 12 : 6);
        // Two that differ, where there are two, and torn where they differ: else nothing is torn.
        auto const step = 1 + pick.below(std::max<std::size_t>(1, of.versions.size() - 1));
        auto const& other = of.versions[(chosen + step) % of.versions.size()];
        auto const first = std::mismatch(other.begin(), other.end(), before.begin()).first;
        auto const last =
            std::mismatch(other.rbegin(), std::make_reverse_iterator(first), before.rbegin())
                .first.base();
        auto const length = static_cast<std::uint64_t>(last - first);
        auto const cut =
            (first - other.begin()) + static_cast<std::ptrdiff_t>(pick.below(length + 1));
        switch (way) {
        case 0: std::copy(other.begin(), other.begin() + cut, content.begin()); break;
        case 1: std::copy(other.begin() + cut, other.end(), content.begin() + cut); break;
        case 2:
            for (std::size_t i = 0; i < sector_bytes; ++i) {
                if (pick.flip()) content[i] = other[i];
            }
            break;
        case 6: content.fill(std::byte{0}); break;
        case 7: content.fill(std::byte{0xFF}); break;
        case 8:
            for (auto& each : content) each = static_cast<std::byte>(pick.below(256));
            break;
        case 9: {
            auto const& source = sectors_[pick.below(sectors_.size())].versions;
            content = source[pick.below(source.size())];
            break;
        }
        default: break;
        }
        if (of.written.all()) return;
        for (std::size_t i = 0; i < sector_bytes; ++i) {
            if (!of.written[i]) content[i] = before[i];
        }
    }
    /// Noise in the bytes of a block around a sector that are not being written themselves.
    void harm_block(std::vector<std::byte>& file, pending_sector const& in, choices& pick) const {
        constexpr std::uint64_t block_bytes = 4096;
        auto const begin = in.offset / block_bytes * block_bytes;
        for (auto at = begin; at < begin + block_bytes && at < file.size(); at += sector_bytes) {
            auto const is_pending =
                std::any_of(sectors_.begin(), sectors_.end(), [&](auto const& each) {
                    return each.inode == in.inode && each.offset == at;
                });
            if (is_pending || pick.below(4) != 0) continue;
            sector noise{};
            if (pick.flip()) noise.fill(std::byte{0xA5});
            place(file, at, noise);
        }
    }

    void keep_names(disk_image& left, choices& pick) const {
        auto const& names = disk_->pending_names();
        if (level_ >= cut_level::bytes) {
            for (auto const& each : names) {
                if (pick.flip()) apply(left, each);
            }
            return;
        }
        auto const kept = pick.below(names.size() + 1);
        for (std::size_t i = 0; i < kept; ++i) apply(left, names[i]);
    }

    disk const* disk_;
    cut_level level_;
    std::vector<pending_sector> sectors_;
    std::map<std::uint64_t, std::vector<std::uint64_t>> sizes_; ///< the first is the durable one
};

} // namespace coppice::testing
