// SPDX-License-Identifier: BSL-1.0
#include <coppice/error.hpp>

#include <catch2/catch.hpp>

#include <set>
#include <string>

using namespace coppice;

TEST_CASE("every kind of error has words of its own") {
    std::set<std::string> words;
    int kinds = 0;
    for (int code = 1; describe(static_cast<errc>(code)) != std::string("unknown coppice error");
         ++code) {
        words.insert(describe(static_cast<errc>(code)));
        CHECK(make_error_code(static_cast<errc>(code)).message() ==
              describe(static_cast<errc>(code)));
        ++kinds;
    }
    CHECK(kinds == static_cast<int>(errc::sync_failed));
    CHECK(static_cast<int>(words.size()) == kinds);
}

TEST_CASE("an error says what, where and at which offset") {
    error const e(errc::corrupt, "a node", "/some/file", 4096);
    CHECK(e.kind() == errc::corrupt);
    CHECK(e.code() == errc::corrupt);
    CHECK(e.path() == "/some/file");
    CHECK(e.offset() == 4096U);
    std::string const what = e.what();
    CHECK(what.find("a node [/some/file] at offset 4096") != std::string::npos);
    CHECK(what.find("the database is damaged") != std::string::npos);
}

TEST_CASE("an error of the system keeps its errno and is a std::system_error") {
    error const e(std::make_error_code(std::errc::no_space_on_device), "writing", "/some/file");
    CHECK(e.kind() == errc::io_failed);
    CHECK(e.code() == std::errc::no_space_on_device);
    CHECK_FALSE(e.offset().has_value());
    CHECK_THROWS_AS(throw e, std::system_error);
    CHECK(std::string(error_category().name()) == "coppice");
}
