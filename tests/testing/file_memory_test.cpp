// SPDX-License-Identifier: BSL-1.0
// The memory of a simulated file: zeros, one address, and the end of the process beyond its end.

#include <coppice/testing/file_memory.hpp>

#include <catch2/catch.hpp>
#include <workbench.hpp>

#include <set>
#include <thread>

#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using coppice::testing::file_memory;

bool all_zero(file_memory const& memory, std::size_t begin, std::size_t end) {
    return std::all_of(memory.data() + begin, memory.data() + end,
                       [](std::byte each) { return each == std::byte{0}; });
}
void fill(file_memory& memory, std::size_t size_bytes) {
    memory.resize(size_bytes);
    std::memset(memory.data(), 0x5A, size_bytes);
}

/// Does reading one byte end a process?
bool ends_process(file_memory const& memory, std::size_t offset) {
    auto const child = ::fork();
    if (child == 0) {
        // No report of a sanitizer, and no handler of Catch: the plain end.
        for (auto const each : {SIGSEGV, SIGBUS}) std::signal(each, SIG_DFL);
        auto const volatile* const at = memory.data() + offset;
        auto const value = *at;
        ::_exit(value == std::byte{0} ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status);
}

} // namespace

TEST_CASE("a file that grows has zeros in its new bytes, also after it was cut") {
    file_memory memory;
    CHECK(memory.size() == 0);
    fill(memory, 10'000);
    memory.resize(20'000);
    CHECK(all_zero(memory, 10'000, 20'000));
    for (auto const cut : {std::size_t{9'999}, std::size_t{4'096}, std::size_t{100}, 0UL}) {
        memory.resize(cut);
        CHECK(memory.size() == cut);
        memory.resize(12'000);
        CHECK(all_zero(memory, cut, 12'000));
        if (cut != 0) CHECK(memory.data()[cut - 1] == std::byte{0x5A});
    }
}

TEST_CASE("the bytes of the last page beyond the end are zero") {
    file_memory memory;
    fill(memory, 5'000);
    memory.resize(4'500);
    CHECK(all_zero(memory, 4'500, 8'192));
}

TEST_CASE("the address stays when a file grows to its limit, and no file is larger") {
    file_memory memory;
    auto const* const first = memory.data();
    fill(memory, 1);
    memory.resize(file_memory::capacity_bytes);
    CHECK(memory.data() == first);
    CHECK(*first == std::byte{0x5A});
    memory.data()[file_memory::capacity_bytes - 1] = std::byte{1};
    try {
        memory.resize(file_memory::capacity_bytes + 1);
        FAIL("a file beyond the capacity");
    } catch (coppice::error const& e) {
        CHECK(e.code() == std::errc::no_space_on_device);
    }
    CHECK(memory.size() == file_memory::capacity_bytes);
}

TEST_CASE("reading beyond the last page of a file ends the process") {
    if (workbench::skip_forks()) return;
    file_memory memory;
    CHECK(ends_process(memory, 0));
    memory.resize(1);
    CHECK_FALSE(ends_process(memory, 4'095));
    CHECK(ends_process(memory, 4'096));
    memory.resize(12'288);
    CHECK_FALSE(ends_process(memory, 12'287));
    CHECK(ends_process(memory, 12'288));
    memory.resize(4'097);
    CHECK_FALSE(ends_process(memory, 8'191));
    CHECK(ends_process(memory, 8'192));
    CHECK(ends_process(memory, file_memory::capacity_bytes - 1));
}

TEST_CASE("memory that is used again is as good as new") {
    std::set<std::byte const*> addresses;
    for (int round = 0; round < 20; ++round) {
        auto const memory = file_memory::make();
        addresses.insert(memory->data());
        CHECK(memory->size() == 0);
        if (round < 3 && !workbench::under_tsan) CHECK(ends_process(*memory, 0));
        memory->resize(50'000);
        CHECK(all_zero(*memory, 0, 50'000));
        fill(*memory, 50'000);
        memory->resize(20'000);
    }
    CHECK(addresses.size() < 20);
}

TEST_CASE("what is in use is not given away, and a large file is not kept") {
    auto const first = file_memory::make();
    auto const second = file_memory::make();
    CHECK(first->data() != second->data());
    auto large = file_memory::make();
    fill(*large, 10U << 20U);
    large.reset();
    auto const next = file_memory::make();
    next->resize(10U << 20U);
    CHECK(all_zero(*next, 0, 10U << 20U));
}

TEST_CASE("the last user of a file may be another thread, and may end after its list of spares") {
    auto memory = file_memory::make();
    fill(*memory, 100);
    std::thread([given = std::move(memory)]() mutable {
        static thread_local std::shared_ptr<file_memory> kept;
        kept = std::move(given);
        static_cast<void>(file_memory::make());
    }).join();
    auto const next = file_memory::make();
    next->resize(100);
    CHECK(all_zero(*next, 0, 100));
}
