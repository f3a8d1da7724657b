// SPDX-License-Identifier: BSL-1.0
// del in its four forms, and dumps that LMDB has room for.
#include "tool_bench.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <utility>
#include <vector>

TEST_CASE("keys are erased one, by bounds, by prefix, or as the lines of a file") {
    tool_bench const bench;
    std::vector<std::pair<std::string, std::string>> pairs;
    for (char c = 'a'; c <= 'z'; ++c) pairs.emplace_back(std::string(2, c), "v");
    bench.fill(pairs);
    auto const count = [&] { return bench.on_db("count").out; };
    CHECK(bench.on_db("del", {"aa"}).exit_code == 0);
    CHECK(count() == "25\n");
    CHECK(bench.on_db("del", {"--from", "bb", "--to", "dd"}).exit_code == 0);
    CHECK(count() == "23\n");
    CHECK(bench.on_db("del", {"--to", "e"}).exit_code == 0);
    CHECK(count() == "22\n");
    CHECK(bench.on_db("del", {"--from", "yy"}).exit_code == 0);
    CHECK(count() == "20\n");
    CHECK(bench.on_db("del", {"--prefix", "x"}).exit_code == 0);
    CHECK(count() == "19\n");
    CHECK(bench.on_db("del", {"--keys-from", "-"}, "ee\nabsent\nff\n").exit_code == 0);
    CHECK(count() == "17\n");
    bench.write("keys", "6767\n6868\n");
    CHECK(bench.on_db("del", {"--hex", "--keys-from", bench.path("keys")}).exit_code == 0);
    CHECK(count() == "15\n");
    // One transaction each: a bad line, and nothing is erased.
    CHECK(bench.on_db("del", {"--hex", "--keys-from", "-"}, "6969\n6z\n").exit_code == 2);
    CHECK(count() == "15\n");
    CHECK(bench.on_db("del", {"--prefix", "none"}).exit_code == 1);
    CHECK(bench.on_db("del", {"--keys-from", bench.path("no such file")}).exit_code == 3);
    CHECK(bench.on_db("del").exit_code == 2);
    CHECK(bench.on_db("del", {"ii", "--prefix", "i"}).exit_code == 2);
    CHECK(count() == "15\n");
}

TEST_CASE("a dump for LMDB says how much room it needs, and mdb_load takes it") {
    if (!support::has_program("mdb_load")) {
        WARN("skipped: there is no mdb_load (Debian package lmdb-utils)");
        return;
    }
    tool_bench const bench;
    std::string dump = "VERSION=3\nformat=print\ntype=btree\nHEADER=END\n";
    for (int i = 0; i < 5000; ++i) {
        dump += " key" + std::to_string(i) + "\n " + std::string(500, 'v') + "\n";
    }
    CHECK(bench.on_db("load", {}, dump + "DATA=END\n").exit_code == 0);
    auto const plain = bench.shell("\"$0\" dump \"$1\" | mdb_load -n \"$1.small\"");
    CHECK(plain.exit_code != 0); // 1 MiB is too little for these
    auto const roomy = bench.shell("\"$0\" dump --lmdb \"$1\" | mdb_load -n \"$1.mdb\" && "
                                   "mdb_dump -n \"$1.mdb\" | \"$0\" load \"$1.back\" && "
                                   "\"$0\" dump \"$1\" > \"$1.one\" && "
                                   "\"$0\" dump \"$1.back\" | cmp - \"$1.one\"");
    CHECK(roomy.exit_code == 0);
}
