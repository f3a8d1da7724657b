// SPDX-License-Identifier: BSL-1.0
#pragma once
// Jobs without an end, for processes that are killed at random: writers that move money between
// accounts and count what was acknowledged, readers that find every snapshot whole, a compactor.
// - bank-found PATH WRITERS: makes the bank
// - bank-write PATH WRITER COUNT SEED: says "ack N" for each transfer; COUNT are acknowledged
// - bank-read PATH SEED: says "seen N" after every N audits
// - bank-compact PATH SEED: says "compacted"
// - bank-audit PATH COUNT...: has each writer what was acknowledged to it, and no more?

#include "content.hpp"
#include "report.hpp"

#include <bank.hpp>

#include <coppice/database.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace faults {

/// A writer was killed: what it was told stays, and at most one transfer more was made.
inline void require_count(coppice::snapshot const& state, std::uint64_t writer,
                          std::uint64_t acknowledged) {
    auto const count = bank::number_of(*state.get(bank::counter(writer)));
    if (count < acknowledged || count > acknowledged + 1) {
        throw contradiction("writer " + std::to_string(writer) + " has " + std::to_string(count) +
                            " transfers, and was told of " + std::to_string(acknowledged));
    }
}

[[noreturn]] inline void write_for_ever(std::filesystem::path const& path, std::uint64_t writer,
                                        std::uint64_t acknowledged, std::uint64_t seed) {
    workbench::dice dice(seed);
    coppice::database db(path, bank::chosen());
    bool first = true;
    for (;;) {
        auto txn = db.write();
        if (std::exchange(first, false)) {
            // What was made and not told is told now, or killing could add up to more than one.
            require_count(txn.view(), writer, acknowledged);
            say("ack " + std::to_string(bank::number_of(*txn.get(bank::counter(writer)))));
        }
        auto const count = bank::transfer(txn, dice, writer);
        txn.commit(bank::any_durability(dice));
        say("ack " + std::to_string(count));
        if (dice.below(4) == 0) bank::audit(db.read(), dice);
    }
}

[[noreturn]] inline void read_for_ever(std::filesystem::path const& path, std::uint64_t seed) {
    workbench::dice dice(seed);
    auto chosen = bank::chosen();
    chosen.read_only = seed % 2 == 0;
    coppice::database const db(path, chosen);
    coppice::commit_id newest{};
    for (std::uint64_t audits = 1;; ++audits) {
        auto const now = db.read();
        if (now.id() < newest) throw contradiction("a reader went back in time");
        newest = now.id();
        bank::audit(now, dice);
        say("seen " + std::to_string(audits));
        if (audits % 64 == 0 && !db.check().clean()) throw contradiction("not clean");
        std::this_thread::sleep_for(std::chrono::microseconds(dice.below(1000)));
    }
}

[[noreturn]] inline void compact_for_ever(std::filesystem::path const& path, std::uint64_t seed) {
    workbench::dice dice(seed);
    coppice::database db(path, bank::chosen());
    for (;;) {
        std::this_thread::sleep_for(std::chrono::microseconds(dice.below(8000)));
        if (db.compact()) say("compacted");
    }
}

inline int run_bank_job(std::vector<std::string> const& words) {
    auto const number = [&](std::size_t i) { return std::stoull(words.at(i)); };
    auto const& verb = words[0];
    if (verb == "bank-found") {
        coppice::database db(words[1], bank::chosen());
        bank::found(db, static_cast<unsigned>(number(2)));
    } else if (verb == "bank-write") {
        write_for_ever(words[1], number(2), number(3), number(4));
    } else if (verb == "bank-read") {
        read_for_ever(words[1], number(2));
    } else if (verb == "bank-compact") {
        compact_for_ever(words[1], number(2));
    } else if (verb == "bank-audit") {
        coppice::database db(words[1], bank::chosen());
        auto txn = db.write_for(std::chrono::seconds(1));
        if (!txn) throw contradiction("the lock is not free");
        for (std::size_t i = 2; i < words.size(); ++i) {
            require_count(txn->view(), i - 2, number(i));
        }
        txn->put("audited", ""); // the next writer removes what a killed compaction has left
        txn->commit();
        workbench::dice dice(1);
        bank::audit(db.read(), dice);
        if (!db.check().clean()) throw contradiction("not clean");
        say("ok");
    } else {
        return 2;
    }
    return 0;
}

} // namespace faults
