// SPDX-License-Identifier: BSL-1.0
#include <coppice/format/superblock.hpp>

#include <catch2/catch.hpp>

#include <functional>
#include <type_traits>
#include <vector>

namespace format = coppice::format;
using format::slot_state;
using format::superblock;

namespace {

format::file_header header_for_slots() {
    format::file_header header;
    header.uuid.fill(std::byte{0x5A});
    header.generation = 3;
    return header;
}

superblock some_slot() {
    superblock slot;
    slot.counter = 17;
    slot.commit_id = 42;
    slot.record_offset = 20480;
    slot.record_bytes = 136;
    slot.record_checksum = 0xABCDEF;
    slot.end_offset = 20480 + 136;
    slot.verify_from = 16384;
    slot.uuid = header_for_slots().uuid;
    slot.generation = header_for_slots().generation;
    return slot;
}

slot_state state_of(coppice::bytes image) {
    return format::decode_slot(image, header_for_slots()).state;
}

} // namespace

TEST_CASE("a slot is what was encoded") {
    auto slot = some_slot();
    slot.features = 5;
    slot.flags = 9;
    auto const image = format::encode(slot);
    auto const decoded = format::decode_slot(image, header_for_slots());
    CHECK(decoded.state == slot_state::good);
    CHECK(decoded.slot == slot);
    CHECK(slot.checksum == format::checksum(coppice::bytes{image}.first(120)));
}

TEST_CASE("the fields of a slot lie where the specification says") {
    auto slot = some_slot();
    auto const image = format::encode(slot);
    auto const u64 = [&](std::size_t at) { return format::load<std::uint64_t>(image.data() + at); };
    CHECK(coppice::as_text(coppice::bytes{image}.first(8)) == "coppslot");
    CHECK(u64(8) == 17);
    CHECK(u64(16) == 42);
    CHECK(u64(24) == 20480);
    CHECK(format::load<std::uint32_t>(image.data() + 32) == 136);
    CHECK(u64(40) == 0xABCDEF);
    CHECK(u64(48) == 20480 + 136);
    CHECK(u64(56) == 16384);
    CHECK(image[72] == std::byte{0x5A});
    CHECK(u64(88) == 3);
    CHECK(u64(120) == slot.checksum);
}

TEST_CASE("every flipped bit of a slot breaks it") {
    auto slot = some_slot();
    auto image = format::encode(slot);
    for (std::size_t bit = 0; bit < image.size() * 8; ++bit) {
        image[bit / 8] ^= std::byte{1} << (bit % 8);
        if (state_of(image) != slot_state::broken) FAIL("bit " << bit);
        image[bit / 8] ^= std::byte{1} << (bit % 8);
    }
    CHECK(state_of(image) == slot_state::good);
}

TEST_CASE("a slot that is torn at any byte is broken, one of zeros is empty") {
    auto slot = some_slot();
    auto const image = format::encode(slot);
    for (std::size_t size = 1; size < image.size(); ++size) {
        std::vector<std::byte> const cut(image.begin(),
                                         image.begin() + static_cast<std::ptrdiff_t>(size));
        CHECK(state_of(cut) == slot_state::broken);
        std::vector<std::byte> torn(image.size());
        std::copy(cut.begin(), cut.end(), torn.begin());
        CHECK(state_of(torn) == slot_state::broken);
    }
    CHECK(state_of(std::vector<std::byte>(format::block_bytes)) == slot_state::empty);
    CHECK(state_of({}) == slot_state::empty);
}

TEST_CASE("a slot of another file is broken") {
    auto slot = some_slot();
    auto const image = format::encode(slot);
    auto other = header_for_slots();
    other.uuid[15] ^= std::byte{1};
    CHECK(format::decode_slot(image, other).state == slot_state::broken);
    other = header_for_slots();
    ++other.generation;
    CHECK(format::decode_slot(image, other).state == slot_state::broken);
}

TEST_CASE("a slot whose offsets are out of order is broken although its checksum holds") {
    std::vector<std::pair<char const*, std::function<void(superblock&)>>> const table{
        {"no counter", [](auto& s) { s.counter = 0; }},
        {"no commit", [](auto& s) { s.commit_id = 0; }},
        {"counter too high", [](auto& s) { s.counter = format::max_counter + 1; }},
        {"commit too high", [](auto& s) { s.commit_id = format::max_counter + 1; }},
        {"record in the header", [](auto& s) { s.record_offset = 12280; }},
        {"record at 0", [](auto& s) { s.record_offset = 0; }},
        {"record at the end", [](auto& s) { s.record_offset = s.end_offset; }},
        {"record behind the end", [](auto& s) { s.record_offset = s.end_offset + 8; }},
        {"record passes the end", [](auto& s) { s.record_bytes = 137; }},
        {"record far too long", [](auto& s) { s.record_bytes = 0xFFFFFFFF; }},
        {"end not aligned", [](auto& s) { s.end_offset += 4; }},
        {"end too large", [](auto& s) { s.end_offset = format::max_file_bytes; }},
        {"end at 0", [](auto& s) { s.end_offset = 0; }},
        {"verified in the header", [](auto& s) { s.verify_from = 12280; }},
        {"verified behind the end", [](auto& s) { s.verify_from = s.end_offset + 8; }},
        {"verified far behind", [](auto& s) { s.verify_from = ~std::uint64_t{0}; }},
    };
    for (auto const& [name, change] : table) {
        INFO(name);
        auto slot = some_slot();
        change(slot);
        CHECK(state_of(format::encode(slot)) == slot_state::broken);
    }
}

TEST_CASE("the limits of a slot's offsets are good") {
    auto slot = some_slot();
    slot.record_offset = format::data_begin_offset;
    slot.end_offset = format::data_begin_offset + 136;
    slot.verify_from = slot.end_offset;
    CHECK(state_of(format::encode(slot)) == slot_state::good);
    slot.verify_from = format::data_begin_offset;
    CHECK(state_of(format::encode(slot)) == slot_state::good);
    slot.counter = slot.commit_id = format::max_counter;
    slot.end_offset = format::max_file_bytes - 8;
    CHECK(state_of(format::encode(slot)) == slot_state::good);
}

static_assert(format::slot_offset(0) == 4096 && format::slot_offset(1) == 8192);
static_assert(std::is_trivially_copyable_v<superblock>);
static_assert(noexcept(format::decode_slot({}, std::declval<format::file_header const&>())));
