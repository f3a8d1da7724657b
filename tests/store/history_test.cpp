// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/history.hpp>

#include <coppice/database.hpp>

#include <catch2/catch.hpp>

#include <string>

using namespace coppice;

TEST_CASE("the chain leads from each state to the one before it, and by id to any of them") {
    memory_database db;
    for (int i = 0; i < 300; ++i) {
        db.update([&](auto& txn) { txn.put("n", std::to_string(i)); }, durability::lazy);
    }
    auto const newest = db.read().state();
    auto state = newest;
    for (std::uint64_t id = 301; id >= 1; --id) {
        REQUIRE(state);
        CHECK(state->record().commit_id == id);
        auto const found = store::state_at(newest, commit_id{id});
        CHECK(found->at() == state->at());
        CHECK(found->user() == state->user());
        CHECK(found->limit_offset() == state->limit_offset());
        state = store::previous_state(*state);
    }
    CHECK_FALSE(state);
    CHECK_THROWS_AS(store::state_at(newest, commit_id{302}), error);
    CHECK_THROWS_AS(store::state_at(newest, commit_id{0}), error);
}
