// SPDX-License-Identifier: BSL-1.0
// The example of README.md, as printed there; tests/readme_test.py compares the two.
// clang-format off
#include <coppice/coppice.hpp>
#include <iostream>

int main() {
    coppice::database db{"fruit.db"};          // opens it, or makes it

    auto txn = db.write();                     // the one writer; waits its turn
    txn.put("apple", "red");
    txn.put("banana", "yellow");
    txn.commit();                              // durable from here; without it, nothing happened

    auto now = db.read();                      // a value: this moment, for as long as you keep it
    if (auto colour = now.get("apple")) std::cout << "apple is " << *colour << '\n';
    for (auto [key, value] : now) std::cout << key << " = " << value << '\n';
}
