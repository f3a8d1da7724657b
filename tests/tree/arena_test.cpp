// SPDX-License-Identifier: BSL-1.0
#include <coppice/tree/arena.hpp>

#include <catch2/catch.hpp>
#include <rapidcheck.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

namespace tree = coppice::tree;

TEST_CASE("an arena holds nothing until it is asked") {
    tree::arena memory;
    CHECK(memory.held_bytes() == 0);
    CHECK(memory.copy("").empty());
    CHECK(memory.held_bytes() == 0);
}

TEST_CASE("what an arena hands out is aligned, apart from the rest, and stays as it was") {
    CHECK(rc::check([] {
        tree::arena memory;
        std::vector<coppice::mutable_bytes> all;
        auto const sizes =
            *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(1, 9000));
        std::size_t sum = 0;
        for (auto const size : sizes) {
            auto* const at = memory.allocate(size);
            RC_ASSERT(reinterpret_cast<std::uintptr_t>(at) % 16 == 0U);
            all.emplace_back(at, size);
            std::fill(all.back().begin(), all.back().end(), static_cast<std::byte>(all.size()));
            sum += size;
        }
        RC_ASSERT(memory.held_bytes() >= sum);
        for (std::size_t i = 0; i < all.size(); ++i) {
            RC_ASSERT(std::all_of(all[i].begin(), all[i].end(), [&](std::byte byte) {
                return byte == static_cast<std::byte>(i + 1);
            }));
        }
    }));
}

TEST_CASE("an arena takes a piece larger than its chunks, and goes on") {
    tree::arena memory;
    auto const small = memory.copy("small");
    auto const large = memory.copy(std::string(5'000'000, 'x'));
    auto const after = memory.copy("after");
    CHECK(small == "small");
    CHECK(large == std::string(5'000'000, 'x'));
    CHECK(after == "after");
    CHECK(memory.held_bytes() < 6'200'000);
}

TEST_CASE("a copied text is not the text it was copied from") {
    tree::arena memory;
    std::string text("some bytes\0behind a zero", 24);
    auto const copy = memory.copy(text);
    CHECK(copy == text);
    text.assign(text.size(), 'x');
    CHECK(copy == std::string_view("some bytes\0behind a zero", 24));
}

TEST_CASE("a sealed node is named by where it is") {
    tree::arena memory;
    auto const node = memory.allocate_node(64);
    auto const ref = memory.seal_node(node);
    CHECK(ref.in_memory());
    CHECK(ref.memory() == node.data());
    CHECK(ref.size_bytes() == 64);
}

static_assert(!std::is_copy_constructible_v<tree::arena>);
