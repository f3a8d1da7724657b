// SPDX-License-Identifier: BSL-1.0
// backup, restore, branch.
#include "tool_bench.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <string>

TEST_CASE("a backup is made and extended and restored") {
    tool_bench const bench;
    bench.fill({{"a", "1"}, {"b", "1"}, {"a", "2"}});
    auto const backup = bench.path("backup.db");
    auto const restored = bench.path("restored.db");
    auto const made = bench.on_db("backup", {backup, "--incremental"}); // there is none yet
    CHECK(made.exit_code == 0);
    CHECK_THAT(made.err, Catch::Contains("commit 4:"));
    CHECK(bench.on_db("backup", {backup}).exit_code == 3);
    bench.fill({{"c", "3"}});
    auto const extended = bench.on_db("backup", {backup, "--incremental"});
    CHECK(extended.exit_code == 0);
    CHECK_THAT(extended.err, Catch::Contains("commit 5:"));
    CHECK(tool_bench::run({"check", backup}).exit_code == 0);
    CHECK(tool_bench::run({"restore", backup, restored}).exit_code == 0);
    CHECK(tool_bench::run({"scan", restored}).out == "a\t2\nb\t1\nc\t3\n");
    CHECK(tool_bench::run({"restore", backup, restored}).exit_code == 3);
    auto const earlier = bench.path("earlier.db");
    CHECK(tool_bench::run({"restore", backup, earlier, "--at", "3"}).exit_code == 0);
    CHECK(tool_bench::run({"scan", earlier}).out == "a\t1\nb\t1\n");
    REQUIRE(bench.on_db("compact").exit_code == 0);
    auto const refused = bench.on_db("backup", {backup, "--incremental"});
    CHECK(refused.exit_code == 2);
    CHECK_THAT(refused.err, Catch::Contains("full copy is needed"));
    CHECK(bench.on_db("backup", {backup, "--incremental", "--at", "5"}).exit_code == 2);
    CHECK(bench.on_db("backup", {"-", "--incremental"}).exit_code == 2);
}

TEST_CASE("a backup goes through a pipe and a damaged one is not restored") {
    tool_bench const bench;
    bench.fill({{"a", "1"}, {"b", "a value that is found again"}, {"c", "1"}});
    auto const piped = bench.path("piped.db");
    CHECK(bench.shell("\"$0\" backup \"$1\" - | cat > '" + piped + "'").exit_code == 0);
    CHECK(tool_bench::run({"scan", piped}).out == bench.on_db("scan").out);
    auto bytes = bench.content("piped.db");
    bytes[bytes.rfind("found again")] = 'F';
    bench.write("piped.db", bytes);
    auto const restored = bench.path("restored.db");
    CHECK(tool_bench::run({"restore", piped, restored}).exit_code == 5);
    CHECK_FALSE(std::filesystem::exists(restored));
    bench.write("piped.db", bytes.substr(0, bytes.size() - 1));
    CHECK(tool_bench::run({"restore", piped, restored}).exit_code == 5);
    CHECK_FALSE(std::filesystem::exists(restored));
}

TEST_CASE("a branch is another database from its commit on") {
    tool_bench const bench;
    bench.fill({{"a", "1"}, {"b", "1"}, {"a", "2"}});
    auto const branch = bench.path("branch.db");
    auto const made = bench.on_db("branch", {branch, "--at", "3"});
    CHECK(made.exit_code == 0);
    CHECK_THAT(made.err, Catch::Contains("begins with commit 3:"));
    REQUIRE(tool_bench::run({"put", branch, "own", "1"}).exit_code == 0);
    CHECK(tool_bench::run({"scan", branch}).out == "a\t1\nb\t1\nown\t1\n");
    CHECK(bench.on_db("scan").out == "a\t2\nb\t1\n");
    CHECK(bench.on_db("backup", {branch, "--incremental"}).exit_code == 2);
    CHECK(bench.on_db("branch", {branch}).exit_code == 3);
    CHECK(bench.on_db("branch", {bench.path("x.db"), "--at", "9"}).exit_code == 2);
    CHECK(bench.on_db("branch").exit_code == 2);
}
