// SPDX-License-Identifier: BSL-1.0
// The place of a database in a file system: which names it takes, which it refuses, and what
// becomes of the files that stand in its way.

#include <coppice/storage/file_medium.hpp>

#include <catch2/catch.hpp>
#include <kind_of.hpp>
#include <workbench.hpp>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

namespace {

namespace fs = std::filesystem;
using coppice::as_bytes;
using coppice::errc;
using coppice::storage::access;
using coppice::storage::file_medium;
using coppice::storage::standing;
using support::kind_of;

void write_text(fs::path const& path, std::string const& text) { std::ofstream(path) << text; }

std::string text_of(fs::path const& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

unsigned mode_of(fs::path const& path) {
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status.st_mode & 07777U;
}

std::optional<errc> kind_of_open(fs::path const& path, access how) {
    return kind_of([&] { static_cast<void>(file_medium(path, false).open(how)); });
}

void replace(file_medium place, std::string_view text) {
    auto const fresh = place.fresh();
    fresh->write(0, as_bytes(text));
    place.replace(*fresh);
}

} // namespace

TEST_CASE("what is not a plain file is refused at once as a database") {
    workbench::folder const here;
    fs::create_directory(here / "folder");
    REQUIRE(::mkfifo((here / "pipe").c_str(), 0600) == 0);
    int const socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, (here / "socket").c_str(), sizeof address.sun_path - 1);
    REQUIRE(::bind(socket, reinterpret_cast<sockaddr const*>(&address), sizeof address) == 0);
    for (auto const how : {access::read_only, access::read_write}) {
        for (fs::path const& path : {here / "folder", here / "pipe", here / "socket",
                                     fs::path("/dev/null"), fs::path("/dev/zero")}) {
            INFO(path);
            CHECK(kind_of_open(path, how) == errc::unusable_path);
        }
    }
    ::close(socket);
}

TEST_CASE("names that cannot be a database's are refused") {
    workbench::folder const here;
    auto const refused = [](fs::path const& path) {
        return kind_of([&] { static_cast<void>(file_medium(path, false)); });
    };
    CHECK(refused(here / std::string(250, 'x')) == errc::unusable_path);
    CHECK(refused(here / "") == errc::unusable_path);
    CHECK(refused("") == errc::unusable_path);
    CHECK(refused(here / "..") == errc::unusable_path);
    CHECK(refused(here / "missing" / "a") == errc::not_found);
    CHECK_FALSE(refused(here / std::string(247, 'x')));
    CHECK_FALSE(refused(here / "line\nbreak \xff\xfe"));
}

TEST_CASE("a missing database is not found, and missing folders are made when asked") {
    workbench::folder const here;
    CHECK(kind_of_open(here / "a", access::read_write) == errc::not_found);
    replace(file_medium(here / "x" / "y" / "a", true), "text");
    CHECK(text_of(here / "x" / "y" / "a") == "text");
}

TEST_CASE("a database with a second name can be read and not written") {
    workbench::folder const here;
    write_text(here / "a", "text");
    fs::create_hard_link(here / "a", here / "b");
    CHECK_FALSE(kind_of_open(here / "a", access::read_only));
    CHECK(kind_of_open(here / "a", access::read_write) == errc::hard_linked);
}

TEST_CASE("a symbolic link is resolved once, so that a fresh file replaces its target") {
    workbench::folder const here;
    fs::create_directory(here / "far");
    write_text(here / "far" / "real", "old");
    fs::create_symlink("far/real", here / "link");
    replace(file_medium(here / "link", false), "new");
    CHECK(fs::is_symlink(here / "link"));
    CHECK(text_of(here / "far" / "real") == "new");
}

TEST_CASE("a link to what is missing makes its target, and a circle of links is refused") {
    workbench::folder const here;
    fs::create_directory(here / "far");
    fs::create_symlink("far/real", here / "link");
    replace(file_medium(here / "link", false), "new");
    CHECK(text_of(here / "far" / "real") == "new");
    fs::create_symlink("two", here / "one");
    fs::create_symlink("one", here / "two");
    CHECK(kind_of([&] { static_cast<void>(file_medium(here / "one", false)); }) ==
          errc::unusable_path);
}

TEST_CASE("a medium keeps its folder when the process or the folder moves") {
    workbench::folder const here;
    fs::create_directory(here / "before");
    auto const old = fs::current_path();
    fs::current_path(here / "before");
    file_medium place("a", false);
    fs::current_path(old);
    fs::rename(here / "before", here / "after");
    replace(place, "text");
    CHECK(text_of(here / "after" / "a") == "text");
}

TEST_CASE("a fresh file takes over the permissions, whatever the umask") {
    workbench::folder const here;
    auto const old = ::umask(0);
    for (unsigned const mode : {0600U, 0640U, 0664U}) {
        write_text(here / "a", "old");
        fs::permissions(here / "a", static_cast<fs::perms>(mode));
        for (unsigned const mask : {0U, 077U}) {
            ::umask(mask);
            replace(file_medium(here / "a", false), "new");
            CHECK(mode_of(here / "a") == mode);
        }
    }
    ::umask(027);
    replace(file_medium(here / "b", false), "new");
    CHECK(mode_of(here / "b") == 0640);
    ::umask(old);
}

TEST_CASE("a leftover is removed, and a link to it or from it harms nobody") {
    workbench::folder const here;
    write_text(here / "victim", "precious");
    write_text(here / "a.compact", "leftover");
    file_medium place(here / "a", false);
    CHECK(place.companion().has_value());
    CHECK(place.discard_fresh());
    CHECK_FALSE(place.discard_fresh());
    CHECK_FALSE(place.companion());
    auto const fresh = place.fresh();
    CHECK(place.companion() == fresh->identity());
    fs::remove(here / "a.compact");
    fs::create_hard_link(here / "victim", here / "a.compact");
    replace(place, "new");
    CHECK(text_of(here / "victim") == "precious");
    CHECK(text_of(here / "a") == "new");
}

TEST_CASE("what is planted where a fresh file would be is refused and left alone") {
    workbench::folder const here;
    write_text(here / "victim", "precious");
    fs::create_symlink("victim", here / "a.compact");
    fs::create_directory(here / "b.compact");
    REQUIRE(::mkfifo((here / "c.compact").c_str(), 0600) == 0);
    for (auto const* const name : {"a", "b", "c"}) {
        file_medium place(here / name, false);
        CHECK(kind_of([&] { static_cast<void>(place.fresh()); }) == errc::unusable_path);
        CHECK(kind_of([&] { static_cast<void>(place.discard_fresh()); }) == errc::unusable_path);
        CHECK(fs::exists(fs::symlink_status(here / (name + std::string(".compact")))));
    }
    CHECK(text_of(here / "victim") == "precious");
}

TEST_CASE("a fresh file that was exchanged by somebody does not become the database") {
    workbench::folder const here;
    file_medium place(here / "a", false);
    auto const fresh = place.fresh();
    fs::remove(here / "a.compact");
    write_text(here / "a.compact", "another");
    CHECK(kind_of([&] { place.replace(*fresh); }) == errc::io_failed);
    CHECK_FALSE(fs::exists(here / "a"));
}

TEST_CASE("comparing tells whether the path still is the file") {
    workbench::folder const here;
    file_medium place(here / "a", false);
    replace(place, "one");
    place.sync_name();
    auto const opened = place.open(access::read_write);
    CHECK(place.compare(*opened) == standing::same);
    replace(place, "two");
    CHECK(place.compare(*opened) == standing::replaced);
    CHECK(place.remove());
    CHECK_FALSE(place.remove());
    CHECK(place.compare(*opened) == standing::missing);
    fs::create_symlink("elsewhere", here / "a");
    CHECK(place.compare(*opened) == standing::replaced);
    CHECK(kind_of([&] { static_cast<void>(place.open(access::read_only)); }) ==
          errc::unusable_path);
}

TEST_CASE("what is read-only is opened for reading, and makes nothing") {
    workbench::folder const here;
    write_text(here / "a", "text");
    file_medium place(here / "a", false);
    CHECK(place.open(access::read_only)->size() == 4);
    CHECK(place.reader_lock() == nullptr);
    CHECK_FALSE(fs::exists(here / "a.lock"));
}
