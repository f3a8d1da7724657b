// SPDX-License-Identifier: BSL-1.0
// The kit together with RapidCheck: random commands for a job queue, a power failure at a random
// moment, and a shrunk story when an invariant of the queue does not hold.

#include <coppice/testing.hpp>

#include <catch2/catch.hpp>
#include <rapidcheck.h>

#include <cstdint>
#include <string>
#include <vector>

namespace {

using coppice::testing::choices;
using coppice::testing::cut_level;
using coppice::testing::database;
using coppice::testing::machine;

/// A queue of jobs: "todo/<number>" until somebody has taken it, "done/<number>" from then on.
class job_queue {
  public:
    explicit job_queue(machine& on) : db_(on.start_process(), {.clock = on.clock()}) {}

    void push() {
        db_.update([](auto& txn) { txn.put("todo/" + number(txn.size()), "job"); });
    }
    void take() {
        db_.update([](auto& txn) {
            auto const view = txn.view();
            for (auto const& [key, job] : view.prefix("todo/")) {
                txn.put("done/" + std::string(key.substr(5)), std::string(job));
                txn.erase(key);
                return;
            }
        });
    }
    /// How many jobs there are and how many of them are done; jobs are done in order.
    [[nodiscard]] std::pair<std::uint64_t, std::uint64_t> counts() const {
        auto const now = db_.read();
        auto const done = now.count_prefix("done/");
        auto const all = now.size();
        for (std::uint64_t i = 0; i < all; ++i) {
            if (!now.contains((i < done ? "done/" : "todo/") + number(i))) return {~0U, ~0U};
        }
        return {all, done};
    }

  private:
    static std::string number(std::uint64_t i) { return std::to_string(1'000'000 + i); }

    database db_;
};

/// What the queue is after some commands, and after one more that was not confirmed.
bool is_one_of(std::pair<std::uint64_t, std::uint64_t> found, std::vector<bool> const& commands,
               std::size_t confirmed) {
    std::pair<std::uint64_t, std::uint64_t> model{0, 0};
    for (std::size_t i = 0;; ++i) {
        if (i >= confirmed && i <= confirmed + 1 && found == model) return true;
        if (i == commands.size()) return false;
        if (commands[i]) {
            ++model.first;
        } else if (model.second < model.first) {
            ++model.second;
        }
    }
}

} // namespace

TEST_CASE("a queue of jobs loses none and does none twice, whenever the power fails") {
    std::uint64_t cuts = 0;
    auto const holds = [&](std::vector<bool> const& commands, std::uint16_t seed) {
        auto const operations = *rc::gen::inRange<std::uint64_t>(0, 10 + 8 * commands.size());
        auto pick = choices::random(seed, operations);
        machine on(seed);
        on.fail_power_after(operations);
        std::size_t confirmed = 0;
        try {
            job_queue queue(on);
            for (; confirmed < commands.size(); ++confirmed) {
                commands[confirmed] ? queue.push() : queue.take();
            }
        } catch (coppice::error const&) {
            ++cuts;
        }
        on.restart(pick, static_cast<cut_level>(pick.below(4)));
        RC_ASSERT(is_one_of(job_queue(on).counts(), commands, confirmed));
    };
    CHECK(rc::check("the queue holds", holds));
    CHECK(cuts > 20);
}
