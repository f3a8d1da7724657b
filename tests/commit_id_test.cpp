// SPDX-License-Identifier: BSL-1.0
#include <coppice/commit_id.hpp>

#include <catch2/catch.hpp>

#include <type_traits>

using coppice::commit_id;

TEST_CASE("an identity is a number and a checksum") {
    using coppice::commit_identity;
    STATIC_REQUIRE(commit_identity{{1}, 2} == commit_identity{{1}, 2});
    STATIC_REQUIRE(commit_identity{{1}, 2} != commit_identity{{1}, 3});
    STATIC_REQUIRE(commit_identity{{1}, 2} != commit_identity{{2}, 2});
    STATIC_REQUIRE(commit_identity{}.id == commit_id{});
}

TEST_CASE("commit ids compare by number and do not turn into numbers by themselves") {
    STATIC_REQUIRE(commit_id{1} < commit_id{2});
    STATIC_REQUIRE(commit_id{} == commit_id{0});
    STATIC_REQUIRE_FALSE(std::is_convertible_v<commit_id, std::uint64_t>);
    STATIC_REQUIRE_FALSE(std::is_convertible_v<std::uint64_t, commit_id>);
    STATIC_REQUIRE(std::is_trivially_copyable_v<commit_id>);
}
