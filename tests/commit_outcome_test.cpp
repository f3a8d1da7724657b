// SPDX-License-Identifier: BSL-1.0
#include <coppice/commit_outcome.hpp>

#include <coppice/error.hpp>

#include <catch2/catch.hpp>
#include <kind_of.hpp>

#include <exception>

using namespace coppice;

TEST_CASE("an outcome is an id or what was thrown") {
    commit_outcome const done(commit_id{7});
    CHECK(done);
    CHECK(done.id().value == 7);
    CHECK(done.get().value == 7);
    CHECK(done.failure() == nullptr);
    commit_outcome const failed(commit_id{8},
                                std::make_exception_ptr(error(errc::sync_failed, "x")));
    CHECK_FALSE(failed);
    CHECK(failed.id().value == 8);
    CHECK(failed.failure() != nullptr);
    auto const copy = failed;
    CHECK(support::kind_of([&] { copy.get(); }) == errc::sync_failed);
}
