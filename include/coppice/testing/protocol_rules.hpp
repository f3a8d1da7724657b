// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/testing/protocol_rules.hpp: the rules of writing, watched while a machine runs.
// Owns: what the rules need to know of the past: which slot is durable, where valid bytes end.
// Invariant: sees every operation before it is done, and only complains; no crash is needed for it
//   to find a fault. The rules are those of docs/design.md, "The commit".

#include <coppice/format/file_header.hpp>
#include <coppice/format/live_page.hpp>
#include <coppice/format/superblock.hpp>
#include <coppice/store/recovery.hpp>
#include <coppice/testing/machine.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace coppice::testing {

/// Watches a machine from the moment it is made. The machine must not outlive it while it runs.
class protocol_rules {
  public:
    explicit protocol_rules(machine& on) : on_(&on) {
        for (auto const& [inode, content] : disk().files) {
            learn(inode, content);
            auto const durable = on.disk().durable().files.find(inode);
            if (durable != on.disk().durable().files.end()) learn_durable(inode, durable->second);
        }
        on.watch([this](operation const& next) { see(next); });
    }
    protocol_rules(protocol_rules const&) = delete;
    protocol_rules& operator=(protocol_rules const&) = delete;
    ~protocol_rules() { on_->watch({}); }

    /// What was done against the rules, in words.
    [[nodiscard]] std::vector<std::string> const& violations() const noexcept {
        return violations_;
    }
    /// How many operations were seen.
    [[nodiscard]] std::size_t seen() const noexcept { return seen_; }

  private:
    /// What is known of one file.
    struct file_state {
        std::optional<format::file_header> header{};
        std::uint64_t valid_end = 0;             ///< of all good slots that were ever there
        std::array<std::uint64_t, 2> counters{}; ///< of the slots as they are; 0 is none
        std::array<std::uint64_t, 2> ends{};     ///< what they name ends here
        std::optional<unsigned> durable{};       ///< the slot whose sync returned last
        std::uint64_t durable_end = 0;           ///< what it names ends here
        std::optional<unsigned> written{};       ///< the slot that was written last
        bool synced = false;                     ///< nothing was written since the last sync
    };

    /// Bytes as recovery reads them.
    struct view {
        std::vector<std::byte> const& file;
        [[nodiscard]] std::uint64_t size() const { return file.size(); }
        [[nodiscard]] std::size_t read(std::uint64_t offset, mutable_bytes to) const {
            if (offset >= file.size() || to.empty()) return 0;
            auto const count = std::min<std::size_t>(to.size(), file.size() - offset);
            std::memcpy(to.data(), file.data() + offset, count);
            return count;
        }
    };

    [[nodiscard]] disk_image const& disk() const noexcept { return on_->disk().cached(); }
    void must(bool holds, char const* rule) {
        if (!holds) violations_.push_back("operation " + std::to_string(seen_) + ": " + rule);
    }

    void see(operation const& next) {
        ++seen_;
        auto const by_coppice = next.process != 0; // 0: the system drops what it has cached
        if (by_coppice && next.kind != operation_kind::sync &&
            next.kind != operation_kind::failed_sync) {
            // Who compacts fills a file of its own, and may take it away.
            auto const in_secret =
                on_->compacting() == next.process &&
                (next.kind == operation_kind::discard ||
                 (next.kind != operation_kind::rename && next.inode == disk().companion));
            must(in_secret || on_->lock_holder() == next.process, "written without the lock");
        }
        switch (next.kind) {
        case operation_kind::write: see_write(next); return;
        case operation_kind::truncate:
            must(next.offset >= files_[next.inode].valid_end, "valid bytes are cut off");
            return;
        case operation_kind::sync: see_sync(files_[next.inode]); return;
        case operation_kind::failed_sync:
            if (by_coppice) failed_.insert({next.process, next.inode});
            files_[next.inode] = forgotten(files_[next.inode]);
            return;
        case operation_kind::evict: see_eviction(files_[next.inode]); return;
        case operation_kind::rename: see_rename(next); return;
        case operation_kind::page: see_page(next); return;
        default: return;
        }
    }

    void see_write(operation const& next) {
        auto& file = files_[next.inode];
        must(!failed_.contains({next.process, next.inode}), "written after a failed sync");
        file.synced = false;
        auto const& content = disk().files.at(next.inode).seen();
        if (!file.header) return;
        for (unsigned i = 0; i < 2; ++i) {
            if (next.offset == format::slot_offset(i)) return see_slot(file, content, next, i);
        }
        must(next.offset >= file.valid_end || is_already_there(content, next),
             "a byte below the end of a valid slot changes");
    }
    /// A take-over writes what is there once more.
    [[nodiscard]] static bool is_already_there(std::vector<std::byte> const& content,
                                               operation const& next) {
        return next.offset + next.data.size() <= content.size() &&
               std::memcmp(content.data() + next.offset, next.data.data(), next.data.size()) == 0;
    }

    /// A slot as it is behind a write, which may have failed half way.
    [[nodiscard]] static std::array<std::byte, format::superblock_bytes> slot_behind(
        std::vector<std::byte> const& content, operation const& next) {
        std::array<std::byte, format::superblock_bytes> slot{};
        static_cast<void>(view{content}.read(next.offset, slot));
        std::copy_n(next.data.begin(), std::min(next.data.size(), slot.size()), slot.begin());
        return slot;
    }

    void see_slot(file_state& file, std::vector<std::byte> const& content, operation const& next,
                  unsigned index) {
        auto const found = format::decode_slot(slot_behind(content, next), *file.header);
        auto const again = is_already_there(content, next);
        must(again || file.durable != index, "the durable slot is written over");
        if (found.state != format::slot_state::good) {
            file.counters[index] = 0;
            if (file.written == index) file.written.reset();
            return;
        }
        auto const& slot = found.slot;
        must(slot.end_offset <= content.size() &&
                 store::verify_chain(view{content}, slot).has_value(),
             "a slot is written before what it names");
        must(again || slot.counter > std::max(file.counters[0], file.counters[1]),
             "a counter does not grow");
        file.counters[index] = slot.counter;
        file.ends[index] = slot.end_offset;
        file.written = index;
        file.valid_end = std::max(file.valid_end, slot.end_offset);
    }
    static void see_sync(file_state& file) {
        file.synced = true;
        if (!file.written) return;
        file.durable = file.written;
        file.durable_end = file.ends[*file.written];
    }
    /// After a failed sync nobody knows which slot is where.
    [[nodiscard]] static file_state forgotten(file_state const& file) {
        file_state left;
        left.header = file.header;
        left.durable = file.durable;
        left.valid_end = left.durable_end = file.durable_end;
        return left;
    }

    /// What a failed sync gave up is read again; what was written since is as it was.
    static void see_eviction(file_state& file) {
        auto left = forgotten(file);
        if (auto const slot = left.written = file.written) {
            left.counters[*slot] = file.counters[*slot];
            left.ends[*slot] = file.ends[*slot];
            left.valid_end = std::max(left.valid_end, left.ends[*slot]);
        }
        file = left;
    }

    void see_rename(operation const& next) {
        auto& file = files_[next.inode];
        must(file.synced, "a file gets its name before it is durable");
        learn(next.inode, disk().files.at(next.inode));
        see_sync(file);
    }
    /// The mark speaks of a slot whose sync has returned.
    void see_page(operation const& next) {
        if (next.offset != 0 || next.data.size() < format::live_page_bytes) return;
        auto const& file = files_[disk().database];
        auto const mark = format::load<std::uint64_t>(next.data.data() + 64);
        if (mark == 0 || !file.durable || file.counters[*file.durable] == 0) return;
        auto const speaks_of_it =
            format::load<std::uint64_t>(next.data.data() + 56) == disk().database;
        must(!speaks_of_it || mark <= file.counters[*file.durable],
             "the mark names a slot whose sync has not returned");
    }

    /// What there is when the watching begins, or when a file gets its name.
    void learn(std::uint64_t inode, std::vector<std::byte> const& content) {
        if (content.size() < format::data_begin_offset) return;
        auto& file = files_[inode];
        try {
            file.header = format::decode_file_header(bytes{content}.first(format::block_bytes), {});
        } catch (error const&) {
            return;
        }
        auto const slots = store::read_slots(view{content}, *file.header);
        for (unsigned i = 0; i < 2; ++i) {
            if (!slots.good(i) || !store::verify_chain(view{content}, slots.slots[i].slot))
                continue;
            auto const& slot = slots.slots[i].slot;
            file.counters[i] = slot.counter;
            file.ends[i] = slot.end_offset;
            file.valid_end = std::max(file.valid_end, slot.end_offset);
            if (!file.written || file.counters[*file.written] < slot.counter) file.written = i;
        }
    }
    void learn_durable(std::uint64_t inode, std::vector<std::byte> const& content) {
        auto& file = files_[inode];
        auto const seen = std::exchange(file, {});
        learn(inode, content);
        auto const durable = file.written;
        auto const end = durable ? file.ends[*durable] : 0;
        file = seen;
        file.durable = durable;
        file.durable_end = end;
    }

    machine* on_;
    std::map<std::uint64_t, file_state> files_;
    std::set<std::pair<std::uint64_t, std::uint64_t>> failed_; ///< process and inode
    std::vector<std::string> violations_;
    std::size_t seen_ = 0;
};

} // namespace coppice::testing
