// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/image.hpp>

#include <kind_of.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

using namespace coppice;
using format::extent_ref;
using format::node_ref;
using proving::noise;
using support::kind_of;

namespace {

constexpr std::uint64_t piece_bytes = std::uint64_t{1} << 20U;

/// A database in memory, seen as an image of which any byte may be changed.
struct image_bench {
    explicit image_bench(std::string const& value, options const& chosen = proving::tiny()) {
        memory_database db(medium, chosen);
        db.update([&](auto& txn) {
            for (int i = 0; i < 60; ++i)
                txn.put(proving::numbered("k", static_cast<unsigned>(i)), "v");
            txn.put("value", value);
        });
        state = db.read().state();
        storage = medium.open(storage::access::read_write);
    }
    /// The same file, seen by one who has verified nothing yet.
    [[nodiscard]] store::file_image fresh(verify how = verify::first_touch) const {
        auto copy = state->image();
        copy.verified = std::make_shared<store::verified_table>();
        copy.verify = how;
        return copy;
    }
    void flip(std::uint64_t offset) {
        std::array<std::byte, 1> byte{};
        REQUIRE(storage->read(offset, byte) == 1);
        byte[0] ^= std::byte{0x10};
        storage->write(offset, byte);
    }
    [[nodiscard]] node_ref root() const { return state->user().root.node; }
    [[nodiscard]] unsigned level() const { return state->user().height - 1U; }
    [[nodiscard]] std::uint64_t limit() const { return state->limit_offset(); }
    [[nodiscard]] extent_ref extent() const {
        return tree::find(*state, state->user(), "value")->extent();
    }

    storage::memory_medium medium;
    store::revision_ptr state;
    std::shared_ptr<storage::memory_storage> storage;
};

} // namespace

TEST_CASE("no place beyond the valid bytes is touched, however large its numbers are") {
    image_bench on("v");
    auto const image = on.fresh();
    auto const most = ~std::uint64_t{0};
    CHECK(image.range(0, on.limit(), on.limit(), "all").size() == on.limit());
    for (auto const& place :
         std::vector<std::pair<std::uint64_t, std::uint64_t>>{{0, on.limit() + 1},
                                                              {on.limit(), 1},
                                                              {on.limit() + 8, 0},
                                                              {most, 8},
                                                              {8, most},
                                                              {most, most},
                                                              {std::uint64_t{1} << 46U, 128}}) {
        CHECK(kind_of([&] {
                  static_cast<void>(image.range(place.first, place.second, on.limit(), "it"));
              }) == errc::corrupt);
    }
    // Nor beyond what is mapped, whatever is said to be valid.
    CHECK(kind_of([&] {
              static_cast<void>(image.range(0, image.map.size_bytes + 1, most, "it"));
          }) == errc::corrupt);
}

TEST_CASE("a node is handed out if place, size, checksum, shape and level are those it must have") {
    image_bench on("v");
    auto const image = on.fresh();
    auto const root = on.root();
    REQUIRE(on.level() >= 1);
    CHECK(image.node(root, on.level(), on.limit()) == image.map.data.get() + root.offset());
    auto const refused = [&](node_ref ref, unsigned level) {
        auto const anew = on.fresh();
        return kind_of([&] { static_cast<void>(anew.node(ref, level, on.limit())); }) ==
               errc::corrupt;
    };
    CHECK(refused(root, on.level() - 1));
    CHECK(refused({root.hot, root.checksum ^ 1U}, on.level()));
    CHECK(refused(node_ref::at(root.offset(), root.size_bytes() + 8, root.checksum), on.level()));
    CHECK(refused(node_ref::at(root.offset() - 8, root.size_bytes(), root.checksum), on.level()));
    CHECK(refused(node_ref::at(on.limit(), 8, 0), 0));
    CHECK(refused({root.hot | 0x7FFFFU, root.checksum}, on.level()));
    CHECK(refused({root.hot & ~std::uint64_t{0x7FFFF}, 0}, on.level()));
    // Nothing at all, with the checksum of nothing.
    auto const nothing = format::checksum(bytes{});
    CHECK(refused({root.hot & ~std::uint64_t{0x7FFFF}, nothing}, on.level()));
    // Nor what is not mapped, whatever is said to be valid.
    auto const beyond = node_ref::at(image.map.size_bytes / 8 * 8, 128, 0);
    CHECK(kind_of([&] { static_cast<void>(image.node(beyond, 0, ~std::uint64_t{0})); }) ==
          errc::corrupt);
    // Place and level are looked at each time, also of a node that was verified.
    CHECK(kind_of([&] {
              static_cast<void>(image.node(root, on.level(), root.end_offset() - 8));
          }) == errc::corrupt);
    CHECK(kind_of([&] { static_cast<void>(image.node(root, 0, on.limit())); }) == errc::corrupt);
}

TEST_CASE("a checksum is compared at the first touch, at every one, or never") {
    image_bench on("v");
    auto const first = on.fresh(verify::first_touch);
    auto const every = on.fresh(verify::every_read);
    auto const never = on.fresh(verify::never);
    auto const touch = [&](store::file_image const& image) {
        return kind_of([&] { static_cast<void>(image.node(on.root(), on.level(), on.limit())); });
    };
    CHECK_FALSE(touch(first).has_value());
    CHECK_FALSE(touch(every).has_value());
    // A flip in the stored checksum of a child changes no shape.
    format::inner_view const inner(first.node(on.root(), on.level(), on.limit()));
    auto const sums = on.root().offset() + format::node_header_bytes +
                      format::inner_view::heads_bytes(inner.count()) + 8 * inner.count();
    on.flip(sums);
    CHECK_FALSE(touch(first).has_value());
    CHECK(touch(every) == errc::corrupt);
    CHECK_FALSE(touch(never).has_value());
    CHECK(touch(on.fresh()) == errc::corrupt);
    // The shape is checked even where checksums are not.
    on.flip(on.root().offset() + 2);
    CHECK(touch(on.fresh(verify::never)) == errc::corrupt);
}

TEST_CASE("a part of a long value verifies its table and the pieces it touches, no more") {
    auto const text = noise(std::size_t{3 * piece_bytes + 100});
    image_bench on(text, {.preallocate_bytes = 0});
    auto const extent = on.extent();
    auto const begin = extent.offset + format::extent_table_bytes(extent.length_bytes);
    auto const part = [&](store::file_image const& image, std::uint64_t at, std::uint64_t size) {
        return image.value_part(extent, at, size, on.limit());
    };
    CHECK((on.fresh().value(extent, on.limit()) == text));
    on.flip(begin + piece_bytes + 5); // in the second piece
    auto const image = on.fresh();
    CHECK((part(image, 0, piece_bytes) == std::string_view(text).substr(0, piece_bytes)));
    CHECK((part(image, 2 * piece_bytes, piece_bytes + 100) ==
           std::string_view(text).substr(2 * piece_bytes)));
    CHECK(kind_of([&] { static_cast<void>(part(image, piece_bytes - 1, 2)); }) == errc::corrupt);
    CHECK(kind_of([&] { static_cast<void>(part(image, piece_bytes, 1)); }) == errc::corrupt);
    CHECK(kind_of([&] { static_cast<void>(image.value(extent, on.limit())); }) == errc::corrupt);
    CHECK(part(image, piece_bytes, 0).empty());
    CHECK(part(on.fresh(verify::never), piece_bytes + 5, 1)[0] !=
          text[std::size_t{piece_bytes + 5}]);
    auto const every = on.fresh(verify::every_read);
    CHECK((part(every, 0, 5) == std::string_view(text).substr(0, 5)));
    on.flip(begin + piece_bytes + 5);
    on.flip(extent.offset + 16); // in the table, for the third piece
    CHECK(kind_of([&] { static_cast<void>(part(on.fresh(), 0, 1)); }) == errc::corrupt);
    // The table is verified once, or each time.
    CHECK((part(image, 0, 5) == std::string_view(text).substr(0, 5)));
    CHECK(kind_of([&] { static_cast<void>(part(every, 0, 5)); }) == errc::corrupt);
}

TEST_CASE("asking for a node ahead touches nothing, whatever the reference names") {
    image_bench on("v");
    auto const image = on.fresh();
    for (std::uint64_t const most_bytes : {0ULL, 1ULL, 384ULL, ~0ULL}) {
        image.prefetch(on.root(), most_bytes);
        image.prefetch(node_ref::at(image.map.size_bytes, 128, 0), most_bytes);
        image.prefetch(node_ref::at(format::max_file_bytes - 8, format::max_node_bytes, 0),
                       most_bytes);
        image.prefetch({~std::uint64_t{0}, 0}, most_bytes);
    }
    CHECK_FALSE(image.verified->contains(on.root().hot));
}

TEST_CASE("a short value out of line is verified as a whole") {
    image_bench on(noise(1000));
    auto const extent = on.extent();
    auto const image = on.fresh();
    on.flip(extent.offset + 999);
    CHECK(kind_of([&] { static_cast<void>(image.value_part(extent, 0, 1, on.limit())); }) ==
          errc::corrupt);
    auto far = extent;
    far.length_bytes = std::uint64_t{1} << 40U;
    CHECK(kind_of([&] { static_cast<void>(image.value(far, on.limit())); }) == errc::corrupt);
    far.length_bytes = ~std::uint64_t{0};
    CHECK(kind_of([&] { static_cast<void>(image.value(far, on.limit())); }) == errc::corrupt);
    far = {~std::uint64_t{0} - 7, 8, 0};
    far.offset &= ~format::memory_bit;
    CHECK(kind_of([&] { static_cast<void>(image.value(far, on.limit())); }) == errc::corrupt);
}

TEST_CASE("a record is the one that is meant, or damage") {
    image_bench on("v");
    auto const image = on.fresh();
    auto const at = on.state->at();
    CHECK(image.record(at, on.limit()) == on.state->record());
    auto const refused = [&](format::record_ref ref, std::uint64_t limit) {
        return kind_of([&] { static_cast<void>(image.record(ref, limit)); }) == errc::corrupt;
    };
    CHECK(refused({at.offset, at.checksum ^ 1U}, on.limit()));
    CHECK(refused({at.offset + 8, at.checksum}, on.limit()));
    CHECK(refused(at, on.limit() - 8));
    CHECK(refused({on.limit(), at.checksum}, on.limit()));
    CHECK(refused({~std::uint64_t{0}, at.checksum}, on.limit()));
    on.flip(at.offset + 120);
    CHECK(refused(at, on.limit()));
}
