// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/revision.hpp>

#include <kind_of.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <memory>
#include <string>

using namespace coppice;
using support::kind_of;

namespace {

store::revision_ptr state_of(storage::memory_medium const& medium, std::string_view value) {
    memory_database db(medium, proving::tiny());
    db.update([&](auto& txn) { txn.put("a", value); });
    return db.read().state();
}

} // namespace

TEST_CASE("a state keeps file and mapping alive after everything else is gone") {
    auto medium = std::make_unique<storage::memory_medium>();
    auto const state = state_of(*medium, proving::noise(500));
    CHECK(medium->remove());
    medium.reset();
    auto const stored = tree::find(*state, state->user(), "a");
    REQUIRE(stored.has_value());
    CHECK(state->value(*stored) == proving::noise(500));
    CHECK(state->value_part(stored->extent(), 100, 50) == proving::noise(500).substr(100, 50));
    CHECK(state->record().commit_id == 2);
    CHECK(state->at().offset + format::encoded_bytes(state->record()) == state->limit_offset());
}

TEST_CASE("what a transaction made of a base reads memory and file alike") {
    auto const base = state_of({}, "inline");
    auto const memory = std::make_shared<tree::arena>();
    auto const text = memory->copy("in memory");
    store::revision const work(*base, base->user(), memory);
    CHECK(work.node(work.user().root.node, 0) == base->node(base->user().root.node, 0));
    auto const extent = format::extent_ref::in_memory_at(as_bytes(text));
    CHECK(work.value_part(extent, 3, 6) == "memory");
    auto const node = memory->allocate_node(64);
    auto const ref = memory->seal_node(node);
    CHECK(work.node(ref, 0) == node.data());
    for (auto const each : {ref, base->user().root.node}) {
        work.prefetch(each, 8); // hints: no harm
        work.prefetch(each, ~std::uint64_t{0});
    }
    CHECK(work.at() == base->at());
    CHECK(&work.image() == &base->image());
}

TEST_CASE("a state whose bytes may be written over refuses to read them, and only them") {
    auto const base = state_of({}, proving::noise(100));
    auto const revoked = std::make_shared<std::atomic<bool>>(false);
    store::revision const early(*base, base->shared_image(), base->limit_offset(), revoked);
    auto const memory = std::make_shared<tree::arena>();
    store::revision const later(early, base->user(), memory);
    auto const root = base->user().root.node;
    auto const extent = tree::find(*base, base->user(), "a")->extent();
    for (auto const* each : {&early, &later}) CHECK(each->node(root, 0) != nullptr);
    revoked->store(true);
    for (auto const* each : {&early, &later}) {
        CHECK(kind_of([&] { static_cast<void>(each->node(root, 0)); }) == errc::finished);
        CHECK(kind_of([&] { static_cast<void>(each->value_part(extent, 0, 1)); }) ==
              errc::finished);
        auto const text = format::extent_ref::in_memory_at(as_bytes(std::string_view("text")));
        CHECK(each->value_part(text, 0, 4) == "text");
    }
    CHECK(base->node(root, 0) != nullptr);
}
