// SPDX-License-Identifier: BSL-1.0
// All or nothing, savepoints, views, and what an error leaves behind.
#include <coppice/coppice.hpp>

#include <iostream>
#include <stdexcept>
#include <string>

int main() {
    coppice::database db{"accounts.db"};
    db.update([](auto& txn) {
        txn.put("ada", "100");
        txn.put("bob", "0");
    });

    auto const move_money = [](auto& txn, std::string const& from, std::string const& to, int sum) {
        auto const add = [](int amount) {
            return [amount](auto const& old) {
                return std::to_string(std::stoi(std::string(*old)) + amount);
            };
        };
        txn.modify(from, add(-sum));
        txn.modify(to, add(sum));
        if (txn.get(from)->starts_with('-'))
            throw std::runtime_error(from + " does not have that much");
    };
    db.update([&](auto& txn) { move_money(txn, "ada", "bob", 30); });
    try {
        db.update([&](auto& txn) { move_money(txn, "ada", "bob", 300); });
    } catch (std::runtime_error const& e) {
        std::cout << e.what() << "; nothing happened\n";
    }

    auto txn = db.write();
    auto const before = txn.savepoint();
    txn.erase_prefix("");
    std::cout << "inside the transaction: " << txn.size() << " accounts, outside "
              << db.read().size() << '\n';
    txn.rollback_to(before);
    txn.insert("eve", "5");
    txn.commit();

    for (auto [name, balance] : db.read()) std::cout << name << ' ' << balance << '\n';
    return db.get("ada") == "70" && db.get("eve") == "5" ? 0 : 1;
}
