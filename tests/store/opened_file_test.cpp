// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/opened_file.hpp>

#include <coppice/storage/memory_medium.hpp>

#include <catch2/catch.hpp>

using namespace coppice;
using namespace coppice::store;

TEST_CASE("a fresh file is recognised, and its one slot holds its one commit") {
    storage::memory_medium medium;
    auto const file = medium.fresh();
    auto const header = fresh_header({});
    commit_record record;
    record.commit_id = 7;
    record.begin_offset = format::data_begin_offset;
    record.data_summed = false;
    superblock slot;
    slot.counter = 9;
    slot = seal_fresh_file(*file, header, record, format::data_begin_offset, slot);
    auto opened = recognise(file, verify::first_touch, "here");
    CHECK(opened.header() == header);
    auto const found = recover(*file, header, false, "here");
    CHECK(found.index == 0);
    CHECK(found.slot() == slot);
    CHECK(found.record.commit_id == 7);
    auto const shared = opened.image->verified;
    opened.cover(std::uint64_t{1} << 22U);
    CHECK(opened.image->map.size_bytes >= std::uint64_t{1} << 22U);
    CHECK(opened.image->verified == shared);
    CHECK(fresh_header({}).uuid != header.uuid);
    CHECK_THROWS_AS(fresh_header({64, 1024, 0}), error);
}
