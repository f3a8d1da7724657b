// SPDX-License-Identifier: BSL-1.0
// What the type system promises to users, pinned.
#include <coppice/coppice.hpp>

#include <catch2/catch.hpp>

#include <concepts>
#include <cstdint>
#include <iterator>
#include <ranges>
#include <system_error>
#include <type_traits>
#include <utility>

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
    STATIC_REQUIRE(sizeof(format::subtree) == 48);
}

TEST_CASE("the parts of the format have the sizes that docs/format.md gives them") {
    STATIC_REQUIRE(format::block_bytes == 4096);
    STATIC_REQUIRE(format::data_begin_offset == 12288);
    STATIC_REQUIRE(format::file_header::encoded_bytes == 72);
    STATIC_REQUIRE(format::superblock_bytes == 128);
    STATIC_REQUIRE(format::slot_offset(0) == 4096);
    STATIC_REQUIRE(format::slot_offset(1) == 8192);
    STATIC_REQUIRE(format::commit_record_fixed_bytes == 128);
    STATIC_REQUIRE(format::commit_record_max_bytes <= 65'528);
    STATIC_REQUIRE(format::extent_ref::encoded_bytes == 24);
    STATIC_REQUIRE(format::node_header_bytes == 16);
    STATIC_REQUIRE(format::live_page_bytes == 144);
    STATIC_REQUIRE(format::max_node_bytes == 4'194'288);
    STATIC_REQUIRE(max_key_bytes == 65'535);
    STATIC_REQUIRE(max_value_bytes == (std::uint64_t{1} << 47U) - 1);
    STATIC_REQUIRE(max_note_bytes == 4096);
    STATIC_REQUIRE(format::format_version == 1);
}

namespace {

template <typename T>
concept note_on_temporary = requires(T&& t) {
    std::forward<T>(t).note();
};
template <typename T>
concept find_on_temporary = requires(T&& t) {
    std::forward<T>(t).find("key");
    std::forward<T>(t).lower_bound("key");
    std::forward<T>(t).upper_bound("key");
    std::forward<T>(t).nth(1);
};
template <typename T>
concept find_one_on_temporary = requires(T&& t) {
    std::forward<T>(t).find("key");
}
|| requires(T&& t) { std::forward<T>(t).lower_bound("key"); }
|| requires(T&& t) { std::forward<T>(t).upper_bound("key"); }
|| requires(T&& t) { std::forward<T>(t).nth(1); }
|| requires(T&& t) { std::forward<T>(t).last(); }
|| requires(T&& t) { std::forward<T>(t).end(); };

} // namespace

TEST_CASE("every place that a temporary snapshot could hand out is refused") {
    STATIC_REQUIRE(note_on_temporary<snapshot const&>);
    STATIC_REQUIRE_FALSE(note_on_temporary<snapshot>);
    STATIC_REQUIRE(find_on_temporary<snapshot const&>);
    STATIC_REQUIRE_FALSE(find_one_on_temporary<snapshot>);
    // Ranges and cursors own a share, so a temporary may make them.
    STATIC_REQUIRE(std::is_same_v<decltype(std::declval<snapshot>().all()), entry_range>);
    STATIC_REQUIRE(std::is_same_v<decltype(std::declval<snapshot>().cursor()), cursor>);
}

TEST_CASE("what is a value behaves like one") {
    STATIC_REQUIRE(std::copyable<snapshot>);
    STATIC_REQUIRE(std::equality_comparable<snapshot>);
    STATIC_REQUIRE_FALSE(std::is_default_constructible_v<snapshot>);
    STATIC_REQUIRE(std::semiregular<cursor>);
    STATIC_REQUIRE(std::equality_comparable<cursor>);
    STATIC_REQUIRE(std::copyable<entry_range>);
    STATIC_REQUIRE(std::copyable<savepoint>);
    STATIC_REQUIRE(std::copyable<commit_history>);
    STATIC_REQUIRE(std::is_trivially_copyable_v<entry>);
    STATIC_REQUIRE(std::is_trivially_copyable_v<key_bound>);
    STATIC_REQUIRE(std::is_nothrow_copy_constructible_v<snapshot>);
    STATIC_REQUIRE(std::is_nothrow_swappable_v<database>);
    STATIC_REQUIRE(std::is_nothrow_swappable_v<transaction>);
    STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<transaction::value_writer>);
    STATIC_REQUIRE(std::is_nothrow_move_constructible_v<transaction::value_writer>);
    STATIC_REQUIRE_FALSE(std::is_move_assignable_v<transaction::value_writer>);
    STATIC_REQUIRE(std::is_base_of_v<std::system_error, error>);
}

TEST_CASE("ranges are views of the right kind, and histories can be walked") {
    STATIC_REQUIRE(std::input_iterator<commit_history::iterator>);
    STATIC_REQUIRE(std::ranges::input_range<commit_history const&>);
    STATIC_REQUIRE(std::ranges::bidirectional_range<basic_entry_range<true>&>);
    STATIC_REQUIRE(std::ranges::common_range<entry_range&>);
    STATIC_REQUIRE_FALSE(std::ranges::random_access_range<entry_range&>);
    STATIC_REQUIRE_FALSE(std::ranges::borrowed_range<entry_range>); // its entries would dangle
    STATIC_REQUIRE(std::is_same_v<std::ranges::range_value_t<snapshot const&>, entry>);
    STATIC_REQUIRE(std::is_same_v<std::ranges::range_value_t<commit_history&>, commit_info>);
}

TEST_CASE("the engine is written against concepts, and these model them") {
    STATIC_REQUIRE(storage::storage<storage::file_storage>);
    STATIC_REQUIRE(storage::storage<storage::memory_storage>);
    STATIC_REQUIRE(storage::writer_lock<storage::path_lock>);
    STATIC_REQUIRE(storage::writer_lock<storage::memory_lock>);
    STATIC_REQUIRE(store::readable<storage::file_storage>);
    STATIC_REQUIRE(tree::node_source<store::revision>);
    STATIC_REQUIRE(tree::node_sink<store::appender<storage::file_storage>>);
    STATIC_REQUIRE(tree::relocation_sink<store::appender<storage::memory_storage>>);
    STATIC_REQUIRE_FALSE(storage::medium<storage::file_storage>);
}
