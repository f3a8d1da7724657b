// SPDX-License-Identifier: BSL-1.0
// tag, rollback, and what a compaction keeps.
#include "tool_bench.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

using nlohmann::json;

namespace {

/// The numbers of the commits that log prints.
std::string numbers_logged(tool_bench const& bench) {
    std::string numbers;
    std::istringstream lines(bench.on_db("log").out);
    for (std::string line; std::getline(lines, line);) {
        numbers += line.substr(0, line.find('\t')) + " ";
    }
    return numbers;
}

} // namespace

TEST_CASE("commits are named and listed and their names taken away") {
    tool_bench const bench;
    bench.fill({{"a", "1"}, {"a", "2"}, {"a", "3"}});
    CHECK(bench.on_db("tag").out.empty());
    CHECK(bench.on_db("tag", {"newest"}).exit_code == 0); // names 4, is 5
    CHECK(bench.on_db("tag", {"v1", "--at", "2"}).exit_code == 0);
    CHECK(bench.on_db("tag", {"a\tb", "--at", "v1", "--durability", "lazy"}).exit_code == 0);
    CHECK(bench.on_db("tag").out == "a\\tb\t2\nnewest\t4\nv1\t2\n");
    CHECK(bench.on_db("tag", {"--json"}).out == "{\"tag\":\"a\\tb\",\"commit\":2}\n"
                                                "{\"tag\":\"newest\",\"commit\":4}\n"
                                                "{\"tag\":\"v1\",\"commit\":2}\n");
    CHECK(bench.on_db("get", {"a", "--at", "v1"}).out == "1");
    CHECK(bench.on_db("get", {"a", "--at", "newest"}).out == "3");
    CHECK(bench.on_db("scan", {"--at", "v1"}).out == "a\t1\n");
    CHECK(bench.on_db("diff", {"v1", "newest"}).out == "~\ta\t1\t3\n");
    CHECK(bench.on_db("tag", {"v1", "--delete"}).exit_code == 0);
    CHECK(bench.on_db("tag", {"v1", "--delete"}).exit_code == 1);
    CHECK(bench.on_db("tag").out == "a\\tb\t2\nnewest\t4\n");
    CHECK(bench.on_db("get", {"a", "--at", "v1"}).exit_code == 2);
    CHECK(bench.on_db("check").exit_code == 0);
}

TEST_CASE("what cannot be a tag ends with 2 and nothing is made") {
    tool_bench const bench;
    CHECK(bench.on_db("tag").exit_code == 3);
    CHECK(bench.on_db("tag", {"v1"}).exit_code == 3);
    CHECK_FALSE(std::filesystem::exists(bench.db()));
    bench.fill({{"a", "1"}});
    std::vector<std::vector<std::string>> const all = {
        {""},
        {std::string(256, 'x')},
        {"v1", "--at", "99"},
        {"v1", "--at", "none"},
        {"v1", "--at", "2", "--delete"},
        {"--delete"},
        {"--at", "2"},
        {"v1", "v2"},
    };
    for (auto const& words : all) {
        INFO(::Catch::Detail::stringify(words));
        CHECK(bench.on_db("tag", words).exit_code == 2);
    }
    CHECK(bench.on_db("tag").out.empty());
}

TEST_CASE("log tells the names of commits") {
    tool_bench const bench;
    bench.fill({{"a", "1"}});
    bench.on_db("tag", {"x", "--at", "2"});
    bench.on_db("tag", {"y", "--at", "2"});
    auto const lines = bench.on_db("log").out;
    CHECK_THAT(lines, Catch::Contains("\tdurable\t\tx\ty\n1\t"));
    std::istringstream as_json(bench.on_db("log", {"--json"}).out);
    std::vector<json> commits;
    for (std::string line; std::getline(as_json, line);) commits.push_back(json::parse(line));
    REQUIRE(commits.size() == 4);
    CHECK_FALSE(commits[0].contains("tags"));
    CHECK(commits[2]["id"] == 2);
    CHECK(commits[2]["tags"] == json::parse(R"([{"tag":"x"},{"tag":"y"}])"));
}

TEST_CASE("a compaction keeps what is asked for and what has a name") {
    tool_bench const bench;
    bench.fill({{"a", "1"}, {"a", "2"}, {"a", "3"}, {"a", "4"}});
    bench.on_db("tag", {"v1", "--at", "2"}); // 6
    CHECK(bench.on_db("compact", {"--keep-commits", "3"}).exit_code == 0);
    CHECK(numbers_logged(bench) == "6 5 4 2 ");
    CHECK(bench.on_db("get", {"a", "--at", "v1"}).out == "1");
    CHECK(bench.on_db("get", {"a", "--at", "4"}).out == "3");
    CHECK(bench.on_db("get", {"a", "--at", "3"}).exit_code == 2);
    auto const figures = json::parse(bench.on_db("stat", {"--json"}).out);
    CHECK(figures["retained_bytes"].get<int>() > 0);
    CHECK(figures["garbage_bytes"] == 0);
    CHECK(bench.on_db("compact", {"--keep-age", "1w"}).exit_code == 0);
    CHECK(numbers_logged(bench) == "6 5 4 2 ");
    CHECK(bench.on_db("compact").exit_code == 0);
    CHECK(numbers_logged(bench) == "6 2 ");
    CHECK(bench.on_db("check").exit_code == 0);
    for (auto const* const wrong : {"", "s", "1", "1y", "-1s", "1.5h", "99999999999w"}) {
        CHECK(bench.on_db("compact", {"--keep-age", wrong}).exit_code == 2);
    }
    CHECK(bench.on_db("compact", {"--keep-commits", "-1"}).exit_code == 2);
}

TEST_CASE("a rollback makes a database that ends with an earlier commit") {
    tool_bench const bench;
    bench.fill({{"a", "1"}, {"b", "1"}, {"a", "2"}});
    bench.on_db("tag", {"good", "--at", "3"});
    auto const by_number = bench.path("number.db");
    auto const made = bench.on_db("rollback", {"--to", "2", "-o", by_number});
    CHECK(made.exit_code == 0);
    CHECK_THAT(made.err, Catch::Contains("begins with commit 2:"));
    CHECK(tool_bench::run({"scan", by_number}).out == "a\t1\n");
    auto const by_tag = bench.path("tag.db");
    CHECK(bench.on_db("rollback", {"--to", "good", "-o", by_tag}).exit_code == 0);
    CHECK(tool_bench::run({"scan", by_tag}).out == "a\t1\nb\t1\n");
    CHECK(tool_bench::run({"put", by_tag, "own", "1"}).exit_code == 0);
    CHECK(bench.on_db("scan").out == "a\t2\nb\t1\n");
    CHECK(bench.on_db("rollback", {"--to", "2", "-o", by_tag}).exit_code == 3);
    CHECK(bench.on_db("rollback", {"--to", "2"}).exit_code == 2);
    CHECK(bench.on_db("rollback", {"-o", bench.path("x.db")}).exit_code == 2);
    CHECK(bench.on_db("rollback", {"--to", "9", "-o", bench.path("x.db")}).exit_code == 2);
    CHECK(bench.on_db("rollback", {"--to", "bad", "-o", bench.path("x.db")}).exit_code == 2);
    CHECK_FALSE(std::filesystem::exists(bench.path("x.db")));
}

TEST_CASE("salvage tells the names that a damaged database had") {
    tool_bench const bench;
    bench.fill({{"a", "1"}, {"a", "2"}});
    bench.on_db("tag", {"v1", "--at", "2"});
    auto const saved = bench.on_db("salvage", {"-o", bench.path("saved.db"), "--json"});
    CHECK(saved.exit_code == 0);
    auto const report = json::parse(saved.out);
    CHECK(report["tags"] == json::parse(R"([{"tag":"v1","commit":2}])"));
    CHECK(report["tags_lost"] == false);
    auto const words = bench.on_db("salvage", {"-o", bench.path("again.db")});
    CHECK_THAT(words.err, Catch::Contains("the tag 'v1' named commit 2"));
}

TEST_CASE("commits with names are traced and replayed as others") {
    tool_bench const bench;
    bench.fill({{"a", "1"}, {"a", "2"}});
    bench.on_db("tag", {"v1", "--at", "2"});
    bench.fill({{"b", "3"}});
    auto const trace = bench.on_db("trace");
    CHECK(trace.exit_code == 0);
    auto const again = bench.path("again.db");
    CHECK(tool_bench::run({"replay", again}, trace.out).exit_code == 0);
    CHECK(tool_bench::run({"scan", again}).out == bench.on_db("scan").out);
}
