// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/next_record.hpp>

#include <catch2/catch.hpp>

#include <memory>

using namespace coppice;

namespace {

constexpr format::record_ref place{12288, 99};

store::revision_ptr state_of(std::uint64_t id, format::record_ref at, std::uint64_t index = 4) {
    format::commit_record record;
    record.commit_id = id;
    record.time_us = 1000;
    record.index = index;
    record.previous = {4096, 1};
    record.skip = {4096, 1};
    return store::revision_ptr(
        new store::revision(std::make_shared<store::file_image>(), record, at, 0));
}

} // namespace

TEST_CASE("a record follows the newest one in the file") {
    auto const written = state_of(7, place);
    store::tree_pair const trees{{{{8, 1}, 2, 3}, 1}, {{{16, 4}, 5, 6}, 1}};
    auto const record = store::record_after(*written, *written, 9, 5000, trees, "note");
    CHECK(record.commit_id == 9); // an id may have been lost
    CHECK(record.id_span == 0);
    CHECK(record.index == 5);
    CHECK(record.previous == place);
    CHECK(record.time_us == 5000);
    CHECK(record.note == "note");
    CHECK(record.user == trees.user);
    CHECK(record.system == trees.system);
    CHECK(store::record_after(*written, *written, 9, 1000, {}, "").time_us == 1001);
}

TEST_CASE("a record stands for all that was deferred before it") {
    auto const written = state_of(7, place);
    auto first = store::record_after(*written, *written, 8, 2000, {}, "");
    store::revision const deferred(*written, first, {});
    auto second = store::record_after(*written, deferred, 9, 0, {}, "");
    CHECK(second.id_span == 1);
    CHECK(second.time_us == 2001);
    CHECK(second.index == 5);
    CHECK(second.previous == place);
    store::revision const next(*written, second, {});
    CHECK(store::record_after(*written, next, 10, 0, {}, "").id_span == 2);
}

TEST_CASE("the place of a record adds its skip and what is summed") {
    auto const written = state_of(7, place, 0);
    auto record = store::record_after(*written, *written, 8, 0, {}, "");
    store::place_record(record, *written, durability::lazy, 20480, 77);
    CHECK(record.begin_offset == 20480);
    CHECK(record.nonce == 77);
    CHECK(record.skip == place); // index 1 skips to index 0, which is the one before it
    CHECK(record.data_summed);
    store::place_record(record, *written, durability::two_sync, 20480, 77);
    CHECK_FALSE(record.data_summed);
}
