// SPDX-License-Identifier: BSL-1.0
// Durable bytes that decay at random, in files of random histories: flipped bits, lost sectors and
// blocks, misdirected and lost writes, stale reads. Before opening, and under a handle that is
// open and verifies every read: the answers are as before, or there is a typed error.

#include <coppice/testing/decay.hpp>

#include <catch2/catch.hpp>
#include <damaged_file.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <set>

namespace {

using coppice::testing::choices;
using damaged::answer;
using damaged::patient;

/// A file and an earlier state of it.
struct aged {
    damaged::sample now;
    forged::file_bytes before;
};

/// Random commits over few keys, values in line and out of line.
aged tell(choices& pick) {
    crash::scribe by(crash::tiny());
    by.create();
    aged result;
    auto const commits = 3 + pick.below(12);
    auto const kept = pick.below(commits);
    for (std::uint64_t i = 0; i < commits; ++i) {
        crash::edits edits;
        for (auto count = 1 + pick.below(12); count > 0; --count) {
            auto const key = "key" + std::to_string(pick.below(60));
            auto const size = pick.below(4) == 0 ? 120 : pick.below(30);
            edits.emplace_back(key, std::string(size, static_cast<char>('a' + i)));
        }
        by.commit(edits, pick.flip() ? crash::durability::sync : crash::durability::two_sync);
        if (i == kept) result.before = by.now().files.at(by.now().database);
    }
    auto const& now = by.now();
    result.now = {now.files.at(now.database), by.told().states, by.told().newest_id()};
    return result;
}

/// Does the newest commit rely on a byte that has changed, other than the slots? A slot that is
/// lost as a whole leaves an older commit, and nothing in the file can tell.
/// @param is_open is there a handle? It does not read again what it has read at opening.
bool matters(forged::file_bytes const& whole, forged::file_bytes const& changed, bool is_open) {
    for (auto const& each : forged::reachable(whole)) {
        if (each.offset >= 4096 && each.offset < 12288) continue;
        auto const is_tree = each.what == "leaf" || each.what == "inner" || each.what == "extent";
        if (is_open && !is_tree) continue;
        auto const first = static_cast<std::ptrdiff_t>(each.offset);
        auto const last = first + static_cast<std::ptrdiff_t>(each.size);
        if (!std::equal(whole.begin() + first, whole.begin() + last, changed.begin() + first)) {
            return true;
        }
    }
    return false;
}

/// Reads everything. @return false where an error said that something is wrong
bool answers(crash::database const& db, coppice::snapshot const& held,
             crash::content const& wanted) {
    try {
        crash::must_be(held, wanted, "a snapshot that is held gives a wrong answer");
        for (auto const& [key, value] : wanted) {
            auto const found = held.get(key);
            crash::must(found && *found == value, "a wrong answer for " + key);
        }
        return db.check().clean();
    } catch (coppice::error const&) {
        return false;
    }
}

} // namespace

TEST_CASE("decay of durable bytes is noticed or harmless, whatever the history") {
    workbench::keep_memory();
    std::array<std::size_t, 4> given{};
    std::set<std::uint64_t> distinct;
    std::size_t unnoticed = 0;
    auto const histories = 60 * workbench::scale();
    for (auto pick = choices::random(1); distinct.size() < histories * 60; pick.next()) {
        auto const [now, before] = tell(pick);
        patient file(now);
        for (int i = 0; i < 60; ++i) {
            auto changed = now.file;
            auto const done = coppice::testing::harm(changed, before, pick);
            if (!done || !distinct.insert(coppice::format::checksum(changed)).second) continue;
            file.become(changed);
            auto const relied_on = matters(now.file, changed, false);
            INFO(pick.name() << ", harm " << i << " at " << done->offset);
            auto const how = file.ask(relied_on); // throws where an answer is wrong
            ++given[static_cast<std::size_t>(how)];
            unnoticed += relied_on && (how == answer::same || how == answer::silent) ? 1U : 0U;
        }
    }
    std::printf("decay: %zu files; %zu as before, %zu refused, %zu told an older commit, %zu "
                "silently older\n",
                distinct.size(), given[0], given[1], given[2], given[3]);
    CHECK(unnoticed == 0);
    CHECK(given[static_cast<std::size_t>(answer::refused)] > distinct.size() / 8);
}

TEST_CASE("decay under an open handle that verifies every read gives no wrong answer") {
    workbench::keep_memory();
    std::size_t same = 0;
    std::size_t noticed = 0;
    for (auto pick = choices::random(2); same + noticed < 1500 * workbench::scale(); pick.next()) {
        auto const [now, before] = tell(pick);
        crash::machine on(crash::image_of(now.file));
        coppice::options chosen;
        chosen.read_only = true;
        chosen.verify = coppice::verify::every_read;
        crash::database const db(on.start_process(), chosen);
        auto const held = db.read();
        INFO(pick.name());
        REQUIRE(answers(db, held, now.states.at(now.newest)));
        for (int i = 0; i < 20; ++i) {
            auto const live = on.database_bytes();
            if (!coppice::testing::harm(live, before, pick)) continue;
            auto const relied_on =
                matters(now.file, forged::file_bytes(live.begin(), live.end()), true);
            auto const content = answers(db, held, now.states.at(now.newest));
            ++(content ? same : noticed);
            if (relied_on) CHECK_FALSE(content);
            std::copy(now.file.begin(), now.file.end(), live.begin());
        }
    }
    std::printf("decay under a handle: %zu as before, %zu noticed\n", same, noticed);
    CHECK(noticed > 100);
}
