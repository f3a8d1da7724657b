// SPDX-License-Identifier: BSL-1.0
// stat, check, log, compact, help: what the tool says about a database and about itself.
#include "tool_bench.hpp"

#include <coppice/version.hpp>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <chrono>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

using nlohmann::json;

TEST_CASE("stat tells the figures, in words and as JSON") {
    tool_bench const bench;
    bench.fill({{"a", "1"}, {"b", "2"}});
    auto const figures = json::parse(bench.on_db("stat", {"--json"}).out);
    CHECK(figures["file"] == bench.db());
    CHECK(figures["entries"] == 2);
    CHECK(figures["commits"] == 3);
    CHECK(figures["newest_commit"] == 3);
    CHECK(figures["durable_commit"] == 3);
    CHECK(figures["height"] == 1);
    CHECK(figures["live_bytes"].get<int>() + figures["garbage_bytes"].get<int>() ==
          figures["valid_bytes"].get<int>());
    auto const words = bench.on_db("stat").out;
    for (auto const& [name, value] : figures.items()) {
        INFO(name);
        CHECK(std::regex_search(words, std::regex("(^|\n)" + name + " +[^\n]+\n")));
    }
}

TEST_CASE("check tells that all is well") {
    tool_bench const bench;
    bench.fill({{"a", "1"}, {"b", std::string(5000, 'x')}});
    auto const checked = bench.on_db("check");
    CHECK(checked.exit_code == 0);
    CHECK(checked.err.empty());
    auto const report = json::parse(bench.on_db("check", {"--json"}).out);
    CHECK(report["clean"] == true);
    CHECK(report["entries"] == 2);
    CHECK(report["commits"] == 3);
    CHECK(report["findings"] == json::array());
}

TEST_CASE("damage is found by check, and met by those who read it") {
    tool_bench const bench;
    bench.fill({{"a", "a value to be found"}, {"b", "1"}});
    for (int i = 0; i < 300; ++i) { // so that `a` and `z` do not share a leaf
        bench.write("more", bench.content("more") + " m" + std::to_string(i + 100) + "\n " +
                                std::string(100, 'm') + "\n");
    }
    REQUIRE(bench
                .on_db("load", {"--durability", "two_sync"},
                       "VERSION=3\nformat=print\ntype=btree\nHEADER=END\n" + bench.content("more") +
                           " z\n last\nDATA=END\n")
                .exit_code == 0);
    auto bytes = bench.content("test.db");
    auto const at = bytes.rfind("a value to be found");
    REQUIRE(at != std::string::npos);
    bytes[at + 3] = static_cast<char>(bytes[at + 3] ^ 1);
    bench.write("test.db", bytes);

    auto const got = bench.on_db("get", {"a"});
    CHECK(got.exit_code == 5);
    CHECK(got.out.empty());
    CHECK_FALSE(got.err.empty());
    CHECK(bench.on_db("scan").exit_code == 5);
    CHECK(bench.on_db("dump").exit_code == 5);
    CHECK(bench.on_db("get", {"z"}).out == "last");
    auto const checked = bench.on_db("check");
    CHECK(checked.exit_code == 1);
    CHECK_FALSE(checked.err.empty());
    auto const as_json = bench.on_db("check", {"--json"});
    CHECK(as_json.exit_code == 1);
    auto const report = json::parse(as_json.out);
    CHECK(report["clean"] == false);
    CHECK_FALSE(report["findings"].empty());
}

TEST_CASE("log tells the commits, newest first") {
    tool_bench const bench;
    REQUIRE(bench.on_db("put", {"a", "1", "--note", "the first\tnote"}).exit_code == 0);
    REQUIRE(
        bench.on_db("put", {"b", "2", "--durability", "lazy", "--note", "caf\xc3\xa9"}).exit_code ==
        0);
    REQUIRE(bench.on_db("del", {"a", "--note", "\xff"}).exit_code == 0);
    REQUIRE(bench.on_db("put", {"c", "3", "--durability", "lazy"}).exit_code == 0);

    std::istringstream lines(bench.on_db("log", {"--json"}).out);
    std::vector<json> commits;
    for (std::string line; std::getline(lines, line);) commits.push_back(json::parse(line));
    REQUIRE(commits.size() == 5);
    for (std::size_t i = 0; i < 5; ++i) {
        CHECK(commits[i]["id"] == 5 - i);
        CHECK(std::regex_match(commits[i]["time"].get<std::string>(),
                               std::regex(R"(20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)")));
        CHECK(commits[i]["bytes"].is_number_unsigned());
    }
    CHECK(commits[0]["durable"] == false);
    CHECK(commits[1]["durable"] == true);
    CHECK(commits[1]["note_base64"] == "/w==");
    CHECK(commits[2]["note"] == "caf\xc3\xa9");
    CHECK(commits[2]["entries"] == 2);
    CHECK(commits[3]["note"] == "the first\tnote");
    CHECK(commits[4]["entries"] == 0);

    auto const words = bench.on_db("log", {"--limit", "2"}).out;
    CHECK(std::regex_match(words, std::regex("5\t20[^\t]+Z\t2\t\\d+\tlazy\t\n"
                                             "4\t20[^\t]+Z\t1\t\\d+\tdurable\t\\\\xff\n")));
    CHECK(bench.on_db("log", {"--limit", "0"}).out.empty());
}

TEST_CASE("compact drops the history and tells the sizes") {
    tool_bench const bench;
    bench.fill({{"a", std::string(5000, '1')}, {"a", std::string(5000, '2')}, {"b", "3"}});
    auto const before = bench.on_db("dump").out;
    auto const size_before = std::filesystem::file_size(bench.db());
    auto const compacted = bench.on_db("compact");
    auto const size_after = std::filesystem::file_size(bench.db());
    CHECK(compacted.exit_code == 0);
    CHECK(compacted.out.empty());
    CHECK(compacted.err == "coppice: " + bench.db() + ": " + std::to_string(size_before) +
                               " bytes before, " + std::to_string(size_after) + " after\n");
    CHECK(size_after < size_before);
    CHECK(bench.on_db("dump").out == before);
    CHECK(json::parse(bench.on_db("stat", {"--json"}).out)["commits"] == 1);
    CHECK(bench.on_db("check").exit_code == 0);
}

TEST_CASE("help and the version go to stdout") {
    for (std::vector<std::string> const& words :
         {std::vector<std::string>{"--help"}, {"help"}, {"help", "scan"}, {"scan", "--help"}}) {
        auto const help = tool_bench::run(words);
        CHECK(help.exit_code == 0);
        CHECK(help.out.find("Usage: coppice") != std::string::npos);
        CHECK(help.err.empty());
    }
    CHECK(tool_bench::run({"help", "scan"}).out.find("key_base64") != std::string::npos);
    auto const version = tool_bench::run({"--version"});
    CHECK(version.exit_code == 0);
    CHECK(version.out == "coppice " COPPICE_VERSION_STRING "\n");
}
