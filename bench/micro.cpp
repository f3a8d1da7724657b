// SPDX-License-Identifier: BSL-1.0
// bench/micro.cpp: the inner loops of coppice alone, with Google Benchmark.
// Searches ask for keys in random order, in nodes that lie in the cache; each waits for the one
// before it, as on the way down a tree. The point get is on a database in memory, of which the
// larger one does not fit in the cache.

#include <coppice/coppice.hpp>
#include <coppice/format/checksum.hpp>
#include <coppice/format/commit_record.hpp>
#include <coppice/format/node_writer.hpp>
#include <coppice/format/patch_writer.hpp>
#include <coppice/format/superblock.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

namespace format = coppice::format;

constexpr std::size_t key_bytes = 16;
constexpr std::size_t value_bytes = 100;
constexpr std::size_t searches = 1024;

[[nodiscard]] std::vector<std::string> sorted_keys(std::size_t count) {
    std::mt19937_64 random(count);
    std::vector<std::string> keys(count, std::string(key_bytes, '\0'));
    for (auto& key : keys) {
        for (std::size_t at = 0; at < key_bytes; at += 8) {
            auto const word = random();
            std::memcpy(key.data() + at, &word, sizeof word);
        }
    }
    std::sort(keys.begin(), keys.end());
    return keys;
}

/// Many of the keys, in random order.
[[nodiscard]] std::vector<std::string> drawn_from(std::vector<std::string> const& keys) {
    std::mt19937_64 random(7);
    std::vector<std::string> drawn(searches);
    for (auto& key : drawn) key = keys[random() % keys.size()];
    return drawn;
}

/// Which search is next: random, so that no branch can be foretold from the searches before, and
/// known only when the search before has its result.
class next_search {
  public:
    [[nodiscard]] std::size_t operator()(std::size_t result) {
        state_ = state_ * 6364136223846793005U + 1442695040888963407U;
        return (static_cast<std::size_t>(state_ >> 33U) + result) % searches;
    }

  private:
    std::uint64_t state_ = 1;
};

/// Bytes aligned as a node in a file is.
class node_bytes {
  public:
    explicit node_bytes(std::size_t bytes) : words_((bytes + 7) / 8), bytes_(bytes) {}
    [[nodiscard]] std::span<std::byte> all() {
        return std::as_writable_bytes(std::span(words_)).first(bytes_);
    }
    [[nodiscard]] std::byte const* data() { return all().data(); }

  private:
    std::vector<std::uint64_t> words_;
    std::size_t bytes_;
};

/// Items of a leaf, with the keys that they view.
struct leaf_items {
    explicit leaf_items(std::size_t count) : keys(sorted_keys(count)) {
        for (auto const& key : keys) {
            items.push_back({key, {value, false}});
            measure.add(key.size(), items.back().value);
        }
    }
    leaf_items(leaf_items const&) = delete;
    leaf_items& operator=(leaf_items const&) = delete;

    std::vector<std::string> keys;
    std::string value = std::string(value_bytes, 'v');
    std::vector<format::leaf_item> items;
    format::leaf_measure measure;
};

/// Items of an inner node; the separators are as short as real ones.
struct inner_items {
    explicit inner_items(std::size_t count) : keys(sorted_keys(count)) {
        for (std::size_t i = 0; i < count; ++i) {
            auto const low = i == 0 ? std::string_view(keys[i])
                                    : format::shortest_separator(keys[i - 1], keys[i]);
            items.push_back({low, {format::node_ref{4096 * (i + 1), i}, 30, 4096}});
        }
    }
    inner_items(inner_items const&) = delete;
    inner_items& operator=(inner_items const&) = delete;

    std::vector<std::string> keys;
    std::vector<format::inner_item> items;
};

void per_item(benchmark::State& state, std::size_t items) {
    state.SetItemsProcessed(static_cast<std::int64_t>(items) * state.iterations());
}

void leaf_search(benchmark::State& state) {
    leaf_items const of(static_cast<std::size_t>(state.range(0)));
    node_bytes node(of.measure.node_bytes());
    format::write_leaf(of.items, node.all());
    format::leaf_view const leaf(node.data());
    auto const wanted = drawn_from(of.keys);
    next_search next;
    std::size_t at = 0;
    for (auto _ : state) at = next(leaf.lower_bound(wanted[at]).index);
    benchmark::DoNotOptimize(at);
    per_item(state, 1);
}
BENCHMARK(leaf_search)->Arg(8)->Arg(32)->Arg(128);

void inner_search(benchmark::State& state) {
    inner_items const of(static_cast<std::size_t>(state.range(0)));
    node_bytes node(format::inner_node_bytes(of.items));
    format::write_inner(1, of.items, node.all());
    format::inner_view const inner(node.data());
    auto const wanted = drawn_from(of.keys);
    next_search next;
    std::size_t at = 0;
    for (auto _ : state) at = next(inner.child_for(wanted[at]));
    benchmark::DoNotOptimize(at);
    per_item(state, 1);
}
BENCHMARK(inner_search)->Arg(8)->Arg(28)->Arg(128);

void leaf_write(benchmark::State& state) {
    leaf_items const of(static_cast<std::size_t>(state.range(0)));
    node_bytes node(of.measure.node_bytes());
    for (auto _ : state) {
        format::write_leaf(of.items, node.all());
        benchmark::ClobberMemory();
    }
    per_item(state, of.items.size());
}
BENCHMARK(leaf_write)->Arg(32);

void inner_write(benchmark::State& state) {
    inner_items const of(static_cast<std::size_t>(state.range(0)));
    node_bytes node(format::inner_node_bytes(of.items));
    for (auto _ : state) {
        format::write_inner(1, of.items, node.all());
        benchmark::ClobberMemory();
    }
    per_item(state, of.items.size());
}
BENCHMARK(inner_write)->Arg(28);

/// A patch for changes that lie evenly over a leaf.
void leaf_patch_write(benchmark::State& state) {
    auto const count = static_cast<std::size_t>(state.range(0));
    leaf_items const of(count);
    std::vector<format::leaf_change> changes;
    for (std::size_t i = 0; i < count; ++i) changes.push_back({4 * i, true, false, of.items[i]});
    node_bytes patch(format::leaf_patch_bytes(changes));
    for (auto _ : state) {
        format::write_leaf_patch(changes, 4 * count, 4 * count, {}, patch.all());
        benchmark::ClobberMemory();
    }
    per_item(state, count);
}
BENCHMARK(leaf_patch_write)->Arg(1)->Arg(8);

[[nodiscard]] format::commit_record some_record() {
    format::commit_record record;
    record.commit_id = 7;
    record.time_us = 1;
    record.begin_offset = format::data_begin_offset;
    record.note = "a note";
    return record;
}

void record_encode(benchmark::State& state) {
    auto const record = some_record();
    for (auto _ : state) benchmark::DoNotOptimize(format::encode(record).data());
    per_item(state, 1);
}
BENCHMARK(record_encode);

void record_decode(benchmark::State& state) {
    constexpr auto offset = format::data_begin_offset;
    auto const image = format::encode(some_record());
    if (!format::decode_record(image, offset)) state.SkipWithError("the record is refused");
    for (auto _ : state) benchmark::DoNotOptimize(format::decode_record(image, offset));
    per_item(state, 1);
}
BENCHMARK(record_decode);

void slot_encode(benchmark::State& state) {
    format::superblock slot;
    for (auto _ : state) {
        ++slot.counter;
        auto image = format::encode(slot);
        benchmark::DoNotOptimize(image);
    }
    per_item(state, 1);
}
BENCHMARK(slot_encode);

/// What the builder makes of sorted pairs, in memory, and taking it back.
void memory_load(benchmark::State& state) {
    leaf_items const of(static_cast<std::size_t>(state.range(0)));
    std::vector<std::pair<std::string_view, std::string_view>> pairs;
    for (auto const& key : of.keys) pairs.emplace_back(key, of.value);
    coppice::memory_database db;
    for (auto _ : state) {
        auto txn = db.write();
        benchmark::DoNotOptimize(txn.load(pairs));
    }
    per_item(state, pairs.size());
}
BENCHMARK(memory_load)->Arg(10'000);

void checksum(benchmark::State& state) {
    node_bytes node(static_cast<std::size_t>(state.range(0)));
    for (auto _ : state) benchmark::DoNotOptimize(format::checksum(node.all()));
    state.SetBytesProcessed(state.range(0) * state.iterations());
}
BENCHMARK(checksum)->Arg(512)->Arg(4096)->Arg(1 << 20);

void memory_get(benchmark::State& state) {
    auto const keys = sorted_keys(static_cast<std::size_t>(state.range(0)));
    coppice::memory_database db;
    db.update([&](auto& txn) {
        std::vector<std::pair<std::string_view, std::string_view>> pairs;
        std::string const value(value_bytes, 'v');
        for (auto const& key : keys) pairs.emplace_back(key, value);
        txn.load(pairs);
    });
    auto const now = db.read();
    std::mt19937_64 random(7);
    for (auto _ : state) benchmark::DoNotOptimize(now.get(keys[random() % keys.size()]));
    per_item(state, 1);
}
BENCHMARK(memory_get)->Arg(10'000)->Arg(300'000);

} // namespace

BENCHMARK_MAIN();
