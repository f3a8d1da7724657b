// SPDX-License-Identifier: BSL-1.0
// The thin layer over system calls: transfers that are interrupted or cut short, descriptors,
// views.

#include <coppice/storage/file_storage.hpp>
#include <coppice/storage/posix.hpp>

#include <catch2/catch.hpp>
#include <child_process.hpp>
#include <workbench.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace {

namespace posix = coppice::storage::posix;
using coppice::as_bytes;
using coppice::as_text;
using coppice::storage::file_storage;

posix::descriptor make_file(workbench::folder const& here, std::string const& name) {
    return posix::open_at(AT_FDCWD, here / name, O_RDWR | O_CREAT, 0600, "making a file", name);
}

/// Answers like pwrite or pread: gives `at_most` bytes a call, and errno `interrupts` times first.
struct slow_file {
    std::string content;
    std::size_t at_most;
    int interrupts = 0;

    ssize_t write(void const* from, std::size_t size, off_t at) {
        if (interrupts-- > 0) return errno = EINTR, -1;
        auto const count = std::min(size, at_most);
        auto const end = static_cast<std::size_t>(at) + count;
        if (content.size() < end) content.resize(end);
        std::memcpy(content.data() + at, from, count);
        return static_cast<ssize_t>(count);
    }
    ssize_t read(void* to, std::size_t size, off_t at) {
        if (interrupts-- > 0) return errno = EINTR, -1;
        auto const from = std::min(static_cast<std::size_t>(at), content.size());
        auto const count = std::min({size, at_most, content.size() - from});
        std::memcpy(to, content.data() + from, count);
        return static_cast<ssize_t>(count);
    }
};

int errno_of(std::function<void()> const& call) {
    try {
        call();
    } catch (coppice::error const& e) {
        CHECK(e.kind() == coppice::errc::io_failed);
        return e.code().value();
    }
    return 0;
}

} // namespace

TEST_CASE("a write goes on after interruptions and short writes") {
    slow_file file{"", 3, 2};
    auto const some = [&](void const* from, std::size_t size, off_t at) {
        return file.write(from, size, at);
    };
    posix::write_whole(some, 2, as_bytes("0123456789"), "x");
    CHECK(file.content == std::string("\0\0", 2) + "0123456789");
}

TEST_CASE("a long write goes in pieces, since a kernel may take long ones badly") {
    // Values of 64 KiB, a hundred in a transaction, were written at a third of LMDB's speed: 9 of
    // 10 parts of the time went by in writes of 6 MiB, each of which took fresh blocks of 2 MiB.
    std::string content(1'000'000, 'x');
    std::string written;
    std::size_t longest = 0;
    auto const some = [&](void const* from, std::size_t size, off_t at) {
        CHECK(static_cast<std::size_t>(at) == 10 + written.size());
        written.append(static_cast<char const*>(from), size);
        longest = std::max(longest, size);
        return static_cast<ssize_t>(size);
    };
    posix::write_whole(some, 10, as_bytes(content), "x");
    CHECK(written == content);
    CHECK(longest <= std::size_t{512} << 10U);
}

TEST_CASE("a read goes on after interruptions and short reads, up to the end of the file") {
    slow_file file{"0123456789", 3, 2};
    auto const some = [&](void* to, std::size_t size, off_t at) { return file.read(to, size, at); };
    std::array<std::byte, 20> buffer{};
    CHECK(posix::read_whole(some, 1, buffer, "x") == 9);
    CHECK(as_text(coppice::bytes(buffer).first(9)) == "123456789");
}

TEST_CASE("a write that has no effect ends in an error and not in an endless loop") {
    int calls = 0;
    auto const nothing = [&](void const*, std::size_t, off_t) -> ssize_t { return ++calls, 0; };
    CHECK(errno_of([&] { posix::write_whole(nothing, 0, as_bytes("x"), "x"); }) == EIO);
    CHECK(calls < 100);
}

TEST_CASE("a failure in the middle of a write carries its errno") {
    int calls = 0;
    auto const full = [&](void const*, std::size_t, off_t) -> ssize_t {
        return ++calls == 1 ? 1 : (errno = ENOSPC, -1);
    };
    CHECK(errno_of([&] { posix::write_whole(full, 0, as_bytes("abc"), "x"); }) == ENOSPC);
}

TEST_CASE("an offset that no file has is refused before the system is asked") {
    workbench::folder const here;
    file_storage file(make_file(here, "a"), "a");
    CHECK(errno_of([&] { file.write(~std::uint64_t{0} - 1, as_bytes("abc")); }) == EFBIG);
    CHECK(errno_of([&] { file.truncate(~std::uint64_t{0}); }) == EFBIG);
    CHECK(errno_of([&] { static_cast<void>(file.map(~std::uint64_t{0})); }) == ENOMEM);
    CHECK(file.size() == 0);
}

TEST_CASE("a file that is open for reading only cannot be written or mapped for writing") {
    workbench::folder const here;
    static_cast<void>(make_file(here, "a"));
    file_storage file(posix::open_at(AT_FDCWD, here / "a", O_RDONLY, 0, "opening", "a"), "a");
    CHECK(errno_of([&] { file.write(0, as_bytes("abc")); }) == EBADF);
}

TEST_CASE("no descriptor is standard input, output or error, not even one that Boost opens") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    workbench::child child([&](workbench::reporter const& tell) {
        for (int low : {0, 1, 2}) ::close(low);
        file_storage const file(make_file(here, "a"), "a");
        auto const view = file.map(100);
        for (int low : {0, 1, 2}) {
            tell.tell(1, ::fcntl(low, F_GETFD) >= 0 ? 1 : 0);
        }
    });
    auto const reports = child.all_reports();
    CHECK(child.wait() == 0);
    REQUIRE(reports.size() == 3);
    for (auto const& each : reports) CHECK(each.number == 0);
}

TEST_CASE("a view is longer than the file and shows what is written later") {
    workbench::folder const here;
    file_storage file(make_file(here, "a"), "a");
    file.write(0, as_bytes("first"));
    auto const view = file.map(5);
    CHECK(view.size_bytes >= std::uint64_t{1} << 20U);
    file.write(5, as_bytes(" second"));
    CHECK(std::memcmp(view.data.get(), "first second", 12) == 0);
}

TEST_CASE("a view outlives the storage and the name of the file") {
    workbench::folder const here;
    coppice::storage::mapped_view view;
    {
        file_storage file(make_file(here, "a"), "a");
        file.write(0, as_bytes("kept"));
        std::filesystem::remove(here / "a");
        view = file.map(4);
    }
    CHECK(std::memcmp(view.data.get(), "kept", 4) == 0);
}

TEST_CASE("a view of an empty file, and of a size that is no multiple of anything, can be had") {
    workbench::folder const here;
    file_storage file(make_file(here, "a"), "a");
    CHECK(file.map(0).data != nullptr);
    auto const odd = (std::uint64_t{3} << 20U) + 1;
    CHECK(file.map(odd).size_bytes >= odd);
    CHECK(coppice::storage::map_file(-1, 0, "a").data == nullptr);
}

TEST_CASE("truncating grows with zeros and cuts") {
    workbench::folder const here;
    file_storage file(make_file(here, "a"), "a");
    file.write(0, as_bytes("abc"));
    file.truncate(2);
    file.truncate(5);
    std::array<std::byte, 9> buffer{};
    CHECK(file.read(0, buffer) == 5);
    CHECK(as_text(coppice::bytes(buffer).first(5)) == std::string("ab\0\0\0", 5));
    file.sync();
}

TEST_CASE("a status is told by descriptor and by name, with all that stat tells of it") {
    workbench::folder const here;
    auto const file = make_file(here, "a");
    posix::write_at(file.get(), 0, as_bytes("abc"), "a");
    std::filesystem::create_hard_link(here / "a", here / "b");
    std::filesystem::create_symlink("a", here / "link");
    struct stat expected {};
    REQUIRE(::fstat(file.get(), &expected) == 0);
    coppice::storage::file_identity const identity{expected.st_dev, expected.st_ino};
    for (auto const& found :
         {posix::status_of(file.get(), "a"), *posix::status_at(AT_FDCWD, here / "b", "b")}) {
        CHECK(found.identity == identity);
        CHECK(found.mode == expected.st_mode);
        CHECK(found.links == 2);
        CHECK(found.owner == expected.st_uid);
        CHECK(found.group == expected.st_gid);
        CHECK(found.size_bytes == 3);
        CHECK(found.is_plain_file());
    }
    CHECK(S_ISLNK(posix::status_at(AT_FDCWD, here / "link", "link")->mode));
    CHECK(!posix::status_at(AT_FDCWD, here / "missing", "missing"));
    CHECK(errno_of([&] { (void)posix::status_at(AT_FDCWD, here / "a/x", "x"); }) == ENOTDIR);
    CHECK(errno_of([&] { (void)posix::status_of(-1, "x"); }) == EBADF);
}

// A compaction that had no descriptor left to open its folder with was refused after its rename.
TEST_CASE("a folder is opened so that it can be synced without another descriptor") {
    workbench::folder const here;
    auto const opened = posix::open_directory(here.path(), "opening", "a");
    CHECK(::fsync(opened.get()) == 0);
    CHECK(errno_of([&] { (void)posix::open_directory(here / "none", "opening", "a"); }) == ENOENT);
    auto const file = make_file(here, "a");
    CHECK(errno_of([&] { (void)posix::open_directory(here / "a", "opening", "a"); }) == ENOTDIR);
    // One that may not be read can only be had by O_PATH, and is opened anew for a sync.
    posix::descriptor const path_only(::open(here.path().c_str(), O_PATH | O_DIRECTORY));
    CHECK(::fsync(path_only.get()) != 0);
    posix::sync_directory(path_only.get(), "a");
    CHECK(errno_of([&] { posix::sync_directory(-2, "a"); }) == EBADF);
}

TEST_CASE("handing bytes over to the device is a hint, which changes nothing and never fails") {
    workbench::folder const here;
    auto const file = make_file(here, "a");
    posix::write_at(file.get(), 0, as_bytes("abc"), "a");
    posix::begin_write_back(file.get(), 0, 4096); // behind the end
    posix::begin_write_back(-1, 0, 4096);
    CHECK(posix::status_of(file.get(), "a").size_bytes == 3);
    std::array<std::byte, 3> buffer{};
    CHECK(posix::read_at(file.get(), 0, buffer, "a") == 3);
    CHECK(as_text(buffer) == "abc");
}

TEST_CASE("reserving grows with zeros that have their space, and takes nothing away") {
    // The lock file was grown by truncate. A page of a mapping without a block is a SIGBUS on a
    // full tmpfs, and opening a database there ended the process. A full disk found it.
    workbench::folder const here;
    auto const file = make_file(here, "a");
    posix::reserve(file.get(), 4096, "a");
    CHECK(posix::status_of(file.get(), "a").size_bytes == 4096);
    struct stat status {};
    REQUIRE(::fstat(file.get(), &status) == 0);
    CHECK(status.st_blocks != 0);
    posix::write_at(file.get(), 10, as_bytes("kept"), "a");
    posix::reserve(file.get(), 8192, "a");
    posix::reserve(file.get(), 100, "a");
    std::string text(8200, 'x');
    CHECK(posix::read_at(file.get(), 0, std::as_writable_bytes(std::span(text)), "a") == 8192);
    CHECK(text.substr(9, 6) == std::string({'\0', 'k', 'e', 'p', 't', '\0'}));
}
