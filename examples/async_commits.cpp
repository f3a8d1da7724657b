// SPDX-License-Identifier: BSL-1.0
// Many durable commits from one thread, which waits for none of them: with callbacks, a future and
// a coroutine. A thread of the handle settles what was left to it, as many as there are with one
// sync, and tells each.

#include <coppice/coppice.hpp>

#include <cstdio>
#include <future>
#include <string>

namespace {

/// Appends one entry, and does not wait for the device.
auto put(coppice::database& db, std::string const& key, std::string const& value) {
    auto txn = db.write();
    txn.put(key, value);
    return txn.commit_async();
}

#if COPPICE_HAS_AWAIT
/// A coroutine whose end can be waited for.
struct running {
    struct promise_type {
        std::promise<void> ended;

        running get_return_object() { return {ended.get_future()}; }
        [[nodiscard]] static std::suspend_never initial_suspend() noexcept { return {}; }
        [[nodiscard]] static std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() { ended.set_value(); }
        void unhandled_exception() { ended.set_exception(std::current_exception()); }
    };
    std::future<void> ended;
};

// NOLINTNEXTLINE(readability-static-accessed-through-instance): the compiler's calls, not ours.
running pay(coppice::database& db) {
    auto const first = co_await put(db, "order", "paid");
    // From here on in the thread of the handle; the order is on the device.
    auto const second = co_await put(db, "parcel", "sent");
    std::printf("order paid in commit %llu, parcel sent in %llu\n",
                static_cast<unsigned long long>(first.value),
                static_cast<unsigned long long>(second.value));
}
#endif

} // namespace

int main() {
    int durable = 0; // of the thread of the handle, until the handle is closed
    {
        coppice::database db("async_commits.db");
        for (int i = 0; i < 100; ++i) {
            put(db, "event " + std::to_string(i), "happened")
                .then([&durable](coppice::commit_outcome const& outcome) {
                    if (outcome) ++durable;
                });
        }
        auto last = put(db, "last", "value").future();
        std::printf("the last one is commit %llu\n",
                    static_cast<unsigned long long>(last.get().value));
#if COPPICE_HAS_AWAIT
        pay(db).ended.get();
#endif
    } // closing waits for every callback
    std::printf("%d commits are durable\n", durable);
    return durable == 100 ? 0 : 1;
}
