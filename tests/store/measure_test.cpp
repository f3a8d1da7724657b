// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/measure.hpp>

#include <coppice/storage/memory_medium.hpp>

#include <catch2/catch.hpp>

using namespace coppice;

TEST_CASE("a new database is three blocks and one record, all of it live") {
    store::store<storage::memory_medium> fresh(storage::memory_medium{}, {});
    auto const figures = store::measure(fresh);
    CHECK(figures.newest == commit_id{1});
    CHECK(figures.commits == 1);
    CHECK(figures.entries == 0);
    CHECK(figures.height == 0);
    CHECK(figures.valid_bytes == 12288 + 136);
    CHECK(figures.live_bytes == figures.valid_bytes);
    CHECK(figures.garbage_bytes == 0);
    CHECK(figures.unsynced_bytes == 0);
}
