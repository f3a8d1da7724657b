// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/kept_tenure.hpp>

#include <catch2/catch.hpp>

#include <map>
#include <memory>
#include <thread>

namespace {

/// What a tenure is to those who keep it.
struct counted_tenure {
    int holders = 0;
    std::map<std::thread::id, int> bound{};
    void hold_open(int by, std::thread::id thread) {
        holders += by;
        bound[thread] += by;
    }
};

} // namespace

TEST_CASE("a tenure is kept open exactly while something is deferred in it") {
    coppice::store::kept_tenure<counted_tenure> kept;
    CHECK_FALSE(kept.has_deferred());
    auto const running = std::make_shared<counted_tenure>();
    for (int i = 0; i < 3; ++i) {
        kept.keep(running);
        CHECK(kept.has_deferred());
        CHECK(running->holders == 1);
        CHECK(running.use_count() == 2);
    }
    kept.keep({});
    CHECK_FALSE(kept.has_deferred());
    CHECK(running->holders == 0);
    CHECK(running.use_count() == 1);
    kept.keep({});
    CHECK(running->holders == 0);
}

TEST_CASE("one thread at a time is bound by what is deferred") {
    coppice::store::kept_tenure<counted_tenure> kept;
    auto const running = std::make_shared<counted_tenure>();
    std::thread::id other;
    std::thread([&] { other = std::this_thread::get_id(); }).join();
    auto const self = std::this_thread::get_id();
    kept.keep(running, self);
    CHECK(running->bound[self] == 1);
    kept.keep(running, other);
    CHECK(running->bound[self] == 0);
    CHECK(running->bound[other] == 1);
    kept.keep({});
    CHECK(running->bound[other] == 0);
}

TEST_CASE("a handle that goes away says so for good") {
    coppice::store::kept_tenure<counted_tenure> kept;
    CHECK_FALSE(kept.is_closing());
    kept.set_closing();
    CHECK(kept.is_closing());
}
