// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/durable.hpp>

#include <coppice/database.hpp>
#include <coppice/testing/machine.hpp>
#include <coppice/testing/simulated_medium.hpp>

#include <catch2/catch.hpp>

namespace {

namespace store = coppice::store;
using coppice::durability;
using simulated_store = store::store<coppice::testing::simulated_medium>;

std::uint64_t durable_id(simulated_store& of) {
    auto const state = store::durable_state(of);
    return state ? state->record().commit_id : 0;
}

} // namespace

TEST_CASE("the durable state is behind lazy commits and with those that are synced") {
    coppice::testing::machine computer(1);
    coppice::testing::database db(computer.start_process());
    simulated_store reader(computer.start_process(), {.read_only = true});
    CHECK(durable_id(reader) == 1);
    auto const put = [&](durability how) {
        return db
            .update([](auto& t) { t.put("k", "v" + std::to_string(t.view().id().value)); }, how)
            .value;
    };
    auto const first = put(durability::sync);
    CHECK(durable_id(reader) == first);
    static_cast<void>(put(durability::lazy));
    auto const third = put(durability::lazy);
    CHECK(reader.current()->record().commit_id == third);
    CHECK(durable_id(reader) == first);
    db.sync();
    CHECK(durable_id(reader) == third);
    static_cast<void>(put(durability::lazy));
    CHECK(durable_id(reader) == third);
    auto const fifth = put(durability::two_sync);
    CHECK(durable_id(reader) == fifth);
    static_cast<void>(put(durability::lazy));
    db.compact(); // which makes all durable first
    CHECK(durable_id(reader) == db.read().id().value);
}

TEST_CASE("no power cut takes a state back that was durable") {
    for (std::uint64_t operations = 0; operations < 60; ++operations) {
        auto pick = coppice::testing::choices::random(7, operations);
        coppice::testing::machine computer(7);
        std::uint64_t seen = 0;
        computer.fail_power_after(operations);
        try {
            coppice::testing::database db(computer.start_process(), {.clock = computer.clock()});
            simulated_store reader(computer.start_process(), {.read_only = true});
            for (unsigned i = 0; i < 8; ++i) {
                auto const how = i % 3 == 2 ? durability::sync : durability::lazy;
                db.update([&](auto& t) { t.put("k", std::to_string(i)); }, how);
                seen = std::max(seen, durable_id(reader));
            }
        } catch (coppice::error const&) { // the power has failed
        }
        computer.restart(pick);
        if (seen == 0) continue;
        coppice::testing::database db(computer.start_process());
        CHECK(db.read().id().value >= seen);
    }
}
