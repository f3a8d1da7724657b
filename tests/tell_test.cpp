// SPDX-License-Identifier: BSL-1.0
#include <coppice/tell.hpp>

#include <catch2/catch.hpp>

#include <stdexcept>
#include <string>
#include <vector>

using namespace coppice;

TEST_CASE("an event that is not set is no event") {
    events const none;
    tell(none, &events::on_open, std::string("path"));
}

TEST_CASE("what a callback throws goes to the log, and what the log throws goes nowhere") {
    std::vector<std::string> lines;
    events all;
    all.on_open = [](std::string const&) { throw std::runtime_error("mine"); };
    all.log = [&](log_level level, std::string_view line) {
        CHECK(level == log_level::error);
        lines.emplace_back(line);
        throw 42;
    };
    tell(all, &events::on_open, std::string("path"));
    REQUIRE(lines.size() == 1);
    CHECK(lines[0] == "a callback of the user threw");
}
