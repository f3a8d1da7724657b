// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/verified.hpp>

#include <coppice/format/reference.hpp>

#include <catch2/catch.hpp>
#include <child_process.hpp>
#include <workbench.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include <unistd.h>

using coppice::format::max_node_bytes;
using coppice::format::node_ref;
using coppice::store::verified_table;

namespace {

/// The tags of nodes one behind the other, each of its own size between 2 and 4 KiB. Offsets that
/// are multiples of one number would be spread too well.
std::vector<std::uint64_t> tags_one_behind_the_other(std::size_t count) {
    std::mt19937_64 random(1);
    std::vector<std::uint64_t> tags;
    for (std::uint64_t at = 8192; tags.size() < count;) {
        auto const size = 2048 + 8 * (random() % 256);
        tags.push_back(node_ref::at(at, size, 0).hot);
        at += size;
    }
    return tags;
}

std::size_t count_of_verified(verified_table const& table, std::vector<std::uint64_t> const& tags) {
    return static_cast<std::size_t>(std::count_if(
        tags.begin(), tags.end(), [&](std::uint64_t tag) { return table.contains(tag); }));
}

} // namespace

TEST_CASE("only what was inserted is there, and hardly any newcomer drives another one out") {
    constexpr std::size_t count = 20'000;
    auto const tags = tags_one_behind_the_other(count);
    verified_table table(std::uint64_t{count} * 3072);
    CHECK(count_of_verified(table, tags) == 0);
    for (auto const tag : tags) table.insert(tag);
    // There are three to six slots for each of these tags, in lines of eight.
    CHECK(count_of_verified(table, tags) > count * 999 / 1000);
    CHECK(table.contains(tags.back()));
    for (std::uint64_t i = 1; i <= count; ++i) {
        if (table.contains(node_ref::at(i * 4096, 4096, 0).hot)) FAIL("a tag of another size");
    }
}

TEST_CASE("inserting a tag again takes no second place") {
    verified_table table;
    auto const tags = tags_one_behind_the_other(100);
    for (auto const tag : tags) {
        for (int times = 0; times < 8; ++times) table.insert(tag);
    }
    CHECK(count_of_verified(table, tags) == tags.size());
}

TEST_CASE("a table grows with what is inserted and keeps it, not with the file alone") {
    // It was made for the whole file: 8 MiB of zeros, written at each opening of a file of 1 GB
    // once the allocator had seen such sizes. Opening took 400 us, and takes 40.
    verified_table table(std::uint64_t{1} << 40U);
    CHECK(table.size_bytes() == 4096);
    constexpr std::size_t count = 20'000;
    auto const tags = tags_one_behind_the_other(count);
    for (std::size_t i = 0; i < count; ++i) {
        table.insert(tags[i]);
        CHECK(table.contains(tags[i]));
        if (table.size_bytes() > 128 * (i + 1) + 4096) FAIL("more than 128 bytes a tag");
    }
    CHECK(count_of_verified(table, tags) > count * 999 / 1000);
    for (auto const tag : tags) table.insert(tag);
    CHECK(table.size_bytes() == std::size_t{8} << 17U);
}

TEST_CASE("a table grows no further than its file allows, and on when the file does") {
    verified_table table;
    constexpr std::size_t count = 20'000;
    auto const tags = tags_one_behind_the_other(count);
    for (auto const tag : tags) table.insert(tag);
    auto const before = count_of_verified(table, tags);
    CHECK(before <= 512);
    CHECK(table.contains(tags.back()));
    table.reserve(count * 4096);
    CHECK(count_of_verified(table, tags) == before);
    table.reserve(4096); // never shrinks
    for (auto const tag : tags) table.insert(tag);
    CHECK(count_of_verified(table, tags) > count * 999 / 1000);
    CHECK(table.size_bytes() == std::size_t{8} << 17U);
}

TEST_CASE("a table that threads fill keeps nearly all of what they insert") {
    constexpr std::size_t count = 20'000;
    auto const tags = tags_one_behind_the_other(count);
    verified_table table(std::uint64_t{count} * 4096);
    std::vector<std::thread> threads;
    for (std::size_t part = 0; part < 4; ++part) {
        threads.emplace_back([&, part] {
            for (std::size_t i = part; i < count; i += 4) table.insert(tags[i]);
        });
    }
    for (auto& each : threads) each.join();
    // What is inserted while another thread copies the table may be lost, and is verified again.
    for (auto const tag : tags) table.insert(tag);
    CHECK(count_of_verified(table, tags) > count * 999 / 1000);
}

// A thread that makes the table larger is not there in a fork, which would wait for it for ever: it
// reads on there, and only does without a larger table.
TEST_CASE("a fork inserts, whatever its parent's threads were at") {
    if (workbench::skip_forks()) return;
    auto const tags = tags_one_behind_the_other(300'000);
    for (int round = 0; round < 20; ++round) {
        verified_table table(std::uint64_t{1} << 40U);
        std::atomic<bool> done = false;
        std::jthread const filler([&] {
            for (auto const tag : tags) table.insert(tag);
            done = true;
        });
        for (int forks = 0; forks < 50 && !done; ++forks) {
            workbench::child own([&](workbench::reporter const&) {
                ::alarm(20);
                for (std::uint64_t i = 1; i <= 16; ++i) table.insert(i << 3U);
            });
            REQUIRE(own.wait() == 0);
        }
    }
}

TEST_CASE("the tag of a value is not that of any node at the same place") {
    for (std::uint64_t const offset : {12288ULL, 12296ULL, 1ULL << 40U}) {
        auto const tag = verified_table::extent_tag(offset);
        CHECK(tag != verified_table::extent_tag(offset + 8));
        // No reference of a file is to memory, whatever it says of sizes.
        CHECK(node_ref{tag, 0}.in_memory());
        CHECK_FALSE(node_ref::at(offset, max_node_bytes, 0).in_memory());
    }
}
