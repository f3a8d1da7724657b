// SPDX-License-Identifier: BSL-1.0
// bench/small_commits.cpp: what a commit of one key appends to a large tree, and what reading that
// tree costs then. Bytes are exact; times are CPU time of one thread, the best of several rounds.
// usage: coppice_small_commits [PAIRS [WARM [MEASURED [LEAF_BYTES INNER_BYTES [PATCHES]]]]]

#include <coppice/coppice.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace {

constexpr std::size_t key_bytes = 16;
constexpr std::size_t value_bytes = 100;

struct load {
    std::uint64_t pairs = 1'000'000;
    std::uint64_t warm = 60'000;
    std::uint64_t measured = 60'000;
    coppice::node_sizes nodes{};
};

[[nodiscard]] std::string random_text(std::mt19937_64& random, std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t at = 0; at < size; at += 8) {
        auto const word = random();
        std::memcpy(text.data() + at, &word, std::min<std::size_t>(8, size - at));
    }
    return text;
}

[[nodiscard]] double cpu_seconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// A database in memory, made by random inserts in transactions of `batch`.
class subject {
    static constexpr std::uint64_t batch = 10'000;

  public:
    explicit subject(load const& of)
        : load_(of),
          db_(coppice::storage::memory_medium(),
              {.durability = coppice::durability::lazy, .nodes = of.nodes}) {
        for (std::uint64_t i = 0; i < of.pairs; i += batch) {
            auto transaction = db_.write();
            for (std::uint64_t j = 0; j < batch; ++j) insert(transaction);
            (void)transaction.commit();
        }
    }

    void insert_commit() {
        auto transaction = db_.write();
        insert(transaction);
        (void)transaction.commit();
    }
    void overwrite_commit() {
        auto transaction = db_.write();
        transaction.put(keys_[random_() % keys_.size()], random_text(random_, value_bytes));
        (void)transaction.commit();
    }
    void append_commit() {
        auto transaction = db_.write();
        auto digits = std::to_string(appended_++);
        auto const key = "\xff\xff\xff\xff" + std::string(12 - digits.size(), '0') + digits;
        transaction.put(key, random_text(random_, value_bytes));
        (void)transaction.commit();
    }

    /// The mean and the 99th percentile of the bytes that commits append.
    template <typename Commit> void measure(char const* what, std::uint64_t count, Commit commit) {
        std::vector<std::uint64_t> sizes;
        sizes.reserve(count);
        auto before = db_.stats().valid_bytes;
        auto const start = cpu_seconds();
        for (std::uint64_t i = 0; i < count; ++i) {
            commit();
            auto const after = db_.stats().valid_bytes;
            sizes.push_back(after - before);
            before = after;
        }
        auto const seconds = cpu_seconds() - start;
        std::uint64_t sum = 0;
        for (auto const size : sizes) sum += size;
        std::sort(sizes.begin(), sizes.end());
        std::printf("%-12s %7.0f B/commit, p99 %6llu, %5.1f us\n", what,
                    static_cast<double>(sum) / static_cast<double>(count),
                    static_cast<unsigned long long>(sizes[sizes.size() * 99 / 100]),
                    1e6 * seconds / static_cast<double>(count));
    }

    void measure_reads(char const* what) {
        auto const seen = db_.read();
        double get = 1e9;
        double scan = 1e9;
        std::uint64_t sum = 0;
        for (int round = 0; round < 7; ++round) {
            auto start = cpu_seconds();
            constexpr int gets = 150'000;
            for (int i = 0; i < gets; ++i) {
                sum +=
                    static_cast<unsigned char>(seen.get(keys_[random_() % keys_.size()])->front());
            }
            get = std::min(get, (cpu_seconds() - start) / gets);
            start = cpu_seconds();
            auto at = seen.cursor();
            for (at.first(); at.valid(); at.next()) {
                sum += static_cast<unsigned char>(at.key().front());
                sum += static_cast<unsigned char>(at.value().front());
            }
            scan = std::min(scan, (cpu_seconds() - start) / static_cast<double>(seen.size()));
        }
        std::printf("%-12s get %6.0f ns, scan %6.1f ns/pair, height %u, live %llu (%llu)\n", what,
                    1e9 * get, 1e9 * scan, db_.stats().height,
                    static_cast<unsigned long long>(db_.stats().live_bytes),
                    static_cast<unsigned long long>(sum % 10));
        std::fflush(stdout);
    }

    void run() {
        auto const insert = [this] { insert_commit(); };
        measure_reads("batches");
        for (std::uint64_t i = 0; i < load_.warm; ++i) insert();
        measure("insert", load_.measured, insert);
        measure_reads("inserted");
        measure("overwrite", load_.measured, [this] { overwrite_commit(); });
        measure("sequential", load_.measured, [this] { append_commit(); });
        measure_reads("all");
        db_.compact();
        measure_reads("compacted");
    }

  private:
    template <typename Transaction> void insert(Transaction& transaction) {
        keys_.push_back(random_text(random_, key_bytes));
        transaction.put(keys_.back(), random_text(random_, value_bytes));
    }

    load load_;
    std::mt19937_64 random_{5};
    std::vector<std::string> keys_;
    std::uint64_t appended_ = 0;
    coppice::memory_database db_;
};

} // namespace

int main(int argc, char** argv) {
    load of;
    auto const number = [&](int i, std::uint64_t otherwise) {
        return argc > i ? std::strtoull(argv[i], nullptr, 10) : otherwise;
    };
    of.pairs = number(1, of.pairs);
    of.warm = number(2, of.warm);
    of.measured = number(3, of.measured);
    of.nodes.leaf_bytes = static_cast<std::uint32_t>(number(4, of.nodes.leaf_bytes));
    of.nodes.inner_bytes = static_cast<std::uint32_t>(number(5, of.nodes.inner_bytes));
    of.nodes.patches = number(6, 1) != 0;
    subject(of).run();
    return 0;
}
