// SPDX-License-Identifier: BSL-1.0
// What Boost opens for us: its descriptors, and whose flags are touched.

#include <coppice/storage/boost_files.hpp>

#include <catch2/catch.hpp>
#include <workbench.hpp>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>

namespace {

namespace posix = coppice::storage::posix;
namespace ipc = boost::interprocess;
using coppice::storage::descriptor_of;
using coppice::storage::open_with_boost;

posix::descriptor make_file(std::string const& path) {
    auto made = posix::open_at(AT_FDCWD, path, O_RDWR | O_CREAT, 0600, "making a file", path);
    REQUIRE(::ftruncate(made.get(), 4096) == 0);
    return made;
}

bool is_inherited(int file) {
    auto const flags = ::fcntl(file, F_GETFD);
    REQUIRE(flags >= 0);
    return (flags & FD_CLOEXEC) == 0;
}

ipc::file_lock lock_of(int file, std::filesystem::path const& path) {
    return open_with_boost(file, path, [](char const* name) { return ipc::file_lock(name); });
}

} // namespace

TEST_CASE("descriptors that Boost opens are of the file and not inherited") {
    workbench::folder const here;
    auto const path = here / "a";
    auto const file = make_file(path);
    auto const identity = posix::status_of(file.get(), path).identity;
    auto const lock = lock_of(file.get(), path);
    auto const opened = descriptor_of(lock);
    CHECK(opened != file.get());
    CHECK(posix::status_of(opened, path).identity == identity);
    CHECK_FALSE(is_inherited(opened));
}

// The descriptor that Boost opens was once guessed as the lowest that is free. Where another thread
// opened the same file at that moment, it was that thread's descriptor whose flags were changed,
// and ThreadSanitizer saw the race.
TEST_CASE("a file that the program itself opens keeps its flags while Boost opens it too") {
    workbench::folder const here;
    auto const path = here / "a";
    auto const file = make_file(path);
    std::atomic<bool> stop = false;
    std::thread opener([&] {
        while (!stop) static_cast<void>(lock_of(file.get(), path));
    });
    int changed = 0;
    for (int round = 0; round < 20'000; ++round) {
        posix::descriptor const own(::open(path.c_str(), O_RDONLY));
        auto const flags = ::fcntl(own.get(), F_GETFD);
        changed += flags < 0 || (flags & FD_CLOEXEC) != 0 ? 1 : 0;
    }
    stop = true;
    opener.join();
    CHECK(changed == 0);
}
