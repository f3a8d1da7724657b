// SPDX-License-Identifier: BSL-1.0
// bench/main.cpp: coppice and LMDB on the same work, in turn, in one run.
// Owns: the workloads and the table. Each repetition runs every engine once, in alternating order;
//   the table gives medians, and the median of the ratios within the repetitions.
// Everything that is read is verified. Absolute figures depend on the machine; look at the ratios.

#include "engines.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using bench::engine;
using clock_type = std::chrono::steady_clock;

constexpr std::size_t value_bytes = 100;
constexpr std::size_t durable_commits = 500;

/// A folder of its own, removed at the end.
class scratch_folder {
  public:
    scratch_folder() {
        auto pattern = (std::filesystem::temp_directory_path() / "coppice-bench-XXXXXX").string();
        if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
        path_ = pattern;
    }
    scratch_folder(scratch_folder const&) = delete;
    scratch_folder& operator=(scratch_folder const&) = delete;
    ~scratch_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] std::string const& path() const noexcept { return path_; }

  private:
    std::string path_;
};

[[nodiscard]] std::vector<bench::pair> sorted_pairs(std::size_t count) {
    std::mt19937_64 random(42);
    std::vector<bench::pair> pairs(count);
    for (auto& [key, value] : pairs) {
        std::uint64_t const halves[2] = {random(), random()};
        key.assign(reinterpret_cast<char const*>(halves), sizeof halves);
        value.resize(value_bytes);
        for (auto& byte : value) byte = static_cast<char>(random());
    }
    std::sort(pairs.begin(), pairs.end());
    return pairs;
}

[[nodiscard]] double seconds(std::function<void()> const& work) {
    auto const begin = clock_type::now();
    work();
    return std::chrono::duration<double>(clock_type::now() - begin).count();
}

void verify(std::uint64_t found, std::uint64_t expected) {
    if (found != expected) throw std::runtime_error("an engine gave a wrong answer");
}

using results = std::map<std::string, std::map<std::string, std::vector<double>>>;

void run(engine& subject, std::string const& name, std::vector<bench::pair> const& pairs,
         results& table) {
    auto const record = [&](std::string const& workload, double operations, double time) {
        table[workload][name].push_back(operations / time);
    };
    auto const count = static_cast<double>(pairs.size());
    record("1 bulk load, pairs/s", count, seconds([&] { subject.bulk_load(pairs); }));

    std::vector<std::string_view> keys;
    for (auto const& [key, value] : pairs) keys.emplace_back(key);
    std::shuffle(keys.begin(), keys.end(), std::mt19937_64(7));
    verify(subject.get_all(keys), pairs.size() * value_bytes); // warms up
    record("2 point get, gets/s", count,
           seconds([&] { verify(subject.get_all(keys), pairs.size() * value_bytes); }));
    record("3 scan, pairs/s", count,
           seconds([&] { verify(subject.scan(), pairs.size() * (16 + value_bytes)); }));
    std::mt19937_64 random(11);
    std::string const value(value_bytes, 'v');
    record("4 durable one-key commit, commits/s", durable_commits, seconds([&] {
               for (std::size_t i = 0; i < durable_commits; ++i) {
                   std::uint64_t const halves[2] = {random(), random()};
                   subject.commit_one({reinterpret_cast<char const*>(halves), 16}, value);
               }
           }));
}

[[nodiscard]] double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

void print(results const& table) {
    std::printf("\n| workload | coppice | LMDB | ratio |\n|---|---|---|---|\n");
    for (auto const& [workload, engines] : table) {
        auto const& ours = engines.at("coppice");
        if (!engines.contains("lmdb")) {
            std::printf("| %s | %.0f | - | - |\n", workload.c_str() + 2, median(ours));
            continue;
        }
        auto const& theirs = engines.at("lmdb");
        std::vector<double> ratios;
        for (std::size_t i = 0; i < ours.size(); ++i) ratios.push_back(ours[i] / theirs[i]);
        std::printf("| %s | %.0f | %.0f | %.2f |\n", workload.c_str() + 2, median(ours),
                    median(theirs), median(ratios));
    }
}

} // namespace

int main(int argc, char** argv) {
    try {
        std::size_t const count = argc > 1 ? std::stoul(argv[1]) : 1'000'000;
        std::size_t const repetitions = argc > 2 ? std::stoul(argv[2]) : 5;
        auto const pairs = sorted_pairs(count);
        std::printf("%zu pairs of 16 + %zu bytes, %zu repetitions\n", count, value_bytes,
                    repetitions);
        results table;
        for (std::size_t i = 0; i < repetitions; ++i) {
            auto const one = [&](bool coppice_first) {
                scratch_folder const folder;
                if (coppice_first) {
                    bench::coppice_engine subject(folder.path());
                    run(subject, "coppice", pairs, table);
                    return;
                }
#if COPPICE_BENCH_LMDB
                bench::lmdb_engine subject(folder.path());
                run(subject, "lmdb", pairs, table);
#endif
            };
            one(i % 2 == 0);
            one(i % 2 != 0);
            std::printf("repetition %zu done\n", i + 1);
            std::fflush(stdout);
        }
        print(table);
        return 0;
    } catch (std::exception const& e) {
        std::fprintf(stderr, "coppice_bench: %s\n", e.what());
        return 1;
    }
}
