// SPDX-License-Identifier: BSL-1.0
// The file format, pinned: a database of each format version must open for ever and give what it
// gave. When this is red the format has changed by accident: mend the code, not the file. While the
// format is version 0 a deliberate change may make the file anew, in a commit that says so:
//   COPPICE_MAKE_GOLDEN=1 build/dev/bin/golden_tests "[.make]"
#include <coppice/coppice.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

using namespace coppice;

namespace {

std::filesystem::path golden(std::string const& name) {
    return std::filesystem::path(COPPICE_TEST_SOURCE_DIR) / "tests" / "golden" / name;
}

/// One line an entry: key as hex (its beginning), length and checksum of key and value.
std::string listing(snapshot const& now) {
    std::ostringstream text;
    for (auto const [key, value] : now) {
        for (char const c : key.substr(0, 16)) {
            char hex[3];
            std::snprintf(hex, sizeof hex, "%02x", static_cast<unsigned>(c) & 0xFFU);
            text << hex;
        }
        text << ' ' << key.size() << ' ' << std::hex << format::checksum(as_bytes(key)) << std::dec
             << ' ' << value.size() << ' ' << std::hex << format::checksum(as_bytes(value))
             << std::dec << '\n';
    }
    return text.str();
}

std::string content_of(std::filesystem::path const& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

} // namespace

TEST_CASE("a database of format version 0 opens and gives what it gave") {
    database const db(golden("version-0.db"), {.create = create::never, .read_only = true});
    auto const report = db.check();
    CHECK(report.clean());
    CHECK(report.commits == 5);
    auto const now = db.read();
    CHECK(listing(now) == content_of(golden("version-0.golden")));
    CHECK(now.note() == "wide nodes");
    CHECK(now.time() == std::chrono::system_clock::time_point(std::chrono::seconds(1'000'004)));
    CHECK(now.value_bytes("with a table") == (1U << 20U) + 1);
    CHECK(now.value_bytes("out of line") == 5000U);
    std::vector<std::string> notes;
    for (auto const& commit : db.history()) notes.push_back(commit.note);
    CHECK(notes == std::vector<std::string>{"wide nodes", "large values", "many small", "one", ""});
    auto const second = db.read(commit_id{2});
    CHECK(second.size() == 1);
    CHECK(second.get("first") == "value");
    CHECK(db.stats().height >= 3);
}

TEST_CASE("the bytes of the golden file are those that format.md describes") {
    auto const file = content_of(golden("version-0.db"));
    REQUIRE(file.size() > 12288);
    CHECK(file.substr(0, 16) == std::string("\x89"
                                            "coppice\r\n\x1a\n\0\0\0\0",
                                            16));
    CHECK(file.substr(4096, 8) == "coppslot");
    CHECK(file.substr(12288, 4) == "crec");
    auto const* const bytes_of = reinterpret_cast<std::byte const*>(file.data());
    CHECK(format::load<std::uint32_t>(bytes_of + 16) == 0);
    CHECK(format::load<std::uint64_t>(bytes_of + 64) == format::checksum({bytes_of, 64}));
    CHECK(format::load<std::uint64_t>(bytes_of + 4096 + 120) ==
          format::checksum({bytes_of + 4096, 120}));
}

TEST_CASE("make the golden file anew", "[.make]") {
    if (std::getenv("COPPICE_MAKE_GOLDEN") == nullptr) return;
    auto seconds = 1'000'000;
    auto const clock = [&] {
        return std::chrono::system_clock::time_point(std::chrono::seconds(seconds++));
    };
    {
        database db(golden("version-0.db"), {.create = create::replace,
                                             .preallocate_bytes = 0,
                                             .nodes = {512, 256, 128},
                                             .clock = clock});
        db.update([](auto& txn) { txn.put("first", "value"); }, {}, "one");
        db.update(
            [](auto& txn) {
                for (int i = 0; i < 300; ++i)
                    txn.put(std::to_string(i), std::string(static_cast<std::size_t>(i % 50), 'v'));
            },
            {}, "many small");
        db.update(
            [](auto& txn) {
                txn.put("out of line", std::string(5000, 'o'));
                txn.put("with a table", std::string((1U << 20U) + 1, 't'));
                txn.erase("17");
            },
            {}, "large values");
        db.update(
            [](auto& txn) {
                for (char c = 'a'; c < 'f'; ++c) txn.put(std::string(65535, c), std::string(1, c));
            },
            {}, "wide nodes");
        std::ofstream(golden("version-0.golden"), std::ios::binary) << listing(db.read());
    }
    std::filesystem::remove(golden("version-0.db.lock"));
}
