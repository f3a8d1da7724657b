// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/opened_file.hpp>

#include <faulty_medium.hpp>
#include <kind_of.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <memory>
#include <set>
#include <string>
#include <vector>

using namespace coppice;
using support::kind_of;

namespace {

std::shared_ptr<storage::memory_storage> holding(std::string_view text) {
    auto storage = std::make_shared<storage::memory_storage>();
    storage->write(0, as_bytes(text));
    return storage;
}
std::optional<errc> refusal(std::string_view text) {
    return kind_of(
        [&] { static_cast<void>(store::recognise(holding(text), verify::first_touch, "p")); });
}

} // namespace

TEST_CASE("what is not a database is told apart from one that is damaged or of another version") {
    auto const block = format::encode(store::fresh_header({}, {1, 2}));
    std::string const header(as_text(block));
    CHECK_FALSE(refusal(header).has_value());
    CHECK(refusal("") == errc::not_a_database);
    CHECK(refusal("\x89"
                  "copp") == errc::not_a_database);
    CHECK(refusal(std::string(8192, '\0')) == errc::not_a_database);
    CHECK(refusal(header.substr(0, 4095)) == errc::corrupt);
    auto other = header;
    for (char const version : {'\0', '\2'}) {
        other[16] = version;
        CHECK(refusal(other) == errc::unsupported_version);
    }
    other = header;
    other[30] = static_cast<char>(other[30] + 1);
    CHECK(refusal(other) == errc::corrupt);
}

TEST_CASE("covering maps further only where it must, and what is verified is shared") {
    storage::memory_medium medium;
    { memory_database const made(medium, proving::tiny()); }
    auto file = store::recognise(medium.open(storage::access::read_write), verify::never, "path");
    auto const first = file.image;
    CHECK(first->path == "path");
    CHECK(first->verify == verify::never);
    CHECK(first->identity == file.storage->identity());
    file.cover(first->map.size_bytes);
    CHECK(file.image == first);
    file.cover(first->map.size_bytes + 1);
    CHECK(file.image != first);
    CHECK(file.image->map.size_bytes > first->map.size_bytes);
    CHECK(file.image->verified == first->verified);
    CHECK(file.header() == first->header);
}

TEST_CASE("every fresh database has an identity of its own, and node sizes that make sense") {
    std::set<std::array<std::byte, 16>> uuids;
    for (int i = 0; i < 100; ++i) {
        storage::memory_medium medium;
        memory_database const made(medium);
        auto const opened = medium.open(storage::access::read_only);
        uuids.insert(store::recognise(opened, verify::never, "").header().uuid);
    }
    CHECK(uuids.size() == 100);
    CHECK(store::fresh_header({256, 256, 10000}, {1, 2}).nodes.inline_value_bytes == 64);
    for (auto const& sizes :
         {node_sizes{127, 128, 0}, node_sizes{128, 127, 0}, node_sizes{65537, 128, 0},
          node_sizes{128, 65537, 0}, node_sizes{0, 0, 0}}) {
        CHECK(kind_of([&] {
                  static_cast<void>(store::fresh_header(sizes, {1, 2}));
              }) == errc::invalid_argument);
    }
}

TEST_CASE("a sealed file opens at once, and one sync makes all of it durable") {
    faulty::medium medium;
    auto const storage = medium.fresh();
    auto const header = store::fresh_header({}, {1, 2});
    format::commit_record record;
    record.commit_id = 9;
    record.time_us = 5;
    record.begin_offset = format::data_begin_offset;
    record.data_summed = false;
    record.note = "sealed";
    format::superblock slot;
    slot.counter = 4;
    slot = store::seal_fresh_file(*storage, header, record, format::data_begin_offset, slot);
    CHECK(medium.told().count(faulty::call::sync) == 1);
    CHECK(medium.told().log.back().what == faulty::call::sync);
    CHECK(slot.verify_from == slot.end_offset);
    CHECK(storage->size() == slot.end_offset);
    auto const file = store::recognise(storage, verify::first_touch, "");
    CHECK(file.header() == header);
    auto const found = store::recover(*storage, file.header(), false, "");
    CHECK(found.slot() == slot);
    CHECK(found.record == record);
    CHECK(found.slots.slots[1].state == format::slot_state::empty);
}
