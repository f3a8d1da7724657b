// SPDX-License-Identifier: BSL-1.0
#pragma once
// What is asked of a disk after a crash, by the code that ships: it opens by itself and writes
// nothing in doing so, holds exactly one version that may be there, is sound, takes a commit while
// a snapshot is held, and survives another power cut at any moment of that.

#include "ledger.hpp"

#include <coppice/testing/power_cut.hpp>
#include <coppice/testing/protocol_rules.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace explorer {

using coppice::durability;
using coppice::testing::choices;
using coppice::testing::cut_level;
using coppice::testing::database;
using coppice::testing::disk;
using coppice::testing::disk_image;
using coppice::testing::machine;
using coppice::testing::power_cut;

/// What may be found.
struct expectation {
    ledger const& told;
    std::size_t at;            ///< operations that were done
    std::size_t floor;         ///< the newest version that must be there
    std::size_t durable_floor; ///< the newest one that a power cut may not take
    /// May what readers are shown have been lost from the cache? Then they get typed errors until a
    /// writer has looked.
    bool readers_may_fail = false;
    bool power_was_cut = false; ///< then all that is found was read from the device
};

[[nodiscard]] inline database open(machine& on, coppice::options chosen) {
    chosen.clock = on.clock();
    try {
        return database(on.start_process(), std::move(chosen));
    } catch (coppice::error const& e) {
        throw std::runtime_error(std::string("does not open: ") + e.what());
    }
}

/// What a database was like after the crash and after the commit that followed.
struct findings {
    machine on;
    std::size_t found = 0; ///< the version that was found
    std::size_t base = 0;  ///< the version that the next commit began from
    content next{};        ///< what that commit made

    findings(disk left, std::uint64_t seed) : on(std::move(left), seed) {}
};

inline void must_be_kept(coppice::testing::protocol_rules const& rules) {
    if (!rules.violations().empty()) throw std::runtime_error(rules.violations().front());
}

/// Opens, checks, commits. @throws std::runtime_error where anything is not as it must be
inline void open_and_commit(findings& into, expectation const& wanted,
                            coppice::options const& chosen) {
    auto const fresh = into.on.disk().cached().database == 0;
    coppice::testing::protocol_rules const rules(into.on);
    auto db = open(into.on, chosen);
    must(fresh || into.on.log().empty(), "opening has written something");
    std::optional<coppice::snapshot> held;
    into.found = wanted.floor;
    if (!wanted.readers_may_fail) {
        held = db.read();
        into.found = wanted.told.judge(*held, wanted.at, wanted.floor);
        must(db.check().clean(), "check() finds fault after opening");
        wanted.told.judge_past(db, wanted.at);
    }
    {
        auto txn = db.write();
        into.base = wanted.told.judge(txn.view(), wanted.at, into.found);
        txn.put("!", "after the crash");
        static_cast<void>(txn.commit(durability::sync));
    }
    into.next = wanted.told.state(into.base);
    into.next["!"] = "after the crash";
    crash::must_be(db.read(), into.next, "after the next commit");
    if (held) crash::must_be(*held, wanted.told.state(into.found), "the snapshot that was held");
    must(db.check().clean(), "check() finds fault after the next commit");
    db.close();
    must_be_kept(rules);
}

/// What a second crash may leave: what the first one left, or the commit after it.
inline void judge_second(disk_image const& left, findings const& first, expectation const& wanted,
                         std::size_t floor, bool done, coppice::options const& chosen,
                         std::uint64_t seed) {
    machine on(left, seed);
    auto const db = open(on, chosen);
    auto const now = db.read();
    if (now.contains("!")) {
        crash::must_be(now, first.next, "after the second crash");
    } else {
        must(!done, "the second crash lost the commit that came after the first");
        static_cast<void>(wanted.told.judge(now, wanted.at, floor));
    }
    must(db.check().clean(), "check() finds fault after the second crash");
}

/// What a second crash may not take: what was promised, and what readers were shown.
[[nodiscard]] inline std::size_t second_floor(findings const& first, expectation const& wanted) {
    if (wanted.readers_may_fail) return wanted.durable_floor;
    if (wanted.power_was_cut) return first.found;
    return std::max(wanted.durable_floor, wanted.told.durable_below(first.found));
}

/// Examines a disk, and one second crash of it.
inline void examine(disk const& left, expectation const& wanted, coppice::options const& chosen,
                    std::uint64_t seed, cut_level level = cut_level::sectors) {
    findings first(left, seed);
    open_and_commit(first, wanted, chosen);
    auto pick = choices::random(seed, 1);
    auto const& log = first.on.log();
    auto const done = pick.below(log.size() + 1);
    disk second(left);
    bool acknowledged = true;
    for (std::size_t i = 0; i < log.size(); ++i) {
        if (i < done) {
            second.take(log[i]);
        } else {
            // After the last sync only pages and trimming follow.
            acknowledged = acknowledged && log[i].kind != coppice::testing::operation_kind::sync;
        }
    }
    auto image = power_cut(second, level).image(pick);
    if (pick.flip()) image.page = {};
    judge_second(image, first, wanted, second_floor(first, wanted), acknowledged, chosen, seed + 1);
}

/// After a failed sync a handle refuses to write, whatever became of the bytes.
inline void must_refuse_writing(database& db) {
    try {
        static_cast<void>(db.write());
    } catch (coppice::error const& e) {
        if (e.kind() == coppice::errc::sync_failed) return;
    }
    must(false, "a handle writes on after a failed sync");
}

/// Goes on with what a power cut has left when `at` operations were done. It is looked at on a
/// machine of its own, so that nothing is written here.
inline void go_on_with(disk const& left, ledger& told, std::size_t at,
                       coppice::options const& chosen) {
    findings probe(left, 0);
    auto const db = open(probe.on, chosen);
    told.restart_with(told.judge(db.read(), at, told.floor(at, true)));
}

/// A number for all that matters of an image: of each file what the slots that can be read name.
[[nodiscard]] inline std::uint64_t hash_of_what_matters(disk_image const& image) {
    namespace format = coppice::format;
    disk_image part;
    part.database = image.database;
    part.companion = image.companion;
    part.page = image.page;
    part.boot = 0;
    for (auto const& [inode, file] : image.files) {
        std::uint64_t end = file.size();
        if (file.size() >= format::data_begin_offset) {
            try {
                auto const header =
                    format::decode_file_header(coppice::bytes{file}.first(format::block_bytes), {});
                end = format::data_begin_offset;
                for (unsigned i = 0; i < 2; ++i) {
                    auto const seen =
                        format::decode_slot(coppice::bytes{file}.subspan(format::slot_offset(i),
                                                                         format::superblock_bytes),
                                            header);
                    if (seen.state == format::slot_state::good) {
                        end = std::max(end, seen.slot.end_offset);
                    }
                }
            } catch (coppice::error const&) {
                end = file.size();
            }
        }
        end = std::min<std::uint64_t>(end, file.size());
        part.files[inode] = file;
        part.files[inode].resize(static_cast<std::size_t>(end));
    }
    return hash_of(part);
}

} // namespace explorer
