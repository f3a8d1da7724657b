// SPDX-License-Identifier: BSL-1.0
#include <coppice/tree/cursor.hpp>

#include <catch2/catch.hpp>
#include <memory_source.hpp>
#include <rapidcheck.h>

#include <iterator>
#include <type_traits>

namespace {

using cursor = coppice::tree::cursor<grove::memory_source>;

grove::content awkward() {
    using namespace std::string_literals;
    grove::content content;
    for (auto const& key : {""s, "\0"s, "\0\0"s, "a"s, "aa"s, "aaaa"s, "aaaaa"s, "aaaaa\0"s, "b"s,
                            "\x7f"s, "\x80"s, "\xff"s, "\xff\xff"s}) {
        content[key] = "value of " + key;
    }
    for (unsigned i = 0; i < 100; ++i) content[grove::numbered(i, "aaaab")] = std::to_string(i);
    return content;
}

} // namespace

TEST_CASE("in the empty tree every step ends at the end") {
    grove::bench const bench;
    auto at = bench.cursor({});
    CHECK_FALSE(at.valid());
    at.first();
    CHECK_FALSE(at.valid());
    at.last();
    CHECK_FALSE(at.valid());
    CHECK_FALSE(at.seek("k"));
    CHECK_FALSE(at.valid());
    at.seek_nth(0);
    CHECK_FALSE(at.valid());
    at.prev();
    CHECK_FALSE(at.valid());
    CHECK(at == bench.cursor({}));
}

TEST_CASE("a cursor walks a tree forward and backward as an iterator walks a std::map") {
    grove::bench bench{grove::tiny};
    auto const content = awkward();
    auto const built = bench.build(content);
    auto at = bench.cursor(built);
    at.first();
    for (auto const& [key, value] : content) {
        REQUIRE(at.valid());
        CHECK(at.key() == key);
        CHECK(grove::text_of(at.value()) == value);
        at.next();
    }
    CHECK_FALSE(at.valid());
    for (auto each = content.rbegin(); each != content.rend(); ++each) {
        at.prev();
        REQUIRE(at.valid());
        CHECK(at.key() == each->first);
    }
    at.prev();
    CHECK_FALSE(at.valid());
    at.last();
    CHECK(at.key() == content.rbegin()->first);
}

TEST_CASE("seeking is std::map::lower_bound, and seek_nth counts") {
    grove::bench bench{grove::tiny};
    auto const content = awkward();
    auto const built = bench.build(content);
    auto at = bench.cursor(built);
    std::uint64_t index = 0;
    for (auto const& [key, value] : content) {
        at.seek_nth(index++);
        REQUIRE(at.valid());
        CHECK(at.key() == key);
        for (auto const& wanted : {key, key + '\0', key + '\xff', key.substr(0, key.size() / 2)}) {
            auto const expected = content.lower_bound(wanted);
            CHECK(at.seek(wanted) == content.contains(wanted));
            REQUIRE(at.valid() == (expected != content.end()));
            if (at.valid()) CHECK(at.key() == expected->first);
        }
    }
    for (auto const beyond : {index, index + 1, ~std::uint64_t{0}}) {
        at.seek_nth(beyond);
        CHECK_FALSE(at.valid());
    }
}

TEST_CASE("random steps of a cursor are those of an iterator") {
    grove::bench bench{grove::tiny};
    auto const content = awkward();
    auto const built = bench.build(content);
    CHECK(rc::check([&] {
        auto at = bench.cursor(built);
        auto expected = content.end();
        for (auto const step : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 12))) {
            if (step == 0) {
                auto const key =
                    *rc::gen::container<std::string>(rc::gen::element('\0', 'a', 'b', '0', '\xff'));
                static_cast<void>(at.seek(key));
                expected = content.lower_bound(key);
            } else if (step == 1) {
                auto const index = *rc::gen::inRange<std::size_t>(0, content.size() + 2);
                at.seek_nth(index);
                expected = index < content.size()
                               ? std::next(content.begin(), static_cast<std::ptrdiff_t>(index))
                               : content.end();
            } else if (step < 7) {
                if (!at.valid()) continue;
                at.next();
                ++expected;
            } else {
                at.prev();
                // From the first entry it goes to the end, as if the ends met.
                expected = expected == content.begin() ? content.end() : std::prev(expected);
            }
            RC_ASSERT(at.valid() == (expected != content.end()));
            if (at.valid()) RC_ASSERT(at.key() == expected->first);
        }
    }));
}

TEST_CASE("a copy of a cursor goes its own way") {
    grove::bench bench{grove::tiny};
    auto const built = bench.build(grove::numbered_content(100));
    auto at = bench.cursor(built);
    at.seek_nth(50);
    auto copy = at;
    CHECK(copy == at);
    copy.next();
    CHECK_FALSE(copy == at);
    CHECK(at.key() == grove::numbered(50));
    CHECK(copy.key() == grove::numbered(51));
    copy.prev();
    CHECK(copy == at);
    auto& same = copy;
    copy = same;
    CHECK(copy == at);
    copy = bench.cursor(built);
    CHECK_FALSE(copy.valid());
    copy.prev();
    CHECK(copy.key() == grove::numbered(99));
}

TEST_CASE("a step along a tree opens each node once") {
    grove::bench bench{grove::tiny};
    auto const built = bench.build(grove::numbered_content(1000));
    auto const nodes = bench.check(built).nodes;
    bench.source.opened = 0;
    auto at = bench.cursor(built);
    for (at.first(); at.valid(); at.next()) {
    }
    CHECK(bench.source.opened == nodes);
    bench.source.opened = 0;
    for (at.last(); at.valid(); at.prev()) {
    }
    CHECK(bench.source.opened == nodes);
}

static_assert(std::is_nothrow_copy_constructible_v<cursor>);
static_assert(noexcept(std::declval<cursor const&>().key()));
