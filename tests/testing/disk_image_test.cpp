// SPDX-License-Identifier: BSL-1.0
// What each operation does to an image, and which images have the same number.

#include <coppice/testing/disk_image.hpp>

#include <catch2/catch.hpp>
#include <disk_story.hpp>

#include <set>

namespace {

using namespace disk_story;
using coppice::testing::hash_of;

} // namespace

TEST_CASE("a write grows a file as needed, with zeros before it") {
    auto image = image_of("abcd");
    apply(image, write(1, 2, "XY"));
    CHECK(text_of(image, 1) == "abXY");
    apply(image, write(1, 6, "Z"));
    CHECK(text_of(image, 1) == std::string("abXY\0\0Z", 7));
    apply(image, write(1, 0, "12345"), 3);
    CHECK(text_of(image, 1) == std::string("123Y\0\0Z", 7));
}

TEST_CASE("a truncation cuts, or grows with zeros") {
    auto image = image_of("abcd");
    apply(image, truncate(1, 2));
    CHECK(text_of(image, 1) == "ab");
    apply(image, truncate(1, 3));
    CHECK(text_of(image, 1) == std::string("ab\0", 3));
}

TEST_CASE("what is read from the disk again does not make a file longer") {
    auto image = image_of("abcd");
    auto again = write(1, 2, "XYZ");
    again.kind = op::evict;
    apply(image, again);
    CHECK(text_of(image, 1) == "abXY");
    for (again.offset = 4; again.offset < 8; ++again.offset) apply(image, again);
    CHECK(text_of(image, 1) == "abXY");
}

TEST_CASE("names come, move and go") {
    disk_image image;
    apply(image, of(op::create, 7));
    CHECK(image.companion == 7);
    CHECK(image.files.contains(7));
    apply(image, of(op::rename, 7));
    CHECK(image.database == 7);
    CHECK(image.companion == 0);
    apply(image, of(op::create, 8));
    apply(image, of(op::discard));
    CHECK(image.companion == 0);
    apply(image, of(op::remove));
    CHECK(image.database == 0);
}

TEST_CASE("a rename of another file leaves the companion where it is") {
    disk_image image;
    apply(image, of(op::create, 7));
    apply(image, of(op::rename, 5));
    CHECK(image.database == 5);
    CHECK(image.companion == 7);
}

TEST_CASE("syncs change nothing that can be seen, words of the page do") {
    auto const before = image_of("abcd");
    auto image = before;
    for (auto const kind : {op::sync, op::failed_sync, op::sync_name}) apply(image, of(kind, 1));
    CHECK(image == before);
    apply(image, {op::page, 0, 8, data_of("12345678")});
    CHECK(image.page[8] == std::byte{'1'});
    CHECK(image.page[15] == std::byte{'8'});
}

TEST_CASE("the number of an image is of what a process could find, and of all of it") {
    auto const first = image_of("abcd");
    auto same = first;
    same.files[9] = data_of("a file without a name");
    same.files[5] = same.files[1];
    same.files.erase(1);
    same.database = 5;
    CHECK(hash_of(same) == hash_of(first));

    std::set<std::uint64_t> numbers{hash_of(first)};
    auto const differs = [&](auto const& change) {
        auto other = first;
        change(other);
        return numbers.insert(hash_of(other)).second;
    };
    CHECK(differs([](auto& image) { image.files[1].own()[3] ^= std::byte{1}; }));
    CHECK(differs([](auto& image) { image.files[1].own().push_back({}); }));
    CHECK(differs([](auto& image) { image.database = 0; }));
    CHECK(differs([](auto& image) { std::swap(image.database, image.companion); }));
    CHECK(differs([](auto& image) { image.companion = image.database; }));
    CHECK(differs([](auto& image) { image.page[4095] = std::byte{1}; }));
    CHECK(differs([](auto& image) { image.boot = 2; }));
    CHECK(differs([](auto& image) {
        image.companion = 2;
        image.files[2];
    }));
}

TEST_CASE("the number of an image is the same on every platform") {
    CHECK(hash_of(disk_image{}) == 0x6DBE'40F1'4979'A8F0U);
    CHECK(hash_of(image_of("abcd")) == 0xBB2F'6251'D34D'CBC4U);
}
