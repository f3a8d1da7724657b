// SPDX-License-Identifier: BSL-1.0
#include <coppice/format/fields.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace {

using namespace coppice::format;

struct sample {
    std::uint64_t wide = 0x0123'4567'89AB'CDEF;
    std::uint32_t half = 0xDEAD'BEEF;
    std::uint8_t one = 0x5A;
    bool flag = true;
    std::array<std::byte, 3> name{std::byte{'a'}, std::byte{'b'}, std::byte{'c'}};

    friend bool operator==(sample const&, sample const&) = default;
};

template <typename Sample, typename Field> void each_field(Sample& of, Field const& field) {
    field(1, of.wide);
    field(9, of.half);
    field(13, of.one);
    field(14, of.flag);
    field(22, of.name);
}

} // namespace

TEST_CASE("a field is written little-endian at its offset and nowhere else") {
    std::array<std::byte, 26> image{};
    sample const written;
    each_field(written, field_writer(image.data()));
    std::array<unsigned, 26> const wanted{0,    0xEF, 0xCD, 0xAB, 0x89, 0x67, 0x45, 0x23, 0x01,
                                          0xEF, 0xBE, 0xAD, 0xDE, 0x5A, 1,    0,    0,    0,
                                          0,    0,    0,    0,    'a',  'b',  'c',  0};
    for (std::size_t i = 0; i < image.size(); ++i) {
        CHECK(std::to_integer<unsigned>(image[i]) == wanted[i]);
    }
}

TEST_CASE("what is written is read again") {
    std::array<std::byte, 26> image{};
    sample const written;
    each_field(written, field_writer(image.data()));
    sample read{0, 0, 0, false, {}};
    each_field(read, field_reader(image.data()));
    CHECK(read == written);
    image[14] = std::byte{0};
    image[20] = std::byte{1}; // any bit of the word makes the flag
    each_field(read, field_reader(image.data()));
    CHECK(read.flag);
}
