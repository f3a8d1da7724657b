// SPDX-License-Identifier: BSL-1.0
// bench/small_commits.cpp: what a commit of one key appends to a large tree, and what reading that
// tree costs then, beside its twin: the same history in a tree that takes no patches. Bytes are
// exact; times are CPU time of one thread, the best of several rounds that take turns.
// usage: coppice_small_commits [PAIRS [WARM [MEASURED [LEAF_BYTES INNER_BYTES]]]]

#include <coppice/coppice.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <exception>
#include <random>
#include <stdexcept>
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
    template <typename Commit>
    void measure_bytes(char const* what, std::uint64_t count, Commit commit) {
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

    /// Takes the times of one more round of reads, where it was faster than those before.
    void read_once() {
        auto const seen = db_.read();
        std::uint64_t sum = 0;
        constexpr int gets = 150'000;
        auto start = cpu_seconds();
        for (int i = 0; i < gets; ++i) {
            auto const& key = keys_[read_random_() % keys_.size()];
            sum += static_cast<unsigned char>(seen.get(key)->front());
        }
        best_.get = std::min(best_.get, (cpu_seconds() - start) / gets);
        start = cpu_seconds();
        auto at = seen.cursor();
        for (at.first(); at.valid(); at.next()) {
            sum += static_cast<unsigned char>(at.key().front());
            sum += static_cast<unsigned char>(at.value().front());
        }
        best_.scan =
            std::min(best_.scan, (cpu_seconds() - start) / static_cast<double>(seen.size()));
        read_sum_ += sum;
    }
    struct reads {
        double get = 1e9;
        double scan = 1e9;
    };
    /// The times of a get and of a scan step, and the next rounds begin anew.
    [[nodiscard]] reads best_reads() { return std::exchange(best_, {}); }
    /// What was read, so that it is read.
    [[nodiscard]] std::uint64_t read_sum() const noexcept { return read_sum_; }
    [[nodiscard]] coppice::statistics stats() const { return db_.stats(); }
    void compact() { db_.compact(); }

  private:
    template <typename Transaction> void insert(Transaction& transaction) {
        keys_.push_back(random_text(random_, key_bytes));
        transaction.put(keys_.back(), random_text(random_, value_bytes));
    }

    load load_;
    std::mt19937_64 random_{5};
    std::mt19937_64 read_random_{6};
    reads best_{};
    std::uint64_t read_sum_ = 0;
    std::vector<std::string> keys_;
    std::uint64_t appended_ = 0;
    coppice::memory_database db_;
};

/// Both answer the same questions in turn.
void measure_reads(char const* what, subject& patched, subject& plain) {
    for (int round = 0; round < 7; ++round) {
        patched.read_once();
        plain.read_once();
    }
    if (patched.read_sum() != plain.read_sum()) throw std::runtime_error("twins that differ");
    auto const a = patched.best_reads();
    auto const b = plain.best_reads();
    std::printf("%-12s get %6.0f ns, %.2f of the twin's; scan %6.1f ns/pair, %.2f of the twin's; "
                "height %u, live %llu, %.2f of the twin's\n",
                what, 1e9 * a.get, a.get / b.get, 1e9 * a.scan, a.scan / b.scan,
                patched.stats().height, static_cast<unsigned long long>(patched.stats().live_bytes),
                static_cast<double>(patched.stats().live_bytes) /
                    static_cast<double>(plain.stats().live_bytes));
    std::fflush(stdout);
}

void run(load const& of) {
    subject patched(of);
    auto without = of;
    without.nodes.patches = false;
    subject plain(without);
    measure_reads("batches", patched, plain);
    auto const step = [&](char const* what, auto commit) {
        patched.measure_bytes(what, of.measured, [&] { commit(patched); });
        plain.measure_bytes("  its twin", of.measured, [&] { commit(plain); });
    };
    for (std::uint64_t i = 0; i < of.warm; ++i) {
        patched.insert_commit();
        plain.insert_commit();
    }
    step("insert", [](subject& in) { in.insert_commit(); });
    measure_reads("inserted", patched, plain);
    step("overwrite", [](subject& in) { in.overwrite_commit(); });
    step("sequential", [](subject& in) { in.append_commit(); });
    measure_reads("all", patched, plain);
    patched.compact();
    plain.compact();
    measure_reads("compacted", patched, plain);
}

} // namespace

int main(int argc, char** argv) try {
    load of;
    auto const number = [&](int i, std::uint64_t otherwise) {
        return argc > i ? std::strtoull(argv[i], nullptr, 10) : otherwise;
    };
    of.pairs = number(1, of.pairs);
    of.warm = number(2, of.warm);
    of.measured = number(3, of.measured);
    of.nodes.leaf_bytes = static_cast<std::uint32_t>(number(4, of.nodes.leaf_bytes));
    of.nodes.inner_bytes = static_cast<std::uint32_t>(number(5, of.nodes.inner_bytes));
    run(of);
    return 0;
} catch (std::exception const& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
}
