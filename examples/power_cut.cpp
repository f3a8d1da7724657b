// SPDX-License-Identifier: BSL-1.0
// A property test of one's own code: the power fails after every single operation of the disk, the
// machine starts again with whatever was left, and what must hold for a bank still holds.
#include <coppice/coppice.hpp>
#include <coppice/testing.hpp>

#include <iostream>
#include <stdexcept>
#include <string>

namespace {

// The code under test. It knows nothing of tests: it takes any database of coppice.
int balance(auto const& entries, std::string const& who) {
    auto const found = entries.get(who);
    return found ? std::stoi(std::string(*found)) : 0;
}
void pay(auto& bank, std::string const& from, std::string const& to, int sum) {
    bank.update([&](auto& txn) {
        txn.put(from, std::to_string(balance(txn, from) - sum));
        txn.put(to, std::to_string(balance(txn, to) + sum));
        txn.put("payments", std::to_string(balance(txn, "payments") + 1));
    });
}

// What must hold: no money is made or lost, and a payment that was confirmed was made.
bool holds(auto const& bank, int confirmed) {
    auto const now = bank.read();
    return balance(now, "ada") + balance(now, "bob") == 0 && balance(now, "payments") >= confirmed;
}

// Payments until the power fails, and a look at what is left. Says whether it failed.
bool survive(std::uint64_t seed, std::uint64_t operations) {
    using namespace coppice::testing;
    auto pick = choices::random(seed, operations); // decides what is left on the disk
    machine computer(seed);
    coppice::options const chosen{.clock = computer.clock()}; // the same times in every run
    computer.fail_power_after(operations);
    int confirmed = 0;
    try {
        database bank(computer.start_process(), chosen);
        for (; confirmed < 5; ++confirmed) pay(bank, "ada", "bob", 10);
    } catch (coppice::error const&) { // the power has failed
    }
    bool const failed = !computer.powered();
    computer.restart(pick);
    database const bank(computer.start_process(), chosen);
    if (!holds(bank, confirmed)) throw std::runtime_error("broken by power cut " + pick.name());
    return failed;
}

} // namespace

int main() {
    int power_cuts = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        for (std::uint64_t operations = 0; survive(seed, operations); ++operations) ++power_cuts;
    }
    std::cout << "the bank has survived " << power_cuts << " power cuts\n";
}
