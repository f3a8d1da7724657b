// SPDX-License-Identifier: BSL-1.0
#pragma once
// Asks a file that somebody has forged everything: opening, all reading, check, compaction, one
// write. Typed errors and wrong answers are allowed, leaving the bytes or the time is not. Where
// check() finds no fault, all answers must agree with each other.

#include <coppice/database.hpp>
#include <coppice/diff.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>

namespace hostile {

/// How far a file let itself be used.
struct outcome {
    bool opened = false;
    bool older = false;   ///< the newest commit was passed over, and recovery said so
    bool clean = false;   ///< check() found no fault
    bool scanned = false; ///< all entries could be read
    bool written = false; ///< a commit was possible
};

inline constexpr std::uint64_t most_steps = 20'000;

/// Reads in every way. @return could everything be read?
inline bool read_all(coppice::snapshot const& state) {
    try {
        std::uint64_t steps = 0;
        std::size_t bytes = 0;
        for (auto const& [key, value] : state.all()) {
            bytes += key.size() + value.size() + state.count(key);
            if (++steps > most_steps) return false;
        }
        steps = 0;
        auto const everything = state.all();
        auto const backwards = everything.reversed();
        for (auto const& each : backwards) {
            bytes += each.key.size();
            if (++steps > most_steps) return false;
        }
        return bytes + steps >= steps;
    } catch (coppice::error const&) {
        return false;
    }
}

template <typename Call> void tolerate(Call call) {
    try {
        call();
    } catch (coppice::error const&) { // a typed error is an answer
        return;
    }
}

inline void ask_for_keys(coppice::snapshot const& state) {
    std::string const keys[] = {"", "key1001", "key1030", "key1059x", "\xff\xff", "a"};
    for (auto const& key : keys) {
        tolerate([&] { static_cast<void>(state.get(key)); });
        tolerate([&] { static_cast<void>(state.rank(key)); });
        tolerate([&] { static_cast<void>(state.count_prefix(key)); });
        tolerate([&] { static_cast<void>(state.value_bytes(key)); });
        tolerate([&] {
            std::byte buffer[16];
            static_cast<void>(state.read(key, 3, buffer));
        });
        tolerate([&] {
            auto at = state.lower_bound(key);
            if (at != state.end()) static_cast<void>(at->value.size());
        });
    }
    for (std::uint64_t i : {0U, 1U, 17U, 59U, 1'000'000U}) {
        tolerate([&] {
            if (auto const at = state.nth(i); at != state.end()) static_cast<void>(at->key.size());
        });
    }
    tolerate([&] { static_cast<void>(state.nth(~std::uint64_t{0}) == state.end()); });
    tolerate([&] { static_cast<void>(state.first()); });
    tolerate([&] { static_cast<void>(state.last()); });
    static_cast<void>(state.time());
}

/// Compares two states. Nothing in between may take for ever: damage is told where it is met.
inline void compare(coppice::snapshot const& before, coppice::snapshot const& after) {
    std::uint64_t bytes = 0;
    for (auto const& [key, old, now] : coppice::diff(before, after)) {
        bytes += key.size() + old.value_or("").size() + now.value_or("").size();
    }
    static_cast<void>(bytes);
}

/// REQUIRES: check() found no fault. @throws std::runtime_error where answers contradict each other
inline void must_agree(coppice::snapshot const& state) {
    std::string before;
    std::uint64_t index = 0;
    for (auto const& [key, value] : state.all()) {
        auto const agrees = (index == 0 || before < key) && state.get(key) == value &&
                            state.rank(key) == index && state.nth(index)->key == key;
        if (!agrees) throw std::runtime_error("check() is content, but answers disagree");
        before = key;
        ++index;
    }
    if (index != state.size()) throw std::runtime_error("check() is content with a wrong size");
}

/// Asks everything. `Medium` holds the forged file.
template <typename Medium> outcome ask(Medium medium, coppice::options chosen) {
    outcome result;
    try {
        chosen.events.on_recover = [&](coppice::recovery_info const&) { result.older = true; };
        coppice::basic_database<Medium> db(std::move(medium), std::move(chosen));
        auto const state = db.read();
        result.opened = true;
        ask_for_keys(state);
        result.scanned = read_all(state);
        result.clean = db.check().clean();
        if (result.clean) must_agree(state);
        tolerate([&] { static_cast<void>(db.stats()); });
        tolerate([&] {
            auto const commits = db.history();
            std::uint64_t steps = 0;
            for (auto const& each : commits) steps += each.note.size() + 1;
        });
        tolerate([&] {
            for (auto const& each : db.tags()) {
                tolerate([&] { static_cast<void>(db.read(each.name)); });
            }
        });
        tolerate([&] { db.tag("hostile"); });
        tolerate([&] {
            auto txn = db.write();
            txn.put("key1020", "new");
            txn.erase("key1030");
            txn.erase("key1040", "key1045");
            txn.put("zzz", std::string(100, 'z'));
            txn.commit();
            result.written = true;
        });
        tolerate([&] { static_cast<void>(read_all(db.read())); });
        tolerate([&] { compare(state, db.read()); });
        tolerate([&] {
            auto const commits = db.history();
            for (auto const& each : commits) compare(db.read(each.id), state);
        });
        tolerate([&] { // a compaction of what claims to be endless is stopped by its user
            coppice::compaction_hooks hooks;
            hooks.progress = [](std::uint64_t done, std::uint64_t) { return done < most_steps; };
            db.compact(hooks);
        });
        tolerate([&] { static_cast<void>(read_all(db.read())); });
    } catch (coppice::error const&) { // refused
        return result;
    }
    return result;
}

} // namespace hostile
