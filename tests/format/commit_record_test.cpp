// SPDX-License-Identifier: BSL-1.0
#include <coppice/format/commit_record.hpp>

#include <catch2/catch.hpp>
#include <rapidcheck.h>

#include <functional>
#include <vector>

namespace format = coppice::format;
using format::commit_record;
using format::node_ref;

namespace {

constexpr std::uint64_t record_offset = 65536;

commit_record some_record() {
    commit_record record;
    record.commit_id = 9;
    record.id_span = 2;
    record.time_us = 1'700'000'000'000'000;
    record.user = {{node_ref::at(40960, 512, 77), 1000, 123456}, 3};
    record.begin_offset = 32768;
    record.data_checksum = 0x1234;
    record.previous = {20480, 55};
    record.skip = {16384, 66};
    record.index = 4;
    record.nonce = 0xFEEDFACE;
    record.note = "a note";
    return record;
}

commit_record with_system_root() {
    auto record = some_record();
    record.system = {{node_ref::at(32768, 256, 78), 5, 256}, 1};
    return record;
}

commit_record with_patched_root(commit_record record) {
    record.user.root.patch = node_ref::at(45056, 128, 79);
    return record;
}

/// The record from a block of exactly its size.
std::optional<commit_record> decoded(coppice::bytes image, std::uint64_t offset = record_offset) {
    std::vector<std::byte> const exact(image.begin(), image.end());
    return format::decode_record(exact, offset);
}

/// Jump pointers by their definition: an element jumps over two equally long jumps of its
/// predecessors, else to its predecessor.
std::vector<std::uint64_t> textbook_jumps(std::size_t count) {
    std::vector<std::uint64_t> jump(count);
    for (std::uint64_t i = 1; i < count; ++i) {
        auto const parent = i - 1;
        auto const once = jump[parent];
        auto const twice = jump[once];
        jump[i] = parent - once == once - twice ? twice : parent;
    }
    return jump;
}

} // namespace

TEST_CASE("a commit record is what was encoded") {
    for (auto const& record : {some_record(), with_system_root(), with_patched_root(some_record()),
                               with_patched_root(with_system_root())}) {
        auto const image = format::encode(record);
        CHECK(image.size() == format::encoded_bytes(record));
        CHECK(image.size() % 8 == 0);
        CHECK(decoded(image) == record);
        CHECK(format::record_checksum(image) ==
              format::checksum(coppice::bytes{image}.first(image.size() - 8)));
    }
    auto unsummed = some_record();
    unsummed.data_summed = false;
    CHECK(decoded(format::encode(unsummed)) == unsummed);
    auto kept = unsummed;
    kept.kept = true;
    CHECK(decoded(format::encode(kept)) == kept);
    CHECK(std::to_integer<unsigned>(format::encode(kept)[22]) == 8);
}

TEST_CASE("a commit record holds a note of any length up to the longest") {
    for (std::size_t const size : {0U, 1U, 7U, 8U, 9U, 4095U, 4096U}) {
        auto record = with_system_root();
        record.note.assign(size, 'n');
        auto const image = format::encode(record);
        CHECK(image.size() <= format::commit_record_max_bytes);
        CHECK(decoded(image) == record);
    }
}

TEST_CASE("a commit record of random fields is what was encoded") {
    CHECK(rc::check([](std::uint64_t id, std::uint32_t span, std::uint64_t time,
                       std::uint64_t nonce, std::string const& note) {
        auto record = some_record();
        record.commit_id = id | 0x8000'0000'0000'0000U;
        record.id_span = span;
        record.time_us = time;
        record.nonce = nonce;
        record.note = note;
        RC_ASSERT(decoded(format::encode(record)) == record);
    }));
}

TEST_CASE("the patch of a root lies between the root and the record") {
    auto const sound = with_patched_root(some_record());
    auto const image = format::encode(sound);
    CHECK(format::load<std::uint16_t>(image.data() + 22) == 6);
    CHECK(format::load<std::uint64_t>(image.data() + 128) == sound.user.root.patch.hot);
    CHECK(format::load<std::uint64_t>(image.data() + 136) == 79);
    CHECK(decoded(format::encode(sound)) == sound);
    for (auto const wrong : {node_ref::at(40960 + 504, 128, 79), node_ref::at(40960, 512, 77),
                             node_ref::at(record_offset - 64, 128, 79)}) {
        auto record = sound;
        record.user.root.patch = wrong;
        CHECK_FALSE(decoded(format::encode(record)));
    }
    auto named_as_null = image; // flagged, but null
    format::store(named_as_null.data() + 128, std::uint64_t{0});
    format::store(named_as_null.data() + image.size() - 8,
                  format::checksum(coppice::bytes{named_as_null}.first(image.size() - 8)));
    CHECK_FALSE(decoded(named_as_null));
    auto of_nothing = sound;
    of_nothing.user.height = 0;
    of_nothing.user.root.node = {};
    of_nothing.user.root.entries = 0;
    CHECK_FALSE(decoded(format::encode(of_nothing)));
}

TEST_CASE("the empty tree is a null root of height 0") {
    auto record = some_record();
    record.user = {};
    CHECK(decoded(format::encode(record)) == record);
}

TEST_CASE("every flipped bit of a commit record is refused") {
    for (auto const& record : {some_record(), with_system_root()}) {
        auto image = format::encode(record);
        for (std::size_t bit = 0; bit < image.size() * 8; ++bit) {
            image[bit / 8] ^= std::byte{1} << (bit % 8);
            if (decoded(image)) FAIL("bit " << bit);
            image[bit / 8] ^= std::byte{1} << (bit % 8);
        }
        CHECK(decoded(image));
    }
}

TEST_CASE("a commit record that is cut short is refused at every length") {
    auto const image = format::encode(with_system_root());
    for (std::size_t size = 0; size < image.size(); ++size) {
        CHECK_FALSE(decoded(coppice::bytes{image}.first(size)));
    }
}

TEST_CASE("bytes behind a commit record do not matter") {
    auto image = format::encode(some_record());
    image.resize(image.size() + 100, std::byte{0xCC});
    CHECK(decoded(image) == some_record());
}

TEST_CASE("a commit record that names what cannot be is refused although its checksum holds") {
    std::vector<std::pair<char const*, std::function<void(commit_record&)>>> const table{
        {"no commit", [](auto& r) { r.commit_id = 0; }},
        {"a span below the first commit", [](auto& r) { r.id_span = 9; }},
        {"more records before it than commits", [](auto& r) { r.index = 9; }},
        {"as many records as there are numbers", [](auto& r) { r.index = ~std::uint64_t{0}; }},
        {"begins in the header", [](auto& r) { r.begin_offset = 12280; }},
        {"begins behind itself", [](auto& r) { r.begin_offset = record_offset + 8; }},
        {"root behind it", [](auto& r) { r.user.root.node = node_ref::at(65536, 8, 0); }},
        {"root overlaps it", [](auto& r) { r.user.root.node = node_ref::at(65528, 16, 0); }},
        {"root in the header", [](auto& r) { r.user.root.node = node_ref::at(8192, 16, 0); }},
        {"root in memory", [](auto& r) { r.user.root.node.hot |= format::memory_bit; }},
        {"root without height", [](auto& r) { r.user.height = 0; }},
        {"too high", [](auto& r) { r.user.height = 41; }},
        {"height without root", [](auto& r) { r.user.root = {}; }},
        {"entries without root",
         [](auto& r) {
             r.user = {{{}, 1, 0}, 0};
         }},
        {"system root behind it",
         [](auto& r) {
             r.system = {{node_ref::at(65536, 8, 0), 1, 8}, 1};
         }},
        {"previous behind it", [](auto& r) { r.previous.offset = record_offset; }},
        {"previous in the header", [](auto& r) { r.previous.offset = 4096; }},
        {"previous in this transaction", [](auto& r) { r.previous.offset = r.begin_offset; }},
        {"skip behind it", [](auto& r) { r.skip.offset = record_offset; }},
        {"skip in the header", [](auto& r) { r.skip.offset = 8; }},
        {"first with a previous", [](auto& r) { r.index = 0; }},
        {"later without a previous", [](auto& r) { r.previous = {}; }},
    };
    for (auto const& [name, change] : table) {
        INFO(name);
        auto record = some_record();
        change(record);
        CHECK_FALSE(decoded(format::encode(record)));
    }
    CHECK_FALSE(decoded(format::encode(some_record()), 16384));
}

TEST_CASE(
    "unknown flags and wrong sizes of a commit record are refused although its checksum holds") {
    struct {
        std::size_t at;
        std::uint16_t value;
    } const table[] = {{22, 6}, {22, 0x8002}, {22, 0x12}, {22, 3},     {4, 0},
                       {4, 8},  {4, 0xFFFF},  {20, 0},    {20, 0xFFFF}};
    for (auto const& [at, value] : table) {
        CAPTURE(at, value);
        auto image = format::encode(some_record());
        format::store(image.data() + at, value);
        format::store(image.data() + image.size() - 8,
                      format::checksum(coppice::bytes{image}.first(image.size() - 8)));
        CHECK_FALSE(decoded(image));
    }
}

TEST_CASE("the skip rule is that of jump pointers") {
    auto const jump = textbook_jumps(10'001);
    for (std::uint64_t i = 1; i <= 10'000; ++i) {
        if (format::skip_target(i) != jump[i]) FAIL("index " << i);
    }
    CHECK(format::skip_target(1) == 0);
    CHECK(format::skip_target(~std::uint64_t{0}) == ~std::uint64_t{0} - 1);
}

TEST_CASE("any older record is reached in a logarithmic number of steps") {
    std::uint64_t most = 0;
    for (std::uint64_t from = 1; from <= 10'000; from += from < 100 ? 1 : 97) {
        for (std::uint64_t goal = 0; goal < from; goal += goal < 50 ? 1 : 61) {
            std::uint64_t steps = 0;
            for (auto at = from; at != goal; ++steps) {
                auto const skip = format::skip_target(at);
                at = skip >= goal ? skip : at - 1;
            }
            most = std::max(most, steps);
        }
    }
    CHECK(most <= 3 * 14); // 2^14 > 10,000
}

static_assert(noexcept(format::encoded_bytes(std::declval<commit_record const&>())));
static_assert(format::max_height == 40);

TEST_CASE("no record of a file names a patch in memory") {
    auto record = with_patched_root(some_record());
    REQUIRE(format::decode_record(format::encode(record), record_offset));
    record.user.root.patch.hot |= format::memory_bit;
    CHECK_FALSE(format::decode_record(format::encode(record), record_offset));
}
