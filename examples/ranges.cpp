// SPDX-License-Identifier: BSL-1.0
// Ranges, prefixes, reverse order, and order statistics in O(log n), and a scan by several threads.
#include <coppice/coppice.hpp>

#include <atomic>
#include <cstdio>
#include <iostream>
#include <thread>
#include <vector>

int main() {
    coppice::memory_database db;
    db.update([](auto& txn) {
        char key[32];
        for (int day = 1; day <= 28; ++day) {
            std::snprintf(key, sizeof key, "2026-02-%02d", day);
            txn.put(key, day % 7 == 0 ? "rest" : "work");
        }
    });
    auto const now = db.read();

    std::cout << "the second week:\n";
    for (auto [day, what] : now.range("2026-02-08", "2026-02-15")) {
        std::cout << "  " << day << ' ' << what << '\n';
    }
    std::cout << "the last three days, newest first:\n";
    int left = 3;
    for (auto [day, what] : now.all().reversed()) {
        if (left-- == 0) break;
        std::cout << "  " << day << ' ' << what << '\n';
    }
    using coppice::excluding;
    using coppice::including;
    auto const between = now.range(excluding("2026-02-01"), including("2026-02-03"));
    std::cout << "after the 1st up to the 3rd: " << between.begin()->key << " ...\n";

    std::cout << "days before the 15th: " << now.rank("2026-02-15") << '\n'
              << "days of the twenties: " << now.count_prefix("2026-02-2") << '\n'
              << "the middle of all: " << now.nth(now.size() / 2)->key << '\n';
    std::atomic<int> work{0};
    {
        std::vector<std::jthread> threads; // each scans a piece, all the same moment
        for (auto const& piece : now.all().split(4)) {
            threads.emplace_back([piece, &work] {
                for (auto [day, what] : piece) work += what == "work" ? 1 : 0;
            });
        }
    }
    std::cout << "days of work, counted by four threads: " << work << '\n';
    return work == 24 && now.rank("2026-02-15") == 14 && now.count_prefix("2026-02-2") == 9 ? 0 : 1;
}
