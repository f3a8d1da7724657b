// SPDX-License-Identifier: BSL-1.0
// A process that may have little: no larger files, few descriptors, no address space, a small
// stack, no standard streams. What it is refused is a typed error; nothing is lost, and with more
// room the same handle goes on.

#include <coppice/database.hpp>

#include <attempts.hpp>
#include <catch2/catch.hpp>
#include <failing_call.hpp>
#include <small_stack.hpp>
#include <workbench.hpp>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

namespace {

namespace fs = std::filesystem;
using coppice::database;
using coppice::errc;
using workbench::child;
using workbench::done;
using workbench::failed;
using workbench::reporter;
using workbench::try_all;

void put(database& db, std::string const& key, std::string const& value) {
    db.update([&](auto& txn) { txn.put(key, value); });
}
void make(fs::path const& path) {
    database db(path);
    put(db, "k", "v");
}
void must_hold(fs::path const& path, std::string const& key, std::string const& value) {
    database const db(path, {.create = coppice::create::never});
    CHECK(db.get(key) == value);
    CHECK(db.check().clean());
    CHECK_FALSE(fs::exists(path.string() + ".compact"));
}
void require(bool holds, char const* what) {
    if (!holds) throw coppice::error(errc::corrupt, what);
}

/// Sets the limit that holds; the one above it stays.
template <typename Resource> [[nodiscard]] bool limit(Resource resource, rlim_t to) {
    struct rlimit now {};
    if (::getrlimit(resource, &now) != 0) return false;
    now.rlim_cur = to < now.rlim_max ? to : now.rlim_max;
    return ::setrlimit(resource, &now) == 0;
}

/// The descriptors that are open, as a set of bits.
[[nodiscard]] std::uint64_t descriptors() {
    std::uint64_t open = 0;
    for (int i = 0; i < 64; ++i) open |= std::uint64_t{::fcntl(i, F_GETFD) >= 0} << i;
    return open;
}

} // namespace

TEST_CASE("where files may not grow, a commit is refused, and goes through when they may") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    auto const path = here / "a.db";
    make(path);
    std::string const large(300'000, 'x');
    std::optional<database> db;
    auto const prepare = [&] {
        ::signal(SIGXFSZ, SIG_IGN); // as every program must that has such a limit
        return limit(RLIMIT_FSIZE, 200'000);
    };
    REQUIRE(try_all(prepare,
                    {{[&] { db.emplace(path); }, done},
                     {[&] { put(*db, "large", large); }, failed(errc::io_failed, EFBIG)},
                     {[&] { require(db->get("k") == "v" && !db->get("large"), "content"); }, done},
                     {[&] { put(*db, "small", "fits"); }, done},
                     {[&] { require(limit(RLIMIT_FSIZE, RLIM_INFINITY), "no room"); }, done},
                     {[&] { put(*db, "large", large); }, done},
                     {[&] { require(db->check().clean(), "check"); }, done}}));
    must_hold(path, "large", large);
    must_hold(path, "small", "fits");
}

TEST_CASE("a process that the signal of a file size limit ends has lost nothing") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    auto const path = here / "a.db";
    make(path);
    child own([&](reporter const& to) {
        ::signal(SIGXFSZ, SIG_DFL);
        require(limit(RLIMIT_CORE, 0) && limit(RLIMIT_FSIZE, 200'000), "limits");
        database db(path);
        put(db, "small", "fits");
        to.tell(1, 0);
        put(db, "large", std::string(300'000, 'x'));
    });
    REQUIRE(own.all_reports().size() == 1);
    CHECK(own.wait() == 128 + SIGXFSZ);
    must_hold(path, "small", "fits");
    CHECK_FALSE(database(path).get("large"));
}

TEST_CASE("a file that cannot be mapped is told with the errno") {
    if (workbench::skip_forks()) return;
    if (workbench::under_asan) {
        std::printf("skipped: the address sanitizer maps memory of the same sizes\n");
        return;
    }
    workbench::folder const here;
    auto const path = here / "a.db";
    make(path);
    auto const open = [&] { require(database(path).get("k") == "v", "content"); };
    // A small file is seen through a view of 1 MiB, or through one of 64 KiB where memory is short.
    constexpr std::uint32_t generous = 1U << 20U;
    constexpr std::uint32_t frugal = 1U << 16U;
    for (int const reason : {EACCES, ENODEV, EAGAIN}) {
        auto const prepare = [&] {
            return workbench::fail_from_now_on({SYS_mmap, reason, {generous}});
        };
        if (!try_all(prepare, {{open, failed(errc::io_failed, reason)}})) return;
    }
    auto const no_memory_for = [](std::vector<std::uint32_t> sizes) {
        return workbench::fail_from_now_on({SYS_mmap, ENOMEM, std::move(sizes)});
    };
    REQUIRE(try_all([&] { return no_memory_for({generous}); }, {{open, done}}));
    REQUIRE(try_all(
        [&] {
            return no_memory_for({generous, frugal});
        },
        {{open, failed(errc::io_failed, ENOMEM)}}));
    must_hold(path, "k", "v");
}

TEST_CASE("a commit whose new bytes cannot be mapped is refused, and the next one goes on") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    auto const path = here / "a.db";
    make(path);
    std::optional<database> db;
    // The view is made anew behind 1 MiB: for twice the size of the file in steps of 64 KiB.
    constexpr std::uint32_t grown = 2 * 17 * (1U << 16U);
    auto const prepare = [&] { return workbench::fail_from_now_on({SYS_mmap, EAGAIN, {grown}}); };
    if (!try_all(prepare,
                 {{[&] { db.emplace(path); }, done},
                  {[&] { put(*db, "large", std::string(1'080'000, 'x')); },
                   failed(errc::io_failed, EAGAIN)},
                  {[&] { require(db->get("k") == "v" && !db->get("large"), "content"); }, done},
                  {[&] { put(*db, "small", "fits"); }, done}})) {
        return;
    }
    must_hold(path, "small", "fits");
}

TEST_CASE("with however few descriptors a call is done or refused, and leaves none behind") {
    if (workbench::skip_forks()) return;
    if (workbench::under_asan) {
        std::printf("skipped: a sanitizer needs descriptors of its own\n");
        return;
    }
    workbench::folder const here;
    auto const path = here / "a.db";
    make(path);
    child own([&](reporter const& to) {
        auto const before = descriptors();
        for (rlim_t most = 4; most < 40; ++most) {
            require(limit(RLIMIT_NOFILE, most), "limit");
            auto const ended = workbench::outcome_of([&] {
                database db(path);
                put(db, "most", std::to_string(most));
                db.compact();
            });
            to.tell(ended.kind, ended.reason);
            require(descriptors() == before, "a descriptor was left");
        }
    });
    auto const reports = own.all_reports();
    CHECK(own.wait() == 0);
    REQUIRE(reports.size() == 36);
    bool enough = false;
    std::size_t refused = 0;
    for (auto const& each : reports) {
        auto const went = each.kind == 0;
        if (!went) {
            ++refused;
            CHECK(each.kind == static_cast<std::uint64_t>(errc::io_failed));
            CHECK(each.number == EMFILE);
            CHECK_FALSE(enough); // more descriptors never make it worse
        }
        enough = enough || went;
    }
    CHECK(refused > 2);
    CHECK(enough);
    must_hold(path, "most", "39");
}

// A process takes its name out of a lock file when it closes it; where that write fails the
// descriptors stay open, since the name would keep others out. Those of a database were closed with
// its next handle, but those of the lock of compactions, which handles do not open, never.
TEST_CASE("what could not be closed is closed when anything else is") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    make(here / "a.db");
    make(here / "b.db");
    static_cast<void>(try_all([] { return std::signal(SIGXFSZ, SIG_IGN) != SIG_ERR; },
                              {{[&] {
                                    auto const before = descriptors();
                                    std::optional<database> db(here / "a.db");
                                    put(*db, "k", "w");
                                    require(limit(RLIMIT_FSIZE, 0), "limits");
                                    db.reset();
                                    require(descriptors() != before,
                                            "nothing stayed open: this tests nothing");
                                    require(limit(RLIMIT_FSIZE, RLIM_INFINITY), "limits");
                                    { database const other(here / "b.db"); }
                                    require(descriptors() == before, "descriptors are left behind");
                                },
                                done}}));
    must_hold(here / "a.db", "k", "w");
}

TEST_CASE("a program without standard streams never has a database in their place") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    child own([&](reporter const& to) {
        for (int low : {0, 1, 2}) ::close(low);
        auto const tell = [&] { to.tell(descriptors() & 7U, 0); };
        database db(here / "a.db");
        tell();
        auto txn = db.write();
        txn.put("k", "v");
        tell();
        txn.commit();
        db.compact();
        tell();
        database const reader(here / "a.db", {.read_only = true});
        require(reader.get("k") == "v" && db.check().clean(), "content");
        tell();
    });
    auto const reports = own.all_reports();
    CHECK(own.wait() == 0);
    REQUIRE(reports.size() == 4);
    for (auto const& each : reports) CHECK(each.kind == 0);
}

TEST_CASE("a stack of 64 KiB is enough for all that there is to do") {
    if (workbench::skip_small_stacks()) return;
    workbench::folder const here;
    unsigned height = 0;
    workbench::with_stack(std::size_t{64} << 10U, [&] {
        coppice::options chosen;
        chosen.nodes = {.leaf_bytes = 128, .inner_bytes = 128, .inline_value_bytes = 32};
        database db(here / "a.db", chosen);
        // Long keys that differ early and late: inner nodes of two children, so a tall tree.
        auto const key = [](unsigned i) {
            return std::to_string(10'000 + i) + std::string(100, 'k') + std::to_string(i);
        };
        db.update([&](auto& txn) {
            for (unsigned i = 0; i < 3000; ++i) txn.put(key(i), std::string(i % 100, 'v'));
        });
        db.update([&](auto& txn) {
            txn.erase(key(100), key(900));
            for (unsigned i = 0; i < 3000; i += 7) txn.put(key(i), "again");
            require(txn.get(key(7)) == "again", "a view of a transaction");
        });
        height = db.stats().height;
        require(db.check().clean(), "check");
        db.compact();
        auto const state = db.read();
        std::uint64_t seen = 0;
        for (auto const& each : state.all()) seen += each.key.size() != 0 ? 1U : 0U;
        require(seen == state.size(), "a scan");
        require(state.get(key(2996)).has_value() && state.nth(5)->key.size() > 100, "reading");
        for (auto const& each : db.history()) require(each.id.value != 0, "history");
    });
    CHECK(height >= 9);
}
