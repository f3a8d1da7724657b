// SPDX-License-Identifier: BSL-1.0
// What the type system promises to users, pinned.
#include <coppice/coppice.hpp>

#include <catch2/catch.hpp>

#include <iterator>
#include <ranges>
#include <type_traits>

using namespace coppice;

namespace {

template <typename T>
concept get_on_temporary = requires(T&& t) {
    std::forward<T>(t).get("key");
};
template <typename T>
concept begin_on_temporary = requires(T&& t) {
    std::forward<T>(t).begin();
};
template <typename T>
concept first_on_temporary = requires(T&& t) {
    std::forward<T>(t).first();
};

} // namespace

TEST_CASE("what would dangle does not compile") {
    STATIC_REQUIRE(get_on_temporary<snapshot const&>);
    STATIC_REQUIRE_FALSE(get_on_temporary<snapshot>);
    STATIC_REQUIRE_FALSE(get_on_temporary<transaction>);
    STATIC_REQUIRE_FALSE(begin_on_temporary<snapshot>);
    STATIC_REQUIRE_FALSE(begin_on_temporary<entry_range>);
    STATIC_REQUIRE_FALSE(first_on_temporary<snapshot>);
    STATIC_REQUIRE(first_on_temporary<snapshot&>);
}

TEST_CASE("handles move without throwing, and only what is a value is copied") {
    STATIC_REQUIRE(std::is_nothrow_move_constructible_v<database>);
    STATIC_REQUIRE(std::is_nothrow_move_assignable_v<database>);
    STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<database>);
    STATIC_REQUIRE(std::is_nothrow_move_constructible_v<transaction>);
    STATIC_REQUIRE(std::is_nothrow_move_assignable_v<transaction>);
    STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<transaction>);
    STATIC_REQUIRE(std::is_nothrow_move_constructible_v<snapshot>);
    STATIC_REQUIRE(std::is_copy_constructible_v<snapshot>);
    STATIC_REQUIRE(std::is_copy_constructible_v<cursor>);
    STATIC_REQUIRE(std::is_nothrow_destructible_v<database>);
    STATIC_REQUIRE(std::is_nothrow_destructible_v<transaction>);
}

TEST_CASE("iterators and ranges are those of C++20") {
    STATIC_REQUIRE(std::bidirectional_iterator<entry_iterator>);
    STATIC_REQUIRE(std::bidirectional_iterator<reverse_entry_iterator>);
    STATIC_REQUIRE(std::ranges::bidirectional_range<snapshot const&>);
    STATIC_REQUIRE(std::ranges::bidirectional_range<entry_range&>);
    STATIC_REQUIRE(std::is_same_v<std::iter_reference_t<entry_iterator>, entry>);
}

TEST_CASE("media model their concepts and views of nodes are small values") {
    STATIC_REQUIRE(storage::medium<storage::file_medium>);
    STATIC_REQUIRE(storage::medium<storage::memory_medium>);
    STATIC_REQUIRE(std::is_trivially_copyable_v<format::leaf_view>);
    STATIC_REQUIRE(std::is_trivially_copyable_v<format::inner_view>);
    STATIC_REQUIRE(sizeof(format::node_ref) == 16);
    STATIC_REQUIRE(sizeof(format::subtree) == 32);
}
