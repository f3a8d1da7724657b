// SPDX-License-Identifier: BSL-1.0
// The rules of writing, watched while a database works, without any crash: nothing below the end of
// a valid slot is written, a slot is written behind what it names and never over the last durable
// one, a file gets its name when it is durable, and mark, readers and promise follow the sync.

#include <catch2/catch.hpp>
#include <crash_history.hpp>
#include <workbench.hpp>

#include <array>
#include <cstdio>
#include <set>

namespace {

using crash::durability;
using crash::op;
namespace format = coppice::format;

/// Follows one log and complains about the first rule that is broken.
class watcher {
  public:
    explicit watcher(crash::history const& told) : told_(told) {}

    void run() {
        for (std::size_t at = 0; at < told_.log.size(); ++at) {
            auto const& next = told_.log[at];
            INFO("operation " << at);
            if (next.kind == op::write) see_write(next);
            if (next.kind == op::truncate) CHECK(next.offset >= valid_end_);
            apply(now_, next, next.data.size());
            if (next.kind == op::rename) {
                CHECK(unsynced_.count(next.inode) == 0);
                named_ = next.inode;
                durable_ = {};
                read_slots(true);
            }
            if (next.kind == op::sync) {
                unsynced_.erase(next.inode);
                if (next.inode == named_) durable_ = written_;
            }
            if (next.kind == op::sync_name) name_durable_ = named_;
            if (next.kind == op::page) see_page(next);
            promised(at + 1);
            ++seen_;
        }
    }
    [[nodiscard]] std::size_t seen() const noexcept { return seen_; }

  private:
    void see_write(crash::operation const& next) {
        unsynced_.insert(next.inode);
        if (next.inode != named_) return;
        if (written_again(next)) return; // a take-over writes what is there once more
        auto const is_slot = next.offset == 4096 || next.offset == 8192;
        if (!is_slot) {
            CHECK(next.offset >= valid_end_);
            return;
        }
        auto const index = next.offset == 4096 ? 0U : 1U;
        auto const slot = format::decode_slot(
            coppice::bytes{next.data}.first(format::superblock_bytes), header());
        if (slot.state != format::slot_state::good) return;
        auto const named = slot.slot;
        CHECK((!durable_ || *durable_ != index));
        auto const& file = now_.files.at(named_);
        REQUIRE(named.end_offset <= file.size());
        auto const record = coppice::store::verify_chain(view{file}, named);
        CHECK(record.has_value());
        CHECK(named.counter > counter_);
        counter_ = named.counter;
        valid_end_ = std::max(valid_end_, named.end_offset);
        written_ = index;
        ids_[index] = named.commit_id;
        counters_[index] = named.counter;
    }
    /// The mark and the visible commit speak of what is durable, unless less was promised.
    void see_page(crash::operation const& next) {
        REQUIRE(next.offset == 0);
        auto const mark = format::load<std::uint64_t>(next.data.data() + 64);
        auto const visible = format::load<std::uint64_t>(next.data.data() + 128);
        if (mark != 0) {
            REQUIRE(durable_.has_value());
            CHECK(mark <= counters_[*durable_]);
        }
        auto const promise = std::find_if(told_.promised.begin(), told_.promised.end(),
                                          [&](auto const& each) { return each.id == visible; });
        if (promise == told_.promised.end() || !promise->durable) return;
        REQUIRE(durable_.has_value());
        CHECK(ids_[*durable_] >= visible);
    }
    [[nodiscard]] bool written_again(crash::operation const& next) const {
        auto const& file = now_.files.at(named_);
        return next.offset + next.data.size() <= file.size() &&
               std::equal(next.data.begin(), next.data.end(),
                          file.begin() + static_cast<std::ptrdiff_t>(next.offset));
    }
    void promised(std::size_t at) {
        for (auto const& each : told_.promised) {
            if (each.at != at || !each.durable) continue;
            CHECK(name_durable_ == named_);
            REQUIRE(durable_.has_value());
            CHECK(ids_[*durable_] >= each.id);
        }
    }
    void read_slots(bool durable) {
        auto const slots = coppice::store::read_slots(view{now_.files.at(named_)}, header());
        auto const newest = slots.newest();
        REQUIRE(newest.has_value());
        auto const& slot = slots.slots[*newest].slot;
        CHECK(slot.counter > counter_);
        counter_ = slot.counter;
        valid_end_ = slot.end_offset;
        ids_[*newest] = slot.commit_id;
        counters_[*newest] = slot.counter;
        written_ = *newest;
        if (durable) durable_ = *newest;
    }
    [[nodiscard]] format::file_header header() const {
        return format::decode_file_header(coppice::bytes{now_.files.at(named_)}.first(4096), {});
    }

    /// Bytes as recovery reads them.
    struct view {
        std::vector<std::byte> const& file;
        [[nodiscard]] std::uint64_t size() const { return file.size(); }
        [[nodiscard]] std::size_t read(std::uint64_t offset, coppice::mutable_bytes to) const {
            if (offset >= file.size()) return 0;
            auto const count = std::min<std::size_t>(to.size(), file.size() - offset);
            std::copy_n(file.begin() + static_cast<std::ptrdiff_t>(offset), count, to.begin());
            return count;
        }
    };

    crash::history const& told_;
    crash::image now_;
    std::uint64_t named_ = 0;
    std::uint64_t name_durable_ = 0;
    std::uint64_t valid_end_ = 0;
    std::uint64_t counter_ = 0;
    std::optional<unsigned> durable_;
    std::optional<unsigned> written_;
    std::array<std::uint64_t, 2> ids_{};
    std::array<std::uint64_t, 2> counters_{};
    std::set<std::uint64_t> unsynced_;
    std::size_t seen_ = 0;
};

void work(crash::scribe& by, std::uint64_t seed, unsigned steps) {
    workbench::dice dice(seed);
    durability const ways[] = {durability::sync, durability::lazy, durability::two_sync};
    by.create();
    for (unsigned i = 0; i < steps; ++i) {
        crash::edits changes;
        for (auto n = 1 + dice.below(6); n > 0; --n) {
            auto key = "key " + std::to_string(dice.below(200));
            if (dice.below(5) == 0) {
                changes.emplace_back(std::move(key), std::nullopt);
            } else {
                changes.emplace_back(std::move(key), std::string(1 + dice.below(200), 'v'));
            }
        }
        changes.emplace_back("step", std::to_string(i));
        by.commit(changes, ways[dice.below(3)]);
        if (dice.below(12) == 0) {
            by.compact({}, [&] {
                by.commit({{"beside", std::string(dice.below(300), 'v')}}, ways[dice.below(3)]);
            });
        }
        if (dice.below(12) == 0) by.sync();
        if (dice.below(12) == 0) {
            by.close();
            by.open();
        }
    }
}

} // namespace

TEST_CASE("every operation of random histories keeps to the rules of writing") {
    workbench::keep_memory();
    std::size_t operations = 0;
    auto const seeds = 40 * workbench::scale();
    for (unsigned seed = 0; seed < seeds; ++seed) {
        auto chosen = crash::tiny();
        chosen.preallocate_bytes = seed % 3 * 1000;
        chosen.pad_commits = seed % 5 == 4;
        chosen.unsynced_limit_bytes = seed % 2 == 0 ? 5000 : 1U << 20U;
        crash::scribe by(chosen);
        work(by, seed, 60);
        INFO("seed " << seed);
        watcher watch(by.told());
        watch.run();
        operations += watch.seen();
    }
    std::printf("%zu operations of %u histories kept to the rules\n", operations, seeds);
}
