// SPDX-License-Identifier: BSL-1.0
// What has changed between two moments, and a feed of commits that an index of its own follows.
#include <coppice/coppice.hpp>

#include <chrono>
#include <iostream>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace {

/// How many fruits have each colour: what somebody else keeps of the database, commit by commit.
class colours {
  public:
    void take(coppice::commit_changes const& commit) {
        std::scoped_lock const guard(mutex_);
        for (auto const& [fruit, before, after] : commit.changes) {
            if (before) --count_[std::string(*before)];
            if (after) ++count_[std::string(*after)];
        }
    }
    [[nodiscard]] int count(std::string const& colour) const {
        std::scoped_lock const guard(mutex_);
        auto const found = count_.find(colour);
        return found == count_.end() ? 0 : found->second;
    }

  private:
    mutable std::mutex mutex_;
    std::map<std::string, int> count_;
};

} // namespace

int main() {
    coppice::database db{"colours.db"};
    auto const set = [&](std::string_view fruit, std::string_view colour) {
        db.update([&](auto& txn) { txn.put(fruit, colour); });
    };
    set("apple", "green");
    set("cherry", "red");
    auto const before = db.read();
    set("apple", "red");
    db.update([](auto& txn) { txn.erase("cherry"); });

    // The difference of two moments costs what has changed, however large both are.
    for (auto const& [key, was, is] : coppice::diff(before, db.read())) {
        std::cout << key << ": " << was.value_or("nothing") << " -> " << is.value_or("nothing")
                  << '\n';
    }

    // Each durable commit once, oldest first. Store `last` with your own work, and go on from it.
    colours index;
    coppice::commit_identity last;
    for (auto const& commit : db.changes(last)) {
        index.take(commit);
        last = commit.identity;
    }
    std::cout << "red: " << index.count("red") << ", green: " << index.count("green") << '\n';

    // The same from a thread of its own, for commits of any process.
    coppice::follower const follower(
        db, [&](auto const& commit) { index.take(commit); }, last);
    set("plum", "blue");
    set("grape", "blue");
    while (index.count("blue") < 2 && !follower.failure()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::cout << "blue: " << index.count("blue") << '\n';
    return index.count("red") == 1 && index.count("blue") == 2 ? 0 : 1;
}
