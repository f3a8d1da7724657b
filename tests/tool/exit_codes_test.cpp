// SPDX-License-Identifier: BSL-1.0
// How the tool ends where it cannot do what it was asked for.
#include "tool_bench.hpp"

#include <coppice/coppice.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

namespace fs = std::filesystem;

TEST_CASE("a command line that makes no sense ends with 2") {
    tool_bench const bench;
    bench.fill({{"k", "v"}});
    std::vector<std::vector<std::string>> const all = {
        {},
        {"bogus", bench.db()},
        {"get"},
        {"get", bench.db()},
        {"get", bench.db(), "k", "more"},
        {"get", bench.db(), "k", "--at", "soon"},
        {"get", bench.db(), "k", "--bogus"},
        {"put", bench.db(), "k", "v", "--durability", "hope"},
        {"put", bench.db(), "k", "v", "--wait", "-1"},
        {"compact", bench.db(), "--wait", "soon"},
        {"compact", bench.db(), "--rate", "0"},
        {"put", bench.db(), "k", "v", "--note", std::string(4097, 'n')},
        {"put", bench.db(), std::string(65536, 'k'), "v"},
        {"scan", bench.db(), "--raw", "--json"},
        {"scan", bench.db(), "--limit", "-1"},
        {"help", "bogus"},
    };
    for (auto const& words : all) {
        INFO(::Catch::Detail::stringify(words));
        auto const result = tool_bench::run(words);
        CHECK(result.exit_code == 2);
        CHECK(result.out.empty());
        CHECK(result.err.starts_with("coppice: "));
    }
    CHECK(bench.on_db("scan").out == "k\tv\n");
}

TEST_CASE("what cannot be opened ends with 3, and nothing is made") {
    tool_bench const bench;
    CHECK(bench.on_db("get", {"k"}).exit_code == 3);
    for (std::string const verb : {"scan", "count", "stat", "check", "log", "dump"}) {
        INFO(verb);
        CHECK(bench.on_db(verb).exit_code == 3);
    }
    CHECK(fs::is_empty(bench.path(".")));
    CHECK(bench.on_db("del", {"k"}).exit_code == 3);
    CHECK(bench.on_db("compact").exit_code == 3);
    CHECK_FALSE(fs::exists(bench.db()));
    bench.write("text", "this is no database, but a text that is longer than a header of one\n");
    CHECK(tool_bench::run({"get", bench.path("text"), "k"}).exit_code == 3);
    CHECK(tool_bench::run({"put", bench.path("text"), "k", "v"}).exit_code == 3);
    fs::create_directory(bench.path("folder"));
    CHECK(tool_bench::run({"put", bench.path("folder"), "k", "v"}).exit_code == 3);
    CHECK(tool_bench::run({"put", bench.path("none/x.db"), "k", "v"}).exit_code == 3);
    CHECK(bench.on_db("load", {"-i", bench.path("none")}).exit_code == 3);
    CHECK(bench.on_db("load", {"-i", bench.path(".")}).exit_code == 3);
    CHECK_FALSE(fs::exists(bench.db()));
    bench.fill({{"k", "v"}});
    CHECK(bench.on_db("dump", {"-o", bench.path("none/dump")}).exit_code == 3);
}

TEST_CASE("a full device ends with 3") {
    if (!fs::exists("/dev/full")) {
        WARN("skipped: there is no /dev/full");
        return;
    }
    tool_bench const bench;
    bench.fill({{"k", "v"}});
    for (std::string const command :
         {"get \"$1\" k", "scan \"$1\"", "dump \"$1\"", "stat \"$1\""}) {
        auto const result = bench.shell("\"$0\" " + command + " > /dev/full");
        CHECK(result.exit_code == 3);
        CHECK(result.err.starts_with("coppice: stdout: "));
    }
    CHECK(bench.on_db("dump", {"-o", "/dev/full"}).exit_code == 3);
}

TEST_CASE("a reader that goes away ends the tool quietly") {
    tool_bench const bench;
    std::string dump = "VERSION=3\nformat=print\ntype=btree\nHEADER=END\n";
    for (int i = 10000; i < 40000; ++i) dump += " " + std::to_string(i) + "\n some value\n";
    REQUIRE(bench.on_db("load", {}, dump + "DATA=END\n").exit_code == 0);
    for (std::string const verb : {"scan", "dump"}) {
        auto const cut = bench.shell("{ \"$0\" " + verb + " \"$1\"; echo $? >&2; } | head -n 1");
        CHECK(cut.exit_code == 0);
        CHECK(cut.err == "0\n");
    }
}

TEST_CASE("a lock that is not to be had in time ends with 4") {
    tool_bench const bench;
    bench.fill({{"k", "v"}});
    coppice::database db(bench.db(), {.create = coppice::create::never});
    {
        auto txn = db.write();
        txn.put("k", "not yet");
        auto const before = std::chrono::steady_clock::now();
        for (auto const& result : {bench.on_db("put", {"k", "w", "--wait", "0"}),
                                   bench.on_db("del", {"k", "--wait", "0.3"}),
                                   bench.on_db("load", {"--wait", "0.1"}, fruits_dump),
                                   bench.on_db("compact", {"--wait", "0.2"})}) {
            CHECK(result.exit_code == 4);
            CHECK(result.err.starts_with("coppice: "));
        }
        CHECK(std::chrono::steady_clock::now() - before >= std::chrono::milliseconds(600));
        CHECK(bench.on_db("get", {"k"}).out == "v"); // readers wait for nobody
        txn.commit();
    }
    CHECK(bench.on_db("get", {"k"}).out == "not yet");
    CHECK(bench.on_db("put", {"k", "w", "--wait", "5"}).exit_code == 0);
    CHECK(db.get("k") == "w");
    CHECK(db.stats().generation == 1);
    CHECK(bench.on_db("compact", {"--wait", "5"}).exit_code == 0);
    CHECK(bench.on_db("compact").exit_code == 0);
    CHECK(db.get("k") == "w");
    CHECK(db.stats().generation == 3);
}
