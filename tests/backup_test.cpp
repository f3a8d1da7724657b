// SPDX-License-Identifier: BSL-1.0
// backup, extend_backup, branch over real files; and what a plain copy of a live file is.
#include <coppice/database.hpp>

#include <catch2/catch.hpp>
#include <kind_of.hpp>
#include <test_database.hpp>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>

namespace {

namespace fs = std::filesystem;
using coppice::database;
using coppice::durability;
using coppice::errc;
using proving::content;
using proving::content_of;
using proving::in_file;
using proving::in_memory;
using proving::test_database;
using support::kind_of;

template <typename Database>
void put_noise(Database& db, std::string const& key, std::size_t size = 20) {
    db.update([&](auto& t) { t.put(key, proving::noise(size, key.size())); }, durability::lazy);
}

/// Every commit writes its number under each of these keys: half a one would show.
constexpr unsigned keys_of_commit = 40;

void write_commits(database& db, std::atomic<bool> const& stop) {
    for (std::uint64_t i = 1; !stop; ++i) {
        auto const how = i % 5 == 0   ? durability::sync
                         : i % 7 == 0 ? durability::two_sync
                                      : durability::lazy;
        db.update(
            [&](auto& t) {
                for (unsigned k = 0; k < keys_of_commit; ++k) {
                    t.put(proving::numbered("k", k), std::to_string(i));
                }
                t.put("large", std::string(i % 3000, 'l'));
            },
            how);
        if (i % 400 == 0) db.compact();
    }
}

/// Is it one whole commit of those?
bool whole(coppice::snapshot const& state) {
    auto const number = state.get(proving::numbered("k", 0));
    if (!number) return state.empty();
    for (unsigned k = 0; k < keys_of_commit; ++k) {
        if (state.get(proving::numbered("k", k)) != number) return false;
    }
    return state.value_bytes("large") == std::stoull(std::string(*number)) % 3000;
}

} // namespace

TEMPLATE_TEST_CASE("a backup is the database as it was then", "", in_file, in_memory) {
    test_database<TestType> db;
    workbench::folder const folder;
    for (unsigned i = 0; i < 30; ++i) put_noise(*db, proving::numbered("k", i), i * 9);
    auto const then = db->read();
    auto const report = db->backup(folder / "backup.db");
    CHECK(report.newest == then.identity());
    CHECK(report.copied_bytes == fs::file_size(folder / "backup.db"));
    put_noise(*db, "later");
    CHECK(kind_of([&] { static_cast<void>(db->backup(folder / "backup.db")); }) ==
          errc::already_exists);
    {
        database const copy(folder / "backup.db");
        CHECK(content_of(copy.read()) == content_of(then));
        CHECK(copy.read().identity() == then.identity());
        CHECK(content_of(copy.read({7})) == content_of(db->read({7})));
        CHECK(copy.check().clean());
    }
    // Of an earlier moment, and as a stream.
    db->backup(folder / "earlier.db", db->read({7}));
    CHECK(content_of(database(folder / "earlier.db").read()) == content_of(db->read({7})));
    std::string stream;
    db->backup(db->read(), [&](coppice::bytes piece) { stream += coppice::as_text(piece); });
    proving::write_text(folder / "streamed.db", stream);
    CHECK(content_of(database(folder / "streamed.db").read()) == content_of(db->read()));
    for (auto const& each : fs::directory_iterator(folder.path())) {
        CHECK(each.path().extension() != ".compact");
    }
    CHECK(kind_of([&] { db->backup(folder / "no" / "folder.db"); }) == errc::not_found);
    test_database<TestType> other;
    CHECK(kind_of([&] { db->backup(folder / "other.db", other->read()); }) ==
          errc::invalid_argument);
}

TEST_CASE("a backup takes in what was appended since and nothing more") {
    test_database<in_file> db;
    workbench::folder const folder;
    auto const path = folder / "backup.db";
    CHECK(kind_of([&] { static_cast<void>(db->extend_backup(path)); }) == errc::not_found);
    for (unsigned i = 0; i < 300; ++i) put_noise(*db, proving::numbered("k", i), i);
    auto before = db->backup(path);
    for (unsigned round = 0; round < 5; ++round) {
        auto const old_size = fs::file_size(path);
        for (unsigned i = 0; i <= round; ++i) put_noise(*db, "round " + std::to_string(round));
        auto const report = db->extend_backup(path);
        CHECK(report.whole_bytes == before.whole_bytes + report.copied_bytes);
        CHECK(report.copied_bytes < 20'000);
        CHECK(fs::file_size(path) == old_size + report.copied_bytes);
        CHECK(db->extend_backup(path).copied_bytes == 0);
        database const copy(path, {.read_only = true});
        CHECK(copy.read().identity() == db->read().identity());
        CHECK(content_of(copy.read()) == content_of(db->read()));
        CHECK(copy.check().clean());
        before = report;
    }
    auto const kept = content_of(db->read());
    db->compact();
    CHECK(kind_of([&] { static_cast<void>(db->extend_backup(path)); }) == errc::history_gone);
    test_database<in_file> other;
    CHECK(kind_of([&] { static_cast<void>(other->extend_backup(path)); }) ==
          errc::invalid_argument);
    CHECK(content_of(database(path).read()) == kept);
}

TEST_CASE("backups beside a writer and its compactions are whole commits") {
    test_database<in_file> db;
    workbench::folder const folder;
    std::atomic<bool> stop = false;
    auto other = db.another();
    std::thread writer([&] { write_commits(other, stop); });
    unsigned extended = 0;
    for (unsigned i = 0; i < 60; ++i) {
        auto const path = folder / ("backup" + std::to_string(i / 10));
        try {
            if (i % 10 == 0) {
                db->backup(path);
            } else {
                db->extend_backup(path);
                ++extended;
            }
        } catch (coppice::error const& e) {
            CHECK(e.kind() == errc::history_gone); // compacted meanwhile
        }
        database const copy(path, {.read_only = true});
        CHECK(whole(copy.read()));
        CHECK(copy.check().clean());
    }
    stop = true;
    writer.join();
    CHECK(extended > 0);
}

TEST_CASE("a plain copy of a live file opens as a whole commit or is refused") {
    test_database<in_file> db;
    workbench::folder const folder;
    std::atomic<bool> stop = false;
    auto other = db.another();
    std::thread writer([&] { write_commits(other, stop); });
    unsigned opened = 0;
    unsigned refused = 0;
    for (unsigned i = 0; i < 300U * workbench::scale(); ++i) {
        auto const path = folder / "copy.db";
        fs::remove(path);
        fs::copy_file(db.place().path(), path);
        try {
            database const copy(path, {.read_only = true});
            auto const state = copy.read();
            CHECK(whole(state));
            CHECK(copy.check().clean());
            ++opened;
        } catch (coppice::error const& e) {
            CHECK(e.kind() == errc::corrupt);
            ++refused;
        }
    }
    stop = true;
    writer.join();
    std::printf("plain copies of a live file: %u opened as a whole commit, %u refused\n", opened,
                refused);
    CHECK(opened > 0);
}

TEMPLATE_TEST_CASE("a branch begins at its commit and goes its own way", "", in_file, in_memory) {
    test_database<TestType> db;
    workbench::folder const folder;
    for (unsigned i = 0; i < 40; ++i) put_noise(*db, proving::numbered("k", i), i * 9);
    coppice::commit_id const at{20};
    {
        auto branch = db->branch(folder / "branch.db", at);
        CHECK(branch.read().id() == at);
        CHECK(content_of(branch.read()) == content_of(db->read(at)));
        CHECK(content_of(branch.read({10})) == content_of(db->read({10})));
        branch.update([](auto& t) { t.put("of", "its own"); });
        put_noise(*db, "of another");
        CHECK_FALSE(db->get("of"));
        CHECK_FALSE(branch.get("of another"));
        CHECK(branch.read().id().value == 21);
        CHECK(branch.read().identity() != db->read({21}).identity());
        branch.compact();
        CHECK(branch.check().clean());
    }
    auto branch = database(folder / "branch.db");
    CHECK(branch.get("of"));
    CHECK(branch.read().size() == db->read(at).size() + 1);
    // They are two databases: neither is a backup of the other.
    CHECK(kind_of([&] { static_cast<void>(db->extend_backup(folder / "branch.db")); }) ==
          errc::invalid_argument);
    auto const sibling = db->branch(folder / "sibling.db", at);
    CHECK(kind_of([&] { static_cast<void>(branch.extend_backup(folder / "sibling.db")); }) ==
          errc::invalid_argument);
    CHECK(kind_of([&] { static_cast<void>(db->branch(folder / "branch.db", at)); }) ==
          errc::already_exists);
    CHECK(kind_of([&] { static_cast<void>(db->branch(folder / "none.db", {99})); }) ==
          errc::history_gone);
    CHECK_FALSE(fs::exists(folder / "none.db"));
    CHECK(kind_of([&] { static_cast<void>(db->branch(folder / "no" / "folder.db", at)); }) ==
          errc::not_found);
    auto const chosen = coppice::options{.create_directories = true, .read_only = true};
    CHECK(db->branch(folder / "new" / "folder.db", at, chosen).read().id() == at);
}

TEST_CASE("a branch of a snapshot's commit is made beside a compaction too") {
    test_database<in_file> db;
    workbench::folder const folder;
    for (unsigned i = 0; i < 40; ++i) put_noise(*db, proving::numbered("k", i), i * 9);
    auto const old = db->read();
    db->compact();
    // The file of the snapshot has no name any more; its bytes are still there.
    db->backup(folder / "old.db", old);
    CHECK(content_of(database(folder / "old.db").read({7})).size() == 6);
    CHECK(kind_of([&] { static_cast<void>(db->branch(folder / "branch.db", {7})); }) ==
          errc::history_gone);
    auto branch = db->branch(folder / "branch.db", db->read().id());
    CHECK(content_of(branch.read()) == content_of(old));
}
