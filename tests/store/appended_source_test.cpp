// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/appended_source.hpp>

#include <faulty_medium.hpp>
#include <kind_of.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

using namespace coppice;
using support::kind_of;

namespace {

using appender = store::appender<faulty::storage>;
using source = store::appended_source<faulty::storage>;

format::node_ref append_node(appender& to, int fill) {
    auto const node = to.allocate_node(64);
    std::fill(node.begin(), node.end(), static_cast<std::byte>(fill));
    return to.seal_node(node);
}

} // namespace

TEST_CASE("what was appended is read back into copies that stay where they are") {
    faulty::medium medium;
    auto const storage = medium.fresh();
    appender to(*storage, 12288);
    source const from(nullptr, to, *storage);
    std::vector<std::byte const*> nodes;
    for (int i = 0; i < 50; ++i) nodes.push_back(from.node(append_node(to, i), 0));
    for (int i = 0; i < 50; ++i) {
        auto const* const node = nodes[static_cast<std::size_t>(i)];
        CHECK(std::all_of(node, node + 64, [&](auto b) { return b == static_cast<std::byte>(i); }));
    }
    CHECK(to.spilled());
}

TEST_CASE("nodes below the appended bytes come from the base, those in memory from there") {
    basic_database<faulty::medium> db(faulty::medium(), proving::tiny());
    db.update([](auto& txn) { txn.put("a", "1"); });
    auto const base = db.read().state();
    faulty::medium medium;
    auto const storage = medium.fresh();
    appender to(*storage, base->limit_offset());
    source const from(base.get(), to, *storage);
    auto const root = base->user().root.node;
    CHECK(from.node(root, 0) == base->node(root, 0));
    CHECK(kind_of([&] { static_cast<void>(from.node(root, 1)); }) == errc::corrupt);
    tree::arena memory;
    auto const node = memory.allocate_node(64);
    CHECK(from.node(memory.seal_node(node), 0) == node.data());
    CHECK(from.node(append_node(to, 3), 0)[63] == std::byte{3});
    CHECK(medium.told().count(faulty::call::write) == 1);
}

TEST_CASE("what was appended before comes from a base that reaches so far, and is not copied") {
    basic_database<faulty::medium> db(faulty::medium(), proving::tiny());
    auto txn = db.write();
    std::map<std::string, std::string> const pairs{{"a", "1"}};
    txn.load(pairs);
    auto const base = txn.view().state();
    auto const root = base->user().root.node;
    faulty::medium medium;
    auto const storage = medium.fresh();
    appender to(*storage, root.offset()); // as of the transaction that has loaded it
    source const from(base.get(), to, *storage);
    CHECK(from.node(root, 0) == base->node(root, 0));
}

TEST_CASE("a node that does not read back as it was written is damage") {
    faulty::medium medium;
    auto const storage = medium.fresh();
    appender to(*storage, 12288);
    source const from(nullptr, to, *storage);
    auto const ref = append_node(to, 1);
    to.flush();
    std::array<std::byte, 1> const other{std::byte{9}};
    storage->write(12300, other);
    CHECK(kind_of([&] { static_cast<void>(from.node(ref, 0)); }) == errc::corrupt);
    auto const behind = format::node_ref::at(12288 + 64, 64, 0);
    CHECK(kind_of([&] { static_cast<void>(from.node(behind, 0)); }) == errc::corrupt);
}
