// SPDX-License-Identifier: BSL-1.0
#include <coppice/tree/pending.hpp>

#include <catch2/catch.hpp>
#include <memory_source.hpp>
#include <rapidcheck.h>

namespace format = coppice::format;
using coppice::tree::pending_inner;
using coppice::tree::pending_leaf;

namespace {

pending_leaf leaf_of(std::size_t count, std::size_t value_bytes) {
    pending_leaf leaf;
    for (std::size_t i = 0; i < count; ++i) {
        leaf.add(grove::numbered(i), {std::string(value_bytes, 'v'), false});
    }
    return leaf;
}

pending_inner inner_of(std::vector<std::string> const& lows) {
    pending_inner inner;
    for (auto const& low : lows) inner.add(low, {format::node_ref::at(16384, 16, 0), 1, 16});
    return inner;
}

std::size_t size_of(std::vector<format::leaf_item> const& items) {
    format::leaf_measure measure;
    for (auto const& [key, value] : items) measure.add(key.size(), value);
    return measure.node_bytes();
}

} // namespace

TEST_CASE("pending entries are copies") {
    pending_leaf leaf;
    CHECK(leaf.empty());
    std::string key = "key";
    std::string value = "value";
    leaf.add(key, {value, false});
    key = "xxx";
    value = "xxxxx";
    CHECK(leaf.item(0).key == "key");
    CHECK(leaf.item(0).value.raw == "value");
    CHECK(leaf.node_bytes() == size_of(leaf.items(1)));
}

TEST_CASE("as many pending entries fit as make a node within the limit, and at least one") {
    auto const leaf = leaf_of(50, 10);
    for (std::size_t const limit : {1U, 40U, 128U, 333U, 1000U, 100'000U}) {
        auto const fit = leaf.fitting(limit);
        CAPTURE(limit, fit);
        CHECK(fit >= 1);
        if (fit > 1) CHECK(size_of(leaf.items(fit)) <= limit);
        if (fit < leaf.count()) CHECK(size_of(leaf.items(fit + 1)) > limit);
    }
}

TEST_CASE("dropping from the front leaves the rest as it was") {
    CHECK(rc::check([] {
        auto leaf = leaf_of(*rc::gen::inRange<std::size_t>(1, 40), *rc::gen::inRange(0U, 30U));
        auto const before = leaf.count();
        auto const dropped = *rc::gen::inRange<std::size_t>(0, before + 1);
        leaf.drop_front(dropped);
        RC_ASSERT(leaf.count() == before - dropped);
        for (std::size_t i = 0; i < leaf.count(); ++i) {
            RC_ASSERT(leaf.item(i).key == grove::numbered(dropped + i));
        }
        if (!leaf.empty()) RC_ASSERT(leaf.node_bytes() == size_of(leaf.items(leaf.count())));
        leaf.add("later", {"w", false});
        RC_ASSERT(leaf.item(leaf.count() - 1).key == "later");
    }));
}

TEST_CASE("no cut leaves a child alone") {
    for (std::size_t count = 2; count < 12; ++count) {
        std::vector<std::string> lows;
        for (std::size_t i = 0; i < count; ++i) lows.push_back(grove::numbered(i));
        auto const inner = inner_of(lows);
        for (std::size_t wanted = 2; wanted <= count; ++wanted) {
            auto const cut = inner.legal_cut(wanted);
            CHECK(cut >= 2);
            CHECK((cut == count || count - cut >= 2));
            if (wanted == count) CHECK(cut == count);
        }
        for (std::size_t limit = 1; limit < 600; limit += 50) {
            auto const fit = inner.fitting(limit);
            CHECK((fit == count || (fit >= 2 && count - fit >= 2)));
            if (fit > 3) CHECK(format::inner_node_bytes(inner.items(fit)) <= limit);
        }
    }
}

// A fuzzer forged an inner node whose separators did not ascend: the first and the last of them
// shared a longer prefix than those between, and the size of the node was computed below zero.
TEST_CASE("children out of order are damage, wherever they are put") {
    auto inner = inner_of({"", "ab", "ac"});
    CHECK_THROWS_AS(inner.add("a", {}), coppice::error);
    CHECK_THROWS_AS(inner.add("ac", {}), coppice::error);
    CHECK(inner.count() == 3);
    auto later = inner_of({"m", "n"});
    CHECK_THROWS_AS(later.prepend({{"b", {}}, {"a", {}}}), coppice::error);
    later = inner_of({"m", "n"});
    CHECK_THROWS_AS(later.prepend({{"b", {}}, {"m", {}}}), coppice::error);
}

TEST_CASE("children are put before, taken from the back and dropped from the front in order") {
    auto inner = inner_of({"c", "d"});
    inner.prepend({{"a", {}}, {"b", {}}});
    CHECK(inner.count() == 4);
    CHECK(inner.item(0).low == "a");
    CHECK(inner.take_back().low == "d");
    inner.drop_front(1);
    CHECK(inner.item(0).low == "b");
    CHECK(inner.items(2).back().low == "c");
    CHECK(inner.node_bytes() == format::inner_node_bytes(inner.items(2)));
    CHECK(inner.most_node_bytes() >= inner.node_bytes());
}
