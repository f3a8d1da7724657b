// SPDX-License-Identifier: BSL-1.0
#include <coppice/transaction/state.hpp>

#include <coppice/storage/memory_medium.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <string>

using namespace coppice;
using medium = storage::memory_medium;

TEST_CASE("edits wait in order, folding makes memory nodes of them, and nothing moves") {
    auto const owner = std::make_shared<store::store<medium>>(medium(), options{});
    detail::transaction_state<medium> state(store::writer<medium>::acquire(owner, {}));
    state.put("b", "1");
    auto const stored = state.find("b");
    auto const seen = state.value(*stored);
    CHECK(state.work()->user().height == 0);
    state.fold();
    CHECK(state.work()->user().root.entries == 1);
    CHECK(state.work()->user().root.node.in_memory());
    state.put("b", "2");
    CHECK(seen == "1");
    CHECK(state.erase("b"));
    CHECK_FALSE(state.erase("b"));
    CHECK_FALSE(state.find("b").has_value());
    state.put("large", std::string(5000, 'L'));
    CHECK(state.find("large")->out_of_line);
    CHECK(state.find("large")->extent().in_memory());
    auto const now = state.commit(durability::sync, "note");
    CHECK(now->user().root.entries == 1);
    CHECK_FALSE(now->user().root.node.in_memory());
    CHECK_FALSE(state.open());
    CHECK(owner->current()->record().note == "note");
}

TEST_CASE("a range is erased across pending and committed keys alike") {
    auto const owner = std::make_shared<store::store<medium>>(medium(), options{});
    {
        detail::transaction_state<medium> state(store::writer<medium>::acquire(owner, {}));
        for (int i = 0; i < 100; ++i) state.put(std::to_string(i), "v");
        static_cast<void>(state.commit(durability::lazy, ""));
    }
    detail::transaction_state<medium> state(store::writer<medium>::acquire(owner, {}));
    state.put("5pending", "p");
    state.erase("55");
    CHECK(state.erase_range("5", "6") == 11); // 5, 50 to 59 without 55, and the pending one
    CHECK(state.erase_range("", std::nullopt) == 89);
    CHECK(state.work()->user().height == 0);
}
