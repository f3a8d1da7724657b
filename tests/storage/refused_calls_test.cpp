// SPDX-License-Identifier: BSL-1.0
// What the operating system refuses, as a user meets it: file systems without locks, failing
// devices and quotas (the kernel refuses the calls of a child), and files of another user (a child
// that is nobody). Whatever fails is told as a typed error, and the database stays what it was.

#include <coppice/database.hpp>

#include <attempts.hpp>
#include <catch2/catch.hpp>
#include <failing_call.hpp>
#include <workbench.hpp>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string>

#include <fcntl.h>

namespace {

namespace fs = std::filesystem;
using coppice::database;
using coppice::errc;
using workbench::done;
using workbench::failed;
using workbench::failing_call;
using workbench::outcome;
using workbench::try_all;

void put_value(fs::path const& path, std::string const& value) {
    database(path).update([&](auto& txn) { txn.put("k", value); });
}
void must_hold(fs::path const& path, std::string const& value) {
    database const db(path, {.create = coppice::create::never});
    CHECK(db.get("k") == value);
    CHECK(db.check().clean());
    CHECK_FALSE(fs::exists(path.string() + ".compact"));
}

/// Every way of asking for a lock that others respect.
failing_call locks_with(int reason) {
    return {SYS_fcntl, reason, {F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW}};
}

} // namespace

TEST_CASE("where there are no locks, writing is refused by name and reading works") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    auto const path = here / "a.db";
    put_value(path, "v");
    for (int const reason : {ENOLCK, ENOSYS, EOPNOTSUPP}) {
        auto const ran = try_all(
            [&] { return workbench::fail_from_now_on(locks_with(reason)); },
            {{[&] { put_value(path, "w"); }, failed(errc::lock_unusable, reason)},
             {[&] { static_cast<void>(database(path).try_write()); },
              failed(errc::lock_unusable, reason)},
             {[&] { database(path).compact(); }, failed(errc::lock_unusable, reason)},
             {[&] { database const made(here / "new.db"); }, failed(errc::lock_unusable, reason)},
             {[&] {
                  database const db(path, {.read_only = true});
                  if (db.get("k") != "v") throw coppice::error(errc::corrupt, "another value");
              },
              done}});
        if (!ran) return;
    }
    CHECK_FALSE(fs::exists(here / "new.db"));
    must_hold(path, "v");
}

TEST_CASE("where statx is unknown or forbidden, statuses are asked for the old way") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    auto const path = here / "a.db";
    for (int const reason : {ENOSYS, EPERM}) {
        if (!try_all(
                [&] {
                    return workbench::fail_from_now_on(failing_call{SYS_statx, reason, {}});
                },
                {{[&] { put_value(path, "w"); }, done},
                 {[&] { database(path).compact(); }, done},
                 {[&] { must_hold(path, "w"); }, done}})) {
            return;
        }
    }
    must_hold(path, "w");
    auto const broken = failing_call{SYS_statx, EIO, {}};
    if (!try_all([&] { return workbench::fail_from_now_on(broken); },
                 {{[&] { put_value(path, "x"); }, failed(errc::io_failed, EIO)}})) {
        return;
    }
    must_hold(path, "w");
}

TEST_CASE("a lock that cannot be asked about is believed") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    auto const path = here / "a.db";
    put_value(path, "v");
    auto const no_question = failing_call{SYS_fcntl, EINVAL, {F_OFD_GETLK}};
    if (!try_all([&] { return workbench::fail_from_now_on(no_question); },
                 {{[&] { put_value(path, "w"); }, done}})) {
        return;
    }
    must_hold(path, "w");
}

TEST_CASE("where space cannot be reserved, a lock file is made without") {
    if (workbench::skip_forks()) return;
    for (int const reason : {EOPNOTSUPP, ENOSYS}) {
        workbench::folder const here;
        auto const path = here / "a.db";
        auto const not_there = failing_call{SYS_fallocate, reason};
        if (!try_all([&] { return workbench::fail_from_now_on(not_there); },
                     {{[&] { put_value(path, "v"); }, done}})) {
            return;
        }
        must_hold(path, "v");
        CHECK(fs::file_size(path.string() + ".lock") == 4096);
    }
}

TEST_CASE("a device that fails, or is full, is told with its errno, and nothing is lost") {
    if (workbench::skip_forks()) return;
    struct {
        long number;
        outcome commit; // of a commit; its errno is in the words only where the outcome is unknown
        outcome compaction;
        outcome making;
        bool unknown = false;
    } const table[] = {
        {SYS_pwrite64, failed(errc::io_failed, 1), failed(errc::io_failed, 1),
         failed(errc::io_failed, 1)},
        {SYS_fdatasync, failed(errc::sync_failed), failed(errc::io_failed, 1),
         failed(errc::io_failed, 1), true},
        {SYS_renameat, done, failed(errc::io_failed, 1), failed(errc::io_failed, 1)},
    };
    auto const with = [](outcome each, int reason) {
        if (each.reason == 1) each.reason = static_cast<std::uint64_t>(reason);
        return each;
    };
    for (auto const& row : table) {
        for (int const reason : {EIO, ENOSPC, EDQUOT, EROFS}) {
            CAPTURE(row.number, reason);
            workbench::folder const here;
            auto const path = here / "a.db";
            put_value(path, "v");
            auto const ran = try_all(
                [&] {
                    return workbench::fail_from_now_on({row.number, reason});
                },
                {{[&] { database const made(here / "new.db"); }, with(row.making, reason)},
                 {[&] { database(path).compact(); }, with(row.compaction, reason)},
                 {[&] { put_value(path, "w"); }, with(row.commit, reason)}});
            if (!ran) return;
            CHECK_FALSE(fs::exists(here / "new.db"));
            if (row.unknown) {
                auto const now = database(path).get("k");
                CHECK((now == "v" || now == "w"));
            } else {
                must_hold(path, row.commit == done ? "w" : "v");
            }
        }
    }
}

TEST_CASE("the files of another user are refused with the reason, or read where they may be") {
    if (workbench::skip_forks()) return;
    if (::geteuid() != 0) {
        std::printf("skipped: only root can become another user\n");
        return;
    }
    workbench::folder const here;
    fs::permissions(here.path(), fs::perms(0755));
    auto const become_nobody = [] { return ::setgid(65534) == 0 && ::setuid(65534) == 0; };
    for (auto const* const name : {"lock", "own", "shut/in", "kept/in"}) {
        fs::create_directories((here / name).parent_path());
        put_value(here / name, "v");
        fs::permissions(here / name, fs::perms(0666));
        fs::permissions((here / name).string() + ".lock", fs::perms(0666));
    }
    fs::permissions(here / "lock.lock", fs::perms(0600));
    fs::permissions(here / "own", fs::perms(0600));
    fs::permissions(here / "shut", fs::perms(0700));
    fs::permissions(here / "kept", fs::perms(0755));
    auto const read = [&](std::string const& name) {
        return [path = here / name] {
            database const db(path, {.read_only = true});
            if (db.get("k") != "v") throw coppice::error(errc::corrupt, "another value");
        };
    };
    REQUIRE(try_all(
        become_nobody,
        {// A lock file that may not be opened: no writing, and reading without it.
         {[&] { put_value(here / "lock", "w"); }, failed(errc::lock_unusable, EACCES)},
         {read("lock"), done},
         {[&] { put_value(here / "own", "w"); }, failed(errc::io_failed, EACCES)},
         {read("own"), failed(errc::io_failed, EACCES)},
         {read("shut/in"), failed(errc::io_failed, EACCES)},
         {[&] { put_value(here / "shut/in", "w"); }, failed(errc::io_failed, EACCES)},
         // Where nothing can be made one can commit, but not compact.
         {read("kept/in"), done},
         {[&] { database(here / "kept/in").compact(); }, failed(errc::lock_unusable, EACCES)},
         {[&] { database const made(here / "kept/new"); }, failed(errc::lock_unusable, EACCES)},
         {[&] { put_value(here / "kept/in", "w"); }, done}}));
    for (auto const* const name : {"lock", "own", "shut/in"}) must_hold(here / name, "v");
    must_hold(here / "kept/in", "w");
    CHECK_FALSE(fs::exists(here / "kept/new"));
    CHECK_FALSE(fs::exists(here / "kept/new.lock"));
}
