// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/history.hpp>

#include <kind_of.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

using namespace coppice;
using support::kind_of;

namespace {

/// A database of many commits: number i puts i.
struct history_bench {
    explicit history_bench(unsigned commits) {
        auto chosen = proving::tiny();
        chosen.durability = durability::lazy;
        memory_database db(medium, chosen);
        for (unsigned i = 2; i <= commits; ++i) {
            db.update([&](auto& txn) { txn.put("n", std::to_string(i)); }, {},
                      "note " + std::to_string(i));
        }
        newest = db.read().state();
    }
    [[nodiscard]] std::string content(store::revision_ptr const& state) const {
        auto const now = snapshot(state);
        return std::string(now.get("n").value_or("nothing"));
    }

    storage::memory_medium medium;
    store::revision_ptr newest;
};

} // namespace

TEST_CASE("walking back meets every commit once, with its content and note") {
    history_bench const on(150);
    std::uint64_t id = 150;
    for (auto state = on.newest; state; state = store::previous_state(*state)) {
        CHECK(state->record().commit_id == id);
        CHECK(on.content(state) == (id == 1 ? "nothing" : std::to_string(id)));
        auto const told = store::describe(state->record(), id < 5);
        CHECK(told.id == commit_id{id});
        CHECK(told.note == (id == 1 ? "" : "note " + std::to_string(id)));
        CHECK(told.entries == (id == 1 ? 0U : 1U));
        CHECK(told.durable == (id < 5));
        --id;
    }
    CHECK(id == 0);
}

TEST_CASE("every commit is found by its place from every later one") {
    history_bench const on(150);
    for (std::uint64_t index = 0; index < 150; ++index) {
        auto const found = store::state_number(on.newest, index);
        CHECK(found->record().index == index);
        CHECK(found->record().commit_id == index + 1);
        CHECK(on.content(found) == (index == 0 ? "nothing" : std::to_string(index + 1)));
        CHECK(store::state_number(found, index / 2)->record().index == index / 2);
        CHECK(kind_of([&] { static_cast<void>(store::state_number(found, index + 1)); }) ==
              errc::history_gone);
    }
}

TEST_CASE("every commit is found by its number from every later one") {
    history_bench const on(90);
    std::vector<store::revision_ptr> states;
    for (auto state = on.newest; state; state = store::previous_state(*state)) {
        states.push_back(state);
    }
    for (auto const& from : states) {
        for (std::uint64_t id = 1; id <= from->record().commit_id; ++id) {
            auto const found = store::state_at(from, {id});
            if (found->at() != states[90 - id]->at() ||
                found->limit_offset() != states[90 - id]->limit_offset()) {
                FAIL("commit " << id << " from " << from->record().commit_id);
            }
        }
        CHECK(kind_of([&] {
                  static_cast<void>(store::state_at(from, {from->record().commit_id + 1}));
              }) == errc::history_gone);
    }
    CHECK(kind_of([&] { static_cast<void>(store::state_at(on.newest, {0})); }) ==
          errc::history_gone);
    CHECK(store::state_at(on.newest, {90}).get() == on.newest.get());
}

TEST_CASE("every commit is found by its time and by any time before the next one") {
    history_bench const on(90);
    std::uint64_t later = ~std::uint64_t{0};
    for (auto state = on.newest; state; state = store::previous_state(*state)) {
        auto const time = state->record().time_us;
        for (auto const when : {time, later - 1}) {
            CHECK(store::state_at_time(on.newest, when)->at() == state->at());
            CHECK(store::last_state_until(on.newest, when)->limit_offset() ==
                  state->limit_offset());
        }
        later = time;
    }
    CHECK_FALSE(store::last_state_until(on.newest, later - 1));
    CHECK(kind_of([&] { static_cast<void>(store::state_at_time(on.newest, later - 1)); }) ==
          errc::history_gone);
}

TEST_CASE("a commit is found in a logarithmic number of steps") {
    history_bench on(2001);
    // All records but those on the way may be damaged: the way shows by what can be damaged. A
    // record is on the way to few others, so nearly every flip leaves nearly every search intact.
    auto const storage = on.medium.open(storage::access::read_write);
    std::vector<std::uint64_t> offsets;
    for (auto state = on.newest; state; state = store::previous_state(*state)) {
        offsets.push_back(state->at().offset);
    }
    for (std::uint64_t const goal : {1U, 2U, 3U, 500U, 1023U, 1024U, 1025U, 1999U}) {
        std::size_t needed = 0;
        for (std::size_t i = 1; i < offsets.size(); ++i) {
            std::array<std::byte, 1> byte{};
            REQUIRE(storage->read(offsets[i] + 8, byte) == 1);
            auto const flipped = std::array{byte[0] ^ std::byte{1}};
            storage->write(offsets[i] + 8, flipped);
            if (kind_of([&] { static_cast<void>(store::state_at(on.newest, {goal})); })) ++needed;
            storage->write(offsets[i] + 8, byte);
        }
        INFO("commit " << goal << " needs " << needed << " records");
        CHECK(needed >= 1);
        CHECK(needed <= 45); // at most two for each of the two digits of 11 levels
    }
}

TEST_CASE("a record that stands for several commits answers for the last of them") {
    history_bench const on(6);
    auto record = on.newest->record();
    record.id_span = 3;
    store::revision_ptr const wide(new store::revision(on.newest->shared_image(), record,
                                                       on.newest->at(), on.newest->limit_offset()));
    CHECK(store::state_at(wide, {6}).get() == wide.get());
    for (std::uint64_t id = 3; id <= 5; ++id) {
        CHECK(kind_of([&] { static_cast<void>(store::state_at(wide, {id})); }) ==
              errc::history_gone);
    }
    CHECK(kind_of([&] { static_cast<void>(store::state_at(wide, {7})); }) == errc::history_gone);
    CHECK(store::state_at(wide, {2})->record().commit_id == 2);
}
