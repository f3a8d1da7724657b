// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/tags.hpp>

#include <broken_database.hpp>
#include <kind_of.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

using namespace coppice;
using support::kind_of;

namespace {

/// A state of commit 9 whose system tree has these entries.
store::revision_ptr state_with(proving::content const& system) {
    memory_database db(storage::memory_medium(), proving::tiny());
    for (int i = 2; i <= 8; ++i) db.update([&](auto& txn) { txn.put("n", std::to_string(i)); });
    db.update([&](auto& txn) { txn.load(system); });
    auto const state = db.read().state();
    auto record = state->record();
    record.system = record.user;
    record.user = {};
    return store::revision_ptr(
        new store::revision(state->shared_image(), record, state->at(), state->limit_offset()));
}

/// An entry as docs/format.md has it, byte by byte.
std::string key_of(std::string_view name) { return std::string("tag\0", 4).append(name); }
std::string value_of(std::uint64_t id) {
    std::string value(8, '\0');
    for (auto& byte : value) {
        byte = static_cast<char>(id);
        id >>= 8U;
    }
    return value;
}

} // namespace

TEST_CASE("tags are read from the system tree by name and all together") {
    proving::content system{{"ta", "?"}, {"tag", "?"}, {std::string("tagg"), "?"}, {"zz", "?"}};
    std::vector<store::tagged_commit> wanted;
    for (std::uint64_t i = 0; i < 60; ++i) {
        wanted.push_back({proving::numbered("v", i), {1 + i % 8}});
    }
    wanted.push_back({std::string("\xff\0x", 3), {8}});
    for (auto const& each : wanted) system[key_of(each.name)] = value_of(each.commit.value);
    auto const state = state_with(system);
    CHECK(store::tags_of(*state) == wanted);
    for (auto const& each : wanted) {
        CHECK(store::find_tag(*state, each.name) == each.commit);
        CHECK(store::tagged_state(state, each.name)->record().commit_id == each.commit.value);
    }
    CHECK_FALSE(store::find_tag(*state, "v").has_value());
    CHECK(kind_of([&] { static_cast<void>(store::tagged_state(state, "v")); }) ==
          errc::no_such_tag);
    CHECK(store::tags_of(*state_with({})).empty());
    CHECK_FALSE(store::find_tag(*state_with({}), "v").has_value());
}

TEST_CASE("whatever a file says of tags is read or refused") {
    unsigned read = 0;
    unsigned refused = 0;
    for (std::uint64_t seed = 1; seed <= 600; ++seed) {
        workbench::dice dice(seed);
        auto file = broken::random_history(seed % 30, 12, true).file;
        auto const places = forged::reachable(file);
        for (auto left = 1 + dice.below(4); left > 0; --left) {
            auto const& place = places[dice.below(places.size())];
            auto const at = place.offset + dice.below(place.size);
            file[at] = static_cast<std::byte>(dice.next());
        }
        forged::fixer(file).run();
        try {
            memory_database db(broken::place_of(file));
            static_cast<void>(db.check());
            for (auto const& [name, commit] : db.tags()) {
                auto const state = db.read(name);
                if (state.id() != commit) FAIL("another commit");
                ++read;
            }
            db.tag("one more");
            db.untag("tag00000003");
        } catch (error const&) { // whichever it is: nothing else is thrown, and it ends
            ++refused;
        }
    }
    CHECK(read > 300);
    CHECK(refused > 10);
}

TEST_CASE("a name has 1 to 255 bytes") {
    auto const state = state_with({{key_of(std::string(255, 'x')), value_of(3)}});
    CHECK(store::find_tag(*state, std::string(255, 'x')) == commit_id{3});
    for (auto const& wrong : {std::string(), std::string(256, 'x')}) {
        CHECK(kind_of([&] { static_cast<void>(store::find_tag(*state, wrong)); }) ==
              errc::invalid_argument);
    }
}

TEST_CASE("what cannot be a tag is damage") {
    // No number, not one of an older commit, not of eight bytes.
    for (auto const& value :
         {value_of(0), value_of(9), value_of(10), value_of(~std::uint64_t{0}), std::string(),
          std::string(7, '\1'), std::string(9, '\1'), std::string(100, '\1')}) {
        auto const state = state_with({{key_of("v"), value}});
        CHECK(kind_of([&] { static_cast<void>(store::tags_of(*state)); }) == errc::corrupt);
        CHECK(kind_of([&] { static_cast<void>(store::find_tag(*state, "v")); }) == errc::corrupt);
    }
}
