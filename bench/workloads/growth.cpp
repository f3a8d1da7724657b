// SPDX-License-Identifier: BSL-1.0
// bench/workloads/growth.cpp: what the size of a store costs: the same work on 10^4, 10^5, ...
// pairs up to `pairs`, then on a store that is not in memory, and on one that memory cannot hold.

#include "bench/child.hpp"
#include "bench/limited_memory.hpp"
#include "bench/workloads/steps.hpp"
#include "bench/workloads/workloads.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <optional>

namespace bench {

namespace {

constexpr std::uint64_t seed = 11;
constexpr std::size_t smallest = 10'000;
constexpr std::size_t commits = 500;

/// A store of one size, and what its figures are called.
struct size_of_store {
    task const& of;
    std::size_t pairs;
    std::string name;

    void cost(std::string const& what, std::string_view unit, double value) const {
        of.out.cost("growth", name + what, unit, value);
    }
    void rate(std::string const& what, std::string_view unit, double count, double seconds) const {
        of.out.rate("growth", name + what, unit, count, seconds);
    }
    [[nodiscard]] std::unique_ptr<engine> open() const {
        return of.open(pairs * (key_bytes + value_bytes));
    }
    /// Some of its keys: those that were drawn first, without the memory for the others.
    [[nodiscard]] key_list keys(std::size_t wanted) const {
        return {std::min(pairs, wanted), seed};
    }
};

void make_store(size_of_store const& size) {
    auto const data = random_data(size.pairs, seed);
    size.open()->bulk_load(data.pairs);
}

void get_each(reader& from, key_list const& wanted) {
    for (auto const key : wanted.keys()) {
        auto const value = from.get(key);
        verify(value && value_source::version_of(key, *value) == 0, "a get of growth");
    }
}

void scan_once(reader& from, std::size_t pairs) {
    auto const sum = from.scan();
    verify(sum.count == pairs && sum.ordered, "a scan of growth");
}

void read_warm(size_of_store const& size) {
    auto const wanted = size.keys(200'000);
    auto const before = memory_use::now();
    auto const store = size.open();
    auto const from = store->make_reader();
    get_each(*from, wanted);
    cpu_stopwatch const getting;
    get_each(*from, wanted);
    size.rate("get", "/s", static_cast<double>(wanted.keys().size()), getting.seconds());
    scan_once(*from, size.pairs);
    cpu_stopwatch const scanning;
    scan_once(*from, size.pairs);
    size.rate("scan", "pairs/s", static_cast<double>(size.pairs), scanning.seconds());
    auto const after = memory_use::now();
    auto const grown = [](std::uint64_t was, std::uint64_t is) {
        return is > was ? static_cast<double>(is - was) / 1024 : 0.0;
    };
    size.cost("file", "MiB", static_cast<double>(folder_bytes(size.of.folder)) / mebibyte);
    size.cost("memory after reading all", "MiB", grown(before.resident_kib, after.resident_kib));
    size.cost("of it anonymous", "MiB", grown(before.anonymous_kib, after.anonymous_kib));
}

void write_some(size_of_store const& size) {
    key_list const fresh(commits, 41);
    value_source values;
    auto const store = size.open();
    auto const to = store->make_writer();
    auto const before = bytes_written::now();
    auto const appended_before = store->appended_bytes();
    stopwatch const time;
    in_transactions(*to, commits, 1, durability::durable, [&](std::size_t i) {
        to->put(fresh.keys()[i], values.make(fresh.keys()[i], 0));
    });
    size.rate("durable 1-key commits", "/s", commits, time.seconds());
    auto const written = bytes_written::now() - before;
    size.cost("to write calls", "B/commit", static_cast<double>(written.to_calls) / commits);
    auto const appended = store->appended_bytes() - appended_before;
    if (appended > 0) size.cost("appended", "B/commit", static_cast<double>(appended) / commits);
}

/// Makes the page cache forget the files of a folder. REQUIRES: nobody has them open.
void forget(std::filesystem::path const& folder) {
    for (auto const& entry : std::filesystem::recursive_directory_iterator(folder)) {
        if (!entry.is_regular_file()) continue;
        auto const file = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
        verify(file >= 0, "a file to be forgotten cannot be opened");
        fdatasync(file);
        posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        ::close(file);
    }
}

void read_cold(size_of_store const& size) {
    auto const wanted = size.keys(std::min<std::size_t>(1000, size.pairs / 100));
    auto const count = static_cast<double>(wanted.keys().size());
    forget(size.of.folder);
    auto const before = bytes_read_from_device();
    auto const store = size.open();
    auto const from = store->make_reader();
    stopwatch const time;
    get_each(*from, wanted);
    size.cost("get, cold", "us", time.seconds() * 1e6 / count);
    auto const bytes = static_cast<double>(bytes_read_from_device() - before);
    size.cost("read from the device, cold", "KiB/get", bytes / 1024 / count);
}

/// A store that is three times as large as the memory that there is for it.
void read_with_little_memory(size_of_store const& size) {
    constexpr std::uint64_t least = std::uint64_t{32} << 20U;
    auto const bytes = folder_bytes(size.of.folder) / 3;
    if (bytes < least) return;
    std::optional<limited_memory> limit;
    try {
        limit.emplace(bytes);
    } catch (std::runtime_error const& e) {
        std::fprintf(stderr, "left out: a store larger than its memory: %s\n", e.what());
        return;
    }
    forget(size.of.folder);
    in_child("reading with little memory", [&] {
        limit->enter();
        auto const wanted = size.keys(2'000); // each may read as much as the device reads ahead
        auto const store = size.open();
        auto const from = store->make_reader();
        get_each(*from, wanted);
        stopwatch const getting;
        get_each(*from, wanted);
        size.rate("get, memory for a third", "/s", static_cast<double>(wanted.keys().size()),
                  getting.seconds());
        stopwatch const scanning;
        scan_once(*from, size.pairs + commits);
        size.rate("scan, memory for a third", "pairs/s", static_cast<double>(size.pairs),
                  scanning.seconds());
    });
}

} // namespace

void run_growth(task& of) {
    auto power = 4;
    for (auto pairs = smallest; pairs <= std::max(smallest, of.pairs); pairs *= 10, ++power) {
        auto const folder = of.folder / std::to_string(pairs);
        std::filesystem::create_directories(folder);
        task here{of.engine, folder, pairs, of.workloads, of.out};
        size_of_store const size{here, pairs, "10^" + std::to_string(power) + ": "};
        in_child("making a store", [&] { make_store(size); });
        in_child("reading", [&] { read_warm(size); });
        in_child("writing", [&] { write_some(size); });
        in_child("reading what is not in memory", [&] { read_cold(size); });
        read_with_little_memory(size);
        std::filesystem::remove_all(folder);
    }
}

} // namespace bench
