// SPDX-License-Identifier: BSL-1.0
// get, put, del, scan, count: single entries and ranges of them.
#include "tool_bench.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

namespace {

std::vector<nlohmann::json> json_lines(std::string const& text) {
    std::vector<nlohmann::json> result;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
        result.push_back(nlohmann::json::parse(line));
    return result;
}

/// a0 .. a9, b0 .. b9, c0 .. c9, in one commit.
void fill_letters(tool_bench const& bench) {
    std::string dump = "VERSION=3\nformat=print\ntype=btree\nHEADER=END\n";
    for (char const letter : {'a', 'b', 'c'}) {
        for (char digit = '0'; digit <= '9'; ++digit) {
            dump += std::string(" ") + letter + digit + "\n v" + letter + digit + "\n";
        }
    }
    REQUIRE(bench.on_db("load", {}, dump + "DATA=END\n").exit_code == 0);
}

} // namespace

TEST_CASE("a value that was put is got back, byte for byte") {
    tool_bench const bench;
    for (std::string const value : {"red", "", "[a,b]", "{}", "-", "--", "two words", "\n\xff\n"}) {
        INFO(value);
        if (value == "-") { // it means stdin
            REQUIRE(bench.on_db("put", {"k", "-"}, "-").exit_code == 0);
        } else {
            REQUIRE(bench.on_db("put", {"k", "--", value}).exit_code == 0);
        }
        auto const got = bench.on_db("get", {"k"});
        CHECK(got.exit_code == 0);
        CHECK(got.out == value);
        CHECK(got.err.empty());
    }
}

TEST_CASE("keys may be empty, look like options, verbs or lists") {
    tool_bench const bench;
    for (std::string const key : {"", "-x", "--from", "get", "[a]", "{}", "-5", "a/b", "%%"}) {
        INFO(key);
        REQUIRE(bench.on_db("put", {"--", key, "value of " + key}).exit_code == 0);
        CHECK(bench.on_db("get", {"--", key}).out == "value of " + key);
    }
    CHECK(bench.on_db("count").out == "9\n");
}

TEST_CASE("a value comes from stdin: a pipe, a small file, a large file") {
    tool_bench const bench;
    std::string large;
    while (large.size() < (std::size_t{3} << 20U)) large += "line " + std::to_string(large.size());
    bench.write("large", large);
    REQUIRE(bench.on_db("put", {"small"}, "from a file").exit_code == 0);
    REQUIRE(bench.on_db("put", {"large"}, large).exit_code == 0);
    REQUIRE(bench.shell("printf 'from a pipe' | \"$0\" put \"$1\" piped").exit_code == 0);
    REQUIRE(bench.shell("cat '" + bench.path("large") + "' | \"$0\" put \"$1\" large-piped")
                .exit_code == 0);
    CHECK(bench.on_db("get", {"small"}).out == "from a file");
    CHECK(bench.on_db("get", {"piped"}).out == "from a pipe");
    CHECK((bench.on_db("get", {"large"}).out == large));
    CHECK((bench.on_db("get", {"large-piped"}).out == large));
    CHECK(bench.on_db("check").exit_code == 0);
}

TEST_CASE("a deleted key is gone, an absent one is told") {
    tool_bench const bench;
    bench.fill({{"k", "v"}});
    auto const deleted = bench.on_db("del", {"k"});
    CHECK(deleted.exit_code == 0);
    CHECK(deleted.err.empty());
    for (auto const& result : {bench.on_db("del", {"k"}), bench.on_db("get", {"k"})}) {
        CHECK(result.exit_code == 1);
        CHECK(result.out.empty());
        CHECK(result.err == "coppice: there is no such key\n");
    }
}

TEST_CASE("hex on the command line and in the output") {
    tool_bench const bench;
    REQUIRE(bench.on_db("put", {"--hex", "00ff", "c2A0"}).exit_code == 0);
    CHECK(bench.on_db("get", {"--hex", "00FF"}).out == "c2a0");
    CHECK(bench.on_db("scan", {"--hex"}).out == "00ff\tc2a0\n");
    CHECK(bench.on_db("scan", {"--hex", "--prefix", "00"}).out == "00ff\tc2a0\n");
    CHECK(bench.on_db("count", {"--hex", "--from", "01"}).out == "0\n");
    CHECK(bench.on_db("scan").out == "\\x00\\xff\t\xc2\xa0\n");
    REQUIRE(bench.on_db("put", {"--hex", "01", "-"}, "raw").exit_code == 0);
    CHECK(bench.on_db("get", {"--hex", "01"}).out == "726177");
    CHECK(bench.on_db("del", {"--hex", "01"}).exit_code == 0);
    CHECK(bench.on_db("get", {"--hex", "0"}).exit_code == 2);
    CHECK(bench.on_db("put", {"--hex", "00", "xy"}).exit_code == 2);
}

TEST_CASE("scan takes ranges, directions and limits") {
    tool_bench const bench;
    fill_letters(bench);
    struct expectation {
        std::vector<std::string> arguments;
        std::string keys;
    };
    std::vector<expectation> const all = {
        {{"--prefix", "b", "--limit", "3"}, "b0\nb1\nb2\n"},
        {{"--prefix", "b", "--limit", "2", "--reverse"}, "b9\nb8\n"},
        {{"--from", "a8", "--to", "b1"}, "a8\na9\nb0\n"},
        {{"--from", "a8", "--to", "b1", "--reverse"}, "b0\na9\na8\n"},
        {{"--from", "c8"}, "c8\nc9\n"},
        {{"--to", "a2", "--reverse"}, "a1\na0\n"},
        {{"--from", "b7", "--prefix", "b"}, "b7\nb8\nb9\n"},
        {{"--to", "b2", "--prefix", "b"}, "b0\nb1\n"},
        {{"--reverse", "--limit", "1"}, "c9\n"},
        {{"--from", "b", "--to", "a"}, ""},
        {{"--from", "b", "--to", "a", "--reverse"}, ""},
        {{"--to="}, ""},
        {{"--prefix", "x"}, ""},
        {{"--prefix", "x", "--reverse"}, ""},
        {{"--limit", "0"}, ""},
    };
    for (auto [arguments, keys] : all) {
        INFO(::Catch::Detail::stringify(arguments));
        arguments.push_back("--keys");
        auto const got = bench.on_db("scan", arguments);
        CHECK(got.exit_code == 0);
        CHECK(got.out == keys);
    }
    CHECK(bench.on_db("scan", {"--prefix", "a0"}).out == "a0\tva0\n");
}

TEST_CASE("count agrees with scan") {
    tool_bench const bench;
    fill_letters(bench);
    std::vector<std::vector<std::string>> const all = {{},
                                                       {"--prefix", "b"},
                                                       {"--from", "a8", "--to", "b1"},
                                                       {"--from", "b7", "--prefix", "b"},
                                                       {"--from", "c8"},
                                                       {"--to", "a2"},
                                                       {"--from", "b", "--to", "a"},
                                                       {"--prefix", "\xff"}};
    for (auto arguments : all) {
        INFO(::Catch::Detail::stringify(arguments));
        auto const counted = std::stoul(bench.on_db("count", arguments).out);
        arguments.push_back("--keys");
        auto const keys = bench.on_db("scan", arguments).out;
        CHECK(counted == static_cast<std::size_t>(std::count(keys.begin(), keys.end(), '\n')));
    }
}

TEST_CASE("scan escapes, or not, or writes JSON") {
    tool_bench const bench;
    bench.fill({{"tab\t", "new\nline"}, {"back\\slash", "\x01"}, {"caf\xc3\xa9", "\xff\xfe"}});
    CHECK(bench.on_db("scan").out == "back\\\\slash\t\\x01\n"
                                     "caf\xc3\xa9\t\\xff\\xfe\n"
                                     "tab\\t\tnew\\nline\n");
    CHECK(bench.on_db("scan", {"--raw"}).out == "back\\slash\t\x01\ncaf\xc3\xa9\t\xff\xfe\n"
                                                "tab\t\tnew\nline\n");
    auto const lines = json_lines(bench.on_db("scan", {"--json"}).out);
    REQUIRE(lines.size() == 3);
    CHECK(lines[0] == nlohmann::json{{"key", "back\\slash"}, {"value", "\x01"}});
    CHECK(lines[1] == nlohmann::json{{"key", "caf\xc3\xa9"}, {"value_base64", "//4="}});
    CHECK(lines[2] == nlohmann::json{{"key", "tab\t"}, {"value", "new\nline"}});
    CHECK(json_lines(bench.on_db("scan", {"--json", "--hex", "--limit", "1"}).out)[0] ==
          nlohmann::json{{"key_hex", "6261636b5c736c617368"}, {"value_hex", "01"}});
    CHECK(json_lines(bench.on_db("scan", {"--json", "--keys", "--prefix", "tab"}).out)[0] ==
          nlohmann::json{{"key", "tab\t"}});
}

TEST_CASE("an earlier commit can be read until the database is compacted") {
    tool_bench const bench;
    bench.fill({{"k", "first"}, {"k", "second"}, {"l", "third"}});
    CHECK(bench.on_db("get", {"k", "--at", "2"}).out == "first");
    CHECK(bench.on_db("get", {"k", "--at", "3"}).out == "second");
    CHECK(bench.on_db("get", {"k", "--at", "1"}).exit_code == 1);
    CHECK(bench.on_db("scan", {"--at", "2"}).out == "k\tfirst\n");
    CHECK(bench.on_db("count", {"--at", "3"}).out == "1\n");
    CHECK(bench.on_db("count", {"--at", "4"}).out == "2\n");
    CHECK(bench.on_db("get", {"k", "--at", "5"}).exit_code == 2);
    CHECK(bench.on_db("get", {"k", "--at", "0"}).exit_code == 2);
    REQUIRE(bench.on_db("compact").exit_code == 0);
    CHECK(bench.on_db("get", {"k", "--at", "2"}).exit_code == 2);
    CHECK(bench.on_db("get", {"k"}).out == "second");
}
