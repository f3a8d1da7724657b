// SPDX-License-Identifier: BSL-1.0
// map: the page. What it counts: file_map_test.cpp.
#include "tool_bench.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace {

std::size_t times_in(std::string_view text, std::string_view part) {
    std::size_t count = 0;
    for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
    return count;
}

/// The data of a page as a browser finds it: up to the first end of a script element.
nlohmann::json data_of(std::string const& page) {
    std::string_view const begin = "<script type=\"application/json\" id=\"data\">";
    auto const from = page.find(begin) + begin.size();
    return nlohmann::json::parse(page.substr(from, page.find("</script", from) - from));
}

} // namespace

TEST_CASE("the page of a map holds data that adds up and fetches nothing") {
    tool_bench const bench;
    bench.fill({{"a", "1"}, {"b", std::string(5000, 'v')}, {"a", "2"}});
    auto const page = bench.path("map.html");
    auto const done = bench.on_db("map", {"-o", page});
    CHECK(done.exit_code == 0);
    CHECK(done.err.empty());
    auto const text = bench.content("map.html");
    CHECK(text == bench.on_db("map").out);
    auto const data = data_of(text);
    auto const figures = nlohmann::json::parse(bench.on_db("stat", {"--json"}).out);
    std::uint64_t all = 0;
    std::uint64_t live = 0;
    for (auto const& cell : data["cells"]) {
        auto const& bytes = cell["b"];
        for (std::size_t i = 0; i < bytes.size(); i += 2) {
            all += bytes[i + 1].get<std::uint64_t>();
            if (bytes[i] < 6) live += bytes[i + 1].get<std::uint64_t>();
        }
    }
    CHECK(all == std::filesystem::file_size(bench.db()));
    CHECK(all == data["file_bytes"]);
    CHECK(live == figures["live_bytes"]);
    CHECK(data["entries"] == 2);
    CHECK(data["history"].size() == 4);
    for (auto const* const outside : {"src=", "href=", "url(", "@import", "fetch(", "https:"}) {
        CHECK(times_in(text, outside) == 0);
    }
    CHECK(times_in(text, "http:") == times_in(text, "http://www.w3.org/2000/svg"));
}

TEST_CASE("keys and names do not leave the data of a page") {
    tool_bench const bench;
    std::string const key = "</script><script>alert(1)</script><!--\xff\xe2\x80\xa8";
    std::string const name = "<img src=x onerror=alert(1)>.db";
    auto const file = bench.path(name);
    REQUIRE(tool_bench::run({"put", file, "--", key, "1"}).exit_code == 0);
    auto const page = tool_bench::run({"map", file}).out;
    CHECK(times_in(page, "<script") == 2);
    CHECK(times_in(page, "</script") == 2);
    CHECK(times_in(page, "<!--") == 0);
    CHECK(times_in(page, "<img") == 0);
    auto const data = data_of(page);
    CHECK(data["file"] == name);
    std::string found;
    for (auto const& cell : data["cells"]) found += cell.value("k", "");
    CHECK(found == "</script><script>alert(1)</script><!--\\xff\xe2\x80\xa8");
    CHECK(page.find_first_of("\xff\xe2") == std::string::npos);
}

TEST_CASE("of a damaged database there is no page") {
    tool_bench const bench;
    bench.fill({{"a", "1"}, {"b", "a value that is found again"}, {"c", "1"}});
    auto bytes = bench.content("test.db");
    bytes[bytes.rfind("found again")] = 'F';
    bench.write("test.db", bytes);
    auto const page = bench.path("map.html");
    auto const refused = bench.on_db("map", {"-o", page});
    CHECK(refused.exit_code == 5);
    CHECK_FALSE(std::filesystem::exists(page));
    bench.write("test.db", std::string(12288, '\0'));
    CHECK(bench.on_db("map", {"-o", bench.path("none.html")}).exit_code == 3);
    CHECK_FALSE(std::filesystem::exists(bench.path("none.html")));
}
