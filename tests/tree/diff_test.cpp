// SPDX-License-Identifier: BSL-1.0
#include <coppice/tree/diff.hpp>

#include <catch2/catch.hpp>
#include <kind_of.hpp>
#include <memory_source.hpp>
#include <rapidcheck.h>
#include <tree_image.hpp>
#include <workbench.hpp>

#include <map>
#include <optional>
#include <string>
#include <utility>

namespace {

namespace format = coppice::format;
namespace tree = coppice::tree;
using grove::bench;
using workbench::dice;

/// Key to the value before and after.
using expected_changes =
    std::map<std::string, std::pair<std::optional<std::string>, std::optional<std::string>>>;

bool within(std::string_view key, tree::key_limits const& limits) {
    if (limits.from && (limits.with_from ? key < *limits.from : key <= *limits.from)) return false;
    return !limits.to || (limits.with_to ? key <= *limits.to : key < *limits.to);
}

expected_changes difference(grove::content const& before, grove::content const& after,
                            tree::key_limits const& limits = {}) {
    expected_changes result;
    for (auto const& [key, value] : before) {
        auto const now = after.find(key);
        if (now == after.end()) {
            result[key] = {value, std::nullopt};
        } else if (now->second != value) {
            result[key] = {value, now->second};
        }
    }
    for (auto const& [key, value] : after) {
        if (!before.contains(key)) result[key] = {std::nullopt, value};
    }
    std::erase_if(result, [&](auto const& each) { return !within(each.first, limits); });
    return result;
}

struct same_text {
    bool operator()(format::stored_value const& a, format::stored_value const& b) const {
        return grove::text_of(a) == grove::text_of(b);
    }
};
template <typename Source> using diff_of = tree::diff<Source, same_text>;

std::optional<std::string> text(std::optional<format::stored_value> const& value) {
    return value ? std::optional<std::string>(grove::text_of(*value)) : std::nullopt;
}

/// What the engine says, in the order in which it says it; that order is checked.
template <typename Source>
expected_changes told(Source const& source, tree::tree_ref const& before,
                      tree::tree_ref const& after, tree::key_limits const& limits = {},
                      tree::stores of = tree::stores::one) {
    expected_changes result;
    diff_of<Source> at({source, before, limits}, {source, after, limits}, of, {});
    for (; !at.done(); at.next()) {
        if (!result.empty()) REQUIRE(result.rbegin()->first < at.key());
        result[std::string(at.key())] = {text(at.before()), text(at.after())};
    }
    return result;
}

std::string key_of(std::uint64_t number) {
    dice roll(number * 77);
    switch (roll.below(4)) {
    case 0: return grove::numbered(number, "");
    case 1: return grove::numbered(number, "shared beginning ");
    case 2: return std::string(roll.below(40), '\xff') + std::to_string(number);
    default: return std::to_string(number) + std::string(roll.below(30), 'x');
    }
}

/// A change of a tree and of the map beside it, as the numbers say.
void change(bench& at, tree::tree_ref& now, grove::content& model, dice& roll, std::uint64_t keys) {
    if (roll.below(4) == 0) {
        auto from = key_of(roll.below(keys));
        auto to = key_of(roll.below(keys));
        if (to < from) std::swap(from, to);
        now = at.erase_range(now, from, to);
        model.erase(model.lower_bound(from), model.lower_bound(to));
        return;
    }
    grove::changes edits;
    auto const begin = roll.below(keys);
    for (auto count = roll.below(30); count > 0; --count) {
        auto& edit = edits[key_of((begin + roll.below(60)) % keys)];
        edit.reset();
        if (roll.below(3) != 0) edit = std::string(roll.below(50), 'v') + std::to_string(count % 3);
    }
    now = at.apply(now, edits);
    grove::change(model, edits);
}

} // namespace

TEST_CASE("the changes between two trees are those between two maps") {
    auto const found = rc::check("all pairs of a run of transactions", [] {
        dice roll(*rc::gen::arbitrary<std::uint64_t>());
        auto const steps = *rc::gen::inRange(1, 12);
        auto const keys = static_cast<std::uint64_t>(*rc::gen::inRange(1, 500));
        bench at{grove::tiny};
        std::vector<std::pair<tree::tree_ref, grove::content>> states{{}};
        for (int i = 0; i < steps; ++i) {
            auto [now, model] = states.back();
            change(at, now, model, roll, keys);
            states.emplace_back(now, std::move(model));
        }
        auto const from = key_of(roll.below(keys));
        auto const to = key_of(roll.below(keys));
        tree::key_limits const limits[] = {
            {}, {from, true, {}, false}, {from, false, to, false}, {{}, true, to, true}};
        for (std::size_t i = 0; i < states.size(); ++i) {
            auto const& [before, old_model] = states[i];
            auto const& [after, new_model] = states[(i + 1 + roll.below(2)) % states.size()];
            for (auto const& each : limits) {
                auto const wanted = difference(old_model, new_model, each);
                RC_ASSERT(told(at.source, before, after, each) == wanted);
                RC_ASSERT(told(at.source, before, after, each, tree::stores::two) == wanted);
            }
        }
    });
    CHECK(found);
}

TEST_CASE("a tree and itself are told apart by nothing and without a look") {
    bench at{grove::tiny};
    auto const built = at.build(grove::numbered_content(2'000));
    at.source.opened = 0;
    CHECK(told(at.source, built, built).empty());
    CHECK(told(at.source, {}, {}).empty());
    CHECK(at.source.opened == 0);
    CHECK(told(at.source, built, built, {}, tree::stores::two).empty());
    CHECK(at.source.opened > 1'000);
}

TEST_CASE("as many nodes are opened as changes and the height take") {
    bench at{grove::tiny};
    auto const model = grove::numbered_content(10'000);
    auto const built = at.build(model);
    REQUIRE(built.height >= 5);
    auto const cost = [&](grove::changes const& edits) {
        auto const now = at.apply(built, edits);
        auto changed = model;
        grove::change(changed, edits);
        at.source.opened = 0;
        auto const wanted = difference(model, changed);
        REQUIRE((told(at.source, built, now) == wanted));
        REQUIRE(wanted.size() == edits.size());
        return at.source.opened;
    };
    std::size_t most = 0;
    for (unsigned i = 0; i < 10'000; i += 97) {
        most = std::max(most, cost({{grove::numbered(i), "other"}}));
        most = std::max(most, cost({{grove::numbered(i), std::nullopt}}));
        most = std::max(most, cost({{grove::numbered(i) + "x", "new"}}));
        most = std::max(most, cost({{grove::numbered(i), std::string(31, 'l')}}));
    }
    // Both paths, and a neighbour on each level where a split or a merge has moved a border.
    std::printf("one change of 10,000 entries: at most %zu nodes at height %u\n", most,
                unsigned{built.height});
    CHECK(most <= 4U * built.height);
    CHECK(cost({{"a", "first"}}) <= 4U * built.height);
    CHECK(cost({{"z", "last"}}) <= 4U * built.height);
    // Many changes at one place cost little more than one; at many places, as much for each.
    grove::changes together;
    for (unsigned i = 5'000; i < 5'010; ++i) together[grove::numbered(i) + "y"] = "new";
    CHECK(cost(together) <= 4U * built.height + 40U);
    grove::changes apart;
    for (unsigned i = 0; i < 10'000; i += 1'000) apart[grove::numbered(i)] = "new";
    CHECK(cost(apart) <= 10U * 4U * built.height);
}

TEST_CASE("a range that was erased costs its entries and not the rest") {
    bench at{grove::tiny};
    auto model = grove::numbered_content(20'000);
    auto const built = at.build(model);
    auto const now = at.erase_range(built, grove::numbered(7'000), grove::numbered(7'100));
    at.source.opened = 0;
    CHECK(told(at.source, built, now).size() == 100);
    CHECK(at.source.opened <= 100U + 6U * built.height);
    at.source.opened = 0;
    CHECK(told(at.source, now, built).size() == 100);
    CHECK(at.source.opened <= 100U + 6U * built.height);
}

TEST_CASE("trees of other heights share what they share") {
    bench at{grove::tiny};
    auto const model = grove::numbered_content(3'000);
    auto const built = at.build(model);
    auto const cut = at.erase_range(built, grove::numbered(40), std::nullopt);
    REQUIRE(cut.height < built.height);
    CHECK((told(at.source, cut, built) == difference(grove::numbered_content(40), model)));
    CHECK((told(at.source, built, cut) == difference(model, grove::numbered_content(40))));
    CHECK((told(at.source, {}, built) == difference({}, model)));
    CHECK((told(at.source, built, {}) == difference(model, {})));
    // The higher one has the lower one as its left edge.
    at.source.opened = 0;
    tree::key_limits const limits{{}, true, "key00000030", false};
    CHECK(told(at.source, cut, built, limits).empty());
    CHECK(at.source.opened <= 2U * built.height);
}

TEST_CASE("trees of damaged nodes are compared with an answer or a typed error") {
    bench at{grove::tiny};
    auto const before = at.build(grove::numbered_content(120));
    grove::changes edits;
    for (unsigned i = 0; i < 120; i += 9) edits[grove::numbered(i)] = "changed";
    for (unsigned i = 50; i < 60; ++i) edits[grove::numbered(i)] = std::nullopt;
    auto const after = at.apply(before, edits);
    grove::image_sink sink;
    auto const first = tree::relocate(sink, before);
    auto const second = tree::relocate(sink, after);
    dice roll(6);
    unsigned answers = 0;
    unsigned errors = 0;
    for (unsigned i = 0; i < 4'000U * workbench::scale(); ++i) {
        grove::image_source source{sink.file, false, {}};
        for (auto changes = 1 + roll.below(3); changes > 0; --changes) {
            auto const ref = sink.written[roll.below(sink.written.size())];
            auto* const to = source.file.data() + ref.offset() + roll.below(ref.size_bytes() - 8);
            auto const other = sink.written[roll.below(sink.written.size())].hot;
            switch (roll.below(4)) {
            case 0: format::store(to, static_cast<std::uint8_t>(roll.next())); break;
            case 1: format::store(to, static_cast<std::uint16_t>(roll.below(300))); break;
            case 2: format::store(to, other); break;
            default: *to ^= std::byte{1} << roll.below(8); break;
            }
        }
        auto const raw = [](format::stored_value const& a, format::stored_value const& b) {
            return a.raw == b.raw;
        };
        using damaged_walk = tree::subtree_walk<grove::image_source>;
        std::size_t steps = 0;
        try {
            tree::diff changes(damaged_walk(source, first, {}), damaged_walk(source, second, {}),
                               roll.below(2) == 0 ? tree::stores::one : tree::stores::two, raw);
            for (; !changes.done(); changes.next()) ++steps;
            ++answers;
        } catch (coppice::error const& e) {
            auto const typed = e.kind() == coppice::errc::corrupt ||
                               e.kind() == coppice::errc::unsupported_feature;
            if (!typed) FAIL(e.what());
            ++errors;
        }
        // Each side comes by each of its bytes once at most.
        REQUIRE(steps <= sink.file.size());
    }
    CHECK(answers > 100);
    CHECK(errors > 100);
}

TEST_CASE("trees that name one node again and again are refused instead of compared for ever") {
    grove::image_sink sink;
    bench at{grove::tiny};
    auto const leaf = tree::relocate(sink, at.put({}, "a"));
    tree::tree_ref trees[2] = {leaf, leaf};
    for (unsigned level = 1; level < format::max_height; ++level) {
        for (auto& each : trees) {
            // Two of a kind, so that nothing but the leaf is shared.
            std::string const low = &each == trees ? "m" : "n";
            std::vector<format::inner_item> const items{{"", each.root}, {low, each.root}};
            auto const node = sink.allocate_node(format::inner_node_bytes(items));
            format::write_inner(level, items, node);
            each.root.node = sink.seal_node(node);
            ++each.height;
        }
    }
    grove::image_source const source{sink.file, true, {}};
    CHECK(support::kind_of([&] { static_cast<void>(told(source, trees[0], trees[1])); }) ==
          coppice::errc::corrupt);
}
