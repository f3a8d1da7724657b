// SPDX-License-Identifier: BSL-1.0
#pragma once
// A bank: accounts whose sum never changes, writers that move money between them and count what was
// acknowledged, readers that find the sum, the order statistics and the counters right in every
// snapshot. Used by threads and by processes.

#include <coppice/database.hpp>

#include <complaints.hpp>
#include <workbench.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace bank {

using workbench::require;

inline constexpr unsigned accounts = 40;
inline constexpr std::uint64_t start_money = 1000;

[[nodiscard]] inline std::string number_text(std::uint64_t number) {
    auto text = std::to_string(number);
    return std::string(12 - std::min<std::size_t>(12, text.size()), '0') + text;
}
[[nodiscard]] inline std::uint64_t number_of(std::string_view text) {
    return std::stoull(std::string(text));
}
[[nodiscard]] inline std::string account(std::uint64_t i) { return "account " + number_text(i); }
/// How many transfers of a writer were committed.
[[nodiscard]] inline std::string counter(std::uint64_t writer) {
    return "writer " + number_text(writer);
}

[[nodiscard]] inline coppice::options chosen() {
    coppice::options result;
    result.nodes = {256, 192, 48};
    result.preallocate_bytes = std::uint64_t{1} << 16U;
    return result;
}

template <typename Database> void found(Database& db, unsigned writers) {
    db.update([&](auto& txn) {
        for (unsigned i = 0; i < accounts; ++i) txn.put(account(i), number_text(start_money));
        for (unsigned i = 0; i < writers; ++i) txn.put(counter(i), number_text(0));
    });
}

[[nodiscard]] inline coppice::durability any_durability(workbench::dice& dice) {
    switch (dice.below(8)) {
    case 0: return coppice::durability::sync;
    case 1: return coppice::durability::two_sync;
    default: return coppice::durability::lazy;
    }
}

/// Moves money within a transaction, and counts it. @return the new count
template <typename Transaction>
std::uint64_t transfer(Transaction& txn, workbench::dice& dice, std::uint64_t writer) {
    auto const from = account(dice.below(accounts));
    auto const to = account(dice.below(accounts));
    auto const amount = dice.below(number_of(*txn.get(from)) + 1);
    txn.put(from, number_text(number_of(*txn.get(from)) - amount));
    txn.put(to, number_text(number_of(*txn.get(to)) + amount));
    if (dice.below(8) == 0) txn.put("note of " + counter(writer), std::string(90, 'n'));
    auto const count = number_of(*txn.get(counter(writer))) + 1;
    txn.put(counter(writer), number_text(count));
    return count;
}

/// Is all right in a snapshot? @throws std::runtime_error saying what is not
inline void audit(coppice::snapshot const& state, workbench::dice& dice) {
    std::uint64_t sum = 0;
    std::uint64_t seen = 0;
    for (auto const& [key, value] : state.prefix("account ")) {
        sum += number_of(value);
        ++seen;
    }
    require(sum == accounts * start_money, "the sum of all accounts is " + std::to_string(sum));
    require(seen == accounts && state.count_prefix("account ") == accounts, "accounts are lost");
    auto const i = dice.below(accounts);
    require(state.rank(account(i)) == i, "an account has another rank");
    require(state.nth(i)->key == account(i), "another account has the rank");
    require(state.count(account(0), account(i)) == i, "a range has another count");
}

} // namespace bank
