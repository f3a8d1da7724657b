// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/kept_tenure.hpp>

#include <catch2/catch.hpp>

#include <memory>

namespace {

/// What a tenure is to those who keep it.
struct counted_tenure {
    int holders = 0;
    void hold_open(int by) noexcept { holders += by; }
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

TEST_CASE("a handle that goes away says so for good") {
    coppice::store::kept_tenure<counted_tenure> kept;
    CHECK_FALSE(kept.is_closing());
    kept.set_closing();
    CHECK(kept.is_closing());
}
