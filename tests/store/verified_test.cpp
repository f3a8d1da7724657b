// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/verified.hpp>

#include <coppice/format/reference.hpp>

#include <catch2/catch.hpp>

#include <cstdint>

using coppice::format::max_node_bytes;
using coppice::format::node_ref;
using coppice::store::verified_table;

TEST_CASE("only what was inserted is there, and a newcomer may drive another one out") {
    verified_table table(std::uint64_t{20'000} * 4096);
    CHECK_FALSE(table.contains(node_ref::at(4096 * 3, 128, 0).hot));
    std::uint64_t kept = 0;
    constexpr std::uint64_t count = 20'000;
    for (std::uint64_t i = 1; i <= count; ++i) table.insert(node_ref::at(i * 4096, 4096, 0).hot);
    for (std::uint64_t i = 1; i <= count; ++i) {
        kept += table.contains(node_ref::at(i * 4096, 4096, 0).hot) ? 1U : 0U;
        CHECK_FALSE(table.contains(node_ref::at(i * 4096, 4088, 0).hot));
    }
    CHECK(kept > count * 8 / 10); // direct-mapped, with three to six slots for each of these tags
    CHECK(table.contains(node_ref::at(count * 4096, 4096, 0).hot));
}

TEST_CASE("a table that grows keeps what it knows and then holds more") {
    verified_table table;
    constexpr std::uint64_t count = 20'000;
    auto const kept = [&] {
        std::uint64_t found = 0;
        for (std::uint64_t i = 1; i <= count; ++i) {
            found += table.contains(node_ref::at(i * 4096, 4096, 0).hot) ? 1U : 0U;
        }
        return found;
    };
    for (std::uint64_t i = 1; i <= count; ++i) table.insert(node_ref::at(i * 4096, 4096, 0).hot);
    auto const before = kept();
    CHECK(before <= 512);
    table.reserve(count * 4096);
    CHECK(kept() == before);
    table.reserve(4096); // never shrinks
    for (std::uint64_t i = 1; i <= count; ++i) table.insert(node_ref::at(i * 4096, 4096, 0).hot);
    CHECK(kept() > count * 8 / 10);
}

TEST_CASE("the tag of a value is not that of any node at the same place") {
    for (std::uint64_t const offset : {12288ULL, 12296ULL, 1ULL << 40U}) {
        auto const tag = verified_table::extent_tag(offset);
        CHECK(tag != verified_table::extent_tag(offset + 8));
        CHECK(tag != node_ref::at(offset, max_node_bytes, 0).hot);
        CHECK(node_ref{tag, 0}.offset() == offset);
        CHECK(node_ref{tag, 0}.size_bytes() > max_node_bytes);
    }
}
