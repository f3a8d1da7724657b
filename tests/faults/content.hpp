// SPDX-License-Identifier: BSL-1.0
#pragma once
// What the database of the fault worker holds: all of it follows from one number, which rises by
// one with each commit. So any process can tell a whole commit from half of one, and which it is.

#include <coppice/database.hpp>

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>

namespace faults {

using entries = std::map<std::string, std::string>;

/// What is found in a database.
struct standing {
    std::uint64_t number = 0; ///< of commits; 0 where there is nothing yet
    bool filtered = false;    ///< has a compaction dropped what a filter may drop?

    friend bool operator==(standing const&, standing const&) = default;
};

/// A contradiction, which no injected failure explains.
struct contradiction : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline constexpr char const* marks[] = {"a mark", "m mark", "z mark"};
inline constexpr char const* droppable = "dropped by the filter ";

[[nodiscard]] inline coppice::options chosen() {
    coppice::options result;
    result.nodes = {256, 192, 48}; // a deep tree of few entries
    result.preallocate_bytes = 20'000;
    result.two_sync_above_bytes = 6000;
    result.unsynced_limit_bytes = 40'000;
    result.transaction_bytes = 20'000; // every sixth transaction is larger
    return result;
}

/// The changes of one commit, to a transaction or a map.
template <typename Put, typename Erase>
void change(std::uint64_t number, Put const& put, Erase const& erase) {
    for (auto const* const each : marks) put(each, std::to_string(number));
    for (std::uint64_t i = 0; i < 3; ++i) {
        auto const place = std::to_string(100 + (number * 17 + i * 29) % 90);
        put("key " + place,
            std::string((number * 37 + i * 61) % 300, 'a') + std::to_string(number));
    }
    for (std::uint64_t i = 0; i < (number % 6 == 4 ? 50U : 0U); ++i) {
        put("large " + std::to_string(i), std::string(280, 'l') + std::to_string(number));
    }
    if (number % 5 == 0) erase("key 110", "key 130");
    if (number == 1) {
        for (int i = 0; i < 8; ++i) put(droppable + std::to_string(i), "x");
    }
}

[[nodiscard]] inline entries content_of(standing const& wanted) {
    entries result;
    for (std::uint64_t n = 1; n <= wanted.number; ++n) {
        change(
            n, [&](std::string const& key, std::string const& value) { result[key] = value; },
            [&](char const* from, char const* to) {
                result.erase(result.lower_bound(from), result.lower_bound(to));
            });
    }
    if (wanted.filtered)
        std::erase_if(result, [](auto const& e) { return e.first.starts_with(droppable); });
    return result;
}

/// Reads all of a state. @return what it is. @throws contradiction where it is no whole commit
[[nodiscard]] inline standing recognise(coppice::snapshot const& state) {
    standing found;
    auto const first = state.get(marks[0]);
    if (first) found.number = std::stoull(std::string(*first));
    found.filtered = first && state.count_prefix(droppable) == 0;
    entries seen;
    for (auto const& [key, value] : state) seen.emplace(key, value);
    if (seen != content_of(found)) {
        throw contradiction("half a commit, or none that was made: " +
                            std::to_string(found.number));
    }
    return found;
}

/// Makes the changes of a number in a transaction.
inline void change_in(coppice::transaction& txn, std::uint64_t number) {
    change(
        number, [&](std::string const& key, std::string const& value) { txn.put(key, value); },
        [&](char const* from, char const* to) { txn.erase(from, to); });
}

/// Commits the next number.
inline void commit_number(coppice::database& db, std::uint64_t number, coppice::durability how) {
    db.update([&](auto& txn) { change_in(txn, number); }, how);
}

/// Commits the next number, but for what waiting for it brings.
[[nodiscard]] inline auto commit_pending(coppice::database& db, std::uint64_t number,
                                         coppice::durability how) {
    auto txn = db.write();
    change_in(txn, number);
    return txn.commit_async(how);
}

} // namespace faults
