// SPDX-License-Identifier: BSL-1.0
// bench/workloads/fairness.cpp: two processes that commit durably to one store at the same time:
// what each of them gets, and whether both together are slower than one.

#include "bench/child.hpp"
#include "bench/workloads/steps.hpp"
#include "bench/workloads/workloads.hpp"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <future>
#include <new>
#include <numeric>
#include <thread>
#include <vector>

namespace bench {

namespace {

constexpr std::size_t most_writers = 8;

/// What the processes share.
struct board {
    std::atomic<std::size_t> ready{0};
    std::atomic<bool> go{false};
    std::atomic<bool> stop{false};
    std::array<std::atomic<std::uint64_t>, most_writers> commits{};
    std::array<std::atomic<std::uint64_t>, most_writers> longest_us{};
};

/// Memory that children inherit.
class shared_board {
  public:
    shared_board()
        : board_(mmap(nullptr, sizeof(board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                      -1, 0)) {
        verify(board_ != MAP_FAILED, "no shared memory");
        new (board_) board;
    }
    shared_board(shared_board const&) = delete;
    shared_board& operator=(shared_board const&) = delete;
    ~shared_board() { munmap(board_, sizeof(board)); }
    [[nodiscard]] board* operator->() const { return static_cast<board*>(board_); }

  private:
    void* board_;
};

/// Who writes: so many processes of so many threads.
struct crowd {
    std::size_t processes;
    std::size_t threads;
    [[nodiscard]] std::size_t writers() const { return processes * threads; }
};

void wait_until(std::atomic<bool> const& flag) {
    while (!flag) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

/// Commits one insert after the other until it is stopped.
void commit_on(engine& store, shared_board const& shared, std::size_t place, std::uint64_t seed) {
    constexpr std::size_t many = 1'000'000;
    key_list const fresh(many, seed);
    value_source values;
    auto const to = store.make_writer();
    ++shared->ready;
    wait_until(shared->go);
    std::uint64_t longest = 0;
    std::size_t done = 0;
    for (; done < many && !shared->stop; ++done) {
        stopwatch const time;
        to->begin(durability::durable);
        to->put(fresh.keys()[done], values.make(fresh.keys()[done], 0));
        to->commit();
        longest = std::max(longest, static_cast<std::uint64_t>(time.seconds() * 1e6));
    }
    shared->commits[place] = done;
    shared->longest_us[place] = longest;
}

/// One process with its threads; the others have other places and other keys.
void write_on(task const& of, shared_board const& shared, std::size_t first, std::size_t threads,
              std::uint64_t seed) {
    auto const store = of.open(of.pairs * (key_bytes + value_bytes));
    std::vector<std::future<void>> running;
    for (std::size_t i = 0; i < threads; ++i) {
        running.push_back(std::async(std::launch::async, [&, place = first + i] {
            commit_on(*store, shared, place, seed + place);
        }));
    }
    for (auto& one : running) one.get();
}

[[nodiscard]] bool is_running(pid_t child) { return waitpid(child, nullptr, WNOHANG) == 0; }

/// Lets a crowd write for a while. @return seconds
double run_crowd(task const& of, crowd const& who, shared_board const& shared, std::uint64_t seed) {
    std::vector<pid_t> children;
    for (std::size_t i = 0; i < who.processes; ++i) {
        children.push_back(
            start_child([&] { write_on(of, shared, i * who.threads, who.threads, seed); }));
    }
    while (shared->ready < who.writers()) {
        for (auto const child : children) verify(is_running(child), "a writing process ended");
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    auto const length = std::clamp(static_cast<double>(of.pairs) / 300'000.0, 0.3, 5.0);
    stopwatch const time;
    shared->go = true;
    std::this_thread::sleep_for(std::chrono::duration<double>(length));
    shared->stop = true;
    for (auto const child : children) wait_for(child, "a process that wrote");
    return time.seconds();
}

/// @return how many commits there were
std::uint64_t measure_crowd(task const& of, crowd const& who, std::string const& name,
                            std::uint64_t seed) {
    shared_board const shared;
    auto const seconds = run_crowd(of, who, shared, seed);
    std::vector<double> of_process;
    std::vector<double> of_writer;
    double longest = 0;
    for (std::size_t i = 0; i < who.writers(); ++i) {
        auto const commits = static_cast<double>(shared->commits[i]);
        if (i % who.threads == 0) of_process.push_back(0);
        of_process.back() += commits;
        of_writer.push_back(commits);
        longest = std::max(longest, static_cast<double>(shared->longest_us[i]) / 1e3);
    }
    auto const all = std::accumulate(of_writer.begin(), of_writer.end(), 0.0);
    auto const least = [&](std::vector<double> const& of_each) {
        return 100 * *std::min_element(of_each.begin(), of_each.end()) / all;
    };
    of.out.rate("fairness", name + ": durable commits", "/s", all, seconds);
    if (who.processes > 1) {
        of.out.rate("fairness", name + ": share of the lesser one", "%", least(of_process), 1);
    }
    if (who.threads > 1) {
        of.out.rate("fairness", name + ": share of the least thread", "%", least(of_writer), 1);
    }
    of.out.cost("fairness", name + ": longest commit", "ms", longest);
    return static_cast<std::uint64_t>(all);
}

} // namespace

void run_fairness(task& of) {
    auto const pairs = std::max<std::size_t>(1, of.pairs / 10);
    in_child("making a store", [&] {
        auto const data = random_data(pairs, 12);
        of.open(data.bytes())->bulk_load(data.pairs);
    });
    std::uint64_t expected = pairs;
    expected += measure_crowd(of, {1, 1}, "one process", 100);
    expected += measure_crowd(of, {2, 1}, "two processes", 200);
    expected += measure_crowd(of, {1, 4}, "one process of 4 threads", 300);
    expected += measure_crowd(of, {2, 4}, "two processes of 4 threads", 400);
    auto const store = of.open(pairs * (key_bytes + value_bytes));
    auto const sum = store->make_reader()->scan();
    verify(sum.count == expected && sum.ordered, "the count after commits of several processes");
}

} // namespace bench
