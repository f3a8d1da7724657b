// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/testing/disk.hpp: a disk with a volatile cache.
// Owns: what is on the platter for sure, what processes see, and the operations in between.
// Invariant: what a sync that succeeded covers is durable; nothing else is. After a sync that
//   failed, what was pending stays visible and may or may not be durable, and no later sync makes
//   it so unless it is written again: the page cache believes it to be clean.
// Source: Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020.

#include <coppice/testing/disk_image.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

namespace coppice::testing {

/// A write or a change of size that may or may not be on the platter.
struct pending_operation {
    operation done;
    bool given_up = false; ///< a sync of it failed: no later sync covers it
};

/// A disk. Copies are independent. Belongs to one thread.
class disk {
  public:
    explicit disk(disk_image start = {}) : durable_(start), cached_(std::move(start)) {}

    /// What is there whatever happens.
    [[nodiscard]] disk_image const& durable() const noexcept { return durable_; }
    /// What processes see.
    [[nodiscard]] disk_image const& cached() const noexcept { return cached_; }
    /// What may be lost, in the order in which it was done.
    [[nodiscard]] std::vector<pending_operation> const& pending() const noexcept {
        return pending_;
    }
    /// Changes of names that may be lost.
    [[nodiscard]] std::vector<operation> const& pending_names() const noexcept { return names_; }
    /// The sectors of a file that the cache believes to be clean and that may not be on the
    /// platter, since a sync of them failed. Only these can be read from the platter again.
    [[nodiscard]] std::set<std::uint64_t> given_up_sectors(std::uint64_t inode) const {
        std::set<std::uint64_t> result;
        std::set<std::uint64_t> dirty;
        for_each_pending(inode, [&](auto const& each, std::uint64_t size_before) {
            auto const is_write = each.done.kind == operation_kind::write;
            if (!each.given_up) dirty.merge(sectors_of(each.done, size_before));
            if (each.given_up && is_write) result.merge(sectors_of(each.done, size_before));
        });
        auto const seen = cached_.files.find(inode);
        std::erase_if(result, [&](auto sector) {
            return dirty.contains(sector) || sector * sector_bytes >= seen->second.size();
        });
        return result;
    }

    /// Sees one operation.
    void take(operation const& done) {
        apply(cached_, done);
        switch (done.kind) {
        case operation_kind::write:
        case operation_kind::truncate: pending_.push_back({done}); return;
        case operation_kind::sync: settle(done.inode); return;
        case operation_kind::failed_sync: give_up(done.inode); return;
        case operation_kind::evict: read_again(done); return;
        case operation_kind::create:
            durable_.files[done.inode];
            names_.push_back(done);
            return;
        case operation_kind::rename:
        case operation_kind::discard:
        case operation_kind::remove: names_.push_back(done); return;
        case operation_kind::sync_name:
            durable_.database = cached_.database;
            durable_.companion = cached_.companion;
            names_.clear();
            forget_nameless();
            return;
        case operation_kind::page: return;
        }
    }

  private:
    /// Calls `visit(pending, size of the file before it)`.
    template <typename Visitor> void for_each_pending(std::uint64_t inode, Visitor visit) const {
        auto const durable = durable_.files.find(inode);
        std::uint64_t size = durable == durable_.files.end() ? 0 : durable->second.size();
        for (auto const& each : pending_) {
            if (each.done.inode != inode) continue;
            visit(each, size);
            size = each.done.kind == operation_kind::truncate
                       ? each.done.offset
                       : std::max<std::uint64_t>(size, each.done.offset + each.done.data.size());
        }
    }
    /// The sectors in which an operation changes bytes: what is cut off becomes zeros.
    [[nodiscard]] static std::set<std::uint64_t> sectors_of(operation const& done,
                                                            std::uint64_t size_before) {
        std::set<std::uint64_t> result;
        auto const end =
            done.kind == operation_kind::truncate ? size_before : done.offset + done.data.size();
        for (auto at = done.offset / sector_bytes; at * sector_bytes < end; ++at) {
            if (done.offset < end) result.insert(at);
        }
        return result;
    }

    /// A sync that succeeded: sectors that were dirty reach the platter as the cache has them.
    void settle(std::uint64_t inode) {
        std::set<std::uint64_t> written;
        for_each_pending(inode, [&](auto const& each, std::uint64_t size_before) {
            if (!each.given_up) written.merge(sectors_of(each.done, size_before));
        });
        auto& file = durable_.files[inode].own();
        auto const& seen = cached_.files[inode].seen();
        file.resize(seen.size());
        for (auto const sector : written) {
            auto const begin = std::min<std::size_t>(sector * sector_bytes, seen.size());
            auto const end = std::min(begin + sector_bytes, seen.size());
            std::copy(seen.begin() + static_cast<std::ptrdiff_t>(begin),
                      seen.begin() + static_cast<std::ptrdiff_t>(end),
                      file.begin() + static_cast<std::ptrdiff_t>(begin));
        }
        std::erase_if(pending_, [&](auto const& each) {
            return each.done.inode == inode &&
                   (!each.given_up || each.done.kind == operation_kind::truncate);
        });
        forget_given_up(inode, written);
    }

    /// A sync that failed: from now on each sector is on its own, and so is the size.
    void give_up(std::uint64_t inode) {
        std::vector<pending_operation> next;
        for (auto& each : pending_) {
            if (each.done.inode != inode || each.done.kind != operation_kind::write) {
                each.given_up = each.given_up || each.done.inode == inode;
                next.push_back(std::move(each));
                continue;
            }
            for (auto const sector : sectors_of(each.done, 0)) {
                auto const begin = std::max<std::uint64_t>(sector * sector_bytes, each.done.offset);
                auto const end = std::min<std::uint64_t>((sector + 1) * sector_bytes,
                                                         each.done.offset + each.done.data.size());
                auto part = operation{operation_kind::write, inode, begin, {}, each.done.process};
                auto const from =
                    each.done.data.begin() + static_cast<std::ptrdiff_t>(begin - each.done.offset);
                part.data.assign(from, from + static_cast<std::ptrdiff_t>(end - begin));
                next.push_back({std::move(part), true});
            }
        }
        auto const size = cached_.files[inode].size();
        if (size != durable_.files[inode].size()) {
            next.push_back({{operation_kind::truncate, inode, size}, true});
        }
        pending_ = std::move(next);
    }

    /// What was read from the platter is on it.
    void read_again(operation const& done) {
        auto& file = durable_.files[done.inode];
        auto const is_zero = [](std::byte each) { return each == std::byte{0}; };
        if (!std::all_of(done.data.begin(), done.data.end(), is_zero)) {
            file.resize(std::max<std::size_t>(file.size(), done.offset + done.data.size()));
        }
        apply(durable_, done);
        forget_given_up(done.inode, {done.offset / sector_bytes});
    }

    void forget_given_up(std::uint64_t inode, std::set<std::uint64_t> const& sectors) {
        std::erase_if(pending_, [&](auto const& each) {
            return each.given_up && each.done.inode == inode &&
                   each.done.kind == operation_kind::write &&
                   sectors.contains(each.done.offset / sector_bytes);
        });
    }

    /// A file without a durable name is gone after a power cut: nothing of it can matter.
    void forget_nameless() {
        std::erase_if(pending_, [&](auto const& each) {
            return each.done.inode != durable_.database && each.done.inode != durable_.companion;
        });
        std::erase_if(durable_.files, [&](auto const& file) {
            return file.first != durable_.database && file.first != durable_.companion;
        });
    }

    disk_image durable_;
    disk_image cached_;
    std::vector<pending_operation> pending_;
    std::vector<operation> names_;
};

} // namespace coppice::testing
