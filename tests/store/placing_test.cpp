// SPDX-License-Identifier: BSL-1.0
// The order of its operations is proved through every power cut of a copy: copy_test.cpp.
#include <coppice/store/placing.hpp>

#include <coppice/database.hpp>

#include <catch2/catch.hpp>
#include <kind_of.hpp>
#include <test_database.hpp>

#include <stdexcept>

namespace {

namespace placed = coppice::store;

placed::superblock fill_empty(coppice::storage::memory_storage& fresh, placed::superblock slot) {
    coppice::format::commit_record record;
    record.commit_id = 5;
    record.begin_offset = coppice::format::data_begin_offset;
    record.data_summed = false;
    return placed::seal_fresh_file(fresh, placed::fresh_header({}, {1, 2}), record,
                                   coppice::format::data_begin_offset, slot);
}

} // namespace

TEST_CASE("a placed file is a database and its place is taken") {
    coppice::storage::memory_medium medium;
    auto const slot = placed::place_file(medium, fill_empty);
    CHECK(slot.counter == 1);
    CHECK(slot.boot_id == medium.lock()->identity().boot_id);
    CHECK(coppice::memory_database(medium, {.create = coppice::create::never}).read().id().value ==
          5);
    CHECK(support::kind_of([&] { placed::place_file(medium, fill_empty); }) ==
          coppice::errc::already_exists);
}

TEST_CASE("what fails while it is filled leaves nothing") {
    coppice::storage::memory_medium medium;
    CHECK_THROWS_AS(placed::place_file(medium,
                                       [](auto&, placed::superblock const&) -> placed::superblock {
                                           throw std::runtime_error("a failure");
                                       }),
                    std::runtime_error);
    CHECK_FALSE(medium.discard_fresh());
    CHECK(support::kind_of([&] {
              static_cast<void>(medium.open(coppice::storage::access::read_only));
          }) == coppice::errc::not_found);
    CHECK(placed::place_file(medium, fill_empty).commit_id == 5);
}
