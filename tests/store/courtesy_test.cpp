// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/courtesy.hpp>

#include <catch2/catch.hpp>

using namespace std::chrono_literals;
using coppice::store::courtesy;

namespace {

constexpr courtesy::clock::time_point start{1h};

/// Takes the lock at once after each release, and keeps it for a millisecond.
struct busy_writer {
    courtesy manners{50ms};
    courtesy::clock::time_point now = start;

    bool write() {
        auto const rests = manners.is_due(now);
        if (rests) now += courtesy::pause_length;
        manners.after_lock(now, rests);
        now += 1ms;
        manners.after_release(now);
        return rests;
    }
};

} // namespace

TEST_CASE("who writes without a gap pauses once in a while") {
    busy_writer writer;
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 51; ++i) REQUIRE(writer.write() == (round != 0 && i == 0));
    }
    CHECK(writer.write());
}

TEST_CASE("who leaves the lock alone for a moment need not pause") {
    busy_writer writer;
    for (int i = 0; i < 200; ++i) {
        CHECK_FALSE(writer.write());
        writer.now += courtesy::pause_length + 1us;
    }
}

TEST_CASE("a long transaction is no excuse") {
    courtesy manners{50ms};
    CHECK_FALSE(manners.is_due(start));
    manners.after_lock(start, false);
    CHECK_FALSE(manners.is_due(start + 50ms));
    CHECK(manners.is_due(start + 51ms)); // others carry the tenure on
    manners.after_release(start + 10s);
    CHECK(manners.is_due(start + 10s));
    CHECK_FALSE(manners.is_due(start + 10s + 201us));
}
