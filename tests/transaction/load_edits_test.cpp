// SPDX-License-Identifier: BSL-1.0
#include <coppice/transaction/load_edits.hpp>

#include <coppice/storage/memory_medium.hpp>
#include <coppice/store/appender.hpp>

#include <catch2/catch.hpp>

#include <map>
#include <string>

using namespace coppice;

TEST_CASE("pairs become edits in order, large values extents, and disorder an error") {
    storage::memory_medium medium;
    auto const file = medium.fresh();
    store::appender<storage::memory_storage> to(*file, 12288);
    std::map<std::string, std::string> const pairs = {{"a", "1"}, {"b", std::string(50, 'x')}};
    detail::load_edits edits(pairs, to, 40);
    REQUIRE_FALSE(edits.done());
    CHECK(edits.key() == "a");
    CHECK(edits.value()->raw == "1");
    CHECK_FALSE(edits.value()->out_of_line);
    edits.next();
    CHECK(edits.key() == "b");
    CHECK(edits.value()->out_of_line);
    CHECK(edits.value()->extent().length_bytes == 50);
    edits.next();
    CHECK(edits.done());
    CHECK(edits.count() == 2);

    std::vector<std::pair<std::string, std::string>> const twice = {{"a", "1"}, {"a", "2"}};
    detail::load_edits bad(twice, to, 40);
    CHECK_THROWS_AS(bad.next(), error);
}
