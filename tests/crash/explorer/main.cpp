// SPDX-License-Identifier: BSL-1.0
// Crashes, as many as there is time for: ./dev crash. Every image that is counted was opened by the
// code that ships, compared, checked, written to, and crashed once more.
//   random      histories named by seed and index, for so many minutes
//   exhaustive  all histories of up to three transactions over three keys, and of two with every
//               durability, killed process and failed sync
//   replay      one random history, SEED:INDEX

#include "exhaustive.hpp"
#include "progress.hpp"
#include "random_history.hpp"
#include "shared_memory.hpp"

#include <CLI/CLI.hpp>
#include <workbench.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;

struct settings {
    double minutes = 10;
    std::uint64_t seed = 1;
    std::uint64_t histories = 0; ///< instead of minutes
    unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
    unsigned transactions = 3;
    bool twice = false;
    unsigned shard = 0;
    unsigned shards = 1;
    std::string replay;
    std::string state;       ///< file of what is done, so that one can go on
    double most_minutes = 0; ///< begins no more units after so many; 0 is no limit
    std::size_t most_millions = 100;
};

/// What went wrong, from any thread and any process of the team.
class violations {
  public:
    void add(std::string const& what) {
        if (++count_[0] <= 10) std::printf("VIOLATION %s\n", what.c_str());
        std::fflush(stdout);
    }
    [[nodiscard]] std::size_t count() const { return count_[0].load(); }

  private:
    explorer::shared_memory<std::atomic<std::size_t>> count_{1};
};

/// Calls `work(number)` for 0, 1, 2, ... in several threads, until it returns false.
void in_threads(unsigned threads, std::function<bool(std::uint64_t)> const& work) {
    std::atomic<std::uint64_t> next{0};
    std::vector<std::thread> team;
    for (unsigned i = 0; i < threads; ++i) {
        team.emplace_back([&] {
            while (work(next++)) {
            }
        });
    }
    for (auto& each : team) each.join();
}

[[nodiscard]] double seconds_since(clock_type::time_point begin) {
    return std::chrono::duration<double>(clock_type::now() - begin).count();
}

/// Runs one random history. @return what it did; nothing where a rule was broken
std::optional<explorer::tally> run_history(settings const& chosen, std::uint64_t index,
                                           explorer::distinct_set& images, violations& found) {
    std::uint64_t number = 0;
    try {
        explorer::random_history history(
            chosen.seed, index,
            [&](explorer::disk const& left, explorer::expectation const& wanted,
                coppice::options const& options, std::uint64_t seed, explorer::cut_level level) {
                ++number;
                auto const hash = explorer::hash_of_what_matters(left.cached());
                if (!images.add(hash ^ coppice::testing::mixed(wanted.floor))) return;
                explorer::examine(left, wanted, options, seed, level);
            });
        history.run();
        return history.seen();
    } catch (std::exception const& e) {
        found.add("after " + std::to_string(images.count()) + " distinct images, " +
                  std::to_string(chosen.seed) + ":" + std::to_string(index) + ", its image " +
                  std::to_string(number) + ": " + e.what());
        return std::nullopt;
    }
}

/// What one process of a team has done so far, and the history that it is at.
struct stretch {
    explorer::tally seen;
    std::uint64_t index;
};

int random(settings const& chosen) {
    explorer::distinct_set images(chosen.most_millions * 1'000'000);
    violations found;
    explorer::shared_memory<std::atomic<std::uint64_t>> next(1);
    explorer::shared_memory<stretch> done(chosen.jobs);
    auto const begin = clock_type::now();
    auto const is_enough = [&](std::uint64_t index) {
        return found.count() >= 10 ||
               (chosen.histories != 0 ? index >= chosen.histories
                                      : seconds_since(begin) >= chosen.minutes * 60);
    };
    auto const work = [&](unsigned member) {
        for (;;) {
            auto const index = next[0]++;
            if (is_enough(index)) return;
            done[member].index = index;
            if (auto const seen = run_history(chosen, index, images, found)) {
                done[member].seen.add(*seen);
            }
        }
    };
    explorer::in_processes(chosen.jobs, work, [&](unsigned member, int status) {
        found.add("a process ended with status " + std::to_string(status) + " in " +
                  std::to_string(chosen.seed) + ":" + std::to_string(done[member].index));
    });
    explorer::tally all;
    for (unsigned i = 0; i < chosen.jobs; ++i) all.add(done[i].seen);
    std::printf("random: %zu distinct images of %llu histories, %zu violations, %.0f s, "
                "%u processes, seed %llu\n",
                images.count(), static_cast<unsigned long long>(all.histories), found.count(),
                seconds_since(begin), chosen.jobs, static_cast<unsigned long long>(chosen.seed));
    std::printf(
        "  %llu commits, %llu groups of them, %llu deferred, %llu unseen, %llu compactions with "
        "%llu "
        "commits meanwhile, %llu killed processes, %llu failed syncs, "
        "%llu power cuts gone on from, %llu take-overs, %llu tags\n",
        static_cast<unsigned long long>(all.commits), static_cast<unsigned long long>(all.groups),
        static_cast<unsigned long long>(all.deferred), static_cast<unsigned long long>(all.unseen),
        static_cast<unsigned long long>(all.compactions),
        static_cast<unsigned long long>(all.beside), static_cast<unsigned long long>(all.kills),
        static_cast<unsigned long long>(all.failed_syncs),
        static_cast<unsigned long long>(all.power_cuts),
        static_cast<unsigned long long>(all.takeovers), static_cast<unsigned long long>(all.names));
    return found.count() == 0 ? 0 : 1;
}

/// The same as `exhaustive`, in units whose results are kept in a file: to be ended and gone on
/// with.
int exhaustive_in_parts(settings const& chosen) {
    explorer::progress kept(chosen.state,
                            "coppice_crash exhaustive, transactions " +
                                std::to_string(chosen.transactions) +
                                (chosen.twice ? ", double crashes" : ", single crashes"));
    violations found;
    auto const begin = clock_type::now();
    bool complete = true;
    auto const run = [&](std::string const& part, unsigned units, auto const& work) {
        in_threads(chosen.jobs, [&](std::uint64_t number) {
            auto const unit = static_cast<unsigned>(number * chosen.shards + chosen.shard);
            auto const late =
                chosen.most_minutes != 0 && seconds_since(begin) >= chosen.most_minutes * 60;
            if (unit >= units || late || found.count() >= 10) return false;
            if (kept.is_done(part, unit)) return true;
            try {
                // A set for each unit, so that its result is the same whoever does it, and when.
                explorer::distinct_set images(std::size_t{1} << 20U);
                explorer::counters seen(images);
                work(seen, unit);
                kept.add(part, unit, {seen.histories, images.count(), seen.sum});
            } catch (std::exception const& e) {
                found.add(part + ", unit " + std::to_string(unit) + ": " + e.what());
            }
            return true;
        });
        auto const [done, all] = kept.total(part);
        complete = complete && done == units;
        std::printf("%s: %zu of %u units, %llu histories, %llu images (distinct within a unit), "
                    "%zu violations, sum %016llx, %.0f s\n",
                    part.c_str(), done, units, static_cast<unsigned long long>(all.histories),
                    static_cast<unsigned long long>(all.images), found.count(),
                    static_cast<unsigned long long>(all.sum), seconds_since(begin));
        std::fflush(stdout);
    };
    run("short", explorer::enumeration::units(), [&](explorer::counters& seen, unsigned unit) {
        explorer::enumeration(seen, chosen.twice).run_unit(unit, chosen.transactions);
    });
    run("mixed", explorer::enumeration::mixed_units(),
        [&](explorer::counters& seen, unsigned unit) {
            explorer::enumeration(seen, true).run_mixed(unit);
        });
    std::printf("%s\n", complete ? "complete" : "not complete: the same command goes on");
    return found.count() == 0 ? 0 : 1;
}

int exhaustive(settings const& chosen) {
    if (!chosen.state.empty()) return exhaustive_in_parts(chosen);
    explorer::distinct_set images(chosen.most_millions * 1'000'000);
    violations found;
    explorer::counters seen(images);
    auto const run = [&](char const* what, unsigned units, auto const& work) {
        auto const begin = clock_type::now();
        auto const before = images.count();
        auto const histories = seen.histories.load();
        seen.sum = 0;
        std::atomic<unsigned> done{0};
        in_threads(chosen.jobs, [&](std::uint64_t number) {
            auto const unit = number * chosen.shards + chosen.shard;
            if (unit >= units || found.count() >= 10) return false;
            try {
                work(static_cast<unsigned>(unit));
                ++done;
            } catch (std::exception const& e) {
                found.add("after " + std::to_string(images.count()) + " distinct images, " + what +
                          ", unit " + std::to_string(unit) + ": " + e.what());
            }
            return true;
        });
        std::printf(
            "%s: %u of %u units, %llu histories, %zu distinct images, %zu violations, "
            "sum %016llx, %.0f s, %u threads\n",
            what, done.load(), units, static_cast<unsigned long long>(seen.histories - histories),
            images.count() - before, found.count(),
            static_cast<unsigned long long>(seen.sum.load()), seconds_since(begin), chosen.jobs);
        std::fflush(stdout);
    };
    run(chosen.twice ? "all short histories, double crashes" : "all short histories",
        explorer::enumeration::units(), [&](unsigned unit) {
            explorer::enumeration(seen, chosen.twice).run_unit(unit, chosen.transactions);
        });
    run("two transactions, every durability, kill and failed sync",
        explorer::enumeration::mixed_units(),
        [&](unsigned unit) { explorer::enumeration(seen, true).run_mixed(unit); });
    return found.count() == 0 ? 0 : 1;
}

int replay(settings chosen) {
    auto const colon = chosen.replay.find(':');
    chosen.seed = std::stoull(chosen.replay);
    auto const index =
        colon == std::string::npos ? 0 : std::stoull(chosen.replay.substr(colon + 1));
    explorer::distinct_set images(1'000'000);
    violations found;
    static_cast<void>(run_history(chosen, index, images, found));
    std::printf("%s: %zu distinct images, %zu violations\n", chosen.replay.c_str(), images.count(),
                found.count());
    return found.count() == 0 ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    workbench::keep_memory();
    settings chosen;
    CLI::App app{"crashes of coppice on a simulated machine"};
    app.require_subcommand(1);
    auto* const by_chance = app.add_subcommand("random", "random histories");
    by_chance->add_option("--minutes", chosen.minutes, "how long");
    by_chance->add_option("--histories", chosen.histories, "how many, instead of how long");
    by_chance->add_option("--seed", chosen.seed, "of all that is random");
    auto* const all = app.add_subcommand("exhaustive", "all short histories");
    all->add_option("--transactions", chosen.transactions, "1 to 3")->check(CLI::Range(1, 3));
    all->add_flag("--double", chosen.twice, "every second crash of every first one as well");
    all->add_option("--shard", chosen.shard, "which part of the work");
    all->add_option("--shards", chosen.shards, "of how many")->check(CLI::PositiveNumber);
    all->add_option("--state", chosen.state, "keeps what is done in this file, and goes on");
    all->add_option("--minutes", chosen.most_minutes, "with --state: begins no more after so many");
    for (auto* const each : {by_chance, all}) {
        each->add_option("--jobs", chosen.jobs, "how many at once");
        each->add_option("--room", chosen.most_millions, "for so many million distinct images");
    }
    auto* const again = app.add_subcommand("replay", "one random history");
    again->add_option("name", chosen.replay, "SEED:INDEX")->required();
    CLI11_PARSE(app, argc, argv);
    try {
        if (by_chance->parsed()) return random(chosen);
        return all->parsed() ? exhaustive(chosen) : replay(chosen);
    } catch (std::exception const& e) {
        std::fprintf(stderr, "coppice_crash: %s\n", e.what());
        return 2;
    }
}
