// SPDX-License-Identifier: BSL-1.0
// salvage.
#include "tool_bench.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>

namespace {

/// The bytes of the database of a bench, harmed.
struct harmed_file {
    explicit harmed_file(tool_bench const& at) : bench(at), bytes(at.content("test.db")) {}
    void zero(std::size_t at, std::size_t size) { bytes.replace(at, size, size, '\0'); }
    void store() const { bench.write("test.db", bytes); }
    tool_bench const& bench;
    std::string bytes;
};

} // namespace

TEST_CASE("of a sound database salvage saves everything and ends with 0") {
    tool_bench const bench;
    bench.fill({{"a", "1"}, {"b", "2"}, {"c", "3"}});
    auto const before = bench.content("test.db");
    auto const saved = bench.path("saved.db");
    auto const done = bench.on_db("salvage", {"-o", saved});
    CHECK(done.exit_code == 0);
    CHECK(done.err.empty());
    CHECK_THAT(done.out, Catch::Contains("complete            true\n"));
    CHECK(tool_bench::run({"scan", saved}).out == "a\t1\nb\t2\nc\t3\n");
    CHECK(bench.content("test.db") == before);
    CHECK(bench.on_db("salvage", {"-o", saved}).exit_code == 3);
    CHECK(bench.on_db("salvage").exit_code == 2);
    CHECK(bench.on_db("salvage", {"-o", bench.path("x.db"), "--at", "77"}).exit_code == 2);
    CHECK_FALSE(std::filesystem::exists(bench.path("x.db")));
}

TEST_CASE("what salvage could not save is told and ends with 1") {
    tool_bench const bench;
    bench.fill({{"a", "1"}, {"b\xff", std::string(5000, 'v')}, {"c", "3"}});
    harmed_file file(bench);
    file.zero(4096, 8192);
    file.bytes[file.bytes.rfind("vvv")] = 'w';
    file.store();
    CHECK(bench.on_db("scan").exit_code == 5);
    auto const saved = bench.path("saved.db");
    auto const words = bench.on_db("salvage", {"-o", saved});
    CHECK(words.exit_code == 1);
    CHECK_THAT(words.err, Catch::Contains("lost: the value of 'b\\xff': the checksum"));
    CHECK_THAT(words.err, Catch::Contains("no superblock slot"));
    CHECK(tool_bench::run({"scan", saved}).out == "a\t1\nc\t3\n");
    auto const other = bench.path("other.db");
    auto const object = nlohmann::json::parse(bench.on_db("salvage", {"-o", other, "--json"}).out);
    CHECK(object["complete"] == false);
    CHECK(object["commit"] == 4);
    CHECK(object["entries"] == 2);
    CHECK(object["lost_ranges"].empty());
    CHECK(object["lost_keys"][0]["key_base64"] == "Yv8=");
}

TEST_CASE("what nothing vouches for is saved where that is asked for") {
    tool_bench const bench;
    bench.fill({{"a", "1"}, {"b", "2"}});
    harmed_file file(bench);
    for (auto at = file.bytes.find("crec"); at != std::string::npos;
         at = file.bytes.find("crec", at)) {
        file.bytes[at] = 'x';
    }
    file.store();
    auto const saved = bench.path("saved.db");
    CHECK(bench.on_db("salvage", {"-o", saved}).exit_code == 5);
    CHECK_FALSE(std::filesystem::exists(saved));
    auto const done = bench.on_db("salvage", {"-o", saved, "--unconfirmed"});
    CHECK(done.exit_code == 1);
    CHECK_THAT(done.err, Catch::Contains("from the first key to the last key"));
    CHECK_THAT(done.out, Catch::Contains("unconfirmed_entries 2\n"));
    CHECK(tool_bench::run({"scan", saved}).out == "a\t1\nb\t2\n");
}
