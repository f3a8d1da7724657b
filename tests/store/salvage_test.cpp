// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/salvage.hpp>

#include <broken_database.hpp>
#include <kind_of.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using coppice::errc;
using forged::file_bytes;
using support::kind_of;
namespace format = coppice::format;

/// Harms a file in a way that the dice choose.
void harm_at_random(file_bytes& file, broken::dice& pick) {
    auto const what = pick.below(64);
    if ((what & 1U) != 0) broken::zero(file, format::slot_offset(0), 128);
    if ((what & 2U) != 0) broken::zero(file, format::slot_offset(1), 128);
    if ((what & 28U) == 4U) broken::zero(file, 0, 4096);
    if ((what & 28U) == 8U) file.resize(file.size() - pick.below(file.size() / 4));
    for (auto places = pick.below(6); places > 0; --places) {
        auto const size = std::size_t{1} << pick.below(10);
        auto const at = static_cast<std::size_t>(12288 + pick.below(file.size() - 12288));
        for (auto i = at; i < std::min(at + size, file.size()); ++i) {
            file[i] = static_cast<std::byte>(pick.next());
        }
    }
}

/// The node of the newest commit that is its root.
forged::place root_of(file_bytes const& file) {
    for (auto const& each : forged::reachable(file)) {
        if (each.what == "inner" || each.what == "leaf") return each;
    }
    throw std::runtime_error("no root");
}

/// A place that has something of its own already.
coppice::storage::memory_medium occupied_place() {
    coppice::storage::memory_medium medium;
    coppice::memory_database const made(medium, proving::tiny());
    return medium;
}

} // namespace

TEST_CASE("of an undamaged file all is saved and nothing is called lost") {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        auto const sample = broken::random_history(seed, 12, seed % 2 == 0);
        auto const saved = broken::save(sample.file);
        CHECK(saved.report.complete());
        CHECK(saved.report.header_holds);
        CHECK(saved.report.taken.value == sample.states.rbegin()->first);
        CHECK(saved.report.entries == sample.states.rbegin()->second.size());
        proving::must_hold(saved.db->read(), sample.states.rbegin()->second);
        CHECK(saved.db->read().id() == saved.report.taken);
        CHECK(saved.db->check().clean());
    }
}

TEST_CASE("the names that a commit knew are told as far as they can be read") {
    coppice::storage::memory_medium medium;
    std::vector<coppice::tagged_commit> names;
    {
        coppice::memory_database db(medium, proving::tiny());
        db.update([](auto& txn) { txn.put("key", "value"); });
        for (std::uint64_t i = 0; i < 40; ++i) {
            names.push_back({proving::numbered("n", i), {1 + i % 2}});
            // The slot of the last one sums nothing, so that opening does not pass over it.
            db.tag(names.back().name, names.back().commit, coppice::durability::two_sync);
        }
    }
    auto const file = proving::bytes_of(*medium.open(coppice::storage::access::read_only));
    auto const whole = broken::save(file);
    CHECK(whole.report.complete());
    CHECK(whole.report.tags == names);
    CHECK(whole.db->tags().empty());
    CHECK(whole.db->check().clean());
    std::set<std::size_t> left;
    for (auto const& each : forged::reachable(file)) {
        if (each.what != "leaf" && each.what != "inner") continue;
        auto harmed = file;
        harmed[each.offset + each.size - 1] ^= std::byte{1};
        auto const saved = broken::save(harmed);
        CHECK_FALSE(saved.report.complete());
        auto const of_user = saved.report.entries == 0;
        CHECK(saved.report.tags_lost == !of_user);
        CHECK((saved.report.tags.size() == names.size()) == of_user);
        left.insert(saved.report.tags.size());
    }
    CHECK(left.size() >= 3); // none, some, all
}

TEST_CASE("what is saved of a harmed file is one commit without what is called lost") {
    unsigned const runs = 1500 * workbench::scale() / (workbench::under_asan ? 5 : 1);
    unsigned refused = 0;
    unsigned complete = 0;
    unsigned in_part = 0;
    unsigned older = 0;
    for (std::uint64_t seed = 1; seed <= runs; ++seed) {
        INFO("seed " << seed);
        broken::dice pick(seed);
        auto const sample =
            broken::random_history(seed % 40, 2 + static_cast<unsigned>(seed % 9), seed % 2 == 0);
        auto file = sample.file;
        harm_at_random(file, pick);
        try {
            auto const [report, db] = broken::save(file);
            REQUIRE(sample.states.contains(report.taken.value));
            auto const& state = sample.states.at(report.taken.value);
            proving::must_hold(db->read(), broken::without_lost(state, report));
            REQUIRE(db->check().clean());
            auto told = report.entries + report.lost_keys.size();
            for (auto const& range : report.lost_ranges) told += range.entries;
            REQUIRE(told == state.size());
            auto const newest = sample.states.rbegin()->first;
            REQUIRE(report.taken <= report.newest);
            older += report.taken.value < newest ? 1U : 0U;
            if (report.complete()) REQUIRE((report.taken.value == newest || report.header_holds));
            complete += report.complete() ? 1U : 0U;
            in_part += report.lost_ranges.empty() && report.lost_keys.empty() ? 0U : 1U;
        } catch (coppice::error const& e) {
            REQUIRE(e.kind() == errc::corrupt);
            ++refused;
        }
    }
    std::printf("    %u harmed files: %u complete, %u in part, %u an older commit, %u refused\n",
                runs, complete, in_part, older, refused);
    CHECK(complete > runs / 50);
    CHECK(in_part > runs / 5);
    CHECK(refused < runs / 5);
}

TEST_CASE("without slots and header the newest commit is found by its record") {
    auto const sample = broken::random_history(3, 9);
    auto file = sample.file;
    broken::zero(file, 0, 12288);
    auto const saved = broken::save(file);
    CHECK_FALSE(saved.report.header_holds);
    CHECK_FALSE(saved.report.slot_holds);
    CHECK_FALSE(saved.report.complete());
    CHECK(saved.report.taken.value == 10);
    CHECK(saved.report.lost_ranges.empty());
    proving::must_hold(saved.db->read(), sample.states.at(10));
}

TEST_CASE("any commit whose record is left can be asked for") {
    auto const sample = broken::random_history(4, 9);
    auto file = sample.file;
    broken::zero_slots(file);
    for (auto const& [id, state] : sample.states) {
        auto const saved = broken::save(file, {.at = coppice::commit_id{id}});
        CHECK(saved.report.taken.value == id);
        CHECK(saved.report.newest.value == 10);
        proving::must_hold(saved.db->read(), state);
    }
    CHECK(kind_of([&] { static_cast<void>(broken::save(file, {.at = coppice::commit_id{11}})); }) ==
          errc::history_gone);
}

TEST_CASE("below a damaged inner node one range is lost and told with its bounds") {
    auto const sample = broken::random_history(5, 9);
    auto const parts = forged::reachable(sample.file);
    auto const& state = sample.states.rbegin()->second;
    unsigned tried = 0;
    for (auto const& part : parts) {
        if (part.what != "inner" || part.level != 1) continue;
        auto file = sample.file;
        file[part.offset + 20] ^= std::byte{1};
        // The slot does not hold if the newest commit wrote this; then an older commit is whole.
        auto const saved = broken::save(file, {.at = coppice::commit_id{10}});
        REQUIRE(saved.report.lost_ranges.size() == 1);
        auto const& lost = saved.report.lost_ranges.front();
        CHECK(lost.offset == part.offset);
        CHECK(lost.entries == state.size() - saved.report.entries);
        CHECK(lost.entries > 0);
        CHECK_THAT(lost.reason, Catch::Contains("checksum"));
        proving::must_hold(saved.db->read(), broken::without_lost(state, saved.report));
        CHECK(saved.db->read().id().value == 11);
        auto const now = saved.db->read();
        CHECK_THAT(std::string(now.note()), Catch::Contains("from commit 10, in part"));
        ++tried;
    }
    CHECK(tried > 3);
}

TEST_CASE("lost neighbours are told as one range") {
    auto const sample = broken::random_history(6, 9);
    auto const parts = forged::reachable(sample.file);
    auto file = sample.file;
    for (auto const& part : parts) {
        if (part.what == "leaf") file[part.offset + part.size / 2] ^= std::byte{4};
    }
    auto const saved = broken::save(file, {.at = coppice::commit_id{10}});
    REQUIRE(saved.report.lost_ranges.size() == 1);
    CHECK(saved.report.lost_ranges.front().from.empty());
    CHECK_FALSE(saved.report.lost_ranges.front().to.has_value());
    CHECK(saved.report.lost_ranges.front().entries == sample.states.at(10).size());
    CHECK(saved.db->read().empty());
}

TEST_CASE("a damaged value costs its key and nothing else") {
    auto const sample = broken::random_history(7, 9);
    auto const parts = forged::reachable(sample.file);
    auto const value = std::find_if(parts.begin(), parts.end(),
                                    [](auto const& part) { return part.what == "extent"; });
    REQUIRE(value != parts.end());
    auto file = sample.file;
    file[value->offset] ^= std::byte{1};
    auto const saved = broken::save(file, {.at = coppice::commit_id{10}});
    CHECK(saved.report.lost_ranges.empty());
    REQUIRE(saved.report.lost_keys.size() == 1);
    format::leaf_view const leaf(file.data() + value->parent);
    CHECK(saved.report.lost_keys.front().key == leaf.key(value->index));
    CHECK(saved.report.lost_keys.front().offset == value->offset);
    proving::must_hold(saved.db->read(), broken::without_lost(sample.states.at(10), saved.report));
}

TEST_CASE("a slot that holds does not make complete what is damaged below it") {
    auto const sample = broken::random_history(7, 9);
    auto const begin =
        forged::load<std::uint64_t>(sample.file, forged::newest_record(sample.file) + 64);
    std::set<std::string> tried;
    for (auto const& part : forged::reachable(sample.file)) {
        if (part.what != "leaf" && part.what != "extent") continue;
        if (part.offset >= begin || !tried.insert(part.what).second) continue;
        auto file = sample.file;
        file[part.offset] ^= std::byte{1};
        auto const report = broken::save(file).report;
        CHECK(report.slot_holds);
        CHECK(report.taken == report.newest);
        CHECK(report.lost_ranges.size() + report.lost_keys.size() == 1);
        CHECK_FALSE(report.complete());
    }
    CHECK(tried.size() == 2);
}

TEST_CASE("what is saved is another database") {
    auto const sample = broken::random_history(1, 3);
    auto const uuid_of = [](coppice::memory_database const& db) {
        return db.read().state()->image().header.uuid;
    };
    coppice::memory_database const original(broken::place_of(sample.file));
    auto const one = uuid_of(*broken::save(sample.file).db);
    auto const two = uuid_of(*broken::save(sample.file).db);
    CHECK(one != two);
    CHECK(one != uuid_of(original));
}

TEST_CASE("a value with a table is saved whole or lost whole") {
    coppice::storage::memory_medium medium;
    auto const large = proving::noise((std::size_t{2} << 20U) + 77, 9);
    coppice::memory_database db(medium, proving::tiny());
    db.update([&](auto& t) { t.put("large", large); });
    auto file = proving::bytes_of(*medium.open(coppice::storage::access::read_only));
    proving::must_hold(broken::save(file).db->read(), {{"large", large}});
    file[12288 + 4096 + (std::size_t{1} << 20U)] ^= std::byte{1};
    auto const saved = broken::save(file, {.at = coppice::commit_id{2}});
    REQUIRE(saved.report.lost_keys.size() == 1);
    CHECK(saved.db->read().empty());
}

TEST_CASE("entries that nothing vouches for are taken only where that is asked for") {
    coppice::storage::memory_medium medium;
    auto const entries = proving::numbered_entries(500);
    coppice::memory_database db(medium, proving::tiny());
    db.update([&](auto& t) { t.load(entries); });
    db.close();
    auto file = proving::bytes_of(*medium.open(coppice::storage::access::read_only));
    auto const root = root_of(file);
    file[root.offset + 30] ^= std::byte{1};
    auto const nothing = broken::save(file);
    CHECK(nothing.report.entries == 0);
    CHECK(nothing.report.lost_ranges.size() == 1);
    CHECK(nothing.db->read().empty());
    auto const all = broken::save(file, {.unconfirmed = true});
    CHECK_FALSE(all.report.complete());
    CHECK(all.report.entries == 0);
    CHECK(all.report.unconfirmed_entries == entries.size());
    CHECK(all.report.lost_ranges.size() == 1);
    proving::must_hold(all.db->read(), entries);

    broken::zero(file, 0, 12288 + 136); // the first commit
    broken::zero(file, root.offset, file.size() - root.offset);
    CHECK(kind_of([&] { static_cast<void>(broken::save(file)); }) == errc::corrupt);
    auto const bare = broken::save(file, {.unconfirmed = true});
    CHECK(bare.report.taken.value == 0);
    CHECK(bare.report.unconfirmed_entries == entries.size());
    proving::must_hold(bare.db->read(), entries);
    CHECK(bare.db->check().clean());
}

TEST_CASE("what is not lost is never replaced by what nothing vouches for") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        auto const sample = broken::random_history(seed, 8);
        auto file = sample.file;
        auto const parts = forged::reachable(file);
        auto leaf = parts.begin() + static_cast<std::ptrdiff_t>(parts.size() / 2);
        leaf =
            std::find_if(leaf, parts.end(), [](auto const& part) { return part.what == "leaf"; });
        REQUIRE(leaf != parts.end());
        file[leaf->offset + 17] ^= std::byte{1};
        auto const [report, db] =
            broken::save(file, {.at = coppice::commit_id{9}, .unconfirmed = true});
        REQUIRE(report.lost_ranges.size() == 1);
        auto const certain = broken::without_lost(sample.states.at(9), report);
        auto found = proving::content_of(db->read());
        CHECK(found.size() == report.entries + report.unconfirmed_entries);
        CHECK(certain.size() == report.entries);
        CHECK(broken::without_lost(found, report) == certain);
    }
}

TEST_CASE("a database that is the value of another one is not taken for it") {
    auto const inner = broken::random_history(8, 30);
    coppice::storage::memory_medium medium;
    coppice::memory_database db(medium, proving::tiny());
    std::string const value(coppice::as_text(inner.file));
    db.update([&](auto& t) { t.put("backup", value); });
    // The first record of a database without a root lies at a place that no value has.
    db.close();
    auto file = proving::bytes_of(*medium.open(coppice::storage::access::read_only));
    broken::zero_slots(file);
    auto const saved = broken::save(file);
    CHECK(saved.report.taken.value == 2);
    CHECK(saved.report.newest.value == 2);
    proving::must_hold(saved.db->read(), {{"backup", value}});
}

TEST_CASE("a forged tree that names one node again and again costs no more than the file") {
    auto const sample = broken::random_history(9, 9, false, false);
    auto file = sample.file;
    auto const root = root_of(file);
    REQUIRE(root.level > 0);
    format::inner_view const inner(file.data() + root.offset);
    auto const hot = root.offset + 16 + format::inner_view::heads_bytes(inner.count());
    for (std::size_t i = 1; i < inner.count(); ++i) {
        forged::store(file, hot + 8 * i, forged::load<std::uint64_t>(file, hot));
    }
    forged::fix_checksums(file);
    auto const saved = broken::save(file);
    REQUIRE(saved.report.lost_ranges.size() == 1);
    CHECK(saved.report.lost_ranges.front().reason == "the keys of a node do not ascend");
    CHECK(saved.report.entries > 0);
    CHECK(saved.db->check().clean());

    namespace detail = coppice::store::detail;
    auto const from = broken::place_of(sample.file).open(coppice::storage::access::read_only);
    auto const image = detail::damaged_image(*from, {}, "p");
    detail::rationed_source const source(image, file.size());
    std::uint64_t spent = 0;
    auto const node = root_of(sample.file);
    format::node_ref const ref =
        format::node_ref::at(node.offset, node.size,
                             format::checksum(forged::part(sample.file, node.offset, node.size)));
    for (; spent + node.size <= sample.file.size(); spent += node.size) {
        static_cast<void>(source.node(ref, node.level));
    }
    CHECK(kind_of([&] { static_cast<void>(source.node(ref, node.level)); }) == errc::corrupt);
}

TEST_CASE("what is no database and what is empty is refused") {
    for (auto const* text : {"", "text",
                             "\x89"
                             "coppice\r\n\x1a\n"}) {
        auto const file = coppice::as_bytes(text);
        file_bytes const bytes(file.begin(), file.end());
        CHECK(kind_of([&] { static_cast<void>(broken::save(bytes)); }) == errc::corrupt);
        CHECK(kind_of([&] { static_cast<void>(broken::save(bytes, {.unconfirmed = true})); }) ==
              errc::corrupt);
    }
    CHECK(kind_of([] { static_cast<void>(broken::save(file_bytes(50'000, std::byte{0x63}))); }) ==
          errc::corrupt);
}

TEST_CASE("what is there already is not written over") {
    auto const sample = broken::random_history(1, 3);
    auto from = broken::place_of(sample.file);
    auto to = occupied_place();
    auto const before = proving::bytes_of(*to.open(coppice::storage::access::read_only));
    CHECK(kind_of([&] {
              static_cast<void>(broken::store::salvage(
                  *from.open(coppice::storage::access::read_only), "p", to, {}));
          }) == errc::already_exists);
    CHECK((proving::bytes_of(*to.open(coppice::storage::access::read_only)) == before));
    CHECK(kind_of([&] {
              static_cast<void>(broken::store::salvage(
                  *from.open(coppice::storage::access::read_only), "p", from, {}));
          }) == errc::already_exists);
}
