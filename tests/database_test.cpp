// SPDX-License-Identifier: BSL-1.0
#include <coppice/database.hpp>

#include <workbench.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

using namespace coppice;
namespace fs = std::filesystem;

namespace {

errc kind_of(std::function<void()> const& call) {
    try {
        call();
    } catch (error const& e) {
        return e.kind();
    }
    return errc{};
}

void put(database& db, std::string_view key, std::string_view value) {
    db.update([&](auto& txn) { txn.put(key, value); });
}

std::string content_of(fs::path const& path) {
    std::ifstream file(path, std::ios::binary);
    std::string content(fs::file_size(path), '\0');
    file.read(content.data(), static_cast<std::streamsize>(content.size()));
    return content;
}

} // namespace

TEST_CASE("the four ways of creating do what their names say") {
    workbench::folder const dir;
    auto const path = dir / "a.db";
    CHECK(kind_of([&] { database db(path, {.create = create::never}); }) == errc::not_found);
    CHECK_FALSE(fs::exists(path));
    {
        database db(path, {.create = create::must});
        put(db, "a", "1");
    }
    CHECK(kind_of([&] { database db(path, {.create = create::must}); }) == errc::already_exists);
    CHECK(database(path).get("a") == "1");
    CHECK(database(path, {.create = create::never}).get("a") == "1");
    CHECK_FALSE(database(path, {.create = create::replace}).get("a").has_value());
    CHECK_FALSE(fs::exists(dir / "a.db.compact"));
    CHECK(kind_of([&] { database db(dir / "x" / "y.db"); }) == errc::not_found);
    CHECK(database(dir / "x" / "y.db", {.create_directories = true}).read().empty());
}

TEST_CASE("an empty file is no database yet, and a stranger is left untouched") {
    workbench::folder const dir;
    std::ofstream(dir / "empty.db").close();
    CHECK(kind_of([&] { database db(dir / "empty.db", {.create = create::never}); }) ==
          errc::not_a_database);
    {
        database db(dir / "empty.db");
        put(db, "a", "1");
    }
    CHECK(database(dir / "empty.db").get("a") == "1");
    std::string const text = "this is a letter, not a database\n";
    std::ofstream(dir / "letter.txt") << text;
    CHECK(kind_of([&] { database db(dir / "letter.txt"); }) == errc::not_a_database);
    CHECK(content_of(dir / "letter.txt") == text);
    std::ofstream(dir / "zeros.db") << std::string(20000, '\0');
    CHECK(kind_of([&] { database db(dir / "zeros.db"); }) == errc::not_a_database);
}

TEST_CASE("a file of another version or with unknown features is refused by name") {
    workbench::folder const dir;
    auto const path = dir / "a.db";
    put(*std::make_unique<database>(path), "a", "1");
    auto image = content_of(path);
    auto const refused = [&](std::function<void(std::string&)> const& change) {
        auto copy = image;
        change(copy);
        std::ofstream(dir / "copy.db", std::ios::binary) << copy;
        return kind_of([&] { database db(dir / "copy.db", {.read_only = true}); });
    };
    CHECK(refused([](auto& file) { file[16] = 7; }) == errc::unsupported_version);
    CHECK(refused([](auto& file) { file[20] = 9; }) == errc::unsupported_version);
    CHECK(refused([](auto& file) { file[50] = 1; }) == errc::corrupt);
    CHECK(refused([](auto& file) {
              for (auto const slot : {4096U, 8192U}) {
                  auto* const at = reinterpret_cast<std::byte*>(file.data() + slot);
                  format::store(at + 64, std::uint64_t{1} << 63U);
                  format::store(at + 120, format::checksum({at, 120}));
              }
          }) == errc::unsupported_feature);
}

TEST_CASE(
    "reading only needs no lock file, writes nothing, and works where nothing can be written") {
    workbench::folder const dir;
    auto const path = dir / "a.db";
    put(*std::make_unique<database>(path), "a", "1");
    fs::remove(dir / "a.db.lock");
    auto const before = content_of(path);
    {
        database db(path, {.read_only = true});
        CHECK(db.get("a") == "1");
        CHECK(kind_of([&] { static_cast<void>(db.write()); }) == errc::read_only);
        CHECK(kind_of([&] { db.compact(); }) == errc::read_only);
        CHECK(kind_of([&] { db.sync(); }) == errc::read_only);
        CHECK(db.check().clean());
        // Another handle commits and compacts meanwhile: the reader follows, without a lock file
        // of its own making.
        database writer(path);
        put(writer, "a", "2");
        CHECK(db.get("a") == "2");
        writer.compact();
        put(writer, "a", "3");
        CHECK(db.get("a") == "3");
    }
    CHECK(before != content_of(path));
    CHECK(kind_of([&] { database db(dir / "none.db", {.read_only = true}); }) == errc::not_found);
}

TEST_CASE("every commit since the last compaction can be read again, found in few steps") {
    workbench::folder const dir;
    auto now = std::chrono::system_clock::time_point(std::chrono::seconds(1'000'000));
    database db(dir / "a.db", {.durability = durability::lazy, .clock = [&] { return now; }});
    std::vector<commit_id> ids;
    for (int i = 0; i < 2000; ++i) {
        now += std::chrono::seconds(i % 3 == 0 ? -5 : 7); // a clock that goes backwards as well
        ids.push_back(db.update([&](auto& txn) { txn.put("n", std::to_string(i)); }, {},
                                "number " + std::to_string(i)));
    }
    for (int i = 0; i < 2000; i += 13) {
        auto const then = db.read(ids[static_cast<std::size_t>(i)]);
        CHECK(then.get("n") == std::to_string(i));
        CHECK(then.note() == "number " + std::to_string(i));
    }
    std::size_t count = 0;
    auto last = std::chrono::system_clock::time_point::max();
    for (auto const& commit : db.history()) {
        CHECK(commit.time < last);
        last = commit.time;
        ++count;
    }
    CHECK(count == 2001);
    CHECK(kind_of([&] { static_cast<void>(db.read(commit_id{99999})); }) == errc::history_gone);
    CHECK(kind_of([&] { static_cast<void>(db.read(commit_id{0})); }) == errc::history_gone);
    db.compact();
    auto const newest = db.read(ids.back());
    CHECK(newest.get("n") == "1999");
    CHECK(kind_of([&] { static_cast<void>(db.read(ids[5])); }) == errc::history_gone);
}

TEST_CASE("compaction keeps what the filter keeps, the permissions, and every held snapshot") {
    workbench::folder const dir;
    auto const path = dir / "a.db";
    database db(path);
    db.update([](auto& txn) {
        for (int i = 0; i < 1000; ++i) txn.put(std::to_string(i), std::string(2000, 'v'));
    });
    ::chmod(path.c_str(), 0640);
    auto const held = db.read();
    auto const big = fs::file_size(path);
    std::uint64_t reports = 0;
    CHECK(db.compact({.keep = [](auto key, auto) { return key.back() != '7'; },
                      .progress =
                          [&](auto done, auto all) {
                              ++reports;
                              return done <= all;
                          }}));
    CHECK(reports >= 2);
    CHECK(db.read().size() == 900);
    CHECK(db.read().id() > held.id()); // entries are gone: that is a new commit
    CHECK(held.size() == 1000);
    CHECK(held.get("7") == std::string(2000, 'v'));
    CHECK(fs::file_size(path) < big);
    struct stat status {};
    ::stat(path.c_str(), &status);
    CHECK((status.st_mode & 0777U) == 0640U);
    CHECK(db.check().clean());

    auto const before = content_of(path);
    CHECK_FALSE(db.compact({.progress = [](auto, auto) { return false; }}));
    CHECK_THROWS_AS(db.compact({.keep = [](auto, auto) -> bool { throw 7; }}), int);
    CHECK(content_of(path) == before);
    CHECK_FALSE(fs::exists(dir / "a.db.compact"));
    put(db, "after", "all");
    CHECK(db.get("after") == "all");
}

TEST_CASE("a database under another name, or behind a symbolic link, is the same database") {
    workbench::folder const dir;
    database db(dir / "a.db");
    fs::create_symlink("a.db", dir / "link.db");
    database linked(dir / "link.db");
    put(linked, "a", "1");
    CHECK(db.get("a") == "1");
    linked.compact();
    CHECK(fs::is_symlink(dir / "link.db"));
    put(db, "a", "2");
    CHECK(linked.get("a") == "2");
    fs::create_hard_link(dir / "a.db", dir / "hard.db");
    CHECK(kind_of([&] { database hard(dir / "hard.db"); }) == errc::hard_linked);
    CHECK(database(dir / "hard.db", {.read_only = true}).get("a") == "2");
}

TEST_CASE("a closed or moved-from handle says so, and closing again does nothing") {
    workbench::folder const dir;
    database db(dir / "a.db");
    put(db, "a", "1");
    auto const held = db.read();
    auto txn = std::optional(db.write());
    txn->put("b", "2");
    database moved = std::move(db);
    CHECK(kind_of([&] { static_cast<void>(db.read()); }) == errc::closed); // NOLINT
    CHECK(moved.get("a") == "1");
    moved.close();
    moved.close();
    CHECK(kind_of([&] { static_cast<void>(moved.get("a")); }) == errc::closed);
    CHECK(kind_of([&] { static_cast<void>(moved.write()); }) == errc::closed);
    txn->commit(); // transactions and snapshots may outlive their database
    txn.reset();
    CHECK(held.get("a") == "1");
    CHECK(database(dir / "a.db").get("b") == "2");
}

TEST_CASE("what was written ahead is cut off when the last handle closes") {
    workbench::folder const dir;
    std::uint64_t valid_bytes = 0;
    {
        database db(dir / "a.db");
        put(db, "a", "1");
        auto const stats = db.stats();
        valid_bytes = stats.valid_bytes;
        CHECK(stats.file_bytes > valid_bytes);
    }
    CHECK(fs::file_size(dir / "a.db") == valid_bytes);
}

TEST_CASE("events tell what happened, and what they throw does no harm") {
    workbench::folder const dir;
    std::vector<std::string> told;
    options chosen;
    chosen.events.on_open = [&](auto const& path) { told.push_back("open " + path); };
    chosen.events.on_close = [&](auto const&) { told.emplace_back("close"); };
    chosen.events.on_commit = [&](commit_info const& commit) {
        told.push_back("commit " + commit.note + (commit.durable ? " durable" : " lazy"));
        throw 1;
    };
    chosen.events.on_error = [&](error const& e) {
        told.push_back(e.kind() == errc::would_deadlock ? "error deadlock" : "error");
    };
    {
        database db(dir / "a.db", chosen);
        db.update([](auto& txn) { txn.put("a", "1"); }, {}, "one");
        db.update([](auto& txn) { txn.put("a", "2"); }, durability::lazy, "two");
        db.update([](auto&) {});
        auto const txn = db.write();
        CHECK(kind_of([&] { static_cast<void>(db.write()); }) == errc::would_deadlock);
    }
    auto const path = (fs::canonical(dir.path()) / "a.db").string();
    CHECK(told == std::vector<std::string>{"open " + path, "commit one durable", "commit two lazy",
                                           "error deadlock", "close"});
}

TEST_CASE("an open that passes over a broken slot tells of it, or refuses if asked to") {
    workbench::folder const dir;
    auto const path = dir / "a.db";
    {
        database db(path);
        put(db, "a", "1");
        put(db, "a", "2");
    }
    fs::remove(dir / "a.db.lock");
    auto image = content_of(path);
    auto const newer =
        static_cast<unsigned char>(image[4096 + 8]) > static_cast<unsigned char>(image[8192 + 8])
            ? 4096U
            : 8192U;
    image[newer + 50] = static_cast<char>(image[newer + 50] ^ 1);
    std::ofstream(path, std::ios::binary) << image;
    CHECK(kind_of([&] { database db(path, {.recovery = recovery::refuse}); }) ==
          errc::recovery_needed);
    CHECK(content_of(path) == image);
    int told = 0;
    options chosen;
    chosen.events.on_recover = [&](recovery_info const& info) {
        ++told;
        CHECK(info.rejected_slots == 1);
    };
    database db(path, chosen);
    CHECK(told == 1);
    CHECK(db.get("a") == "1");
    put(db, "a", "3");
    CHECK(db.get("a") == "3");
    CHECK(db.check().clean());
}

TEST_CASE("destroying removes the database, not its lock, and snapshots read on") {
    workbench::folder const dir;
    auto const path = dir / "a.db";
    database db(path);
    put(db, "a", "1");
    auto const held = db.read();
    CHECK(destroy(path));
    CHECK_FALSE(destroy(path));
    CHECK_FALSE(fs::exists(path));
    CHECK(fs::exists(dir / "a.db.lock"));
    CHECK(held.get("a") == "1");
    CHECK(kind_of([&] { static_cast<void>(db.write()); }) == errc::file_missing);
}

TEST_CASE("timed waits give up without a transaction, and others get their turn") {
    memory_database db;
    auto txn = std::optional(db.write());
    std::thread([&] {
        CHECK_FALSE(db.try_write().has_value());
        CHECK_FALSE(db.write_for(std::chrono::milliseconds(5)).has_value());
    }).join();
    txn.reset();
    CHECK(db.write_for(std::chrono::seconds(5)).has_value());
}

TEST_CASE("two handles on one memory see one database, and its copies are one place") {
    storage::memory_medium const medium;
    memory_database first(medium, {.preallocate_bytes = 0});
    memory_database second(medium, {.preallocate_bytes = 0});
    first.update([](auto& txn) { txn.put("a", "1"); });
    CHECK(second.get("a") == "1");
    second.compact();
    second.update([](auto& txn) { txn.put("a", "2"); });
    CHECK(first.get("a") == "2");
    first.update([](auto& txn) { txn.put("a", "3"); });
    CHECK(second.get("a") == "3");
}

TEST_CASE("node sizes that make no sense are refused when a database is made") {
    workbench::folder const dir;
    CHECK(kind_of([&] {
              database db(dir / "a.db", {.nodes = {64, 1024, 16}});
          }) == errc::invalid_argument);
    CHECK_FALSE(fs::exists(dir / "a.db"));
    database db(dir / "b.db", {.nodes = {128, 128, 100000}});
    CHECK(db.stats().nodes.inline_value_bytes == 32);
}
