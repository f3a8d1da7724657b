// SPDX-License-Identifier: BSL-1.0
// Notes on commits, reading the past, names for commits, and what compaction keeps.
#include <coppice/coppice.hpp>

#include <iostream>

int main() {
    coppice::database db{"prices.db"};
    auto const set_price = [&](std::string_view price, std::string note) {
        return db.update([&](auto& txn) { txn.put("tea", price); }, {}, std::move(note));
    };
    auto const first = set_price("3.20", "opening");
    auto const second = set_price("3.40", "new supplier");
    set_price("2.90", "summer offer");

    for (auto const& commit : db.history()) {
        std::cout << "commit " << commit.id.value << ": " << commit.note << '\n';
    }
    auto const then = db.read(first);
    std::cout << "now " << db.get("tea").value() << ", at commit " << first.value << " it was "
              << *then.get("tea") << '\n';

    // A commit with a name stays, and so would as many as options::retention wants.
    db.tag("opening", first);
    db.compact();
    auto const opening = db.read("opening");
    std::cout << "kept as 'opening': " << *opening.get("tea") << '\n';
    try {
        static_cast<void>(db.read(second));
        return 1;
    } catch (coppice::error const& e) {
        std::cout << "after compaction: " << e.what() << '\n';
    }
    // A snapshot that was taken before goes on.
    return *then.get("tea") == "3.20" ? 0 : 1;
}
