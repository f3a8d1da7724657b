// SPDX-License-Identifier: BSL-1.0
#include <coppice/tree/rank.hpp>

#include <catch2/catch.hpp>
#include <memory_source.hpp>
#include <rapidcheck.h>

#include <iterator>

namespace tree = coppice::tree;

TEST_CASE("a rank is a distance from the beginning") {
    grove::bench bench{grove::tiny};
    auto content = grove::numbered_content(300);
    content[""] = "";
    content["\xff"] = "";
    auto const built = bench.build(content);
    for (auto const& [key, value] : content) {
        for (auto const& wanted : {key, key + '\0', key.substr(0, key.size() / 2)}) {
            auto const expected = std::distance(content.begin(), content.lower_bound(wanted));
            CHECK(tree::rank(bench.source, built, wanted) == static_cast<std::uint64_t>(expected));
        }
    }
    CHECK(tree::rank(bench.source, {}, "k") == 0);
    bench.source.opened = 0;
    static_cast<void>(tree::rank(bench.source, built, "key00000150"));
    CHECK(bench.source.opened == built.height);
}

TEST_CASE("the end of a prefix is the lowest text above all that begin with it") {
    CHECK(tree::prefix_end("a") == "b");
    CHECK(tree::prefix_end("ab") == "ac");
    CHECK(tree::prefix_end("a\xff") == "b");
    CHECK(tree::prefix_end("a\xff\xff") == "b");
    CHECK(tree::prefix_end("a\x7f") == "a\x80");
    CHECK(tree::prefix_end(std::string_view("a\0", 2)) == "a\x01");
    CHECK_FALSE(tree::prefix_end(""));
    CHECK_FALSE(tree::prefix_end("\xff"));
    CHECK_FALSE(tree::prefix_end("\xff\xff\xff"));
}

TEST_CASE("a text begins with a prefix exactly if it lies between the prefix and its end") {
    auto const letters = rc::gen::element('\0', 'a', '\x7f', '\x80', '\xfe', '\xff');
    CHECK(rc::check([&] {
        auto const prefix = *rc::gen::container<std::string>(letters);
        auto text = *rc::gen::container<std::string>(letters);
        if (*rc::gen::arbitrary<bool>()) text = prefix + text;
        auto const end = tree::prefix_end(prefix);
        RC_ASSERT(text.starts_with(prefix) == (text >= prefix && (!end || text < *end)));
    }));
}
