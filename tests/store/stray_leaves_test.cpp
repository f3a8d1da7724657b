// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/stray_leaves.hpp>

#include <broken_database.hpp>

#include <catch2/catch.hpp>

#include <cstdint>
#include <string>

namespace {

using coppice::store::find_stray_leaves;

forged::file_bytes loaded(broken::content const& entries) {
    coppice::storage::memory_medium medium;
    coppice::memory_database db(medium, proving::tiny());
    db.update([&](auto& t) { t.load(entries); });
    return proving::bytes_of(*medium.open(coppice::storage::access::read_only));
}

} // namespace

TEST_CASE("all leaves of a file are found without anything that names them") {
    auto const entries = proving::numbered_entries(300);
    auto file = loaded(entries);
    for (auto const& part : forged::reachable(file)) {
        if (part.what != "leaf" && part.what != "extent")
            broken::zero(file, part.offset, part.size);
    }
    auto const found = find_stray_leaves(file);
    REQUIRE(found.size() == entries.size());
    auto wanted = entries.begin();
    for (auto const& [key, stored] : found) {
        CHECK(key == wanted->first);
        CHECK(stored.length_bytes() == wanted->second.size());
        ++wanted;
    }
}

TEST_CASE("of several leaves with a key the last one in the file is taken") {
    coppice::storage::memory_medium medium;
    coppice::memory_database db(medium, proving::tiny());
    for (auto const* value : {"1", "2", "3"}) db.update([&](auto& t) { t.put("key", value); });
    auto const file = proving::bytes_of(*medium.open(coppice::storage::access::read_only));
    auto const found = find_stray_leaves(file);
    REQUIRE(found.size() == 1);
    CHECK(found.begin()->second.raw == "3");
}

TEST_CASE("what contradicts itself is no leaf") {
    auto const sound = loaded({{"alpha", "1"}, {"beta", "2"}, {"gamma", "3"}});
    auto const leaf = forged::reachable(sound).back();
    REQUIRE(leaf.what == "leaf");
    CHECK(find_stray_leaves(sound).size() == 3);
    for (auto const offset : {0U, 1U, 2U, 4U, 16U, 20U, 28U}) { // header, heads, positions
        auto file = sound;
        file[leaf.offset + offset] ^= std::byte{0x3};
        INFO("offset " << offset);
        CHECK(find_stray_leaves(file).empty());
    }
    auto file = sound;
    auto const first_key = leaf.offset + forged::load<std::uint16_t>(file, leaf.offset + 28);
    REQUIRE(file[first_key] == std::byte{'a'});
    file[first_key] = file[leaf.offset + 19] = std::byte{'z'}; // and in its head
    CHECK(find_stray_leaves(file).empty());
    file = sound;
    file.resize(leaf.offset + leaf.size - 1);
    CHECK(find_stray_leaves(file).empty());
}

TEST_CASE("any bytes end the search within their number of steps") {
    // Leaf headers that overlap, each with as many entries as can be.
    for (auto const size : {64U, 4096U, 500'000U}) {
        forged::file_bytes file(12288 + size);
        for (std::uint64_t at = 12288; at + 16 <= file.size(); at += 8) {
            file[at] = std::byte{3};
            forged::store(file, at + 2, std::uint16_t{65535});
            if (at + 8 <= file.size()) forged::store(file, at + 4, std::uint32_t{4'000'000});
        }
        CHECK(find_stray_leaves(file).empty());
        auto pick = broken::dice(size);
        for (auto& byte : file) byte = static_cast<std::byte>(pick.below(4));
        static_cast<void>(find_stray_leaves(file));
    }
}
