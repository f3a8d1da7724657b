// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/revision.hpp>

#include <coppice/database.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <memory>

using namespace coppice;

TEST_CASE("a state reads its file until it is revoked, its memory for ever") {
    memory_database db;
    db.update([](auto& txn) { txn.put("a", "1"); });
    auto const base = db.read().state();
    auto const revoked = std::make_shared<std::atomic<bool>>(false);
    store::revision const state(*base, base->shared_image(), base->limit_offset(), revoked);
    auto const root = state.user().root.node;
    CHECK(state.node(root, 0) == base->node(root, 0));
    *revoked = true;
    CHECK_THROWS_AS(state.node(root, 0), error);
    CHECK_NOTHROW(base->node(root, 0));

    tree::arena memory;
    auto const node = memory.allocate_node(64);
    auto const ref = memory.seal_node(node);
    CHECK(state.node(ref, 0) == node.data());
}
