// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/image.hpp>

#include <coppice/database.hpp>

#include <catch2/catch.hpp>

#include <string>

using namespace coppice;

namespace {

struct fixture {
    fixture() {
        db.update([](auto& txn) {
            txn.put("small", "v");
            txn.put("large", std::string((3U << 20U) + 100, 'L'));
        });
    }
    store::revision_ptr state() { return db.read().state(); }
    format::extent_ref large() { return tree::find(*state(), state()->user(), "large")->extent(); }
    store::file_image image(verify how) {
        auto copy = state()->image();
        copy.verified = std::make_shared<store::verified_table>();
        copy.verify = how;
        return copy;
    }
    void damage(std::uint64_t offset) {
        std::byte byte{};
        auto const file = medium.open(storage::access::read_write);
        static_cast<void>(file->read(offset, {&byte, 1}));
        byte ^= std::byte{1};
        file->write(offset, {&byte, 1});
    }

    storage::memory_medium medium;
    memory_database db{medium, {.preallocate_bytes = 0}};
};

} // namespace

TEST_CASE("nothing is touched beyond the end of the valid bytes, whatever a reference says") {
    fixture f;
    auto const image = f.image(verify::first_touch);
    auto const limit = f.state()->limit_offset();
    auto const node = f.state()->user().root.node;
    CHECK(image.node(node, 0, limit) != nullptr);
    CHECK_THROWS_AS(image.node(node, 1, limit), error);
    CHECK_THROWS_AS(image.node(node, 0, node.end_offset() - 8), error);
    CHECK_THROWS_AS(image.node(format::node_ref::at(limit - 8, 16, 0), 0, limit), error);
    auto extent = f.large();
    extent.length_bytes = (std::uint64_t{1} << 47U) - 1;
    CHECK_THROWS_AS(image.value(extent, limit), error);
    extent.offset = ~std::uint64_t{0} - 8;
    CHECK_THROWS_AS(image.value(extent, limit), error);
    CHECK_THROWS_AS(image.record({limit - 8, 0}, limit), error);
    CHECK_THROWS_AS(image.record({limit + 800, 0}, limit), error);
}

TEST_CASE("a damaged node is noticed when it is first touched, or always, or never") {
    fixture f;
    auto const limit = f.state()->limit_offset();
    auto const node = f.state()->user().root.node;
    auto const first = f.image(verify::first_touch);
    auto const always = f.image(verify::every_read);
    CHECK_NOTHROW(first.node(node, 0, limit));
    CHECK_NOTHROW(always.node(node, 0, limit));
    f.damage(node.offset() + 16); // a head
    CHECK_NOTHROW(first.node(node, 0, limit));
    CHECK_THROWS_AS(always.node(node, 0, limit), error);
    CHECK_THROWS_AS(f.image(verify::first_touch).node(node, 0, limit), error);
    CHECK_NOTHROW(f.image(verify::never).node(node, 0, limit));
    f.damage(node.offset() + 4); // its size: memory safety rests on that, so it is always checked
    CHECK_THROWS_AS(f.image(verify::never).node(node, 0, limit), error);
}

TEST_CASE("only the pieces of a value that are read are verified") {
    fixture f;
    auto const limit = f.state()->limit_offset();
    auto const extent = f.large();
    auto const value_at = extent.offset + format::extent_table_bytes(extent.length_bytes);
    f.damage(value_at + (2U << 20U) + 7);
    auto const image = f.image(verify::first_touch);
    CHECK(image.value_part(extent, 0, 2U << 20U, limit) == std::string(2U << 20U, 'L'));
    CHECK(image.value_part(extent, 3U << 20U, 100, limit) == std::string(100, 'L'));
    CHECK_THROWS_AS(image.value_part(extent, 2U << 20U, 1, limit), error);
    CHECK_THROWS_AS(image.value(extent, limit), error);
    f.damage(extent.offset + 1);
    CHECK_THROWS_AS(f.image(verify::first_touch).value_part(extent, 0, 1, limit), error);
    CHECK_NOTHROW(f.image(verify::never).value(extent, limit));
}
