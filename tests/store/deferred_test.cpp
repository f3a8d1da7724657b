// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/deferred.hpp>

#include <catch2/catch.hpp>

#include <memory>

using namespace coppice;
using namespace std::chrono_literals;
using store::deferred_commits;

namespace {

constexpr deferred_commits::clock::time_point noon{12h};
constexpr flush_policy policy{1000, 3, 50ms};

store::revision_ptr deferred_state(std::uint64_t id) {
    format::commit_record record;
    record.commit_id = id;
    return store::revision_ptr(
        new store::revision(std::make_shared<store::file_image>(), record, {}, 0));
}

} // namespace

TEST_CASE("where nothing is deferred there is a fresh memory for each transaction") {
    deferred_commits const none;
    CHECK(none.empty());
    CHECK_FALSE(none.newest());
    CHECK(none.held_bytes() == 0);
    CHECK(none.memory() != none.memory());
}

TEST_CASE("deferred commits share their memory and the newest stands for all") {
    deferred_commits some;
    auto const memory = some.memory();
    some.add(memory, noon);
    CHECK(some.memory() == memory);
    CHECK_FALSE(some.empty());
    CHECK_FALSE(some.newest()); // nobody has looked at it
    some.see(deferred_state(2));
    some.add(memory, noon);
    some.see(deferred_state(3));
    CHECK_FALSE(some.empty());
    CHECK(some.newest()->record().commit_id == 3);
    CHECK(some.newest()->is_deferred());
    static_cast<void>(memory->allocate(5000));
    CHECK(some.held_bytes() == memory->held_bytes());
    some.clear();
    CHECK(some.empty());
    CHECK(memory.use_count() == 1);
}

TEST_CASE("a policy bounds how many are deferred") {
    deferred_commits some;
    for (std::uint32_t i = 0; i < policy.count; ++i) {
        CHECK_FALSE(some.is_due(policy, 0, noon));
        some.add(some.memory(), noon);
    }
    CHECK(some.is_due(policy, 0, noon));
    some.clear();
    CHECK_FALSE(some.is_due(policy, 0, noon));
    CHECK(some.is_due({1000, 0, 50ms}, 0, noon));
}

TEST_CASE("a policy bounds what memory they take with the next one") {
    deferred_commits const none;
    CHECK_FALSE(none.is_due(policy, 1000, noon));
    CHECK(none.is_due(policy, 1001, noon));
}

TEST_CASE("a policy bounds how long the oldest one is deferred") {
    deferred_commits some;
    some.add(some.memory(), noon);
    some.add(some.memory(), noon + 49ms);
    CHECK_FALSE(some.is_due(policy, 0, noon + 49ms));
    CHECK(some.is_due(policy, 0, noon + 50ms));
    CHECK_FALSE(some.is_due({1000, 3, 0ms}, 0, noon + 24h));
    some.clear();
    CHECK_FALSE(some.is_due(policy, 0, noon + 50ms));
}
