// SPDX-License-Identifier: BSL-1.0
#include <coppice/format/live_page.hpp>

#include <catch2/catch.hpp>

#include <type_traits>

namespace format = coppice::format;
using format::live_page;

namespace {

live_page some_page() {
    live_page page;
    page.boot_id.fill(std::byte{1});
    page.uuid.fill(std::byte{2});
    page.generation = 3;
    page.device = 4;
    page.inode = 5;
    page.mark_counter = 6;
    page.mark_checksum = 7;
    page.busy = true;
    return page;
}

/// As the page lies in the lock file: aligned, with room behind.
struct alignas(8) mapped {
    std::array<std::byte, 256> data{};

    explicit mapped(std::array<std::byte, format::live_page_bytes> const& image) {
        std::copy(image.begin(), image.end(), data.begin());
    }
    [[nodiscard]] std::byte const* page() const { return data.data(); }
};

} // namespace

TEST_CASE("a live page is what was encoded") {
    for (unsigned flags = 0; flags < 4; ++flags) {
        auto page = some_page();
        page.busy = (flags & 1U) != 0;
        page.name_synced = (flags & 2U) != 0;
        mapped const at(format::encode(page, {8, 9}));
        CHECK(format::load_live_page(at.page()) == page);
        CHECK(format::load_visible(at.page()) == format::visible_state{8, 9});
    }
}

TEST_CASE("every flipped bit of the summed part of a live page is refused") {
    mapped at(format::encode(some_page(), {8, 9}));
    for (std::size_t bit = 0; bit < 104U * 8; ++bit) {
        at.data[bit / 8] ^= std::byte{1} << (bit % 8);
        if (format::load_live_page(at.page())) FAIL("bit " << bit);
        at.data[bit / 8] ^= std::byte{1} << (bit % 8);
    }
    CHECK(format::load_live_page(at.page()));
}

TEST_CASE("the polled words of a live page are not part of its checksum") {
    mapped at(format::encode(some_page(), {8, 9}));
    format::store(at.data.data() + format::visible_offset, std::uint64_t{10});
    CHECK(format::load_live_page(at.page()) == some_page());
    CHECK(format::load_visible(at.page()) == format::visible_state{10, 9});
}

TEST_CASE("a live page of zeros says nothing") {
    mapped const at{std::array<std::byte, format::live_page_bytes>{}};
    CHECK_FALSE(format::load_live_page(at.page()));
    CHECK(format::load_visible(at.page()) == format::visible_state{});
}

TEST_CASE("a file's tag tells generations and databases apart") {
    format::file_header header;
    header.uuid.fill(std::byte{9});
    auto const tag = format::file_tag_of(header);
    ++header.generation;
    CHECK(format::file_tag_of(header) != tag);
    --header.generation;
    header.uuid[0] ^= std::byte{4};
    CHECK(format::file_tag_of(header) != tag);
}

static_assert(std::is_trivially_copyable_v<live_page>);
static_assert(format::live_page_bytes <= 256 && format::visible_offset % 8 == 0);
static_assert(noexcept(format::load_live_page(nullptr)) && noexcept(format::load_visible(nullptr)));
