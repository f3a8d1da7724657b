// SPDX-License-Identifier: BSL-1.0
// Where a database may lie, as a user meets it: odd and long names, a process that goes elsewhere,
// another owner, media and files that may not be written. What is not possible is a typed error
// that leaves everything as it was; reading needs no right to write.

#include <coppice/database.hpp>

#include <attempts.hpp>
#include <catch2/catch.hpp>
#include <kind_of.hpp>
#include <workbench.hpp>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

namespace {

namespace fs = std::filesystem;
using coppice::database;
using coppice::errc;
using support::kind_of;
using workbench::done;
using workbench::failed;
using workbench::try_all;

void put(database& db, std::string const& value) {
    db.update([&](auto& txn) { txn.put("k", value); });
}
void put(fs::path const& path, std::string const& value) {
    database db(path);
    put(db, value);
}
/// Reads as one who may not write.
void read(fs::path const& path, std::string_view value) {
    database const db(path, {.read_only = true});
    if (db.get("k") != value) throw coppice::error(errc::corrupt, "another value");
}
/// Does all that there is to do at a path.
void live_at(fs::path const& path) {
    INFO("a path of " << path.string().size() << " bytes");
    database db(path);
    put(db, "v");
    db.compact();
    put(db, "w");
    database const again(path, {.create = coppice::create::never});
    CHECK(again.get("k") == "w");
    CHECK(again.check().clean());
}

/// A mark of a file that even root keeps to (chattr), taken off at the end.
class marked {
  public:
    marked(fs::path const& path, int mark)
        : file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), mark_(mark) {
        int now = 0;
        set_ = file_ >= 0 && ::ioctl(file_, FS_IOC_GETFLAGS, &now) == 0 && change(now | mark_);
    }
    marked(marked const&) = delete;
    marked& operator=(marked const&) = delete;
    ~marked() {
        int now = 0;
        if (set_ && ::ioctl(file_, FS_IOC_GETFLAGS, &now) == 0) change(now & ~mark_);
        if (file_ >= 0) ::close(file_);
    }
    [[nodiscard]] explicit operator bool() const noexcept { return set_; }

  private:
    bool change(int to) const { return ::ioctl(file_, FS_IOC_SETFLAGS, &to) == 0; }

    int file_;
    int mark_;
    bool set_ = false;
};

bool skip_marks() {
    std::printf(
        "skipped: files cannot be marked here (chattr needs root, and ext4, XFS or btrfs)\n");
    return true;
}

/// Makes a folder read-only, for this process alone.
bool mount_read_only(fs::path const& folder) {
    auto const* const at = folder.c_str();
    return ::unshare(CLONE_NEWNS) == 0 &&
           ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           ::mount(at, at, nullptr, MS_BIND, nullptr) == 0 &&
           ::mount(nullptr, at, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) == 0;
}

} // namespace

TEST_CASE("a database lives under every name that leaves room for its companions") {
    workbench::folder const here;
    for (std::string const& name :
         {std::string("line\nbreak"), std::string("\xff\xfe\x80"), std::string(" "),
          std::string("-rf"), std::string("a.compact"), std::string("a.lock"),
          std::string("\"quoted' \\"), std::string(247, 'n')}) {
        live_at(here / name);
    }
}

TEST_CASE("a path may be as long as the system has it, and is refused beyond") {
    workbench::folder const here;
    auto folder = here.path();
    while (folder.string().size() < 3800) folder /= std::string(200, 'd');
    constexpr std::size_t longest_path_bytes = 4095;
    auto const path = [&](std::size_t size_bytes) {
        auto const rest = size_bytes - folder.string().size() - 2;
        auto const half = rest / 2;
        return folder / std::string(half, 'e') / std::string(rest - half, 'f');
    };
    REQUIRE(path(longest_path_bytes).string().size() == longest_path_bytes);
    coppice::options chosen;
    chosen.create_directories = true;
    static_cast<void>(database(path(longest_path_bytes), chosen));
    live_at(path(longest_path_bytes));
    CHECK(kind_of([&] { database const db(path(longest_path_bytes + 1), chosen); }) ==
          errc::unusable_path);
    CHECK(kind_of([&] { database const db(path(longest_path_bytes + 1)); }) == errc::unusable_path);
}

TEST_CASE("a process that goes to another folder keeps its database") {
    workbench::folder const here;
    fs::create_directories(here / "before");
    fs::create_directories(here / "elsewhere");
    auto const old = fs::current_path();
    fs::current_path(here / "before");
    database db("a.db");
    fs::current_path(here / "elsewhere");
    put(db, "v");
    db.compact();
    put(db, "w");
    fs::current_path(old);
    CHECK(fs::is_empty(here / "elsewhere"));
    CHECK_NOTHROW(read(here / "before/a.db", "w"));
}

TEST_CASE("a compaction keeps owner, group and mode, and so does the lock file") {
    if (::geteuid() != 0) {
        std::printf("skipped: only root can give files away\n");
        return;
    }
    workbench::folder const here;
    auto const path = here / "a.db";
    static_cast<void>(database(path));
    fs::remove(path.string() + ".lock");
    REQUIRE(::chown(path.c_str(), 1234, 2345) == 0);
    fs::permissions(path, fs::perms(0640));
    database db(path);
    put(db, "v");
    db.compact();
    for (auto const& each : {path.string(), path.string() + ".lock"}) {
        struct stat status {};
        REQUIRE(::stat(each.c_str(), &status) == 0);
        CHECK(status.st_uid == 1234);
        CHECK(status.st_gid == 2345);
        CHECK((status.st_mode & 07777U) == 0640U);
    }
}

TEST_CASE("on a read-only medium a database is read, and nothing is written or made") {
    if (workbench::skip_forks()) return;
    if (::geteuid() != 0) {
        std::printf("skipped: only root can mount\n");
        return;
    }
    workbench::folder const here;
    auto const path = here / "a.db";
    put(path, "v");
    // Without its lock file, as on a medium that was made elsewhere.
    put(here / "bare.db", "v");
    fs::remove(here / "bare.db.lock");
    auto const refused = failed(errc::io_failed, EROFS);
    if (!try_all([&] { return mount_read_only(here.path()); },
                 {{[&] { read(path, "v"); }, done},
                  {[&] { read(here / "bare.db", "v"); }, done},
                  {[&] { put(path, "w"); }, refused},
                  {[&] { database const made(here / "new.db"); }, refused},
                  {[&] { read(path, "v"); }, done}})) {
        return;
    }
    CHECK_FALSE(fs::exists(here / "new.db"));
    CHECK_FALSE(fs::exists(here / "new.db.lock"));
    CHECK_FALSE(fs::exists(here / "bare.db.lock"));
    CHECK_NOTHROW(read(path, "v"));
}

TEST_CASE("a file that nobody may change is read, and refused for writing with the reason") {
    workbench::folder const here;
    auto const path = here / "a.db";
    put(path, "v");
    for (int const mark : {FS_IMMUTABLE_FL, FS_APPEND_FL}) {
        marked const own(path, mark);
        if (!own && skip_marks()) return;
        CHECK(workbench::outcome_of([&] { put(path, "w"); }) == failed(errc::io_failed, EPERM));
        CHECK(workbench::outcome_of([&] { read(path, "v"); }) == done);
    }
    put(path, "w");
    CHECK_NOTHROW(read(path, "w"));
}

TEST_CASE("in a folder that nobody may change one commits, and does not compact") {
    workbench::folder const here;
    fs::create_directories(here / "kept");
    auto const path = here / "kept/a.db";
    put(path, "v");
    {
        marked const own(here / "kept", FS_IMMUTABLE_FL);
        if (!own && skip_marks()) return;
        database db(path);
        put(db, "w");
        CHECK(workbench::outcome_of([&] { db.compact(); }) == failed(errc::lock_unusable, EPERM));
        CHECK(workbench::outcome_of([&] { put(db, "x"); }) == done);
    }
    CHECK_NOTHROW(read(path, "x"));
    CHECK_FALSE(fs::exists(path.string() + ".compact"));
}
