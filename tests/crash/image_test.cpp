// SPDX-License-Identifier: BSL-1.0
// Every image that a killed process or a power cut can leave of some short histories: it opens by
// itself, holds exactly one whole commit that is not older than the last promised one, is sound, and
// takes the next commit. Power cuts lose any subset of the writes that no sync vouches for.

#include <catch2/catch.hpp>
#include <crash_history.hpp>

#include <cstdio>
#include <set>

namespace {

using crash::durability;
using crash::edits;
using crash::history;
using crash::scribe;

std::string key(unsigned i) {
    std::string text = "key-000";
    text[4] = static_cast<char>('0' + i / 100 % 10);
    text[5] = static_cast<char>('0' + i / 10 % 10);
    text[6] = static_cast<char>('0' + i % 10);
    return text;
}

/// Changes far apart, so that one transaction writes several leaves; some values lie out of line.
edits round(unsigned number) {
    auto const text = "round " + std::to_string(number);
    edits result;
    result.emplace_back(key(number % 20), text);
    result.emplace_back(key(20 + number % 20), text + std::string(40 + 300 * (number % 3), 'v'));
    result.emplace_back(key(40 + number * 7 % 20), text);
    if (number % 4 == 3) result.emplace_back(key((number - 1) % 20), std::nullopt);
    return result;
}

edits first_entries() {
    edits result;
    for (unsigned i = 0; i < 60; i += 2) result.emplace_back(key(i), "first");
    return result;
}

history told_by(coppice::options const& chosen, std::function<void(scribe&)> const& tell) {
    scribe by(chosen);
    by.create();
    by.commit(first_entries(), durability::sync);
    tell(by);
    return by.told();
}

std::map<std::string, history> histories() {
    workbench::keep_memory();
    std::map<std::string, history> all;
    auto const rounds = [](std::vector<durability> const& how) {
        return [how](scribe& by) {
            unsigned number = 0;
            for (auto const each : how) by.commit(round(++number), each);
            by.close();
        };
    };
    using enum durability;
    all["sync"] = told_by(crash::tiny(), rounds({sync, sync, sync, sync}));
    all["lazy"] = told_by(crash::tiny(), rounds({lazy, lazy, lazy, lazy, lazy}));
    all["two_sync"] = told_by(crash::tiny(), rounds({two_sync, two_sync, two_sync}));
    all["mixed"] = told_by(crash::tiny(), rounds({sync, lazy, sync, lazy, lazy, two_sync, lazy}));
    auto padded = crash::tiny();
    padded.pad_commits = true;
    all["padded"] = told_by(padded, rounds({sync, lazy, sync}));
    auto ahead = crash::tiny();
    ahead.preallocate_bytes = 3000;
    all["written ahead"] = told_by(ahead, rounds({sync, sync, lazy, sync, sync}));
    auto bounded = crash::tiny();
    bounded.unsynced_limit_bytes = 3000;
    all["bounded"] = told_by(bounded, rounds({lazy, lazy, lazy, lazy, lazy, lazy}));
    all["compaction"] = told_by(crash::tiny(), [](scribe& by) {
        by.commit(round(1), sync);
        by.commit(round(2), lazy);
        by.compact();
        by.commit(round(3), lazy);
        by.commit(round(4), sync);
        by.compact(key(44));
        by.commit(round(5), sync);
        by.close();
    });
    all["opened again"] = told_by(crash::tiny(), [](scribe& by) {
        for (unsigned number = 1; number < 6; ++number) {
            by.commit(round(number), number % 2 == 0 ? sync : lazy);
            by.close();
            by.open();
        }
        by.commit(round(6), lazy);
        by.sync();
    });
    return all;
}

/// Examines each distinct image once for each floor.
class examiner {
  public:
    explicit examiner(history const& told) : told_(told) {}

    void operator()(crash::image const& left, std::uint64_t floor, std::uint64_t ceiling,
                    std::string const& where) {
        auto const hash = crash::hash_of(left);
        if (!tried_.insert({hash, floor}).second) return;
        distinct_.add(hash);
        try {
            auto const after = crash::examine(left, told_, floor, ceiling);
            if (deeper && after) deeper(*after);
        } catch (std::exception const& e) {
            FAIL(where << ", floor " << floor << ": " << e.what());
        }
    }
    [[nodiscard]] std::size_t count() const noexcept { return distinct_.count(); }

    /// Gets what was done while an image was examined.
    std::function<void(history const&)> deeper;

  private:
    history const& told_;
    std::set<std::pair<std::uint64_t, std::uint64_t>> tried_;
    workbench::distinct_cases distinct_;
};

} // namespace

TEST_CASE("a process that dies anywhere leaves the last promised commit or a later whole one") {
    std::size_t images = 0;
    for (auto const& [name, told] : histories()) {
        INFO("history " << name);
        examiner visit(told);
        crash::for_each_kill(told, 512, std::ref(visit));
        images += visit.count();
        CHECK(visit.count() > 20);
    }
    std::printf("%zu distinct images of killed processes\n", images);
}

TEST_CASE("a power cut that loses any subset of unsynced writes leaves a whole commit") {
    std::size_t images = 0;
    for (auto const& [name, told] : histories()) {
        INFO("history " << name);
        examiner visit(told);
        crash::for_each_power_cut(told, 0, 12, std::ref(visit));
        images += visit.count();
        CHECK(visit.count() > 20);
    }
    std::printf("%zu distinct images after power cuts, whole writes\n", images);
}

TEST_CASE("a power cut that loses any one sector, or all but one, leaves a whole commit") {
    std::size_t images = 0;
    for (auto const& [name, told] : histories()) {
        INFO("history " << name);
        examiner visit(told);
        crash::for_each_power_cut(told, 512, workbench::scale() > 1 ? 12 : 8, std::ref(visit));
        images += visit.count();
    }
    std::printf("%zu distinct images after power cuts, sectors of 512 bytes\n", images);
}

TEST_CASE("a slot that a power cut tears at any byte is passed over") {
    std::size_t images = 0;
    for (auto const& [name, told] : histories()) {
        INFO("history " << name);
        examiner visit(told);
        crash::pending_disk disk(told.start);
        for (std::size_t at = 0; at < told.log.size(); ++at) {
            auto const& next = told.log[at];
            disk.take(next);
            if (next.what != crash::op::write || next.offset >= 12288) continue;
            auto pieces = disk.pieces(0);
            auto const whole = pieces.back();
            for (std::size_t cut = 0; cut <= whole.end; cut += whole.end > 128 ? 64 : 1) {
                pieces.back().end = cut;
                auto const left =
                    disk.after_cut(pieces, std::vector<bool>(pieces.size(), true), 0, false);
                crash::with_each_page(left, disk.cached(), [&](crash::image const& with_page) {
                    visit(with_page, told.floor(at, true), told.ceiling(at + 1), "torn slot");
                });
            }
        }
        images += visit.count();
    }
    std::printf("%zu distinct images with a torn slot\n", images);
}

TEST_CASE("a crash of the recovery from a crash loses nothing and brings nothing back") {
    std::size_t images = 0;
    for (auto const& [name, told] : histories()) {
        if (name != "mixed" && name != "compaction" && name != "lazy") continue;
        INFO("history " << name);
        workbench::distinct_cases distinct;
        auto const first_of_many = workbench::scale() > 1 ? 1U : 4U;
        unsigned number = 0;
        examiner visit(told);
        visit.deeper = [&](history const& recovery) {
            if (number++ % first_of_many != 0) return;
            examiner again(recovery);
            crash::for_each_power_cut(recovery, 0, 6,
                                      [&](auto const& left, auto floor, auto ceiling, auto& where) {
                                          distinct.add(crash::hash_of(left));
                                          again(left, floor, ceiling, "twice: " + where);
                                      });
        };
        crash::for_each_power_cut(told, 0, 6, std::ref(visit));
        images += distinct.count();
    }
    std::printf("%zu distinct images of second crashes\n", images);
}
