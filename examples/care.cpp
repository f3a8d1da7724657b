// SPDX-License-Identifier: BSL-1.0
// Backups, another database from an old commit, space back, and what is left of a damaged file.
#include <coppice/coppice.hpp>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

int main() {
    // The example begins with nothing, also when it is run again.
    for (auto const* const made :
         {"orders.db", "orders.backup", "trial.db", "broken.db", "saved.db"}) {
        coppice::destroy(made);
    }
    coppice::database db{"orders.db"};
    auto const add = [&](int first, int last) {
        db.update([&](auto& txn) {
            for (int i = first; i < last; ++i) txn.put(std::to_string(i), "an order");
        });
    };
    add(0, 1000);

    // A backup is made while others write; later ones copy only what was appended since.
    auto const whole = db.backup("orders.backup");
    db.tag("monday");
    add(1000, 1100);
    auto const more = db.extend_backup("orders.backup");
    std::cout << "backup: " << whole.copied_bytes << " bytes, then " << more.copied_bytes
              << " more\n";

    // A branch begins with an old commit and goes its own way.
    auto trial = db.branch("trial.db", db.read("monday").id());
    trial.update([](auto& txn) { txn.erase_prefix("1"); });
    std::cout << "trial: " << trial.read().size() << " orders, orders: " << db.read().size()
              << '\n';

    // Space comes back beside readers and writers. What has a tag stays; ask options::retention for
    // more, and options::compaction for a database that does this by itself.
    for (int round = 0; round < 50; ++round) add(0, 200);
    auto const before = db.stats().file_bytes;
    db.compact({.bytes_per_second = 100'000'000});
    std::cout << "compacted: " << before << " -> " << db.stats().file_bytes << " bytes, monday has "
              << db.read("monday").size() << " orders\n";

    // Both superblocks gone: the file does not open, its commits are still in it.
    std::filesystem::copy_file("orders.db", "broken.db");
    std::fstream("broken.db", std::ios::in | std::ios::out | std::ios::binary)
        .seekp(4096)
        .write(std::string(8192, '\0').data(), 8192);
    auto const saved = coppice::salvage("broken.db", "saved.db");
    coppice::database const again{"saved.db"};
    std::cout << "saved: " << again.read().size() << " orders of commit " << saved.taken.value
              << ", " << saved.lost_ranges.size() << " ranges lost\n";
    return again.read().size() == db.read().size() && db.check().clean() ? 0 : 1;
}
