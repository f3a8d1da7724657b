// SPDX-License-Identifier: BSL-1.0
// One of two units that are built differently and linked into one program: a user's library may
// have been built with assertions, and the program without. It also has the tests of both.
#undef COPPICE_ASSERTIONS
#define COPPICE_ASSERTIONS 1
#define ABI_UNIT with_assertions
#include <abi_unit.hpp>

#include <kind_of.hpp>
#include <workbench.hpp>

#include <catch2/catch.hpp>

#include <string>
#include <thread>
#include <utility>

namespace {

/// Calls in a thread of its own, as two parts of a program may.
template <typename Call> bool elsewhere(Call call) {
    bool result = false;
    std::thread([&] { result = call(); }).join();
    return result;
}

} // namespace

TEST_CASE("units with and without assertions are two libraries that do not mix") {
    CHECK(abi::with_assertions::has_assertions());
    CHECK_FALSE(abi::without_assertions::has_assertions());
    CHECK(std::string(abi::with_assertions::type_name()) != abi::without_assertions::type_name());
}

TEST_CASE("two units that were built differently use one database together") {
    workbench::folder const dir;
    auto const path = (dir / "a.db").string();
    auto const checked = abi::with_assertions::open(path);
    auto const plain = abi::without_assertions::open(path);
    for (int i = 0; i < 60; ++i) {
        auto& by = i % 2 == 0 ? *checked : *plain;
        by.put(std::to_string(i), "value " + std::to_string(i));
        CHECK(checked->get(std::to_string(i)) == "value " + std::to_string(i));
        CHECK(plain->get(std::to_string(i)) == "value " + std::to_string(i));
        if (i % 20 == 19) by.compact();
    }
    CHECK(checked->size() == 60);
    CHECK(plain->size() == 60);
    CHECK(checked->sound());
    CHECK(plain->sound());
}

TEST_CASE("their locks exclude each other") {
    workbench::folder const dir;
    auto const path = (dir / "a.db").string();
    auto const checked = abi::with_assertions::open(path);
    auto const plain = abi::without_assertions::open(path);
    for (auto const& [one, other] :
         {std::pair(checked.get(), plain.get()), std::pair(plain.get(), checked.get())}) {
        CHECK(other->can_begin());
        one->begin();
        CHECK_FALSE(elsewhere([&, to = other] { return to->can_begin(); }));
        // The type of the error is the same in both.
        CHECK(support::kind_of([&, to = other] { static_cast<void>(to->can_begin()); }) ==
              coppice::errc::would_deadlock);
        one->commit();
        CHECK(elsewhere([&, to = other] { return to->can_begin(); }));
    }
}
