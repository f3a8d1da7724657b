// SPDX-License-Identifier: BSL-1.0
// A time from its text; and log, get and branch by time.
#include "tools/coppice/time_text.hpp"

#include "tool_bench.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <chrono>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace {

std::optional<long long> microseconds_of(std::string const& text) {
    auto const time = tool::time_of(text);
    if (!time) return {};
    namespace chrono = std::chrono;
    return chrono::duration_cast<chrono::microseconds>(time->time_since_epoch()).count();
}

/// The commits that log prints, newest first.
std::vector<nlohmann::json> logged(tool_bench const& bench, std::vector<std::string> more) {
    more.push_back("--json");
    std::istringstream lines(bench.on_db("log", more).out);
    std::vector<nlohmann::json> all;
    for (std::string line; std::getline(lines, line);) all.push_back(nlohmann::json::parse(line));
    return all;
}

} // namespace

TEST_CASE("times are read in full or as a part from the left") {
    auto const day = 1'709'164'800'000'000LL;
    CHECK(microseconds_of("2024-02-29") == day);
    CHECK(microseconds_of("2024-02-29T12:34") == day + 45'240'000'000LL);
    CHECK(microseconds_of("2024-02-29T12:34Z") == day + 45'240'000'000LL);
    CHECK(microseconds_of("2024-02-29T12:34:56") == day + 45'296'000'000LL);
    CHECK(microseconds_of("2024-02-29T12:34:56.7Z") == day + 45'296'700'000LL);
    CHECK(microseconds_of("2024-02-29T23:59:59.789012Z") == day + 86'399'789'012LL);
    CHECK(microseconds_of("1970-01-01T00:00:00.000001") == 1);
    CHECK(microseconds_of("1969-12-31") == -86'400'000'000LL);
    CHECK(microseconds_of("9999-12-31T23:59") > microseconds_of("2200-01-01"));
    CHECK(microseconds_of("0000-01-01") < microseconds_of("1700-01-01"));
    for (auto const* const text :
         {"", "2024", "2024-02", "2024-2-29", "2023-02-29", "2024-13-01", "2024-02-29 12:34",
          "2024-02-29T", "2024-02-29T12", "2024-02-29T24:00", "2024-02-29T12:60",
          "2024-02-29T12:34:60", "2024-02-29T12:34:56.", "2024-02-29T12:34:56.1234567",
          "2024-02-29T12:34Z ", "2024-02-29Z", "2024-02-29T12:34+01:00", "-024-02-29",
          "2024-02-29T-1:00"}) {
        INFO(text);
        CHECK_FALSE(microseconds_of(text).has_value());
    }
}

TEST_CASE("log prints the commits between two times") {
    tool_bench const bench;
    bench.fill({{"a", "1"}, {"a", "2"}, {"a", "3"}});
    auto const all = logged(bench, {});
    REQUIRE(all.size() == 4);
    std::string const third = all[1]["time"];
    std::string const second = all[2]["time"];
    CHECK(logged(bench, {"--until", third}) ==
          std::vector<nlohmann::json>(all.begin() + 1, all.end()));
    CHECK(logged(bench, {"--since", second}) ==
          std::vector<nlohmann::json>(all.begin(), all.begin() + 3));
    CHECK(logged(bench, {"--since", second, "--until", third}) ==
          std::vector<nlohmann::json>(all.begin() + 1, all.begin() + 3));
    CHECK(logged(bench, {"--until", "2001-01-01"}).empty());
    CHECK(bench.on_db("log", {"--until", "2001-01-01"}).exit_code == 0);
    CHECK(logged(bench, {"--since", "9999-01-01"}).empty());
    auto const wrong = bench.on_db("log", {"--since", "yesterday"});
    CHECK(wrong.exit_code == 2);
    CHECK_THAT(wrong.err, Catch::Contains("'yesterday' is not a time"));
}

TEST_CASE("reading and branching go back to a time") {
    tool_bench const bench;
    bench.fill({{"a", "1"}, {"a", "2"}});
    std::string const time = logged(bench, {})[1]["time"];
    CHECK(bench.on_db("get", {"a", "--as-of", time}).out == "1");
    CHECK(bench.on_db("get", {"a", "--as-of", "9999-01-01"}).out == "2");
    CHECK(bench.on_db("get", {"a", "--as-of", "2001-01-01"}).exit_code == 2);
    CHECK(bench.on_db("get", {"a", "--as-of", time, "--at", "2"}).exit_code == 2);
    auto const branch = bench.path("branch.db");
    REQUIRE(bench.on_db("branch", {branch, "--as-of", time}).exit_code == 0);
    CHECK(tool_bench::run({"scan", branch}).out == "a\t1\n");
}
