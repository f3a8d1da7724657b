// SPDX-License-Identifier: BSL-1.0
#include <coppice/tree/cursor.hpp>

#include <catch2/catch.hpp>
#include <growing_tree.hpp>
#include <memory_source.hpp>
#include <rapidcheck.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <set>
#include <type_traits>
#include <vector>

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

/// A tree in a file, of which many leaves and inner nodes have patches.
grove::growing_tree patched_tree() {
    grove::growing_tree result(grove::tiny);
    grove::changes all;
    for (unsigned i = 0; i < 900; i += 3) all[grove::numbered(i)] = std::to_string(i);
    result.apply(all);
    for (unsigned i = 1; i < 900; i += 7) result.apply({{grove::numbered(i), "new"}});
    for (unsigned i = 0; i < 900; i += 33) result.apply({{grove::numbered(i), std::nullopt}});
    for (unsigned i = 3; i < 900; i += 51) result.apply({{grove::numbered(i), "other"}});
    return result;
}

/// Reads a tree in a file, and keeps what was asked for ahead as a whole, and what was opened.
struct asked_source {
    grove::image_source const& file;
    mutable std::vector<std::uint64_t> asked{};
    mutable std::vector<std::uint64_t> opened{};
    mutable std::vector<std::uint64_t> leaf{}; ///< the newest that was opened: base and patch

    void prefetch(coppice::format::node_ref ref, std::uint64_t most_bytes) const {
        if (most_bytes == coppice::tree::read_ahead_bytes) asked.push_back(ref.hot);
    }
    [[nodiscard]] std::byte const* node(coppice::format::node_ref ref, unsigned level) const {
        opened.push_back(ref.hot);
        if (level == 0) leaf.clear();
        if (level % coppice::format::patch_level_bit == 0) leaf.push_back(ref.hot);
        return file.node(ref, level);
    }
};

/// All children of a tree but the first of each node, or the last: what a walk can ask for ahead.
/// Bases and patches alike, in ascending order.
std::vector<std::uint64_t> later_children(asked_source const& source,
                                          coppice::format::tree_ref const& of, bool forward) {
    std::vector<std::uint64_t> result;
    std::vector<coppice::tree::node_pair> row{of.root.pair()};
    for (unsigned level = of.height - 1U; level > 0; --level) {
        std::vector<coppice::tree::node_pair> below;
        for (auto const& each : row) {
            auto const node = coppice::tree::open_inner(source, each, level);
            for (std::size_t i = 0; i < node.count(); ++i) {
                below.push_back(node.pair(i));
                if (i == (forward ? 0 : node.count() - 1)) continue;
                result.push_back(below.back().base.hot);
                if (below.back().is_patched()) result.push_back(below.back().patch.hot);
            }
        }
        row = std::move(below);
    }
    std::sort(result.begin(), result.end());
    return result;
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

namespace {

/// Takes a random step with a cursor and with an iterator: seeks a key, an index, goes on or back.
template <typename Cursor, typename Wanted>
void step_with_both(Cursor& at, grove::content::const_iterator& expected,
                    grove::content const& content, Wanted const& wanted_key) {
    auto const step = *rc::gen::inRange(0, 12);
    if (step == 0) {
        auto const key = wanted_key();
        static_cast<void>(at.seek(key));
        expected = content.lower_bound(key);
    } else if (step == 1) {
        auto const index = *rc::gen::inRange<std::size_t>(0, content.size() + 2);
        at.seek_nth(index);
        expected = index < content.size()
                       ? std::next(content.begin(), static_cast<std::ptrdiff_t>(index))
                       : content.end();
    } else if (step >= 7) {
        at.prev();
        // From the first entry it goes to the end, as if the ends met.
        expected = expected == content.begin() ? content.end() : std::prev(expected);
    } else if (at.valid()) {
        at.next();
        ++expected;
    }
    RC_ASSERT(at.valid() == (expected != content.end()));
    if (at.valid()) RC_ASSERT(at.key() == expected->first);
}

} // namespace

TEST_CASE("random steps of a cursor are those of an iterator") {
    grove::bench bench{grove::tiny};
    auto const content = awkward();
    auto const built = bench.build(content);
    CHECK(rc::check([&] {
        auto at = bench.cursor(built);
        auto expected = content.cend();
        for (auto steps = *rc::gen::inRange(0, 100); steps > 0; --steps) {
            step_with_both(at, expected, content, [] {
                return *rc::gen::container<std::string>(
                    rc::gen::element('\0', 'a', 'b', '0', '\xff'));
            });
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

TEST_CASE("a walk asks for each node behind the one it is in once and before it opens it") {
    auto const grown = patched_tree();
    REQUIRE(grown.now().height >= 3);
    for (bool const forward : {true, false}) {
        asked_source const source{grown.source()};
        auto expected = later_children(source, grown.now(), forward);
        source.opened.clear();
        coppice::tree::cursor<asked_source> at(source, grown.now());
        forward ? at.first() : at.last();
        CHECK(source.asked.empty());
        while (at.valid()) {
            auto const known = source.asked.size();
            auto const before = source.opened.size();
            forward ? at.next() : at.prev();
            // What a step opens it had been asked for, but for the first nodes below another one.
            for (auto i = before; i < source.opened.size(); ++i) {
                auto const end = source.asked.begin() + static_cast<std::ptrdiff_t>(known);
                auto const was_asked =
                    std::find(source.asked.begin(), end, source.opened[i]) != end;
                REQUIRE(was_asked ==
                        std::binary_search(expected.begin(), expected.end(), source.opened[i]));
            }
        }
        // The rest of the first leaf is asked for with the first step.
        coppice::tree::cursor<asked_source> sought(source, grown.now());
        forward ? sought.first() : sought.last();
        expected.insert(expected.end(), source.leaf.begin(), source.leaf.end());
        std::sort(expected.begin(), expected.end());
        std::sort(source.asked.begin(), source.asked.end());
        CHECK(source.asked == expected);
    }
}

TEST_CASE("an entry that was sought asks for nothing until a step shows the direction") {
    auto const grown = patched_tree();
    asked_source const source{grown.source()};
    coppice::tree::cursor<asked_source> at(source, grown.now());
    auto const entries = grown.now().root.entries;
    std::set<std::uint64_t> ahead;
    std::set<std::uint64_t> behind;
    for (std::uint64_t i = 0; i < entries; ++i) {
        at.seek_nth(i);
        auto const key = std::string(at.key());
        CHECK(at.seek(key));
        CHECK(source.asked.empty());
        auto back = at;
        auto const own = source.leaf;
        auto const asked_by_step = [&](std::set<std::uint64_t>& others) {
            // Within the leaf a step asks for the rest of it too.
            auto const stayed = source.leaf == own;
            for (auto const each : own) {
                auto const found = std::find(source.asked.begin(), source.asked.end(), each);
                CHECK((found != source.asked.end()) == stayed);
                if (found != source.asked.end()) source.asked.erase(found);
            }
            others.insert(source.asked.begin(), source.asked.end());
            source.asked.clear();
            source.leaf = own;
        };
        at.next();
        if (!at.valid()) source.leaf.clear(); // left, though nothing was opened
        asked_by_step(ahead);
        back.prev();
        if (!back.valid()) source.leaf.clear();
        asked_by_step(behind);
    }
    auto const later = later_children(source, grown.now(), true);
    auto const earlier = later_children(source, grown.now(), false);
    CHECK(std::vector(ahead.begin(), ahead.end()) == later);
    CHECK(std::vector(behind.begin(), behind.end()) == earlier);
}

TEST_CASE("random steps in a tree full of patches are those of an iterator") {
    auto const grown = patched_tree();
    auto const& content = grown.content();
    using file_cursor = coppice::tree::cursor<grove::image_source>;
    CHECK(rc::check([&] {
        file_cursor at(grown.source(), grown.now());
        auto expected = content.cend();
        for (auto steps = *rc::gen::inRange(0, 100); steps > 0; --steps) {
            step_with_both(at, expected, content,
                           [] { return grove::numbered(*rc::gen::inRange(0U, 950U)); });
            if (!at.valid()) continue;
            RC_ASSERT(at.value().raw == expected->second);
            auto copy = at;
            RC_ASSERT(copy == at);
        }
    }));
}

static_assert(std::is_nothrow_copy_constructible_v<cursor>);
static_assert(noexcept(std::declval<cursor const&>().key()));
