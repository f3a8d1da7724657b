// SPDX-License-Identifier: BSL-1.0
// A disk with a cache: what a sync makes durable, what a failed one leaves, and what is forgotten.

#include <coppice/testing/disk.hpp>

#include <catch2/catch.hpp>
#include <disk_story.hpp>

namespace {

using namespace disk_story;

template <typename... Operations> disk after(disk_image const& start, Operations const&... all) {
    disk made(start);
    (made.take(all), ...);
    return made;
}
auto const good_sync = of(op::sync, 1);
auto const failed_sync = of(op::failed_sync, 1);

std::string durable(disk const& of_it) { return text_of(of_it.durable(), 1); }
std::string cached(disk const& of_it) { return text_of(of_it.cached(), 1); }

} // namespace

TEST_CASE("a write is seen at once and durable after a sync") {
    auto on = after(image_of("old"), write(1, 1, "new"), truncate(1, 3));
    CHECK(cached(on) == "one");
    CHECK(durable(on) == "old");
    REQUIRE(on.pending().size() == 2);
    CHECK(on.pending()[0].done.kind == op::write);
    CHECK(on.pending()[1].done.kind == op::truncate);
    on.take(good_sync);
    CHECK(durable(on) == "one");
    CHECK(on.pending().empty());
    on.take(write(1, 0, "xyz"));
    CHECK(durable(on) == "one");
}

TEST_CASE("a sync of one file is no sync of another") {
    disk on(image_of("old"));
    on.take(of(op::create, 2));
    on.take(write(1, 0, "a"));
    on.take(write(2, 0, "b"));
    on.take(of(op::sync, 2));
    CHECK(durable(on) == "old");
    CHECK(text_of(on.durable(), 2) == "b");
    REQUIRE(on.pending().size() == 1);
    CHECK(on.pending()[0].done.inode == 1);
}

TEST_CASE("after a sync the disk has what processes see, whatever was done before") {
    auto pick = choices::random(3);
    for (int round = 0; round < 3'000; ++round) {
        disk on(image_of(sectors("ABC").substr(0, pick.below(1'500))));
        for (auto left = pick.below(8) + 1; left != 0; --left) {
            on.take(pick.below(5) == 0 ? good_sync : random_change(pick));
        }
        on.take(good_sync);
        REQUIRE(durable(on) == cached(on));
        REQUIRE(on.pending().empty());
        pick.next();
    }
}

TEST_CASE("what was cut off is gone after a sync, also when the file has grown again") {
    auto const start = image_of(sectors("ABCD"));
    auto const on = after(start, truncate(1, 100), write(1, 1'800, "x"), good_sync);
    CHECK(durable(on) == cached(on));
    CHECK(durable(on).substr(0, 101) == std::string(100, 'A') + '\0');
}

TEST_CASE("a failed sync leaves what was written visible, and no later sync makes it durable") {
    auto on = after(image_of(sectors("AB")), write(1, 500, std::string(24, 'x')), failed_sync);
    CHECK(cached(on).substr(499, 26) == "A" + std::string(24, 'x') + "B");
    on.take(good_sync);
    CHECK(durable(on) == sectors("AB"));
    REQUIRE(on.pending().size() == 2); // each sector is on its own
    for (auto const& each : on.pending()) CHECK(each.given_up);
    CHECK(on.given_up_sectors(1) == std::set<std::uint64_t>{0, 1});
}

TEST_CASE("a sector that is written again after a failed sync becomes durable as it is seen") {
    auto on = after(image_of(sectors("AB")), write(1, 500, std::string(24, 'x')), failed_sync,
                    write(1, 3, "y"));
    CHECK(on.given_up_sectors(1) == std::set<std::uint64_t>{1}); // sector 0 is dirty now
    on.take(good_sync);
    CHECK(durable(on).substr(0, 512) == cached(on).substr(0, 512));
    CHECK(durable(on).substr(512) == sectors("B"));
    REQUIRE(on.pending().size() == 1);
    CHECK(on.pending()[0].done.offset == 512);
}

TEST_CASE("a failed sync is of one file") {
    disk on(image_of(sectors("A")));
    on.take(write(1, 0, "x"));
    on.take(of(op::failed_sync, 2));
    CHECK(on.given_up_sectors(1).empty());
    on.take(good_sync);
    CHECK(durable(on) == cached(on));
}

TEST_CASE("after a failed sync the size may be lost too, until the next sync") {
    auto on = after(image_of(sectors("A")), write(1, 512, sectors("BC")), failed_sync);
    CHECK(cached(on) == sectors("ABC"));
    CHECK(durable(on) == sectors("A"));
    on.take(good_sync);
    CHECK(durable(on) == sectors(std::string("A\0\0", 3)));
    CHECK(on.given_up_sectors(1) == std::set<std::uint64_t>{1, 2});
}

TEST_CASE("a sector that is read again is what is on the disk") {
    disk on(image_of(sectors("AB")));
    on.take(write(1, 0, sectors("xy")));
    on.take(failed_sync);
    auto again = write(1, 512, sectors("B"));
    again.kind = op::evict;
    on.take(again);
    CHECK(cached(on) == sectors("xB"));
    CHECK(on.given_up_sectors(1) == std::set<std::uint64_t>{0});
    again = write(1, 0, sectors("x"));
    again.kind = op::evict;
    on.take(again);
    CHECK(on.pending().empty());
    CHECK(durable(on) == sectors("xB"));
}

TEST_CASE("a sector that is read again beyond the durable size does not take the size with it") {
    disk on(image_of(sectors("A")));
    on.take(write(1, 512, sectors("BC")));
    on.take(failed_sync);
    auto again = write(1, 1024, std::string(512, '\0'));
    again.kind = op::evict;
    on.take(again);
    CHECK(cached(on) == sectors(std::string("AB\0", 3)));
    CHECK(durable(on) == sectors("A"));
    // The size is as uncertain as before: some images have it, some do not.
    auto const images = all_cuts(on, cut_level::sectors);
    CHECK(images.contains(sectors("A")));
    CHECK(images.contains(sectors(std::string("AB\0", 3))));
    again = write(1, 512, sectors("b"));
    again.kind = op::evict;
    on.take(again); // bytes that were seen there are there
    CHECK(durable(on) == sectors("Ab"));
}

TEST_CASE("sectors beyond the end of a file that was cut cannot be read again") {
    auto const on =
        after(image_of(sectors("AB")), write(1, 0, sectors("xy")), failed_sync, truncate(1, 512));
    CHECK(on.given_up_sectors(1) == std::set<std::uint64_t>{0});
}

TEST_CASE("names are durable after they were synced, and in order until then") {
    disk on(image_of("old"));
    on.take(of(op::create, 2));
    on.take(write(2, 0, "new"));
    on.take(of(op::sync, 2));
    on.take(of(op::rename, 2));
    CHECK(on.cached().database == 2);
    CHECK(on.cached().companion == 0);
    CHECK(on.durable().database == 1);
    REQUIRE(on.pending_names().size() == 2);
    CHECK(on.pending_names()[1].kind == op::rename);
    on.take(of(op::sync_name));
    CHECK(on.durable().database == 2);
    CHECK(on.pending_names().empty());
}

TEST_CASE("a file without a durable name is forgotten with all that was pending of it") {
    disk on(image_of("old"));
    on.take(write(1, 0, "x"));
    on.take(of(op::create, 2));
    on.take(write(2, 0, "new"));
    on.take(of(op::rename, 2));
    on.take(of(op::sync_name));
    CHECK_FALSE(on.durable().files.contains(1));
    CHECK(on.durable().files.contains(2));
    REQUIRE(on.pending().size() == 1);
    CHECK(on.pending()[0].done.inode == 2);
    on.take(of(op::create, 3));
    on.take(of(op::discard));
    on.take(of(op::remove));
    on.take(of(op::sync_name));
    CHECK(on.durable().files.empty());
    CHECK(on.pending().empty());
}

TEST_CASE("words of the live page are seen and are not on the disk") {
    disk on(image_of("old"));
    on.take({op::page, 0, 8, data_of("12345678")});
    CHECK(on.cached().page[8] == std::byte{'1'});
    CHECK(on.durable().page[8] == std::byte{0});
    CHECK(on.pending().empty());
}

TEST_CASE("a copy of a disk goes its own way") {
    disk first(image_of("old"));
    first.take(write(1, 0, "x"));
    auto second = first;
    second.take(good_sync);
    CHECK(durable(first) == "old");
    CHECK(durable(second) == "xld");
}
