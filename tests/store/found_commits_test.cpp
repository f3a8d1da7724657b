// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/found_commits.hpp>

#include <broken_database.hpp>
#include <kind_of.hpp>

#include <catch2/catch.hpp>

#include <cstdint>
#include <optional>

namespace {

using coppice::commit_id;
using coppice::errc;

broken::store::found_commits find_in(forged::file_bytes const& file,
                                     std::optional<commit_id> wanted = {}) {
    auto from = broken::place_of(file);
    return broken::store::find_commits(*from.open(coppice::storage::access::read_only), wanted,
                                       "p");
}

std::uint64_t taken_of(broken::store::found_commits const& found) {
    return found.taken ? found.taken->record.commit_id : 0;
}

} // namespace

TEST_CASE("a slot that holds names the commit to save") {
    auto const sample = broken::random_history(11, 6);
    auto const found = find_in(sample.file);
    CHECK(found.header_holds);
    CHECK(found.slot_holds);
    CHECK(taken_of(found) == 7);
    CHECK(found.newest.value == 7);
    CHECK(found.header.nodes.leaf_bytes == 128);
    CHECK(find_in(sample.file, commit_id{7}).slot_holds);
    auto const older = find_in(sample.file, commit_id{3});
    CHECK(taken_of(older) == 3);
    CHECK_FALSE(older.slot_holds);
}

TEST_CASE("the older slot is taken where the newer one is gone and the newer record is told") {
    auto const sample = broken::random_history(12, 6);
    auto file = sample.file;
    broken::zero(file, coppice::format::slot_offset(forged::newest_slot(file).value()), 128);
    auto const found = find_in(file);
    CHECK(found.slot_holds);
    CHECK(taken_of(found) == 6);
    CHECK(found.newest.value == 7);
    broken::zero_slots(file);
    auto const bare = find_in(file);
    CHECK_FALSE(bare.slot_holds);
    CHECK(taken_of(bare) == 7);
    // A slot whose commit is gone is a trace of it as well.
    file = sample.file;
    broken::zero(file, forged::newest_record(file), 136);
    CHECK(taken_of(find_in(file)) == 6);
    CHECK(find_in(file).newest.value == 7);
}

TEST_CASE("a commit whose bytes do not hold is passed over as opening does and told") {
    auto const sample = broken::random_history(12, 6);
    auto file = sample.file;
    file[forged::load<std::uint64_t>(file, forged::newest_record(file) + 64)] ^= std::byte{1};
    auto const found = find_in(file);
    CHECK(found.slot_holds);
    CHECK(taken_of(found) == 6);
    CHECK(found.newest.value == 7);
    CHECK(taken_of(find_in(file, commit_id{7})) == 7);
}

TEST_CASE("a damaged header is no reason to disbelieve the slots") {
    auto const sample = broken::random_history(13, 4);
    auto file = sample.file;
    broken::zero(file, 0, 4096);
    auto const found = find_in(file);
    CHECK_FALSE(found.header_holds);
    CHECK(found.slot_holds);
    CHECK(taken_of(found) == 5);
    // A version that a damaged header names means nothing, one that a whole header names does.
    file = sample.file;
    file[16] = std::byte{7};
    CHECK_FALSE(find_in(file).header_holds);
    forged::store(file, 64, coppice::format::checksum(forged::part(file, 0, 64)));
    CHECK(support::kind_of([&] { static_cast<void>(find_in(file)); }) == errc::unsupported_version);
}

TEST_CASE("slots with features that are unknown are refused by name") {
    auto file = broken::random_history(14, 3).file;
    forged::store(file, coppice::format::slot_offset(forged::newest_slot(file).value()) + 64,
                  std::uint64_t{8});
    forged::fix_checksums(file);
    CHECK(support::kind_of([&] { static_cast<void>(find_in(file)); }) == errc::unsupported_feature);
}

TEST_CASE("a record that lies elsewhere than where it was made is not believed") {
    auto const sample = broken::random_history(15, 6);
    auto file = sample.file;
    broken::zero_slots(file);
    auto const at = forged::newest_record(sample.file);
    auto const size = forged::load<std::uint16_t>(file, at + 4);
    auto const record = forged::part(sample.file, at, size);
    broken::zero(file, at, size);
    file.insert(file.end(), 24, std::byte{0});
    file.insert(file.end(), record.begin(), record.end());
    // It still names the record before it, and that one is there: so it could have been made here.
    CHECK(taken_of(find_in(file)) == 7);
    auto const before = forged::load<std::uint64_t>(sample.file, at + 80);
    file[before] ^= std::byte{1};
    CHECK(taken_of(find_in(file)) == 5);
}

TEST_CASE("the one commit of a compacted file is believed because its root ends where it begins") {
    coppice::storage::memory_medium medium;
    coppice::memory_database db(medium, proving::tiny());
    db.update([](auto& t) { t.load(proving::numbered_entries(50)); });
    db.compact();
    db.close();
    auto file = proving::bytes_of(*medium.open(coppice::storage::access::read_only));
    broken::zero(file, 0, 12288);
    CHECK(taken_of(find_in(file)) == 2);
    file.insert(file.begin() + 12288, 8, std::byte{0}); // and nowhere else
    CHECK(taken_of(find_in(file)) == 0);
}

TEST_CASE(
    "a commit of a tag is believed because the root of its system tree ends where it begins") {
    coppice::storage::memory_medium medium;
    coppice::memory_database db(medium, proving::tiny());
    db.update([](auto& t) { t.load(proving::numbered_entries(50)); });
    db.tag("a");
    auto const before = coppice::store::previous_state(*db.read().state());
    db.close();
    auto file = proving::bytes_of(*medium.open(coppice::storage::access::read_only));
    broken::zero(file, 0, 12288);
    broken::zero(file, before->at().offset, 8); // it follows nothing any more
    CHECK(taken_of(find_in(file)) == 3);
}

TEST_CASE("a record that a slot names is believed though nothing else says so") {
    coppice::storage::memory_medium medium;
    coppice::memory_database db(medium, proving::tiny());
    auto const lazy = coppice::durability::lazy;
    db.update([](auto& t) { t.put("a", "1"); }, lazy);
    db.update([](auto& t) { t.erase("a"); }, lazy);
    auto file = proving::bytes_of(*medium.open(coppice::storage::access::read_only));
    auto const at = forged::newest_record(file);
    broken::zero(file, forged::load<std::uint64_t>(file, at + 80), 136);
    CHECK(taken_of(find_in(file)) == 1); // the other slot holds
    broken::zero(file, coppice::format::slot_offset(1U - forged::newest_slot(file).value()), 128);
    auto const found = find_in(file);
    CHECK(taken_of(found) == 3);
    CHECK_FALSE(found.slot_holds);
    broken::zero_slots(file);
    CHECK(taken_of(find_in(file)) == 1);
}

TEST_CASE("of two records of one commit the first in the file is taken") {
    // What was written and never named lies behind what took its place, if that is shorter.
    auto const sample = broken::random_history(16, 6);
    auto file = sample.file;
    broken::zero_slots(file);
    auto const at = forged::newest_record(sample.file);
    auto const size = forged::load<std::uint16_t>(file, at + 4);
    auto const record = forged::part(sample.file, at, size);
    file.insert(file.end(), record.begin(), record.end());
    auto const found = find_in(file);
    REQUIRE(found.taken);
    CHECK(found.taken->at.offset == at);
}
