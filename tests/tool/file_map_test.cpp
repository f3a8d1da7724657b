// SPDX-License-Identifier: BSL-1.0
#include "tools/coppice/file_map.hpp"

#include <broken_database.hpp>
#include <kind_of.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

namespace {

using tool::byte_class;

/// What every map keeps to.
void must_add_up(tool::file_map const& map, std::uint64_t file_bytes) {
    REQUIRE(map.file_bytes == file_bytes);
    std::uint64_t all = 0;
    for (std::size_t i = 0; i < map.cells.size(); ++i) {
        std::uint64_t sum = 0;
        for (auto const bytes : map.cells[i].bytes) sum += bytes;
        auto const last = i + 1 == map.cells.size();
        REQUIRE(sum == (last ? file_bytes - i * map.cell_bytes : map.cell_bytes));
        all += sum;
    }
    REQUIRE(all == file_bytes);
}

std::uint64_t live_bytes_of(tool::file_map const& map) {
    using enum tool::byte_class;
    return map.total(header) + map.total(slots) + map.total(record) + map.total(leaf) +
           map.total(inner) + map.total(value);
}

} // namespace

TEST_CASE("every byte of a file is counted once and the live ones as stats counts them") {
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        auto const sample =
            broken::random_history(seed, 1 + static_cast<unsigned>(seed % 20), seed % 3 == 0);
        coppice::memory_database const db(broken::place_of(sample.file));
        auto const figures = db.stats();
        for (std::uint64_t const cells : {1U, 7U, 64U, 4096U}) {
            auto const map = tool::map_of(db.read(), sample.file.size(), cells);
            REQUIRE(map.cells.size() <= cells);
            must_add_up(map, sample.file.size());
            REQUIRE(live_bytes_of(map) == figures.live_bytes);
            REQUIRE(map.moments.size() == figures.commits);
            REQUIRE(map.levels.size() == figures.height);
            std::uint64_t nodes = 0;
            std::uint64_t node_bytes = 0;
            for (auto const& level : map.levels) {
                std::uint64_t filled = 0;
                for (auto const count : level.fill) filled += count;
                REQUIRE(filled == level.nodes);
                nodes += level.nodes;
                node_bytes += level.bytes;
            }
            auto const checked = db.check();
            REQUIRE(nodes == checked.nodes - checked.patches);
            REQUIRE(node_bytes == map.total(byte_class::leaf) + map.total(byte_class::inner));
        }
    }
}

TEST_CASE("the map knows each byte as what it is") {
    auto const sample = broken::random_history(31, 9);
    coppice::memory_database const db(broken::place_of(sample.file));
    auto const map = tool::map_of(db.read(), sample.file.size() + 4096);
    must_add_up(map, sample.file.size() + 4096);
    CHECK(map.total(byte_class::ahead) == 4096);
    CHECK(map.total(byte_class::header) == 4096);
    // A record whose root has a patch names that too.
    auto const old_patches = map.total(byte_class::old_record) - std::uint64_t{9} * 136;
    CHECK((map.total(byte_class::record) == 136 || map.total(byte_class::record) == 152));
    CHECK(old_patches % 16 == 0);
    CHECK(old_patches <= std::uint64_t{9} * 16);
    for (auto const& part : forged::reachable(sample.file)) {
        if (part.what != "leaf" && part.what != "inner" && part.what != "extent") continue;
        auto const as = part.what == "leaf"    ? byte_class::leaf
                        : part.what == "inner" ? byte_class::inner
                                               : byte_class::value;
        auto const& cell = map.cells[part.offset / map.cell_bytes];
        CHECK(cell.bytes[static_cast<std::size_t>(as)] > 0);
        CHECK((cell.nodes > 0 || part.what == "extent"));
        CHECK((cell.has_key || part.what != "leaf"));
    }
}

TEST_CASE("garbage is told by the quarter of the commits it is from") {
    coppice::storage::memory_medium medium;
    coppice::memory_database db(medium, proving::tiny());
    for (unsigned i = 0; i < 7; ++i) {
        db.update([&](auto& t) { t.put("key", std::string(1 + i * 4, 'v')); });
    }
    auto const map = tool::map_of(db.read(), db.stats().valid_bytes);
    // Eight commits, of which the first one wrote nothing; the leaf of the newest is live.
    REQUIRE(map.moments.size() == 8);
    auto const leaf_of = [&](std::size_t i) { return map.moments[i].live_bytes; };
    CHECK(leaf_of(1) < leaf_of(6));
    CHECK(map.total(byte_class::garbage_oldest) == leaf_of(1));
    CHECK(map.total(byte_class::garbage_older) == leaf_of(2) + leaf_of(3));
    CHECK(map.total(byte_class::garbage_newer) == leaf_of(4) + leaf_of(5));
    CHECK(map.total(byte_class::garbage_newest) == leaf_of(6));
    CHECK(map.total(byte_class::leaf) == leaf_of(7));
}

TEST_CASE("what padding leaves between commits is a gap") {
    coppice::storage::memory_medium medium;
    auto chosen = proving::tiny();
    chosen.pad_commits = true;
    coppice::memory_database db(medium, chosen);
    for (unsigned i = 0; i < 5; ++i) db.update([&](auto& t) { t.put("key", "value"); });
    auto const file_bytes = db.stats().file_bytes;
    auto const map = tool::map_of(db.read(), file_bytes);
    must_add_up(map, file_bytes);
    std::uint64_t gaps = 0;
    for (std::size_t i = 1; i < map.moments.size(); ++i) {
        gaps += map.moments[i].begin_offset - map.moments[i - 1].end_offset;
    }
    CHECK(gaps > 4096);
    CHECK(map.total(byte_class::gap) == gaps);
    CHECK(live_bytes_of(map) == db.stats().live_bytes);
}

TEST_CASE("of an empty database there is a map too") {
    coppice::memory_database const db;
    auto const map = tool::map_of(db.read(), db.stats().file_bytes);
    must_add_up(map, db.stats().file_bytes);
    CHECK(map.levels.empty());
}

TEST_CASE("a damaged or forged file has no map but a typed error") {
    auto const sample = broken::random_history(32, 9, false, false);
    auto const parts = forged::reachable(sample.file);
    auto const map_of_file = [](forged::file_bytes const& file) {
        coppice::memory_database const db(broken::place_of(file));
        static_cast<void>(tool::map_of(db.read(), file.size()));
    };
    map_of_file(sample.file);
    // One node in the place of its neighbour: parts of the tree overlap.
    auto const root = *std::find_if(parts.begin(), parts.end(),
                                    [](auto const& part) { return part.what == "inner"; });
    coppice::format::inner_view const inner(sample.file.data() + root.offset);
    auto const hot = root.offset + 16 + coppice::format::inner_view::heads_bytes(inner.count());
    auto file = sample.file;
    forged::store(file, hot + 8, forged::load<std::uint64_t>(file, hot));
    forged::fix_checksums(file);
    CHECK(support::kind_of([&] { map_of_file(file); }) == coppice::errc::corrupt);
    // A commit that begins within the one before it.
    file = sample.file;
    auto const newest = forged::newest_record(file);
    auto const record = forged::load<std::uint64_t>(file, newest + 80);
    auto const previous = forged::load<std::uint64_t>(file, record + 80);
    forged::store(file, record + 64, previous + 8);
    forged::fix_checksums(file);
    CHECK(support::kind_of([&] { map_of_file(file); }) == coppice::errc::corrupt);
}
