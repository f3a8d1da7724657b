// SPDX-License-Identifier: BSL-1.0
#include <coppice/await.hpp>

#include <coppice/database.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <exception>
#include <future>
#include <type_traits>

using namespace coppice;

// What happens between threads: tests/concurrency/callbacks_test.cpp.

#if COPPICE_HAS_AWAIT

// Not without a name: see tests/concurrency/callbacks_test.cpp.
namespace awaited {

struct awaited_commit {
    struct promise_type {
        std::promise<commit_id> result;

        awaited_commit get_return_object() { return {result.get_future()}; }
        [[nodiscard]] static std::suspend_never initial_suspend() noexcept { return {}; }
        [[nodiscard]] static std::suspend_never final_suspend() noexcept { return {}; }
        void return_value(commit_id id) { result.set_value(id); }
        void unhandled_exception() { result.set_exception(std::current_exception()); }
    };
    std::future<commit_id> result;
};

awaited_commit await_put(memory_database& db, char const* key) {
    auto txn = db.write();
    if (key != nullptr) txn.put(key, "v");
    co_return co_await txn.commit_async();
}

} // namespace awaited

using awaited::await_put;

TEST_CASE("co_await gives the id of the commit") {
    proving::test_database<proving::in_memory> on;
    CHECK(await_put(*on, "a").result.get().value == 2);
    CHECK(await_put(*on, "b").result.get().value == 3);
    CHECK(on->get("b") == "v");
}

TEST_CASE("co_await for nothing goes on at once") {
    proving::test_database<proving::in_memory> on;
    auto const running = await_put(*on, nullptr).result.wait_for(std::chrono::seconds(0));
    CHECK(running == std::future_status::ready);
}

#else

TEST_CASE("without coroutines the header is empty") { CHECK(COPPICE_HAS_AWAIT == 0); }

#endif
