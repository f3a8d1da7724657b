// SPDX-License-Identifier: BSL-1.0
#include <coppice/database.hpp>

#include <faulty_medium.hpp>
#include <kind_of.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

using namespace coppice;
using proving::in_file;
using proving::in_memory;
using proving::noise;
using proving::test_database;
using support::kind_of;
namespace fs = std::filesystem;

namespace {

void put(database& db, std::string_view key, std::string_view value) {
    db.update([&](auto& txn) { txn.put(key, value); });
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
    CHECK(proving::text_of(dir / "letter.txt") == text);
    std::ofstream(dir / "zeros.db") << std::string(20000, '\0');
    CHECK(kind_of([&] { database db(dir / "zeros.db"); }) == errc::not_a_database);
}

TEST_CASE("a file of another version or with unknown features is refused by name") {
    workbench::folder const dir;
    auto const path = dir / "a.db";
    put(*std::make_unique<database>(path), "a", "1");
    auto image = proving::text_of(path);
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
    auto const before = proving::text_of(path);
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
    CHECK(before != proving::text_of(path));
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

    auto const before = proving::text_of(path);
    CHECK_FALSE(db.compact({.progress = [](auto, auto) { return false; }}));
    CHECK_THROWS_AS(db.compact({.keep = [](auto, auto) -> bool { throw 7; }}), int);
    CHECK(proving::text_of(path) == before);
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
    auto image = proving::text_of(path);
    auto const newer =
        static_cast<unsigned char>(image[4096 + 8]) > static_cast<unsigned char>(image[8192 + 8])
            ? 4096U
            : 8192U;
    image[newer + 50] = static_cast<char>(image[newer + 50] ^ 1);
    std::ofstream(path, std::ios::binary) << image;
    CHECK(kind_of([&] { database db(path, {.recovery = recovery::refuse}); }) ==
          errc::recovery_needed);
    CHECK(proving::text_of(path) == image);
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

// The deadline was the present and the length, whose sum overflowed into the past: the longest wait
// there is did not wait at all.
TEMPLATE_TEST_CASE("who is ready to wait for ever gets the turn", "", in_file, in_memory) {
    test_database<TestType> on;
    auto& db = *on;
    auto txn = std::optional(db.write());
    std::atomic<bool> asks{false};
    std::atomic<bool> has{false};
    std::thread other([&] {
        asks = true;
        auto const mine = db.write_for(std::chrono::hours::max());
        has = mine.has_value();
    });
    while (!asks) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(20)); // most likely it waits by now
    txn.reset();
    other.join();
    CHECK(has);
    compaction_hooks patient;
    patient.longest_wait = std::chrono::nanoseconds::max();
    CHECK(db.compact(patient));
}

TEST_CASE("a database in memory takes options") {
    memory_database db({.durability = durability::lazy, .preallocate_bytes = 0});
    CHECK(db.chosen().durability == durability::lazy);
    db.update([](auto& txn) { txn.put("a", "1"); });
    CHECK(db.get("a") == "1");
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

TEMPLATE_TEST_CASE("durability is chosen in the options, and by each commit anew", "", in_file,
                   in_memory) {
    auto chosen = proving::tiny();
    chosen.durability = durability::lazy;
    test_database<TestType> on(chosen);
    on->update([](auto& txn) { txn.put("a", "1"); });
    CHECK(on->stats().unsynced_bytes > 0);
    auto const second = on->update([](auto& txn) { txn.put("b", "2"); }, durability::sync);
    CHECK(on->stats().durable == second);
    on->update([](auto& txn) { txn.put("c", "3"); });
    CHECK(on->stats().durable == second);
    on->sync();
    CHECK(on->stats().durable == on->stats().newest);
    auto const fourth = on->update([](auto& txn) { txn.put("d", "4"); }, durability::two_sync);
    CHECK(on->stats().durable == fourth);
    on.reopen();
    CHECK(on->read().size() == 4);
}

TEMPLATE_TEST_CASE("notes and times are kept, and times grow though the clock goes backwards", "",
                   in_file, in_memory) {
    auto now = std::chrono::system_clock::time_point(std::chrono::seconds(5000));
    auto chosen = proving::tiny();
    chosen.clock = [&] { return now; };
    test_database<TestType> on(chosen);
    auto last = on->read().time();
    CHECK(last == now);
    for (int i = 0; i < 50; ++i) {
        auto const forwards = i % 5 == 0;
        now += std::chrono::seconds(forwards ? 100 : -30);
        auto const before_1970 = i == 33;
        if (before_1970) now = std::chrono::system_clock::time_point(std::chrono::seconds(-5));
        auto const note = i % 2 == 0 ? "note " + std::to_string(i) : std::string();
        on->update([&](auto& txn) { txn.put("n", std::to_string(i)); }, durability::lazy, note);
        auto const then = on->read();
        CHECK(then.time() > last);
        CHECK(then.time() <= std::max(now, last + std::chrono::microseconds(1)));
        CHECK(then.note() == note);
        last = then.time();
    }
    std::uint64_t count = 0;
    for (auto const& commit : on->history()) {
        CHECK(commit.id == commit_id{51 - count});
        auto const moment = on->read(commit.id);
        CHECK(moment.time() == commit.time);
        CHECK(moment.note() == commit.note);
        CHECK(moment.size() == commit.entries);
        ++count;
    }
    CHECK(count == 51);
}

TEMPLATE_TEST_CASE("every old commit is whole, and those before a compaction are gone", "", in_file,
                   in_memory) {
    test_database<TestType> on;
    std::map<commit_id, proving::content> then{{commit_id{1}, {}}};
    proving::content model;
    workbench::dice dice(3);
    for (int i = 0; i < 60; ++i) {
        auto const id = on->update(
            [&](auto& txn) {
                for (int j = 0; j < 5; ++j) {
                    auto const key = proving::numbered("k", dice.below(40));
                    if (dice.below(4) == 0) {
                        txn.erase(key);
                        model.erase(key);
                    } else {
                        txn.put(key, model[key] = noise(dice.below(80), dice.next()));
                    }
                }
                txn.put("step", model["step"] = std::to_string(i));
            },
            i % 3 == 0 ? durability::sync : durability::lazy);
        then[id] = model;
    }
    for (auto const& [id, expected] : then) proving::must_hold(on->read(id), expected);
    on.reopen();
    for (auto const& [id, expected] : then) proving::must_hold(on->read(id), expected);
    auto other = on.another();
    CHECK(on->compact());
    for (auto* each : {&*on, &other}) {
        proving::must_hold(each->read(commit_id{61}), model);
        for (std::uint64_t id = 0; id <= 60; ++id) {
            CHECK(kind_of([&] { static_cast<void>(each->read({id})); }) == errc::history_gone);
        }
        CHECK(kind_of([&] { static_cast<void>(each->read({62})); }) == errc::history_gone);
    }
}

TEMPLATE_TEST_CASE("two handles take turns, and each sees what the other did", "", in_file,
                   in_memory) {
    test_database<TestType> on;
    auto other = on.another();
    std::vector<std::thread> threads;
    for (auto* each : {&*on, &other}) {
        threads.emplace_back([each] {
            for (int i = 0; i < 100; ++i) {
                each->update(
                    [](auto& txn) {
                        txn.modify("n", [](auto old) {
                            return std::to_string(1 + std::stoi(std::string(old.value_or("0"))));
                        });
                    },
                    durability::lazy);
            }
        });
    }
    for (auto& each : threads) each.join();
    CHECK(on->get("n") == "200");
    CHECK(other.get("n") == "200");
    auto txn = on->write();
    CHECK(kind_of([&] { static_cast<void>(other.write()); }) == errc::would_deadlock);
    txn.rollback();
    other.close();
    on->update([](auto& mine) { mine.put("n", "goes on"); });
}

TEST_CASE("a handle that has read on in a compacted file can write to it") {
    test_database<in_file> on;
    auto other = on.another();
    on->update([](auto& txn) { txn.put("a", "1"); });
    other.compact();
    CHECK(on->get("a") == "1"); // moves over to the file that stands there now
    on->update([](auto& txn) { txn.put("b", "2"); });
    CHECK(other.get("b") == "2");
}

TEMPLATE_TEST_CASE("a handle that is assigned to is closed first, and one to itself is kept", "",
                   in_file, in_memory) {
    std::vector<std::string> told;
    auto named = [&](std::string const& name) {
        auto chosen = proving::tiny();
        chosen.events.on_open = [&told, name](auto const&) { told.push_back("open " + name); };
        chosen.events.on_close = [&told, name](auto const&) { told.push_back("close " + name); };
        return chosen;
    };
    {
        test_database<TestType> first(named("first"));
        test_database<TestType> second(named("second"));
        second->update([](auto& txn) { txn.put("a", "2"); });
        *first = std::move(*second);
        CHECK(told == std::vector<std::string>{"open first", "open second", "close first"});
        CHECK(first->get("a") == "2");
        auto& same = *first;
        *first = std::move(same);
        CHECK(first->get("a") == "2");
        CHECK(kind_of([&] { static_cast<void>(second->stats()); }) == errc::closed);
        CHECK(kind_of([&] { static_cast<void>(second->path()); }) == errc::closed);
        CHECK(kind_of([&] { second->sync(); }) == errc::closed);
        CHECK(kind_of([&] { second->compact(); }) == errc::closed);
        CHECK(kind_of([&] { static_cast<void>(second->check()); }) == errc::closed);
        CHECK(kind_of([&] { static_cast<void>(second->history()); }) == errc::closed);
        second.reopen();
    }
    CHECK(told.back() == "close second"); // the options went along with the database
}

TEMPLATE_TEST_CASE("callbacks are told what happens, and may throw without harm", "", in_file,
                   in_memory) {
    std::vector<commit_info> commits;
    std::vector<errc> errors;
    std::vector<std::string> lines;
    auto chosen = proving::tiny();
    chosen.events.on_open = [](auto const&) { throw std::runtime_error("open"); };
    chosen.events.on_close = [](auto const&) { throw std::runtime_error("close"); };
    chosen.events.on_commit = [&](commit_info const& commit) {
        commits.push_back(commit);
        throw std::runtime_error("commit");
    };
    chosen.events.on_error = [&](error const& e) {
        errors.push_back(e.kind());
        throw std::runtime_error("error");
    };
    chosen.events.log = [&](log_level, std::string_view line) {
        lines.emplace_back(line);
        throw std::runtime_error("log");
    };
    {
        test_database<TestType> on(chosen);
        auto const id = on->update([](auto& txn) { txn.put("a", noise(100)); }, {}, "noted");
        REQUIRE(commits.size() == 1);
        CHECK(commits[0].id == id);
        CHECK(commits[0].note == "noted");
        CHECK(commits[0].entries == 1);
        CHECK(commits[0].durable);
        CHECK(commits[0].live_bytes > 100);
        CHECK(commits[0].time == on->read().time());
        on->update([](auto& txn) { txn.put("b", "2"); }, durability::lazy);
        CHECK_FALSE(commits.at(1).durable);
        on->update([](auto&) {});
        CHECK(commits.size() == 2);
        auto txn = on->write();
        CHECK(kind_of([&] { static_cast<void>(on->write()); }) == errc::would_deadlock);
        CHECK(kind_of([&] { txn.commit({}, std::string(5000, 'n')); }) == errc::note_too_large);
        CHECK(errors == std::vector<errc>{errc::would_deadlock, errc::note_too_large});
    }
    CHECK(lines.size() == 6); // open, two commits, two errors, close
}

TEST_CASE("a file that was removed or replaced is not written to, and snapshots read on") {
    workbench::folder const dir;
    auto const path = dir / "a.db";
    database db(path, proving::tiny());
    put(db, "a", "1");
    auto const held = db.read();
    fs::rename(path, dir / "moved.db");
    CHECK(kind_of([&] { put(db, "a", "2"); }) == errc::file_missing);
    CHECK(kind_of([&] { db.compact(); }) == errc::file_missing);
    CHECK(kind_of([&] { db.sync(); }) == errc::file_missing);
    CHECK(held.get("a") == "1");
    CHECK(db.get("a") == "1");
    database other(path, proving::tiny());
    put(other, "a", "another database");
    CHECK(other.compact()); // a higher generation does not make it a successor
    CHECK(kind_of([&] { put(db, "a", "2"); }) == errc::file_replaced);
    CHECK(kind_of([&] { db.compact(); }) == errc::file_replaced);
    CHECK(held.get("a") == "1");
    CHECK(db.get("a") == "1");
    CHECK(other.get("a") == "another database");
    other.close();
    fs::rename(dir / "moved.db", path);
    put(db, "a", "2"); // it is back
    CHECK(db.get("a") == "2");
    CHECK(db.check().clean());
}

TEST_CASE("a file that is put in the place while a transaction is open is not mixed up with it") {
    workbench::folder const dir;
    auto const path = dir / "a.db";
    {
        database db(path, proving::tiny());
        put(db, "a", "1");
        { database const made(dir / "b.db", proving::tiny()); }
        auto const before = proving::text_of(dir / "b.db");
        auto txn = db.write();
        txn.put("a", "2");
        fs::rename(path, dir / "old.db");
        fs::rename(dir / "b.db", path);
        txn.commit(); // goes to the file that it began on
        CHECK(proving::text_of(path) == before);
        CHECK(kind_of([&] { static_cast<void>(db.write()); }) == errc::file_replaced);
    }
    CHECK(database(dir / "old.db").get("a") == "2");
}

namespace {

/// Is another user for a while, where the tests are run by root, whom no permission stops.
class another_user {
  public:
    another_user() {
        if (::geteuid() == 0) CHECK(::seteuid(65534) == 0);
    }
    another_user(another_user const&) = delete;
    another_user& operator=(another_user const&) = delete;
    ~another_user() { static_cast<void>(::seteuid(::getuid())); }
};

} // namespace

TEST_CASE("a database that may only be read can be read, and is refused for writing") {
    workbench::folder const dir;
    auto const path = dir / "a.db";
    put(*std::make_unique<database>(path, proving::tiny()), "a", "1");
    fs::remove(dir / "a.db.lock");
    fs::permissions(path, fs::perms(0444));
    fs::permissions(dir.path(), fs::perms(0555));
    {
        another_user const nobody;
        {
            database const db(path, {.read_only = true});
            CHECK(db.get("a") == "1");
            CHECK(db.check().clean());
        }
        CHECK(kind_of([&] { database const db(path, {}); }) == errc::io_failed);
        CHECK(kind_of([&] { database const db(dir / "new.db", {}); }) == errc::lock_unusable);
    }
    fs::permissions(dir.path(), fs::perms(0755));
    CHECK(fs::directory_iterator(dir.path()) != fs::directory_iterator());
    CHECK_FALSE(fs::exists(dir / "a.db.lock"));
    CHECK_FALSE(fs::exists(dir / "new.db"));
}

TEST_CASE("replacing makes another database in one step, and open handles keep theirs") {
    workbench::folder const dir;
    auto const path = dir / "a.db";
    database old(path, proving::tiny());
    put(old, "a", "1");
    database fresh(path, {.create = create::replace, .preallocate_bytes = 0});
    CHECK(fresh.read().empty());
    CHECK(old.get("a") == "1");
    CHECK(kind_of([&] { put(old, "a", "2"); }) == errc::file_replaced);
    put(fresh, "b", "2");
    CHECK(database(path).read().size() == 1);
    proving::write_text(dir / "letter.txt", "no database");
    database const over(dir / "letter.txt", {.create = create::replace});
    CHECK(over.read().empty());
}

TEST_CASE("what lies where no database can be is refused by its name") {
    workbench::folder const dir;
    fs::create_directory(dir / "folder");
    CHECK(kind_of([&] { database const tried(dir / "folder", {}); }) == errc::unusable_path);
    REQUIRE(::mkfifo((dir / "pipe").c_str(), 0600) == 0);
    CHECK(kind_of([&] { database const tried(dir / "pipe", {}); }) == errc::unusable_path);
    CHECK(kind_of([&] { database const tried("/dev/null", {}); }).has_value());
    CHECK(kind_of([&] { database const tried(dir / std::string(254, 'n'), {}); }) ==
          errc::unusable_path);
    database longest(dir / std::string(247, 'n'), proving::tiny());
    put(longest, "a", "1");
    CHECK(longest.compact());
}

TEST_CASE("a bit flip is reported where it is read, and the rest can still be had") {
    workbench::folder const dir;
    auto const path = dir / "a.db";
    std::uint64_t at = 0;
    {
        database db(path, proving::tiny());
        auto const model = proving::numbered_entries(200);
        db.update([&](auto& txn) { txn.load(model); });
        auto const state = db.read().state();
        at = tree::find(*state, state->user(), proving::numbered("k", 11))->extent().offset;
    }
    auto image = proving::text_of(path);
    image[static_cast<std::size_t>(at)] =
        static_cast<char>(image[static_cast<std::size_t>(at)] ^ 4);
    proving::write_text(path, image);
    for (auto const how : {verify::first_touch, verify::every_read}) {
        database const db(path, {.verify = how});
        auto const now = db.read();
        try {
            static_cast<void>(now.get(proving::numbered("k", 11)));
            FAIL("the flip is not seen");
        } catch (error const& e) {
            CHECK(e.kind() == errc::corrupt);
            CHECK(e.offset() == at);
            CHECK(e.path() == db.path());
        }
        CHECK(now.value_bytes(proving::numbered("k", 11)) == 77U);
        CHECK(now.get(proving::numbered("k", 12)) == noise(84, 12));
        auto const report = db.check();
        REQUIRE(report.findings.size() == 1);
        CHECK(report.findings[0].offset == at);
    }
    database const careless(path, {.verify = verify::never});
    CHECK(careless.get(proving::numbered("k", 11)).has_value());
    CHECK_FALSE(careless.check().clean());
}

TEST_CASE(
    "offsets may pass 2^31, 2^32 and 2^40: what a stream leaves behind is a hole in the file") {
    for (auto const bits : {31U, 32U, 40U}) {
        if (workbench::under_tsan && bits == 40) continue; // its shadow memory is not that large
        auto const border = std::uint64_t{1} << bits;
        INFO("2^" << bits);
        test_database<in_file> on;
        on->update([](auto& txn) { txn.put("below", noise(500)); });
        proving::content model{{"below", noise(500)}};
        {
            auto txn = on->write();
            // An abandoned stream has taken its place in the file.
            static_cast<void>(txn.put_stream("gap", border - on->stats().valid_bytes - 2000));
            txn.put("near", model["near"] = noise(100));
            txn.commit();
        }
        CHECK(on->stats().valid_bytes > border - 2000);
        for (unsigned i = 0; i < 40; ++i) {
            auto const key = proving::numbered("k", i);
            on->update([&](auto& txn) { txn.put(key, model[key] = noise(i * 11, i)); },
                       i % 3 == 0 ? durability::sync : durability::lazy);
        }
        CHECK(on->stats().valid_bytes > border);
        proving::must_hold(on->read(), model);
        proving::must_hold(on.another().read(), model);
        on.reopen();
        proving::must_hold(on->read(), model);
        CHECK(on->read(commit_id{2}).size() == 1);
        CHECK(on->compact());
        CHECK(on->stats().file_bytes < 1U << 20U);
        proving::must_hold(on->read(), model);
    }
}

TEST_CASE("a handle that is idle lets go of a file that was replaced when it is told to look") {
    test_database<in_memory> on;
    on->update([](auto& txn) { txn.put("k", "v"); });
    auto idle = on.another();
    auto reader = on.another();
    auto held = std::optional(reader.read());
    auto const old = std::weak_ptr(on.place().medium().open(storage::access::read_only));
    CHECK(on->compact());
    reader.refresh();
    CHECK(reader.stats().pinned_bytes > 0);
    held.reset();
    CHECK(reader.stats().pinned_bytes == 0);
    CHECK_FALSE(old.expired());
    idle.refresh();
    CHECK(old.expired());
    CHECK(idle.stats().generation == 2);
    CHECK(idle.get("k") == "v");
    idle.close();
    CHECK(kind_of([&] { idle.refresh(); }) == errc::closed);
}
