// SPDX-License-Identifier: BSL-1.0
// bench/space.cpp: what the past and the space of a database cost; coppice alone.
// Owns: the tables of `./dev bench --space`: differences, backups, growth, waits for a compaction,
//   reading what is not in memory.
// Invariant: every answer is verified; the tables are Markdown, the words about them go to stderr.

#include "bench/data.hpp"
#include "bench/measure.hpp"

#include <coppice/coppice.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <iostream>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace {

namespace fs = std::filesystem;
using bench::stopwatch;

struct arguments {
    std::size_t pairs = 1'000'000;
    std::size_t updates = 1'000'000;
    std::size_t repetitions = 5;
    std::size_t large_mib = 1024;
    std::vector<double> ratios{0.5, 1, 2, 4};
    std::set<std::string> sections{};
    fs::path folder{};
};

/// A folder for one section, gone at its end.
class scratch {
  public:
    scratch(fs::path const& parent, std::string const& name)
        : path_(parent / ("space-" + name + "-" + std::to_string(::getpid()))) {
        fs::create_directories(path_);
    }
    scratch(scratch const&) = delete;
    scratch& operator=(scratch const&) = delete;
    ~scratch() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    [[nodiscard]] fs::path operator/(char const* name) const { return path_ / name; }

  private:
    fs::path path_;
};

void require(bool holds, char const* what) {
    if (!holds) throw std::runtime_error(std::string("a wrong answer: ") + what);
}

[[nodiscard]] double mib(std::uint64_t bytes) { return static_cast<double>(bytes) / (1U << 20U); }

void load(coppice::database& db, bench::data_set const& data) {
    auto txn = db.write();
    txn.load(data.pairs);
    txn.commit();
}

/// Gives a new value to so many keys, in one transaction.
void change(coppice::database& db, bench::data_set const& data, std::size_t count,
            std::uint64_t version) {
    bench::value_source values;
    auto const places = bench::shuffled_places(data.pairs.size(), version);
    db.update([&](auto& txn) {
        for (std::size_t i = 0; i < count; ++i) {
            auto const key = data.pairs[places[i]].first;
            txn.put(key, values.make(key, version));
        }
    });
}

/// Seconds of some work: the median of some runs of it.
template <typename Work> [[nodiscard]] double median_seconds(std::size_t times, Work work) {
    std::vector<double> seconds;
    for (std::size_t i = 0; i < times; ++i) {
        stopwatch const time;
        work();
        seconds.push_back(time.seconds());
    }
    return bench::median(seconds);
}

/// The sizes of changes that are looked at: 1, 10, ... up to a tenth of all.
[[nodiscard]] std::vector<std::size_t> change_sizes(std::size_t pairs) {
    std::vector<std::size_t> sizes;
    for (std::size_t size = 1; size <= pairs / 10; size *= 10) sizes.push_back(size);
    return sizes;
}

void differences(arguments const& given) {
    auto const data = bench::random_data(given.pairs, 1);
    scratch const here(given.folder, "diff");
    coppice::database db(here / "a.db");
    load(db, data);
    std::printf(
        "\nDifferences between two commits of %zu pairs\n\n"
        "| changed keys | us | us for each | comparing by two scans, us |\n|---|---|---|---|\n",
        given.pairs);
    for (auto const size : change_sizes(given.pairs)) {
        auto const before = db.read();
        change(db, data, size, size);
        auto const after = db.read();
        std::size_t found = 0;
        auto const seconds = median_seconds(given.repetitions, [&] {
            found = 0;
            for (auto const& each : coppice::diff(before, after)) {
                found += each.before && each.after ? 1U : 0U;
            }
        });
        require(found == size, "another number of changes");
        auto const scans = median_seconds(given.repetitions, [&] {
            found = 0;
            auto const older = before.all();
            auto at = older.begin();
            for (auto const& [key, value] : after.all()) {
                found += at->value != value ? 1U : 0U;
                ++at;
            }
        });
        require(found == size, "another number of changes, by scans");
        std::printf("| %zu | %.1f | %.2f | %.0f |\n", size, seconds * 1e6,
                    seconds * 1e6 / static_cast<double>(size), scans * 1e6);
    }
}

void backups(arguments const& given) {
    auto const data = bench::random_data(given.pairs, 1);
    scratch const here(given.folder, "backup");
    coppice::database db(here / "a.db");
    load(db, data);
    auto const copy = here / "copy.db";
    std::printf("\nBackups of %zu pairs, each durable at its end\n\n"
                "| changed keys | extending: ms | MiB | a new backup: ms | MiB |\n"
                "|---|---|---|---|---|\n",
                given.pairs);
    db.backup(copy);
    for (auto const size : change_sizes(given.pairs)) {
        std::vector<double> extending;
        std::vector<double> anew;
        coppice::copy_report part;
        coppice::copy_report whole;
        for (std::size_t i = 0; i < given.repetitions; ++i) {
            change(db, data, size, size + i);
            stopwatch const time;
            part = db.extend_backup(copy);
            extending.push_back(time.seconds() * 1e3);
            auto const other = here / "other.db";
            stopwatch const again;
            whole = db.backup(other);
            anew.push_back(again.seconds() * 1e3);
            require(coppice::database(other, {.read_only = true}).read().size() == given.pairs,
                    "a backup of another size");
            fs::remove(other);
        }
        require(part.whole_bytes == whole.whole_bytes, "an extended backup of another size");
        std::printf("| %zu | %.1f | %.2f | %.1f | %.1f |\n", size, bench::median(extending),
                    mib(part.copied_bytes), bench::median(anew), mib(whole.copied_bytes));
    }
    require(coppice::database(copy, {.read_only = true}).check().clean(), "a broken backup");
}

/// Updates of random keys without syncs by a database that compacts itself.
void growth_with(arguments const& given, bench::data_set const& data, double ratio) {
    constexpr std::size_t per_transaction = 100;
    scratch const here(given.folder, "growth");
    auto const path = here / "a.db";
    coppice::options chosen;
    chosen.compaction = {.garbage_ratio = ratio, .floor_bytes = std::uint64_t{16} << 20U};
    coppice::database db(path, chosen);
    load(db, data);
    bench::value_source values;
    std::mt19937_64 random(7);
    auto const before = bench::bytes_written::now();
    std::uint64_t largest = 0;
    std::uint64_t most = 0;
    stopwatch const time;
    for (std::size_t i = 0; i < given.updates; i += per_transaction) {
        db.update(
            [&](auto& txn) {
                for (std::size_t k = 0; k < per_transaction; ++k) {
                    auto const key = data.pairs[random() % data.pairs.size()].first;
                    txn.put(key, values.make(key, i));
                }
            },
            coppice::durability::lazy);
        auto const bytes = fs::file_size(path);
        largest = std::max(largest, bytes);
        std::error_code none;
        auto const beside = fs::file_size(path.string() + ".compact", none);
        most = std::max(most, none ? bytes : bytes + beside);
    }
    auto const seconds = time.seconds();
    auto const last = db.stats();
    auto const written = bench::bytes_written::now() - before;
    require(db.read().size() == data.pairs.size() && db.check().clean(), "a broken database");
    auto const user_bytes = given.updates * (bench::key_bytes + bench::value_bytes);
    auto const live = static_cast<double>(last.live_bytes);
    std::printf("| %.1f | %.0f | %.1f | %.2f | %.2f | %.2f | %llu |\n", ratio,
                static_cast<double>(given.updates) / seconds,
                static_cast<double>(written.to_calls) / static_cast<double>(user_bytes),
                static_cast<double>(last.valid_bytes) / live, static_cast<double>(largest) / live,
                static_cast<double>(most) / live,
                static_cast<unsigned long long>(last.generation - 1));
    std::fflush(stdout);
}

void growth(arguments const& given) {
    auto const data = bench::random_data(given.pairs / 10, 1);
    std::printf(
        "\n%zu updates of %zu keys, 100 a transaction, without syncs, by a database that "
        "compacts itself\n\n"
        "| garbage_ratio | updates/s | written / user bytes | file / live at the end | "
        "largest file / live | with the fresh one | compactions |\n|---|---|---|---|---|---|---|\n",
        given.updates, data.pairs.size());
    for (auto const ratio : given.ratios) growth_with(given, data, ratio);
}

/// Waits of a writer, in milliseconds.
struct waits {
    std::vector<double> lock{};
    std::vector<double> whole{};
};

[[nodiscard]] waits write_while(coppice::database& db, bench::data_set const& data,
                                coppice::durability how, std::function<bool()> const& go_on) {
    waits result;
    std::mt19937_64 random(9);
    while (go_on()) {
        auto const key = data.pairs[random() % data.pairs.size()].first;
        stopwatch const time;
        auto txn = db.write();
        result.lock.push_back(time.seconds() * 1e3);
        txn.put(key, data.pairs[random() % data.pairs.size()].second);
        txn.commit(how);
        result.whole.push_back(time.seconds() * 1e3);
    }
    return result;
}

void print_waits(char const* how, char const* beside, waits const& seen, double seconds) {
    std::printf("| %s | %s | %.1f | %zu | %.2f | %.1f | %.1f |\n", how, beside, seconds,
                seen.lock.size(), bench::percentile(seen.lock, 0.99),
                bench::percentile(seen.lock, 1), bench::percentile(seen.whole, 1));
    std::fflush(stdout);
}

void waiting(arguments const& given) {
    constexpr std::size_t bytes_of_value = 1000;
    auto const count = (given.large_mib << 20U) / (bytes_of_value + bench::key_bytes);
    auto const data = bench::random_data(count, 3, bytes_of_value);
    scratch const here(given.folder, "waits");
    coppice::database db(here / "a.db");
    load(db, data);
    std::printf("\nOne writer of random entries of 1,000 bytes beside a compaction of %.0f MiB; "
                "milliseconds\n\n"
                "| commits | beside | seconds | how many | p99 wait for the lock | longest | "
                "longest commit |\n|---|---|---|---|---|---|---|\n",
                mib(db.stats().live_bytes));
    for (auto const how : {coppice::durability::sync, coppice::durability::lazy}) {
        auto const* const name = how == coppice::durability::sync ? "sync" : "lazy";
        std::atomic<bool> done{false};
        stopwatch const time;
        std::thread compactor([&] {
            for (int i = 0; i < 3; ++i) db.compact();
            done = true;
        });
        auto const busy = write_while(db, data, how, [&] { return !done; });
        compactor.join();
        auto const took = time.seconds();
        print_waits(name, "three compactions", busy, took);
        stopwatch const calm;
        auto const alone =
            write_while(db, data, how, [&] { return calm.seconds() < std::min(took, 10.0); });
        print_waits(name, "nothing", alone, calm.seconds());
    }
    require(db.read().size() == count && db.check().clean(), "a broken database");
}

/// Makes the kernel forget what it has of a file. REQUIRES: nobody maps it.
void drop_from_cache(fs::path const& path) {
    auto const file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    auto const is_done =
        file >= 0 && ::fsync(file) == 0 && ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0;
    if (file >= 0) ::close(file);
    if (!is_done) throw std::runtime_error("the file stays in the cache of the kernel");
}

/// The bytes of all values, summed by threads that take piece after piece.
[[nodiscard]] std::uint64_t sum_by_threads(coppice::snapshot const& of, unsigned threads) {
    auto const pieces = of.all().split(64);
    std::atomic<std::size_t> next{0};
    std::atomic<std::uint64_t> sum{0};
    std::vector<std::thread> workers;
    for (unsigned i = 0; i < threads; ++i) {
        workers.emplace_back([&] {
            std::uint64_t own = 0;
            for (auto at = next++; at < pieces.size(); at = next++) {
                for (auto const& [key, value] : pieces[at]) own += value.size();
            }
            sum += own;
        });
    }
    for (auto& worker : workers) worker.join();
    return sum;
}

void cold(arguments const& given) {
    auto const data = bench::random_data(given.pairs, 1);
    scratch const here(given.folder, "cold");
    auto const path = here / "a.db";
    auto const places = bench::shuffled_places(data.pairs.size(), 1); // leaves lie anywhere then
    std::uint64_t bytes = 0;
    {
        coppice::database db(path, {.durability = coppice::durability::lazy});
        for (std::size_t i = 0; i < places.size();) {
            auto txn = db.write();
            for (auto const end = std::min(i + 1000, places.size()); i < end; ++i) {
                auto const& [key, value] = data.pairs[places[i]];
                txn.put(key, value);
                bytes += value.size();
            }
            txn.commit();
        }
    }
    auto const seconds_of = [&](bool read_ahead, auto const& work) {
        std::vector<double> seconds;
        for (std::size_t i = 0; i < given.repetitions; ++i) {
            auto const copy = here / "b.db";
            fs::copy_file(path, copy, fs::copy_options::overwrite_existing);
            drop_from_cache(copy);
            coppice::options chosen;
            chosen.read_ahead = read_ahead;
            coppice::database db(copy, chosen);
            stopwatch const time;
            work(db);
            seconds.push_back(time.seconds());
        }
        return bench::median(seconds);
    };
    std::printf("\nA file of %.0f MiB with %zu pairs, of which nothing is in memory: seconds\n\n"
                "| `read_ahead` | a scan | by 1 thread | by 2 | by 4 | by 8 | compaction |\n"
                "|---|---|---|---|---|---|---|\n",
                mib(fs::file_size(path)), given.pairs);
    for (bool const read_ahead : {true, false}) {
        std::printf("| %s ", read_ahead ? "on" : "off");
        for (unsigned const threads : {0U, 1U, 2U, 4U, 8U}) {
            auto const seconds = seconds_of(read_ahead, [&](coppice::database& db) {
                auto const now = db.read();
                std::uint64_t sum = 0;
                if (threads == 0) {
                    for (auto const& [key, value] : now.all()) sum += value.size();
                } else {
                    sum = sum_by_threads(now, threads);
                }
                require(sum == bytes, "another sum");
            });
            std::printf("| %.2f ", seconds);
        }
        auto const seconds = seconds_of(read_ahead, [&](coppice::database& db) {
            db.compact();
            require(db.read().size() == given.pairs, "a compaction that loses entries");
        });
        std::printf("| %.2f |\n", seconds);
        std::fflush(stdout);
    }
}

struct section {
    char const* name;
    void (*run)(arguments const&);
};
constexpr section all_sections[] = {{"differences", differences},
                                    {"backups", backups},
                                    {"growth", growth},
                                    {"waits", waiting},
                                    {"cold", cold}};

} // namespace

int main(int count, char** words) try {
    arguments given;
    std::vector<std::string> only;
    std::vector<std::string> names;
    for (auto const& each : all_sections) names.emplace_back(each.name);
    CLI::App app("What the past and the space of a coppice database cost.");
    app.add_option("--pairs", given.pairs, "1000000 by default; growth takes a tenth of them")
        ->check(CLI::Range(std::size_t{1000}, std::size_t{1'000'000'000}));
    app.add_option("--updates", given.updates, "of growth, 1000000 by default")
        ->check(CLI::Range(std::size_t{1000}, std::size_t{1'000'000'000}));
    app.add_option("--repetitions", given.repetitions, "5 by default")->check(CLI::PositiveNumber);
    app.add_option("--mib", given.large_mib, "of waits, 1024 by default")
        ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 20U));
    app.add_option("--ratios", given.ratios, "of growth: garbage to what is live")
        ->delimiter(',')
        ->check(CLI::Range(0.01, 1000.0));
    app.add_option("--only", only, "differences, backups, growth, waits, cold")
        ->delimiter(',')
        ->check(CLI::IsMember(names));
    app.add_option("--folder", given.folder, "on the device to measure");
    CLI11_PARSE(app, count, words);
    if (only.empty()) only = names;
    if (given.folder.empty()) given.folder = fs::temp_directory_path();
    for (auto const& each : all_sections) {
        if (std::find(only.begin(), only.end(), each.name) == only.end()) continue;
        std::fprintf(stderr, "%s\n", each.name);
        each.run(given);
        std::fflush(stdout);
    }
    return 0;
} catch (std::exception const& e) {
    std::cerr << e.what() << '\n';
    return 1;
}
