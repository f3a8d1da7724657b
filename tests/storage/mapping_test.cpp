// SPDX-License-Identifier: BSL-1.0
// Views of files: what they show and outlive, and what the kernel was told of their use.

#include <coppice/storage/mapping.hpp>

#include <coppice/database.hpp>

#include <catch2/catch.hpp>
#include <workbench.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include <fcntl.h>
#include <unistd.h>

namespace {

namespace fs = std::filesystem;
namespace posix = coppice::storage::posix;
using coppice::database;

/// The kernel's flags of all views of a file ("rd mr rr ..."), by /proc/self/smaps.
std::set<std::string> flags_of_views(fs::path const& path) {
    std::set<std::string> found;
    std::ifstream lines("/proc/self/smaps");
    bool of_path = false;
    for (std::string line; std::getline(lines, line);) {
        constexpr std::string_view flags = "VmFlags:";
        if (line.starts_with(flags)) {
            if (of_path) found.insert(line.substr(flags.size()) + " ");
        } else if (line.find(':') > line.find('-')) { // the first line of a view, with its range
            of_path = line.ends_with(path.string());
        }
    }
    return found;
}

bool all_random(std::set<std::string> const& flags) {
    return std::all_of(flags.begin(), flags.end(),
                       [](auto const& each) { return each.find(" rr ") != std::string::npos; });
}
bool none_random(std::set<std::string> const& flags) {
    return std::none_of(flags.begin(), flags.end(),
                        [](auto const& each) { return each.find(" rr ") != std::string::npos; });
}

} // namespace

TEST_CASE("a view outlives descriptor and name, shows what is appended, cannot be written") {
    workbench::folder const here;
    auto const path = here / "a";
    auto file = posix::open_at(AT_FDCWD, path, O_RDWR | O_CREAT, 0600, "making a file", path);
    posix::write_at(file.get(), 0, coppice::as_bytes(std::string_view("first")), path);
    auto const view = coppice::storage::map_file(file.get(), 65536, path);
    REQUIRE(view.size_bytes == 65536);
    for (auto const& flags : flags_of_views(path)) {
        CHECK(flags.find(" wr ") == std::string::npos);
    }
    posix::write_at(file.get(), 5, coppice::as_bytes(std::string_view(" second")), path);
    fs::remove(path);
    file = {};
    CHECK(coppice::as_text({view.data.get(), 12}) == "first second");
}

TEST_CASE("no descriptor is opened for a view") {
    workbench::folder const here;
    auto const path = here / "a";
    auto const file = posix::open_at(AT_FDCWD, path, O_RDWR | O_CREAT, 0600, "making a file", path);
    posix::write_at(file.get(), 0, coppice::as_bytes(std::string_view("x")), path);
    posix::descriptor const next(::dup(file.get()));
    auto const free_one = next.get() + 1;
    auto const view = coppice::storage::map_file(file.get(), 4096, path);
    posix::descriptor const after(::dup(file.get()));
    CHECK(view.data != nullptr);
    CHECK(after.get() <= free_one);
}

// Where a device is told to read 8 MiB ahead, each get from a file larger than memory read that.
TEST_CASE(
    "the kernel is told not to read ahead if that is asked for, in every view of a database") {
    workbench::folder const here;
    for (bool const read_ahead : {true, false}) {
        auto const path = here / (read_ahead ? "ahead" : "alone");
        database db(path, {.read_ahead = read_ahead});
        auto const as_asked = [&] {
            auto const flags = flags_of_views(path);
            return !flags.empty() && (read_ahead ? none_random(flags) : all_random(flags));
        };
        if (flags_of_views(path).empty()) {
            std::printf("skipped: /proc/self/smaps tells no flags of views\n");
            return;
        }
        CHECK(as_asked());
        db.update([](auto& txn) { txn.put("k", std::string(3'000'000, 'x')); });
        CHECK(db.get("k")->size() == 3'000'000); // in a longer view
        CHECK(as_asked());
        db.compact();
        CHECK(db.get("k")->size() == 3'000'000); // in that of another file
        CHECK(as_asked());
        auto const other = here / (read_ahead ? "other ahead" : "other alone");
        auto const branch = db.branch(other, db.read().id(), {.read_ahead = read_ahead});
        CHECK(branch.get("k")->size() == 3'000'000);
        CHECK((read_ahead ? none_random : all_random)(flags_of_views(other)));
    }
}
