// SPDX-License-Identifier: BSL-1.0
// dump and load: round trips, what is taken as a dump, and what is refused as a whole.
#include "tool_bench.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace {

std::string const dump_header = "VERSION=3\nformat=bytevalue\ntype=btree\nHEADER=END\n";
std::string const print_header = "VERSION=3\nformat=print\ntype=btree\nHEADER=END\n";

std::string scan(tool_bench const& bench) { return bench.on_db("scan").out; }

} // namespace

TEST_CASE("a dump is what db_dump would write") {
    tool_bench const bench;
    bench.fill({{"plum", "blue"}, {"apple", "red"}});
    CHECK(bench.on_db("dump").out == fruits_dump);
    REQUIRE(bench.on_db("dump", {"-o", bench.path("dump")}).exit_code == 0);
    CHECK(bench.content("dump") == fruits_dump);
    CHECK(bench.on_db("dump", {"--at", "2"}).out ==
          dump_header + " 706c756d\n 626c7565\nDATA=END\n");
    CHECK(bench.on_db("dump", {"--at", "1"}).out == dump_header + "DATA=END\n");
    CHECK(bench.on_db("dump", {"-p"}).out ==
          print_header + " apple\n red\n plum\n blue\nDATA=END\n");
}

TEST_CASE("what was dumped is loaded again, in both formats") {
    tool_bench const bench;
    std::string all;
    for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
    std::string const large(100000, '\\');
    bench.fill({{"", "of the empty key"}, {"empty", ""}, {"\\", "\\61"}});
    REQUIRE(bench.on_db("put", {"all"}, all).exit_code == 0);
    REQUIRE(bench.on_db("put", {"large"}, large).exit_code == 0);
    REQUIRE(bench.on_db("put", {"--hex", "00ff0a", "-"}, all).exit_code == 0);
    auto const dumped = bench.on_db("dump").out;
    for (std::string const format : {"dump", "dump -p"}) {
        auto const copied = bench.shell("\"$0\" " + format + " \"$1\" | \"$0\" load \"$1\".copy");
        CHECK(copied.exit_code == 0);
        CHECK(copied.err.empty());
        CHECK((tool_bench::run({"dump", bench.path("test.db.copy")}).out == dumped));
        std::filesystem::remove(bench.path("test.db.copy"));
    }
    CHECK((bench.on_db("get", {"all"}).out == all));
}

TEST_CASE("a load is one commit with a note") {
    tool_bench const bench;
    bench.fill({{"apple", "green"}});
    bench.write("dump", fruits_dump);
    REQUIRE(bench.on_db("load", {"-i", bench.path("dump"), "--note", "fruits"}).exit_code == 0);
    CHECK(scan(bench) == "apple\tred\nplum\tblue\n");
    auto const newest = nlohmann::json::parse(bench.on_db("log", {"--json", "--limit", "1"}).out);
    CHECK(newest["id"] == 3);
    CHECK(newest["note"] == "fruits");
}

TEST_CASE("keys that are there keep their values where that is asked for") {
    tool_bench const bench;
    bench.fill({{"apple", "green"}, {"cherry", "dark"}});
    REQUIRE(bench.on_db("load", {"-n"}, fruits_dump).exit_code == 0);
    CHECK(scan(bench) == "apple\tgreen\ncherry\tdark\nplum\tblue\n");
    // The same in an order that does not ascend.
    REQUIRE(bench
                .on_db("load", {"--no-overwrite"},
                       print_header + " z\n 1\n cherry\n 2\n b\n 3\n b\n 4\nDATA=END\n")
                .exit_code == 0);
    CHECK(scan(bench) == "apple\tgreen\nb\t3\ncherry\tdark\nplum\tblue\nz\t1\n");
}

TEST_CASE("keys may come in any order, and the last value of a key counts") {
    tool_bench const bench;
    std::string dump = print_header;
    for (int i = 0; i < 1000; ++i) dump += " " + std::to_string(i * 7919 % 1000) + "\n first\n";
    for (int i = 0; i < 1000; i += 2) dump += " " + std::to_string(i) + "\n second\n";
    REQUIRE(bench.on_db("load", {}, dump + "DATA=END\n").exit_code == 0);
    CHECK(bench.on_db("count").out == "1000\n");
    CHECK(bench.on_db("get", {"513"}).out == "first");
    CHECK(bench.on_db("get", {"514"}).out == "second");
    CHECK(bench.on_db("check").exit_code == 0);
    CHECK(nlohmann::json::parse(bench.on_db("stat", {"--json"}).out)["commits"] == 2);
}

TEST_CASE("headers of other programs are taken, their sizes ignored") {
    tool_bench const bench;
    REQUIRE(bench
                .on_db("load", {},
                       "VERSION=3\nformat=print\ndatabase=main\ntype=hash\nmapsize=1048576\n"
                       "maxreaders=126\ndb_pagesize=4096\nh_nelem=7\nduplicates=0\nkeys=1\n"
                       "something new=1\nHEADER=END\n a\\00\\\\ b\n \\ff\n \n \nDATA=END\n\n")
                .exit_code == 0);
    CHECK(scan(bench) == "\t\na\\x00\\\\ b\t\\xff\n");
}

TEST_CASE("a dump with duplicates is loaded only if there are none really") {
    tool_bench const bench;
    std::string const flags = "VERSION=3\nformat=print\nduplicates=1\ndupsort=1\nHEADER=END\n";
    CHECK(bench.on_db("load", {}, flags + " a\n 1\n b\n 2\nDATA=END\n").exit_code == 0);
    auto const twice = bench.on_db("load", {}, flags + " c\n 1\n d\n 2\n d\n 3\nDATA=END\n");
    CHECK(twice.exit_code == 5);
    CHECK(twice.err.find("stdin: line 10: ") != std::string::npos);
    CHECK(scan(bench) == "a\t1\nb\t2\n");
}

TEST_CASE("of a dump that was cut short nothing is loaded, wherever it was cut") {
    tool_bench const bench;
    bench.fill({{"apple", "green"}});
    // The last character is a newline, without which the dump is still whole.
    for (std::size_t length = 0; length + 1 < fruits_dump.size(); ++length) {
        INFO(length);
        auto const loaded =
            bench.on_db("load", {}, std::string_view(fruits_dump).substr(0, length));
        CHECK(loaded.exit_code == 5);
        CHECK(loaded.err.find("stdin: line ") != std::string::npos);
        CHECK(loaded.out.empty());
    }
    CHECK(scan(bench) == "apple\tgreen\n");
    CHECK(nlohmann::json::parse(bench.on_db("stat", {"--json"}).out)["commits"] == 2);
    CHECK(bench.on_db("check").exit_code == 0);
    CHECK(bench.on_db("load", {}, std::string_view(fruits_dump).substr(0, fruits_dump.size() - 1))
              .exit_code == 0);
    CHECK(bench.on_db("count").out == "2\n");
}

TEST_CASE("a dump that was cut short far inside leaves a database as it was") {
    tool_bench const bench;
    bench.fill({{"apple", "green"}});
    std::string dump = print_header;
    for (int i = 100000; i < 120000; ++i) {
        dump += " " + std::to_string(i) + "\n " + std::string(100, 'v') + "\n";
    }
    CHECK(bench.on_db("load", {}, dump).exit_code == 5);
    CHECK(bench.on_db("load", {}, dump + " 000\n descends\n 9\n").exit_code == 5);
    CHECK(scan(bench) == "apple\tgreen\n");
    CHECK(bench.on_db("check").exit_code == 0);
    CHECK(std::filesystem::file_size(bench.db()) < 100000);
}

TEST_CASE("a malformed dump is refused with the number of the line") {
    struct expectation {
        std::string dump;
        int line;
    };
    std::vector<expectation> const all = {
        {"", 0},
        {"apple\nred\n", 1},
        {"VERSION=2\nformat=print\nHEADER=END\nDATA=END\n", 1},
        {"format=print\nHEADER=END\nDATA=END\n", 2},
        {"VERSION=3\nHEADER=END\nDATA=END\n", 2},
        {"VERSION=3\nformat=xml\nHEADER=END\nDATA=END\n", 2},
        {"VERSION=3\nformat=print\ntype=recno\nHEADER=END\nDATA=END\n", 3},
        {"VERSION=3\nformat=print\nkeys=0\nHEADER=END\nDATA=END\n", 3},
        {dump_header + " 61\n 6\nDATA=END\n", 6},
        {dump_header + " 6g\n 61\nDATA=END\n", 5},
        {dump_header + "61\n 61\nDATA=END\n", 5},
        {dump_header + " 61\nDATA=END\n", 6},
        {dump_header + " 61\n 61\n\nDATA=END\n", 7},
        {dump_header + " 61\n 61\nDATA=END\n" + dump_header + "DATA=END\n", 8},
        {dump_header + " " + std::string(65536 * 2, '6') + "\n 61\nDATA=END\n", 5},
        {print_header + " a\\\n b\nDATA=END\n", 5},
        {print_header + " a\\6\n b\nDATA=END\n", 5},
        {print_header + " a\\zz\n b\nDATA=END\n", 5},
    };
    tool_bench const bench;
    bench.fill({{"apple", "green"}});
    for (auto const& [dump, line] : all) {
        INFO(dump.substr(0, 200));
        auto const loaded = bench.on_db("load", {}, dump);
        CHECK(loaded.exit_code == 5);
        CHECK(loaded.err.starts_with("coppice: stdin: line " + std::to_string(line) + ": "));
    }
    CHECK(scan(bench) == "apple\tgreen\n");
}
