// SPDX-License-Identifier: BSL-1.0
// The images that a power cut can leave: all that a level allows, and nothing else.

#include <coppice/testing/power_cut.hpp>

#include <catch2/catch.hpp>
#include <disk_story.hpp>

#include <array>
#include <set>

namespace {

using namespace disk_story;
using texts = std::set<std::string>;

texts names_of(std::map<std::string, std::size_t> const& counted) {
    texts result;
    for (auto const& each : counted) result.insert(each.first);
    return result;
}
std::size_t sum_of(std::map<std::string, std::size_t> const& counted) {
    std::size_t sum = 0;
    for (auto const& each : counted) sum += each.second;
    return sum;
}
bool contains(texts const& all, texts const& some) {
    return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

/// Random images, one after the other.
template <typename Visitor>
void for_random_cuts(disk const& at, cut_level level, int count, Visitor visit) {
    power_cut const cut(at, level);
    auto pick = choices::random(1);
    for (int i = 0; i < count; ++i, pick.next()) visit(cut.image(pick));
}

constexpr std::array levels{cut_level::in_order, cut_level::whole_writes, cut_level::sectors,
                            cut_level::bytes,    cut_level::garbage,      cut_level::blocks};

} // namespace

TEST_CASE("in order a cut leaves exactly the prefixes of what was done") {
    disk on(image_of("0123"));
    texts prefixes{"0123"};
    for (auto const& each :
         {write(1, 0, "a"), write(1, 6, "b"), truncate(1, 2), write(1, 0, "c")}) {
        on.take(each);
        prefixes.insert(text_of(on.cached(), 1));
    }
    auto const found = all_cuts(on, cut_level::in_order);
    CHECK(names_of(found) == prefixes);
    CHECK(sum_of(found) == 5);
}

TEST_CASE("of whole writes a cut leaves every subset") {
    disk on(image_of("000"));
    for (std::uint64_t i = 0; i < 3; ++i) on.take(write(1, i, "1"));
    CHECK(names_of(all_cuts(on, cut_level::whole_writes)) ==
          texts{"000", "001", "010", "011", "100", "101", "110", "111"});
}

TEST_CASE(
    "whole writes keep their order, and the size is the old one, the new one, or as written") {
    disk on(image_of("0"));
    on.take(write(1, 0, "12"));
    on.take(write(1, 1, "3"));
    auto const zero = std::string("0\0", 2);
    CHECK(names_of(all_cuts(on, cut_level::whole_writes)) ==
          texts{"0", zero, "12", "1", "03", "13"});
}

TEST_CASE("of sectors a cut leaves every combination of their versions, each once") {
    disk on(image_of(sectors("ABCD")));
    on.take(write(1, 0, sectors("ab")));
    on.take(write(1, 3, "x"));             // sector 0 has three versions now
    on.take(write(1, 512, sectors("bc"))); // the same once more is no new version
    texts expected;
    auto third = sectors("a");
    third[3] = 'x';
    for (auto const& first : {sectors("A"), sectors("a"), third}) {
        for (auto const* second : {"B", "b"}) {
            for (auto const* next : {"C", "c"}) {
                expected.insert(first + sectors(second) + sectors(next) + sectors("D"));
            }
        }
    }
    auto const found = all_cuts(on, cut_level::sectors);
    CHECK(names_of(found) == expected);
    CHECK(found.size() == 12);
    CHECK(sum_of(found) == 12);
    CHECK(power_cut(on).pending_sectors() == 3);
}

TEST_CASE("of a file that grew a cut leaves every size between, and zeros for what is not there") {
    disk on(image_of(sectors("A").substr(0, 500)));
    on.take(write(1, 500, sectors("xyz").substr(0, 1'200)));
    auto const found = all_cuts(on, cut_level::sectors);
    // Sizes 500, 512, 1024, 1536 and 1700; two versions of each of four sectors.
    CHECK(sum_of(found) == 80);
    CHECK(found.size() == 1 + 2 + 4 + 8 + 16);
    std::set<std::size_t> sizes;
    for (auto const& [text, count] : found) sizes.insert(text.size());
    CHECK(sizes == std::set<std::size_t>{500, 512, 1'024, 1'536, 1'700});
    CHECK(found.contains(sectors("A").substr(0, 500) + std::string(12, '\0')));
    CHECK(found.contains(text_of(on.cached(), 1)));
}

TEST_CASE("of a file that was cut a power cut leaves the old size, the new one and those between") {
    disk on(image_of(sectors("ABC")));
    on.take(truncate(1, 600));
    auto const found = names_of(all_cuts(on, cut_level::sectors));
    CHECK(found.contains(sectors("ABC")));
    CHECK(found.contains(sectors("AB").substr(0, 600)));
    CHECK(found.contains(sectors("AB")));
    for (auto const& each : found) CHECK(each.starts_with(sectors("AB").substr(0, 600)));
}

TEST_CASE("zeros that are cut off are no sectors that may be lost") {
    disk on(image_of(sectors("A") + std::string(100'000, '\0')));
    on.take(truncate(1, 512));
    CHECK(power_cut(on).pending_sectors() == 0);
    on.take(truncate(1, 511));
    CHECK(power_cut(on).pending_sectors() == 1);
}

TEST_CASE("what was there and what is seen are among the images, and all prefixes between them") {
    auto pick = choices::random(9);
    for (int round = 0; round < 400; ++round) {
        disk on(image_of(sectors("ABC").substr(0, pick.below(1'500))));
        texts prefixes{text_of(on.cached(), 1)};
        for (auto left = pick.below(4) + 1; left != 0; --left) {
            on.take(random_change(pick));
            prefixes.insert(text_of(on.cached(), 1));
        }
        INFO(pick.name());
        REQUIRE(names_of(all_cuts(on, cut_level::in_order)) == prefixes);
        REQUIRE(contains(names_of(all_cuts(on, cut_level::whole_writes)), prefixes));
        REQUIRE(contains(names_of(all_cuts(on, cut_level::sectors)), prefixes));
        pick.next();
    }
}

TEST_CASE("what a failed sync gave up may be on the disk, sector by sector") {
    disk on(image_of(sectors("AB")));
    on.take(write(1, 0, sectors("ab")));
    on.take(of(op::failed_sync, 1));
    on.take(of(op::sync, 1));
    texts const expected{sectors("AB"), sectors("Ab"), sectors("aB"), sectors("ab")};
    CHECK(names_of(all_cuts(on, cut_level::sectors)) == expected);
    CHECK(names_of(all_cuts(on, cut_level::whole_writes)) == expected);
}

TEST_CASE("where nothing is pending every level leaves what is durable") {
    disk on(image_of(sectors("AB")));
    on.take(write(1, 7, "x"));
    on.take(of(op::sync, 1));
    for (auto const level : levels) {
        for_random_cuts(on, level, 50, [&](disk_image const& left) {
            CHECK(left.files == on.durable().files);
            CHECK(left.database == 1);
        });
    }
}

TEST_CASE("of bytes a cut leaves mixtures within a sector, and nothing that was never there") {
    disk on(image_of(sectors("ABCDEFGHIJ")));
    on.take(write(1, 700, std::string(600, 'x')));
    auto const old = text_of(on.durable(), 1);
    bool mixed_within = false;
    for_random_cuts(on, cut_level::bytes, 500, [&](disk_image const& left) {
        auto const text = text_of(left, 1);
        CHECK(text.substr(0, 700) == old.substr(0, 700));
        CHECK(text.substr(1'300) == old.substr(1'300));
        auto const kept = std::count(text.begin() + 700, text.begin() + 1'024, 'x');
        mixed_within = mixed_within || (kept != 0 && kept != 324);
        for (std::size_t i = 700; i < 1'300; ++i) CHECK((text[i] == 'x' || text[i] == old[i]));
    });
    CHECK(mixed_within);
}

TEST_CASE("garbage is zeros, ones, noise, or another sector, in the bytes that were written") {
    disk on(image_of(sectors("ABCDEFGHIJ")));
    on.take(write(1, 512, sectors("x")));
    on.take(write(1, 1'600, std::string(300, 'y')));
    auto const old = text_of(on.durable(), 1);
    std::map<std::string, int> seen;
    for_random_cuts(on, cut_level::garbage, 1'000, [&](disk_image const& left) {
        auto const text = text_of(left, 1);
        CHECK(text.substr(0, 512) == old.substr(0, 512));
        CHECK(text.substr(1'024, 576) == old.substr(1'024, 576));
        CHECK(text.substr(1'900) == old.substr(1'900));
        auto const sector = text.substr(512, 512);
        auto const letters = std::set<char>(sector.begin(), sector.end());
        if (letters == std::set<char>{'\0'}) ++seen["zeros"];
        if (letters == std::set<char>{'\xFF'}) ++seen["ones"];
        if (letters.size() > 100) ++seen["noise"];
        if (letters.contains('D') || letters.contains('y')) ++seen["another"];
        if (letters == std::set<char>{'B'}) ++seen["old"];
        if (letters == std::set<char>{'x'}) ++seen["new"];
    });
    for (auto const* each : {"zeros", "ones", "noise", "another", "old", "new"}) {
        INFO(each);
        CHECK(seen[each] > 20);
    }
}

TEST_CASE("of blocks a cut harms durable bytes too, within the 4 KiB around a write") {
    disk on(image_of(sectors(std::string(24, 'A')))); // three blocks
    on.take(write(1, 5'000, "x"));
    auto const old = text_of(on.durable(), 1);
    int harmed = 0;
    for_random_cuts(on, cut_level::blocks, 500, [&](disk_image const& left) {
        auto const text = text_of(left, 1);
        CHECK(text.substr(0, 4'096) == old.substr(0, 4'096));
        CHECK(text.substr(8'192) == old.substr(8'192));
        auto const around = text.substr(4'096, 512) + text.substr(5'632, 2'560);
        harmed += around != std::string(around.size(), 'A') ? 1 : 0;
    });
    CHECK(harmed > 20);
}

TEST_CASE("blocks are harmed in the file that is written, whatever is written to another one") {
    auto start = image_of(sectors(std::string(8, 'A')));
    start.files[2] = data_of(sectors(std::string(8, 'B')));
    start.companion = 2;
    disk on(start);
    on.take(write(1, 0, "x"));
    on.take(write(2, 512, sectors("yyyyyyy")));
    int harmed = 0;
    for_random_cuts(on, cut_level::blocks, 500, [&](disk_image const& left) {
        auto const text = text_of(left, 1);
        harmed += text.substr(512) != sectors(std::string(7, 'A')) ? 1 : 0;
    });
    CHECK(harmed > 20);
}

TEST_CASE("a sync that failed is no write at the moment of the cut: it harms no blocks") {
    disk on(image_of(sectors(std::string(8, 'A'))));
    on.take(write(1, 0, "x"));
    on.take(of(op::failed_sync, 1));
    for_random_cuts(on, cut_level::blocks, 300, [&](disk_image const& left) {
        CHECK(text_of(left, 1).substr(1) == sectors(std::string(8, 'A')).substr(1));
    });
}

TEST_CASE("random cuts leave all, none, all but one, and only one") {
    disk on(image_of(sectors("AAAAAAAA")));
    for (std::uint64_t i = 0; i < 8; ++i) on.take(write(1, 512 * i, sectors("x")));
    std::map<std::string, int> seen;
    for_random_cuts(on, cut_level::sectors, 2'000, [&](disk_image const& left) {
        auto const text = text_of(left, 1);
        std::string pattern;
        for (std::size_t i = 0; i < 8; ++i) pattern += text[512 * i];
        ++seen[pattern];
    });
    CHECK(seen["xxxxxxxx"] > 50);
    CHECK(seen["AAAAAAAA"] > 50);
    for (std::size_t i = 0; i < 8; ++i) {
        auto one = std::string(8, 'A');
        one[i] = 'x';
        CHECK(seen[one] > 5);
        auto but_one = std::string(8, 'x');
        but_one[i] = 'A';
        CHECK(seen[but_one] > 5);
        CHECK(seen[std::string(i, 'x') + std::string(8 - i, 'A')] > 5);
        CHECK(seen[std::string(i, 'A') + std::string(8 - i, 'x')] > 5);
    }
    CHECK(seen["xxAAxxxx"] > 0); // a run that is lost
    CHECK(seen.size() > 100);    // and any others
}

TEST_CASE("names are kept in order up to sectors, and each for itself from bytes on") {
    disk on(image_of("old"));
    on.take(of(op::create, 2));
    on.take(of(op::rename, 2));
    on.take(of(op::create, 3));
    auto const names_at = [&](cut_level level) {
        std::set<std::pair<std::uint64_t, std::uint64_t>> found;
        power_cut const cut(on, level);
        auto pick = choices::all();
        do {
            auto const left = cut.image(pick);
            found.emplace(left.database, left.companion);
            for (auto const& [inode, content] : left.files) {
                CHECK((inode == left.database || inode == left.companion));
            }
        } while (pick.next());
        return found;
    };
    using pairs = std::set<std::pair<std::uint64_t, std::uint64_t>>;
    pairs const in_order{{1, 0}, {1, 2}, {2, 0}, {2, 3}};
    CHECK(names_at(cut_level::in_order) == in_order);
    CHECK(names_at(cut_level::sectors) == in_order);
    auto any = in_order;
    any.emplace(1, 3);
    CHECK(names_at(cut_level::bytes) == any);
}

TEST_CASE("a name may be there without the data, and the data without the name") {
    disk on(image_of("old"));
    on.take(of(op::create, 2));
    on.take(write(2, 0, "new"));
    on.take(of(op::rename, 2));
    texts found;
    power_cut const cut(on);
    auto pick = choices::all();
    do {
        auto const left = cut.image(pick);
        found.insert(std::to_string(left.database) + text_of(left, left.database));
        if (left.companion != 0) found.insert("companion " + text_of(left, left.companion));
    } while (pick.next());
    auto const zeros = std::string(3, '\0');
    CHECK(found == texts{"1old", "2", "2new", "2" + zeros, "companion ", "companion new",
                         "companion " + zeros});
}

TEST_CASE("the page is as it was and the machine was started once more") {
    disk on(image_of("old"));
    on.take({op::page, 0, 8, data_of("12345678")});
    auto pick = choices::random(0);
    auto const left = power_cut(on).image(pick);
    CHECK(left.page == on.cached().page);
    CHECK(left.boot == on.cached().boot + 1);
}

TEST_CASE("the same seed and index leave the same image") {
    disk on(image_of(sectors("ABCDEFGH")));
    on.take(write(1, 100, std::string(3'000, 'x')));
    on.take(of(op::create, 2));
    on.take(write(2, 0, std::string(2'000, 'y')));
    std::uint64_t sum = 0;
    for (auto const level : levels) {
        power_cut const cut(on, level);
        std::set<std::uint64_t> different;
        for (std::uint64_t i = 0; i < 100; ++i) {
            auto first = choices::random(4, i);
            auto second = choices::random(4, i);
            auto const image = cut.image(first);
            CHECK(image == power_cut(on, level).image(second));
            different.insert(hash_of(image));
            sum = coppice::testing::mixed(sum + hash_of(image));
        }
        CHECK(different.size() > 3);
    }
    CHECK(sum == 0x6DA1'F788'E06E'5208U); // the same with every compiler
}
