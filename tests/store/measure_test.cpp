// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/measure.hpp>

#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <optional>
#include <string>

using namespace coppice;
using proving::in_file;
using proving::in_memory;
using proving::test_database;

TEMPLATE_TEST_CASE("the figures add up after everything that changes them", "", in_file,
                   in_memory) {
    test_database<TestType> on;
    std::uint64_t commits = 1;
    std::optional<snapshot> held;
    auto const add_up = [&] {
        auto const now = on->stats();
        CHECK(now.live_bytes + now.retained_bytes + now.garbage_bytes == now.valid_bytes);
        CHECK(now.retained_bytes == 0);
        CHECK(now.file_bytes >= now.valid_bytes);
        CHECK(now.unsynced_bytes <= now.valid_bytes);
        CHECK((now.unsynced_bytes == 0) == (now.durable == now.newest));
        CHECK(now.commits == commits);
        CHECK(now.entries == on->read().size());
        CHECK(now.newest == on->read().id());
        CHECK(now.nodes.leaf_bytes == 128);
        // What the check finds by walking is what the totals say.
        auto const report = on->check();
        CHECK(report.bytes + format::data_begin_offset +
                  format::encoded_bytes(on->read().state()->record()) ==
              now.live_bytes);
        CHECK(report.entries == now.entries);
        CHECK(report.commits == now.commits);
        return now;
    };
    auto const empty = add_up();
    CHECK(empty.height == 0);
    CHECK(empty.garbage_bytes == 0);
    for (unsigned i = 0; i < 40; ++i) {
        auto const how = i % 4 == 0 ? durability::sync : durability::lazy;
        on->update([&](auto& txn) { txn.put(proving::numbered("k", i), proving::noise(i * 9)); },
                   how);
        ++commits;
        if (i == 20) held = on->read();
        add_up();
    }
    CHECK(add_up().height >= 2);
    auto const before = on->stats();
    CHECK(before.pinned_bytes == 0);
    CHECK(on->compact());
    commits = 1;
    auto const after = add_up();
    CHECK(after.garbage_bytes == 0);
    CHECK(after.generation == before.generation + 1);
    CHECK(after.pinned_bytes >= before.valid_bytes);
    held.reset();
    CHECK(on->stats().pinned_bytes == 0);
    on->update([](auto& txn) { txn.erase_prefix(""); });
    ++commits;
    CHECK(add_up().height == 0);
}
