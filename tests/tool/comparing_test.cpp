// SPDX-License-Identifier: BSL-1.0
// diff: what has changed between two commits.
#include "tool_bench.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <string>

TEST_CASE("diff prints what was added, erased and changed between two commits") {
    tool_bench const bench;
    bench.fill({{"a", "1"}, {"b", "1"}, {"tab\t", "1"}, {"a", "2"}, {"c", "\xff"}});
    REQUIRE(bench.on_db("del", {"b"}).exit_code == 0);
    CHECK(bench.on_db("diff", {"4"}).out == "~\ta\t1\t2\n-\tb\t1\n+\tc\t\\xff\n");
    CHECK(bench.on_db("diff", {"7", "4"}).out == "~\ta\t2\t1\n+\tb\t1\n-\tc\t\\xff\n");
    CHECK(bench.on_db("diff", {"4", "5"}).out == "~\ta\t1\t2\n");
    CHECK(bench.on_db("diff", {"1", "4", "--from", "b"}).out == "+\tb\t1\n+\ttab\\t\t1\n");
    CHECK(bench.on_db("diff", {"1", "4", "--to", "b"}).out == "+\ta\t1\n");
    CHECK(bench.on_db("diff", {"1", "--prefix", "c", "--hex"}).exit_code == 2);
    CHECK(bench.on_db("diff", {"1", "--prefix", "63", "--hex"}).out == "+\t63\tff\n");
    CHECK(bench.on_db("diff", {"7"}).out.empty());
    CHECK(bench.on_db("diff", {"7", "7"}).exit_code == 0);
    CHECK(bench.on_db("diff", {"4", "--json"}).out ==
          "{\"key\":\"a\",\"before\":\"1\",\"after\":\"2\"}\n"
          "{\"key\":\"b\",\"before\":\"1\"}\n"
          "{\"key\":\"c\",\"after_base64\":\"/w==\"}\n");
}

TEST_CASE("diff refuses commits that are not there") {
    tool_bench const bench;
    bench.fill({{"a", "1"}, {"a", "2"}});
    CHECK(bench.on_db("diff").exit_code == 2);
    CHECK(bench.on_db("diff", {"x"}).exit_code == 2);
    CHECK(bench.on_db("diff", {"0"}).exit_code == 2);
    CHECK(bench.on_db("diff", {"1", "9"}).exit_code == 2);
    REQUIRE(bench.on_db("compact").exit_code == 0);
    auto const gone = bench.on_db("diff", {"2"});
    CHECK(gone.exit_code == 2);
    CHECK_THAT(gone.err, Catch::Contains("commit 2"));
}
