// SPDX-License-Identifier: BSL-1.0
// Dumps go to LMDB and Berkeley DB and come back, by the programs of Debian's lmdb-utils and
// db5.3-util.
#include "tool_bench.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <string>

namespace {

/// Random pairs that every engine takes: keys of 1 to 511 bytes.
std::map<std::string, std::string> random_pairs() {
    std::mt19937 random(20240229); // NOLINT: the same pairs every time
    auto const text = [&](std::size_t shortest, std::size_t longest) {
        std::string result(shortest + random() % (longest - shortest + 1), ' ');
        for (auto& byte : result) byte = static_cast<char>(random() & 255U);
        return result;
    };
    std::map<std::string, std::string> pairs;
    while (pairs.size() < 1000) pairs[text(1, pairs.size() % 10 == 0 ? 511 : 20)] = text(0, 300);
    pairs["large"] = text(5000, 5000);
    return pairs;
}

std::string dump_of(std::map<std::string, std::string> const& pairs) {
    constexpr char const* digits = "0123456789abcdef";
    std::string dump = "VERSION=3\nformat=bytevalue\ntype=btree\nHEADER=END\n";
    auto const add = [&](std::string const& text) {
        dump += ' ';
        for (char const c : text) {
            auto const byte = static_cast<unsigned char>(c);
            dump += digits[byte >> 4U];
            dump += digits[byte & 15U];
        }
        dump += '\n';
    };
    for (auto const& [key, value] : pairs) {
        add(key);
        add(value);
    }
    return dump + "DATA=END\n";
}

struct engine {
    char const* load; ///< the program that reads a dump
    char const* dump; ///< the program that writes one
    bool dumps_print; ///< can what it writes with -p be read?
};

/// Sends the database through another engine and compares what comes back.
void exchange(engine const& other) {
    std::string program = other.load;
    program.resize(std::min(program.find(' '), program.size()));
    if (!support::has_program(program)) {
        WARN("skipped: there is no " << program);
        return;
    }
    tool_bench const bench;
    auto const expected = dump_of(random_pairs());
    REQUIRE(bench.on_db("load", {}, expected).exit_code == 0);
    REQUIRE((bench.on_db("dump").out == expected));
    for (auto const* const form : {"", " -p"}) {
        INFO(other.load << form);
        auto const there = bench.shell("\"$0\" dump \"$1\"" + std::string(form) + " | " +
                                       other.load + " \"$1\".other");
        CHECK(there.exit_code == 0);
        CHECK(there.err.empty());
        std::string command = other.dump;
        if (other.dumps_print) command += form;
        auto const back = bench.shell(command + " \"$1\".other | \"$0\" load \"$1\".back");
        CHECK(back.exit_code == 0);
        CHECK(back.err.empty());
        CHECK((tool_bench::run({"dump", bench.path("test.db.back")}).out == expected));
        std::filesystem::remove(bench.path("test.db.other"));
        std::filesystem::remove(bench.path("test.db.back"));
    }
}

} // namespace

TEST_CASE("entries go to LMDB and back") {
    // LMDB 0.9 does not escape backslashes in format=print; what mdb_dump -p writes is lost.
    exchange({"mdb_load -n", "mdb_dump -n", false});
}

TEST_CASE("entries go to Berkeley DB and back") { exchange({"db5.3_load", "db5.3_dump", true}); }

TEST_CASE("a hash of Berkeley DB comes in its own order") {
    if (!support::has_program("db5.3_load")) {
        WARN("skipped: there is no db5.3_load");
        return;
    }
    tool_bench const bench;
    auto const expected = dump_of(random_pairs());
    REQUIRE(bench.on_db("load", {}, expected).exit_code == 0);
    auto const there = bench.shell("\"$0\" dump \"$1\" | sed 's/type=btree/type=hash/' | "
                                   "db5.3_load \"$1\".hash && db5.3_dump \"$1\".hash | "
                                   "\"$0\" load \"$1\".back && \"$0\" dump \"$1\".back");
    CHECK(there.exit_code == 0);
    CHECK((there.out == expected));
}
