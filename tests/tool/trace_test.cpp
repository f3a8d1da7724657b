// SPDX-License-Identifier: BSL-1.0
// trace and replay: what one writes the other one rebuilds, commit by commit; what is refused.
#include "tool_bench.hpp"

#include <coppice/coppice.hpp>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace fs = std::filesystem;

namespace {

std::string const trace_header = "coppice trace 1\n";

std::string lines_with(std::string const& text, std::string const& what) {
    std::istringstream lines(text);
    std::string result;
    for (std::string line; std::getline(lines, line);) {
        if (line.find(what) != std::string::npos) result += line + "\n";
    }
    return result;
}

/// The numbers of all commits, newest first, and their notes. Without the empty one with which a
/// database begins: a compacted file has none.
std::vector<std::pair<std::uint64_t, std::string>> commits(std::string const& path) {
    coppice::database const db(path, {.read_only = true});
    std::vector<std::pair<std::uint64_t, std::string>> result;
    std::uint64_t entries = 0;
    for (auto const& each : db.history()) {
        result.emplace_back(each.id.value, each.note);
        entries = each.entries;
    }
    if (entries == 0) result.pop_back();
    return result;
}

/// Traces the database, replays that into another one, and compares both at every commit.
void must_rebuild(tool_bench const& bench, std::vector<std::string> const& more = {}) {
    auto const traced = bench.on_db("trace", more);
    REQUIRE(traced.exit_code == 0);
    CHECK(traced.err.empty());
    auto const copy = bench.path("copy.db");
    auto const replayed = tool_bench::run({"replay", copy}, traced.out);
    REQUIRE(replayed.err.empty());
    REQUIRE(replayed.exit_code == 0);
    CHECK(replayed.out.empty());

    auto const then = commits(bench.db());
    auto const now = commits(copy);
    REQUIRE(now.size() == then.size());
    for (std::size_t i = 0; i < then.size(); ++i) {
        INFO("commit " << then[i].first);
        CHECK(now[i].second == then[i].second);
        auto const wanted = bench.on_db("dump", {"--at", std::to_string(then[i].first)}).out;
        auto const found = tool_bench::run({"dump", copy, "--at", std::to_string(now[i].first)});
        CHECK((found.out == wanted));
    }
    // The second trace holds the hashes of the second database.
    auto const again = tool_bench::run({"trace", copy}).out;
    CHECK((lines_with(again, " hash ") == lines_with(bench.on_db("trace").out, " hash ")));
    CHECK(tool_bench::run({"check", copy}).exit_code == 0);
    fs::remove(copy);
}

} // namespace

TEST_CASE("a trace is what people can read") {
    tool_bench const bench;
    bench.fill({{"apple", "red"}, {"plum", "blue"}});
    REQUIRE(bench.on_db("del", {"apple", "--note", "eaten"}).exit_code == 0);
    CHECK(bench.on_db("trace", {"--no-hashes", "--durability", "sync"}).out ==
          trace_header + "# commit 2\nbegin\nput \"apple\" \"red\"\ncommit sync\n"
                         "# commit 3\nbegin\nput \"plum\" \"blue\"\ncommit sync\n"
                         "# commit 4\nbegin\nerase \"apple\"\ncommit sync note \"eaten\"\nend\n");
    REQUIRE(bench.on_db("compact").exit_code == 0);
    REQUIRE(bench.on_db("trace", {"-o", bench.path("trace")}).exit_code == 0);
    CHECK(bench.content("trace") ==
          trace_header + "# commit 4\nbegin\nload\npair \"plum\" \"blue\"\n"
                         "commit lazy note \"eaten\" hash e4589d6029337a79\nsync\nend\n");
    must_rebuild(bench);
}

TEST_CASE("what was traced is rebuilt commit by commit") {
    tool_bench const bench;
    std::string all;
    for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
    {
        coppice::database db(bench.db(), {.nodes = {128, 160, 32}});
        db.update([&](auto& t) { t.put("", "of the empty key"); }, {}, "first");
        db.update([&](auto& t) { t.put("empty", ""); }, {}, all);
        db.update([&](auto& t) { t.put(all, all); }, coppice::durability::lazy, "");
        db.update([&](auto& t) { t.put("large", std::string(1 << 20, '\xfe')); });
        db.update([&](auto& t) { t.put("text", std::string(1 << 20, 't')); });
        db.update([&](auto& t) {
            for (int i = 0; i < 500; ++i) t.put("n" + std::to_string(i * 7919 % 500), all);
        });
        db.update([&](auto& t) { t.erase_prefix("n1"); });
        db.update([&](auto& t) { t.put("", "another"); });
        db.update([&](auto& t) { t.put("empty", ""); }, {}, "what was there");
        db.update([&](auto& t) { t.erase_prefix(""); }, {}, "nothing left");
        db.update([&](auto& t) { t.put("k", std::string(65535, 'v')); });
        db.update([&](auto& t) { t.put(std::string(65535, 'k'), "v"); });
    }
    must_rebuild(bench);
    must_rebuild(bench, {"--no-hashes"});
    must_rebuild(bench, {"--durability", "two_sync"});
    REQUIRE(bench.on_db("compact").exit_code == 0);
    REQUIRE(bench.on_db("put", {"after", "that"}).exit_code == 0);
    must_rebuild(bench);
}

TEST_CASE("an empty database has an empty trace") {
    tool_bench const bench;
    { coppice::database const db(bench.db()); }
    CHECK(bench.on_db("trace").out == trace_header + "sync\nend\n");
    must_rebuild(bench);
}

TEST_CASE("a trace goes through a pipe and comes from a file") {
    tool_bench const bench;
    bench.fill({{"a", "1"}, {"b", "2"}, {"a", "3"}});
    auto const piped = bench.shell("\"$0\" trace \"$1\" | \"$0\" replay \"$1\".copy -");
    CHECK(piped.exit_code == 0);
    CHECK(piped.err.empty());
    auto const from_file = bench.shell("\"$0\" trace \"$1\" -o \"$1\".trace && "
                                       "\"$0\" replay \"$1\".copy2 \"$1\".trace");
    CHECK(from_file.exit_code == 0);
    for (std::string const copy : {"test.db.copy", "test.db.copy2"}) {
        CHECK(tool_bench::run({"dump", bench.path(copy)}).out == bench.on_db("dump").out);
    }
}

TEST_CASE("stdin that is a file is read from where it stands") {
    tool_bench const bench;
    bench.write("text", "not a part of it\n" + trace_header + "begin\nput \"a\" \"1\"\n" +
                            "commit sync\nend\n");
    auto const replayed =
        bench.shell("{ dd bs=1 count=17 of=/dev/null 2>&0; \"$0\" replay \"$1\"; } < \"$(dirname "
                    "\"$1\")/text\"");
    CHECK(replayed.err.empty());
    CHECK(bench.on_db("scan").out == "a\t1\n");
}

TEST_CASE("a replay can do all that a trace can say") {
    tool_bench const bench;
    auto const replayed = bench.on_db(
        "replay", {},
        trace_header +
            "option leaf_bytes 256\noption inner_bytes 128\noption inline_value_bytes 16\n"
            "begin\nput \"a\" \"1\"\nput \"b\" \"2\"\ninsert \"a\" \"no\"\nview\nget \"a\"\n"
            "savepoint 0\nerase-prefix \"\"\nrollback 0\ncommit lazy note \"one\"\nhold\n"
            "begin\nput \"z\" \"\"\nabort\nreopen\ncompact\nsync\n"
            "begin\nload\npair \"c\" \"3\"\npair \"d\" \"4\"\nload\nerase-range \"a\" \"b\"\n"
            "stream \"s\" \"in pieces\"\nabandon \"t\" 5\ncommit two_sync\n"
            "begin\nerase-from \"s\"\nerase \"d\"\ncommit sync\nend\n");
    CHECK(replayed.err.empty());
    CHECK(replayed.exit_code == 0);
    CHECK(bench.on_db("scan").out == "b\t2\nc\t3\n");
    CHECK(coppice::database(bench.db()).stats().nodes.leaf_bytes == 256);
}

TEST_CASE("a replay goes on with what is there") {
    tool_bench const bench;
    bench.fill({{"a", "1"}});
    REQUIRE(bench.on_db("replay", {}, trace_header + "begin\nput \"b\" \"2\"\ncommit sync\nend\n")
                .exit_code == 0);
    CHECK(bench.on_db("scan").out == "a\t1\nb\t2\n");
}

TEST_CASE("a commit that would not be that of the trace is not made") {
    tool_bench const bench;
    bench.fill({{"a", "1"}, {"b", "2"}});
    auto const traced = bench.on_db("trace").out;
    tool_bench const other;
    other.fill({{"z", "in the way"}});
    auto const replayed = other.on_db("replay", {}, traced);
    CHECK(replayed.exit_code == 1);
    CHECK(replayed.err.starts_with("coppice: stdin: line 5: the state is not the one"));
    CHECK(other.on_db("scan").out == "z\tin the way\n");
    CHECK(commits(other.db()).size() == 1);
    CHECK(other.on_db("check").exit_code == 0);
}

TEST_CASE("a malformed trace changes nothing and says the line") {
    tool_bench const bench;
    auto const good = trace_header + "begin\nput \"a\" \"1\"\ncommit sync\n";
    for (std::string const bad : {"", "begin\nend\n", "put \"a\" \"2\"\nend\n", "bogus\nend\n",
                                  "begin\nput \"b\" \"2\"\ncommit sync\n"}) {
        INFO(bad);
        auto const replayed = bench.on_db("replay", {}, good + bad);
        CHECK(replayed.exit_code == 5);
        CHECK(replayed.err.starts_with("coppice: stdin: line "));
        CHECK_FALSE(fs::exists(bench.db()));
    }
    bench.fill({{"k", "v"}});
    bench.write("trace", good + "\nrollback 0\nend\n");
    auto const replayed = bench.on_db("replay", {bench.path("trace")});
    CHECK(replayed.exit_code == 5);
    CHECK(replayed.err ==
          "coppice: " + bench.path("trace") + ": line 6: there is no transaction\n");
    CHECK(bench.on_db("scan").out == "k\tv\n");
    CHECK(commits(bench.db()).size() == 1);
}

TEST_CASE("trace and replay end as the other verbs do") {
    tool_bench const bench;
    CHECK(bench.on_db("trace").exit_code == 3);
    CHECK(bench.on_db("replay", {bench.path("none")}).exit_code == 3);
    CHECK(bench.on_db("replay", {bench.path(".")}).exit_code == 3);
    CHECK_FALSE(fs::exists(bench.db()));
    CHECK(bench.on_db("trace", {"--durability", "hope"}).exit_code == 2);
    CHECK(bench.on_db("replay", {"a", "b"}).exit_code == 2);
    bench.fill({{"k", "v"}});
    CHECK(bench.on_db("trace", {"-o", bench.path("none/trace")}).exit_code == 3);
    if (fs::exists("/dev/full")) CHECK(bench.on_db("trace", {"-o", "/dev/full"}).exit_code == 3);

    coppice::database db(bench.db());
    auto txn = db.write();
    for (std::string const what : {"begin\nput \"k\" \"w\"\ncommit sync", "sync", "compact"}) {
        INFO(what);
        auto const late = bench.on_db("replay", {"--wait", "0"}, trace_header + what + "\nend\n");
        CHECK(late.exit_code == 4);
        CHECK(late.err.starts_with("coppice: "));
    }
    CHECK(bench.on_db("get", {"k"}).out == "v");
}
