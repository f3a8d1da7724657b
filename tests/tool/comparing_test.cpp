// SPDX-License-Identifier: BSL-1.0
// diff, changes: what has changed between two commits, and in each of them.
#include "tool_bench.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <string>
#include <vector>

TEST_CASE("diff prints what was added erased and changed between two commits") {
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

TEST_CASE("changes prints each commit once and goes on where it was") {
    tool_bench const bench;
    bench.fill({{"a", "1"}, {"b", "1"}, {"a", "2"}});
    REQUIRE(bench.on_db("put", {"b", "2", "--note", "the\tlast"}).exit_code == 0);
    auto const all = bench.on_db("changes").out;
    CHECK(std::count(all.begin(), all.end(), '\n') == 14);
    CHECK_THAT(all, Catch::StartsWith("commit\t1:") && Catch::Contains("\twhole\ndone\t1:"));
    CHECK_THAT(all, Catch::Contains("the\\tlast\n~\tb\t1\t2\ndone\t5:"));
    // One commit after the other, each going on behind the one before.
    std::string one_by_one;
    std::vector<std::string> since;
    for (int i = 0; i < 5; ++i) {
        auto arguments = since;
        arguments.insert(arguments.end(), {"--limit", "1"});
        auto const part = bench.on_db("changes", arguments).out;
        one_by_one += part;
        auto const done = part.find("done\t");
        REQUIRE(done != std::string::npos);
        since = {part.substr(done + 5, part.size() - done - 6)};
    }
    CHECK(one_by_one == all);
    CHECK(bench.on_db("changes", since).out.empty());
    CHECK(bench.on_db("changes", {"--limit", "2", "--follow"}).out ==
          bench.on_db("changes", {"--limit", "2"}).out);
    CHECK_THAT(bench.on_db("changes", {"--json", "--prefix", "b"}).out,
               Catch::Contains("\"note\":\"the\\tlast\"}\n"
                               "{\"key\":\"b\",\"before\":\"1\",\"after\":\"2\"}\n{\"done\":\"5:"));
    // Whoever waits sees what comes.
    auto const followed =
        bench.shell("(sleep 0.1; \"$0\" put \"$1\" c new) & \"$0\" changes \"$1\" " + since[0] +
                    " --follow --limit 1; wait");
    CHECK(followed.exit_code == 0);
    CHECK_THAT(followed.out, Catch::Contains("+\tc\tnew\ndone\t6:"));
    for (std::string const wrong : {"5", "5:", "5:12", ":0123456789abcdef", "x:0123456789abcdef",
                                    "5:0123456789abcdeg", "5:0123456789abcdef0"}) {
        CHECK(bench.on_db("changes", {wrong}).exit_code == 2);
    }
    REQUIRE(bench.on_db("compact").exit_code == 0);
    auto const gone = bench.on_db("changes", since);
    CHECK(gone.exit_code == 2);
    CHECK_THAT(gone.err, Catch::Contains("begin anew"));
}
