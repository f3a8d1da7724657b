// SPDX-License-Identifier: BSL-1.0
// The text of a trace, without the tool: every operation there and back, and what is refused where.
#include <tools/coppice/trace_format.hpp>
#include <tools/coppice/trace_reader.hpp>

#include <catch2/catch.hpp>

#include <cstddef>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

using namespace std::string_view_literals;
using tool::trace_operation;
using tool::trace_verb;

namespace {

std::vector<trace_operation> read(std::string text) {
    tool::line_source lines("test", ::fmemopen(text.data(), text.size(), "re"));
    tool::trace_reader reader(lines);
    std::vector<trace_operation> all;
    trace_operation next;
    while (reader.next(next)) all.push_back(next);
    return all;
}

std::string written(std::vector<trace_operation> const& all) {
    std::string text;
    tool::append_trace_header(text);
    for (auto const& each : all) tool::append_operation(text, each);
    return text + "end\n";
}

std::string operand(std::string_view bytes) {
    std::string text;
    tool::append_operand(text, bytes);
    return text;
}

std::string complaint(std::string const& text) {
    try {
        static_cast<void>(read(text));
    } catch (tool::failure const& e) {
        CHECK(e.code() == tool::exit_code::corrupt);
        return e.what();
    }
    return "nothing";
}

std::string const first_line = "coppice trace 1\n";

} // namespace

TEST_CASE("every operation of a trace is read as it was written") {
    using verb = trace_verb;
    std::string all;
    for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
    std::vector<trace_operation> const operations = {
        {.verb = verb::option, .key = "leaf_bytes", .number = 128},
        {.verb = verb::option, .key = "two_sync_above_bytes", .number = ~std::uint64_t{0}},
        {.verb = verb::hold},
        {.verb = verb::begin},
        {.verb = verb::put, .key = "", .value = ""},
        {.verb = verb::put, .key = all, .value = std::string(1 << 20, '\\')},
        {.verb = verb::insert, .key = "a \"quoted\" key", .value = "x"},
        {.verb = verb::erase, .key = "\n"},
        {.verb = verb::erase_range, .key = "a", .value = all},
        {.verb = verb::erase_from, .key = "Bäume"},
        {.verb = verb::erase_prefix, .key = ""},
        {.verb = verb::load},
        {.verb = verb::pair, .key = "", .value = "1"},
        {.verb = verb::pair, .key = "\xff", .value = "2"},
        {.verb = verb::load},
        {.verb = verb::pair, .key = "", .value = "3"},
        {.verb = verb::stream, .key = "s", .value = all},
        {.verb = verb::abandon, .key = "s", .number = 17},
        {.verb = verb::get, .key = "s"},
        {.verb = verb::view},
        {.verb = verb::savepoint, .number = 0},
        {.verb = verb::savepoint, .number = 1},
        {.verb = verb::rollback, .number = 0},
        {.verb = verb::hold},
        {.verb = verb::commit, .how = coppice::durability::lazy},
        {.verb = verb::reopen},
        {.verb = verb::begin},
        {.verb = verb::abort},
        {.verb = verb::compact},
        {.verb = verb::sync},
        {.verb = verb::begin},
        {.verb = verb::commit, .how = coppice::durability::two_sync, .note = " hash ", .hash = 0},
        {.verb = verb::begin},
        {.verb = verb::commit, .how = coppice::durability::deferred},
        {.verb = verb::begin},
        {.verb = verb::commit, .note = all, .hash = 0xfedc'ba98'7654'3210U},
        {.verb = verb::begin},
        {.verb = verb::commit, .hash = 1},
    };
    CHECK((read(written(operations)) == operations));
    CHECK(written({operations.back()}) == first_line + "commit sync hash 0000000000000001\nend\n");
}

TEST_CASE("bytes are written as text, or as hex where that is shorter") {
    CHECK(operand("") == " \"\"");
    CHECK(operand("plain \t text") == " \"plain \\t text\"");
    CHECK(operand("\"\\\"") == " \"\\\"\\\\\\\"\"");
    CHECK(operand("Bäume\xff") == " \"Bäume\\xff\"");
    CHECK(operand("\0\xff"sv) == " x00ff");
}

TEST_CASE("comments and empty lines of a trace are passed over") {
    CHECK(read(first_line + "# a comment\n\nbegin\n# \xff\nabort\nend\n\n\n").size() == 2);
    CHECK(read("coppice trace 1\nend").empty());
}

TEST_CASE("what is no trace is refused, and the line named") {
    std::string const begin = first_line + "begin\n"; // the next line is the third
    struct {
        std::string text;
        unsigned line;
        char const* why;
    } const all[] = {
        {"\n", 1, "a trace begins with"},
        {"coppice trace 2\nend\n", 1, "a trace begins with"},
        {first_line, 1, "ends without 'end'"},
        {begin + "put \"a\" \"b\"\n", 3, "ends without 'end'"},
        {begin + "end\n", 3, "a transaction is under way"},
        {begin + "begin\n", 3, "a transaction is under way"},
        {begin + "compact\n", 3, "a transaction is under way"},
        {first_line + "put \"a\" \"b\"\n", 2, "there is no transaction"},
        {first_line + "commit sync\n", 2, "there is no transaction"},
        {first_line + "end\nbegin\n", 3, "something follows 'end'"},
        {first_line + "bogus\n", 2, "no such operation"},
        {first_line + "begin \n", 2, "more on the line"},
        {first_line + " begin\n", 2, "no such operation"},
        {first_line + "begin\r\n", 2, "no such operation"},
        {begin + "put\n", 3, "something is missing"},
        {begin + "put \"a\"\n", 3, "something is missing"},
        {begin + "put  \"a\" \"b\"\n", 3, "x and hex digits"},
        {begin + "put \"a\" \"b\" \"c\"\n", 3, "more on the line"},
        {begin + "put \"a\"\"b\"\n", 3, "one space"},
        {begin + "put a b\n", 3, "x and hex digits"},
        {begin + "put \"a \n", 3, "no end"},
        {begin + "erase \"a\\\"\n", 3, "no end"},
        {begin + "erase \"\\\n", 3, "behind a backslash"},
        {begin + "erase \"\\q\"\n", 3, "behind a backslash"},
        {begin + "erase \"\\x0\"\n", 3, "behind a backslash"},
        {begin + "erase \"\t\"\n", 3, "an unprintable byte"},
        {begin + "erase \"\xff\"\n", 3, "an unprintable byte"},
        {begin + "erase x0\n", 3, "even number"},
        {begin + "erase x0g\n", 3, "even number"},
        {begin + "erase \"" + std::string(65536, 'k') + "\"\n", 3, "65535 are allowed"},
        {begin + "abandon \"a\" -1\n", 3, "a number from 0 on"},
        {begin + "abandon \"a\" 140737488355328\n", 3, "so large"},
        {begin + "abandon \"a\" 18446744073709551616\n", 3, "a number from 0 on"},
        {begin + "savepoint 1\n", 3, "number 0"},
        {begin + "rollback 0\n", 3, "no such savepoint"},
        {begin + "savepoint 0\nabort\nbegin\nrollback 0\n", 6, "no such savepoint"},
        {begin + "pair \"a\" \"b\"\n", 3, "belongs to a load"},
        {begin + "load\npair \"b\" \"\"\npair \"b\" \"\"\n", 5, "ascend"},
        {begin + "load\nview\npair \"b\" \"\"\n", 5, "belongs to a load"},
        {begin + "commit\n", 3, "something is missing"},
        {begin + "commit maybe\n", 3, "sync, lazy, two_sync or deferred"},
        {begin + "commit sync hash 1\n", 3, "16 hex digits"},
        {begin + "commit sync hash 00 note \"\"\n", 3, "16 hex digits"},
        {begin + "commit sync note x" + std::string(8194, '0') + "\n", 3, "too long"},
        {begin + "option leaf_bytes 128\n", 3, "before all else"},
        {first_line + "option leaf_bytes 127\n", 2, "from 128 to 65536"},
        {first_line + "option colour 1\n", 2, "no such option"},
    };
    for (auto const& [text, line, why] : all) {
        INFO(text.substr(0, 200));
        auto const said = complaint(text);
        CHECK(said.starts_with("test: line " + std::to_string(line) + ": "));
        CHECK(said.find(why) != std::string::npos);
    }
}

TEST_CASE("a trace that was cut is no trace, wherever it was cut") {
    auto const whole = written({{.verb = trace_verb::begin},
                                {.verb = trace_verb::put, .key = "k", .value = "\x01\x02"},
                                {.verb = trace_verb::commit, .note = "n", .hash = 7},
                                {.verb = trace_verb::sync}});
    // Without its last character, a newline, it is still whole.
    for (std::size_t length = 1; length + 1 < whole.size(); ++length) {
        INFO(length);
        CHECK(complaint(whole.substr(0, length)).starts_with("test: line "));
    }
    CHECK(read(whole.substr(0, whole.size() - 1)).size() == 4);
}
