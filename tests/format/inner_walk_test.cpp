// SPDX-License-Identifier: BSL-1.0
#include <coppice/format/inner_walk.hpp>
#include <coppice/format/patch_writer.hpp>

#include <catch2/catch.hpp>
#include <node_block.hpp>
#include <rapidcheck.h>

#include <string>
#include <vector>

namespace format = coppice::format;
using format::child_change;
using node_block::block;

namespace {

format::node_ref walked_node(std::uint64_t number) {
    return format::node_ref::at(16384 + 64 * number, 64, number);
}

/// A node of `count` children, some with a patch: "", "k10", "k20" and so on.
block walked_base(std::size_t count) {
    std::vector<std::string> lows{""};
    while (lows.size() < count) lows.push_back("k" + std::to_string(10 * lows.size() + 100));
    std::vector<format::inner_item> items;
    for (std::size_t i = 0; i < count; ++i) {
        auto const patch = *rc::gen::arbitrary<bool>() ? walked_node(1000 + i) : format::node_ref{};
        items.push_back({lows[i], {walked_node(i), 2 * i + 1, 3 * i + 1, patch}});
    }
    block node(format::inner_node_bytes(items));
    format::write_inner(1, items, node.writable());
    return node;
}

struct random_changes {
    std::vector<format::inner_change> list;
    std::vector<std::string> texts; // of the separators
    std::size_t added = 0;
};

/// Any changes that a patch of a base of `count` children may have, and one at least.
random_changes changes_of(std::size_t count) {
    random_changes made;
    made.texts.reserve(3 * count);
    auto number = std::uint64_t{5000};
    auto const add = [&](std::size_t index, child_change what, std::string_view separator) {
        ++number;
        made.list.push_back({index, what, walked_node(number), number, 2 * number, separator});
    };
    auto const maybe = [] { return *rc::gen::inRange(0, 3) == 0; };
    for (std::size_t i = 0; i < count; ++i) {
        if (maybe()) add(i, child_change::replaced, {});
        if (maybe() || i + 1 == count) add(i, child_change::patched, {});
        for (int k = 0; k < 3 && maybe(); ++k) {
            made.texts.push_back("k" + std::to_string(10 * i + 101) + std::to_string(k));
            add(i, child_change::added, made.texts.back());
            ++made.added;
            if (maybe()) add(i, child_change::patched, {});
        }
    }
    return made;
}

/// Compares each step with what the node says of that child.
void walk_and_compare(format::inner_node const& inner) {
    std::string buffer;
    std::size_t seen = 0;
    for (format::inner_walk at(inner); !at.done(); at.next()) {
        RC_ASSERT(at.index() == seen);
        RC_ASSERT(at.child() == inner.child(seen));
        RC_ASSERT(at.low(buffer) == (seen == 0 ? std::string() : inner.separator(seen - 1)));
        ++seen;
    }
    RC_ASSERT(seen == inner.count());
}

} // namespace

TEST_CASE("a walk over an inner node and its patch meets the children that the node has") {
    CHECK(rc::check([] {
        auto const count = *rc::gen::inRange<std::size_t>(2, 70);
        auto const base = walked_base(count);
        walk_and_compare({base.data(), nullptr});
        auto const few = std::min<std::size_t>(count, 12);
        auto const patched_base = walked_base(few);
        auto const changes = changes_of(few);
        RC_PRE(changes.list.size() <= format::max_patch_changes);
        block patch(format::inner_patch_bytes(changes.list));
        format::write_inner_patch(1, changes.list, few, few + changes.added, {}, patch.writable());
        format::check_inner_patch(patch.all(), node_block::offset);
        walk_and_compare({patched_base.data(), patch.data()});
    }));
}

static_assert(std::is_trivially_copyable_v<format::inner_walk>);
