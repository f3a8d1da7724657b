// SPDX-License-Identifier: BSL-1.0
#include <coppice/storage/left_in_fork.hpp>

#include <catch2/catch.hpp>
#include <child_process.hpp>
#include <workbench.hpp>

#include <stdexcept>

using coppice::storage::left_in_fork;
using workbench::child;
using workbench::reporter;

namespace {

/// Counts how many ended.
struct mortal {
    explicit mortal(int& count) : ended(&count) {
        if (count < 0) throw std::runtime_error("not made");
    }
    mortal(mortal const&) = delete;
    mortal& operator=(mortal const&) = delete;
    ~mortal() { ++*ended; }

    int* ended;
};

} // namespace

TEST_CASE("an object ends with its holder, and with the next one") {
    int ended = 0;
    {
        left_in_fork<mortal> held;
        CHECK_FALSE(held);
        held.reset();
        held.emplace(ended);
        CHECK(held);
        CHECK(held->ended == &ended);
        held.emplace(ended);
        CHECK(ended == 1);
        held.reset();
        CHECK(ended == 2);
        CHECK_FALSE(held);
        held.emplace(ended);
    }
    CHECK(ended == 3);
}

TEST_CASE("an object that cannot be made leaves none") {
    int ended = 0;
    left_in_fork<mortal> held;
    held.emplace(ended);
    int none = -1;
    CHECK_THROWS(held.emplace(none));
    CHECK(ended == 1);
    CHECK_FALSE(held);
}

TEST_CASE("a fork leaves the object of its parent, and ends its own") {
    if (workbench::skip_forks()) return;
    int ended = 0;
    left_in_fork<mortal> held;
    held.emplace(ended);
    child forked([&](reporter const& to) {
        held.reset();
        if (held || ended != 0) throw std::runtime_error("the parent's was ended");
        held.emplace(ended);
        held.reset();
        to.tell(1, static_cast<std::uint64_t>(ended));
    });
    auto const told = forked.all_reports();
    REQUIRE(told.size() == 1);
    CHECK(told.front().number == 1);
    CHECK(forked.wait() == 0);
    CHECK(ended == 0);
}
