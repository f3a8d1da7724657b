// SPDX-License-Identifier: BSL-1.0
// A plan of a fault fires at the call it is for, and at no other.

#include <coppice/testing/fault.hpp>

#include <catch2/catch.hpp>

#include <set>
#include <string>

namespace {

using coppice::testing::call;
using coppice::testing::fault_plan;
using coppice::testing::kinds_of_calls;
using coppice::testing::name_of;
using coppice::testing::sync_failure;

/// At which of ten calls a plan fires.
std::string pattern(fault_plan plan, call what) {
    std::string result;
    for (int i = 0; i < 10; ++i) result += plan.fires(what) ? 'x' : '.';
    return result;
}

} // namespace

TEST_CASE("a plan fires once, after as many calls of its kind as were planned") {
    CHECK(pattern(fault_plan({.what = call::sync}), call::sync) == "x.........");
    CHECK(pattern(fault_plan({.what = call::sync, .after = 3}), call::sync) == "...x......");
    CHECK(pattern(fault_plan({.what = call::sync, .after = 10}), call::sync) == "..........");
}

TEST_CASE("a plan for ever fires at all later calls of its kind") {
    CHECK(pattern(fault_plan({.what = call::read, .after = 4, .for_ever = true}), call::read) ==
          "....xxxxxx");
}

TEST_CASE("calls of other kinds do not fire a plan and do not count for it") {
    for (std::size_t other = 0; other < kinds_of_calls; ++other) {
        auto const kind = static_cast<call>(other);
        if (kind == call::write) continue;
        fault_plan plan({.what = call::write, .after = 1});
        CHECK(pattern(plan, kind) == "..........");
        for (int i = 0; i < 5; ++i) CHECK_FALSE(plan.fires(kind));
        CHECK_FALSE(plan.fires(call::write));
        CHECK(plan.fired() == 0);
        CHECK(plan.fires(call::write));
        CHECK(plan.fired() == 1);
    }
}

TEST_CASE("no plan never fires, and a plan tells what it is and how often it fired") {
    for (std::size_t kind = 0; kind < kinds_of_calls; ++kind) {
        CHECK(pattern({}, static_cast<call>(kind)) == "..........");
    }
    fault_plan plan({.what = call::sync, .for_ever = true, .how = sync_failure::lying});
    CHECK(plan.planned().how == sync_failure::lying);
    CHECK(plan.planned().reason == std::errc::io_error);
    for (int i = 0; i < 3; ++i) CHECK(plan.fires(call::sync));
    CHECK(plan.fired() == 3);
}

TEST_CASE("each kind of call has a name of its own") {
    std::set<std::string> names;
    for (std::size_t kind = 0; kind < kinds_of_calls; ++kind) {
        names.insert(name_of(static_cast<call>(kind)));
    }
    CHECK(names.size() == kinds_of_calls);
    CHECK(name_of(call::read) == std::string("read"));
    CHECK(name_of(call::sync_name) == std::string("sync_name"));
    CHECK(name_of(call::page) == std::string("page"));
    STATIC_REQUIRE(static_cast<std::size_t>(call::page) + 1 == kinds_of_calls);
}
