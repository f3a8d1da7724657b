// SPDX-License-Identifier: BSL-1.0
#include <coppice/storage/write_back.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

using coppice::storage::write_back;

namespace {

constexpr auto piece = write_back::piece_bytes;

} // namespace

TEST_CASE("what is appended is handed over piece by piece, in whole pages, each once") {
    constexpr std::uint64_t begin = 12'288 + 100;
    constexpr std::uint64_t step = 3'000;
    write_back file;
    std::uint64_t handed_over = 12'288;
    unsigned pieces = 0;
    for (auto at = begin; at < begin + 4 * piece + piece / 2; at += step) {
        auto const now = file.written(at, at + step);
        if (now.empty()) continue;
        CHECK(now.begin_offset == handed_over);
        CHECK(now.end_offset >= now.begin_offset + piece);
        CHECK(now.end_offset % 4096 == 0);
        CHECK(now.end_offset <= at + step);
        handed_over = now.end_offset;
        ++pieces;
    }
    CHECK(pieces == 4);
}

TEST_CASE("one long write is handed over at once") {
    write_back file;
    CHECK(file.written(4096, 8192).empty());
    auto const now = file.written(8192, 8192 + 10 * piece);
    CHECK(now.begin_offset == 4096);
    CHECK(now.end_offset == 8192 + 10 * piece);
}

TEST_CASE("writes behind what was handed over hand over nothing") {
    write_back file;
    CHECK_FALSE(file.written(0, 2 * piece).empty());
    for (auto const slot : {4096U, 8192U}) CHECK(file.written(slot, slot + 128).empty());
    CHECK(file.written(0, 2 * piece).empty());
}

TEST_CASE("where a file was cut it is handed over again") {
    write_back file;
    file.cut(piece); // nothing was written: there is nothing to forget
    CHECK_FALSE(file.written(0, 3 * piece).empty());
    file.cut(4 * piece);
    CHECK(file.written(piece, 3 * piece).empty());
    file.cut(piece);
    auto const again = file.written(piece, 3 * piece);
    CHECK(again.begin_offset == piece);
    CHECK(again.end_offset == 3 * piece);
}

TEST_CASE("threads that write side by side hand over no byte twice") {
    constexpr unsigned threads = 4;
    constexpr std::uint64_t writes = 2'000;
    constexpr std::uint64_t step = 64 * 1024;
    write_back file;
    std::atomic<std::uint64_t> next{0};
    std::atomic<std::uint64_t> handed_over{0};
    std::vector<std::thread> all;
    for (unsigned i = 0; i < threads; ++i) {
        all.emplace_back([&] {
            for (auto n = next++; n < writes; n = next++) {
                auto const now = file.written(n * step, (n + 1) * step);
                handed_over += now.end_offset - now.begin_offset;
            }
        });
    }
    for (auto& each : all) each.join();
    CHECK(handed_over > 0);
    CHECK(handed_over <= writes * step);
}
