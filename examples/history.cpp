// SPDX-License-Identifier: BSL-1.0
// Notes on commits, reading the past, and what compaction does to it.
#include <coppice/coppice.hpp>

#include <iostream>

int main() {
    coppice::database db{"prices.db"};
    auto const set_price = [&](std::string_view price, std::string note) {
        return db.update([&](auto& txn) { txn.put("tea", price); }, {}, std::move(note));
    };
    auto const first = set_price("3.20", "opening");
    set_price("3.40", "new supplier");
    set_price("2.90", "summer offer");

    for (auto const& commit : db.history()) {
        std::cout << "commit " << commit.id.value << ": " << commit.note << '\n';
    }
    auto const then = db.read(first);
    std::cout << "now " << db.get("tea").value() << ", at commit " << first.value << " it was "
              << *then.get("tea") << '\n';

    db.compact();
    try {
        static_cast<void>(db.read(first));
        return 1;
    } catch (coppice::error const& e) {
        std::cout << "after compaction: " << e.what() << '\n';
    }
    // A snapshot that was taken before goes on.
    return *then.get("tea") == "3.20" ? 0 : 1;
}
