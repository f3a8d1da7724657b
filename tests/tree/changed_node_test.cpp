// SPDX-License-Identifier: BSL-1.0
#include <coppice/tree/changed_node.hpp>

#include <catch2/catch.hpp>
#include <kind_of.hpp>
#include <memory_source.hpp>
#include <tree_image.hpp>

#include <coppice/tree/apply.hpp>
#include <coppice/tree/edits.hpp>
#include <coppice/tree/relocate.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tree = coppice::tree;

namespace {

/// Cannot be copied, so that `apply` does not go back in it.
class passing_walk {
  public:
    explicit passing_walk(tree::edit_map const& edits) : at_(edits) {}
    passing_walk(passing_walk const&) = delete;
    passing_walk& operator=(passing_walk const&) = delete;

    [[nodiscard]] bool done() const noexcept { return at_.done(); }
    [[nodiscard]] std::string_view key() const noexcept { return at_.key(); }
    [[nodiscard]] auto const* value() const noexcept { return at_.value(); }
    void next() noexcept { at_.next(); }

  private:
    tree::edit_map::walk at_;
};
static_assert(tree::lasting_edit_source<tree::edit_map::walk>);
static_assert(!tree::lasting_edit_source<passing_walk>);

/// Counts the nodes that are made.
struct counting_sink {
    tree::arena& to;
    std::size_t nodes = 0;

    [[nodiscard]] coppice::mutable_bytes allocate_node(std::size_t size_bytes) {
        ++nodes;
        return to.allocate_node(size_bytes);
    }
    [[nodiscard]] tree::node_ref seal_node(coppice::mutable_bytes node) const noexcept {
        return to.seal_node(node);
    }
};

/// A tree that is changed by many edits at a time, and written now and then.
class edited_tree {
  public:
    explicit edited_tree(coppice::node_sizes const& sizes) : sizes_(sizes) { restart(); }

    /// Makes the edits by both ways, which must not differ.
    void apply(grove::changes const& edits) {
        tree::edit_map map;
        for (auto const& [key, value] : edits) {
            auto const kept = memory_.back()->copy(key);
            if (!value) {
                map.erase(kept);
                model.erase(key);
            } else {
                map.put(kept, stored(*value));
                model[key] = *value;
            }
        }
        counting_sink short_sink{*memory_.back()};
        counting_sink long_sink{*memory_.back()};
        tree::edit_map::walk by(map);
        auto const made = tree::apply(source_, short_sink, sizes_, now_, by);
        REQUIRE(by.done());
        passing_walk passing(map);
        auto const expected = tree::apply(source_, long_sink, sizes_, now_, passing);
        REQUIRE(grove::are_written_alike(sink_, made, expected));
        REQUIRE(short_sink.nodes == long_sink.nodes); // none is made in vain
        now_ = made;
    }

    /// Writes what is in memory.
    void flush() {
        now_ = tree::relocate(sink_, now_);
        source_.file = sink_.file;
        restart();
        must_be_sound();
    }

    /// Where it is, and its root. REQUIRES: `flush` was called.
    [[nodiscard]] std::pair<grove::image_source const&, tree::subtree> in_file() const {
        return {source_, now_.root};
    }

    void must_be_sound() const {
        auto const report = tree::check(source_, now_, sizes_, [&](auto const& extent) {
            static_cast<void>(source_.value(extent));
        });
        REQUIRE(report.findings.empty());
        REQUIRE(now_.root.entries == model.size());
        tree::cursor<grove::image_source> at(source_, now_);
        at.first();
        for (auto const& [key, value] : model) {
            REQUIRE(at.valid());
            REQUIRE(at.key() == key);
            if (!at.value().out_of_line) REQUIRE(at.value().raw == value);
            at.next();
        }
        REQUIRE_FALSE(at.valid());
    }

    std::map<std::string, std::string> model;

  private:
    void restart() { memory_.push_back(std::make_unique<tree::arena>()); }

    [[nodiscard]] coppice::format::stored_value stored(std::string const& value) {
        auto const kept = memory_.back()->copy(value);
        if (value.size() <= sizes_.inline_value_bytes) return {kept, false};
        coppice::mutable_bytes const to{
            memory_.back()->allocate(coppice::format::extent_ref::encoded_bytes),
            coppice::format::extent_ref::encoded_bytes};
        coppice::format::extent_ref::in_memory_at(coppice::as_bytes(kept)).encode(to.data());
        return {coppice::as_text(to), true};
    }

    coppice::node_sizes sizes_;
    grove::image_sink sink_;
    grove::image_source source_;
    std::vector<std::unique_ptr<tree::arena>> memory_;
    tree::tree_ref now_;
};

/// Some puts and erasures, some of them beside each other, some at the right edge.
grove::changes some_edits(std::mt19937& random, edited_tree const& at, std::uint32_t keys,
                          std::uint32_t most, std::uint32_t longest) {
    auto const pick = [&](std::uint32_t below) {
        return static_cast<std::uint32_t>(random() % below);
    };
    grove::changes edits;
    auto const erases = pick(4) == 0 ? 2U : 9U;
    for (auto n = 1 + pick(most); n > 0; --n) {
        auto const first = pick(30) == 0 ? keys + pick(20) : pick(keys);
        auto const run = pick(8) == 0 ? 1 + pick(30) : 1;
        auto const erase = pick(erases) == 0;
        for (auto i = first; i < first + run; ++i) {
            auto const key = grove::numbered(i, pick(9) == 0 ? "k" : "key");
            auto const size = pick(12) == 0 ? pick(longest) : pick(12);
            if (!erase) edits[key] = std::string(size, static_cast<char>('a' + pick(3)));
            if (erase && at.model.contains(key)) edits[key] = std::nullopt;
        }
    }
    return edits;
}

} // namespace

TEST_CASE("many edits at a time make the same bytes whether or not the short way is taken") {
    for (std::uint32_t seed = 1; seed <= 40; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        coppice::node_sizes const sizes{.leaf_bytes = 128U << (seed % 5),
                                        .inner_bytes = 128U << (seed / 5 % 4),
                                        .inline_value_bytes = 32,
                                        .patches = seed % 8 != 0};
        edited_tree at(sizes);
        auto const keys = 50 + static_cast<std::uint32_t>(random() % 3000);
        for (std::uint32_t step = 0; step < 60; ++step) {
            auto const most = step == 0 ? keys : 1 + random() % (step % 2 == 0 ? 10 : 200);
            auto const edits = some_edits(random, at, keys, static_cast<std::uint32_t>(most), 90);
            if (!edits.empty()) at.apply(edits);
            if (random() % 3 != 0) at.flush();
        }
        at.flush();
    }
}

TEST_CASE("a leaf with several changes is made of them alone") {
    edited_tree at({});
    grove::changes first;
    for (std::uint32_t i = 0; i < 20; ++i) first[grove::numbered(i)] = std::string(100, 'v');
    at.apply(first);
    at.flush();
    auto const& [source, root] = at.in_file();
    tree::arena memory;
    tree::leaf_changes_so_far changes;
    changes.begin(tree::open_leaf(source, root.pair()));
    coppice::format::stored_value const value{"value", false};
    auto const inserted = grove::numbered(3) + "a";
    auto const replaced = grove::numbered(5);
    auto const erased = grove::numbered(7);
    changes.edit(inserted, &value);
    changes.edit(replaced, &value);
    changes.edit(erased, nullptr);
    auto const made = changes.finish(source, memory, {}, root, true, false);
    REQUIRE(made);
    CHECK(made->node == root.node); // what is new is a patch
    CHECK(made->entries == 20);
    CHECK(made->bytes == made->pair().size_bytes());
    auto const leaf = tree::open_leaf(source, made->pair());
    CHECK(leaf.patch().count() == 3);
    CHECK(leaf.find(inserted)->raw == "value");
    CHECK(leaf.find(replaced)->raw == "value");
    CHECK_FALSE(leaf.find(erased));
    // What is too small, or too large, may have to be merged or cut.
    changes.begin(leaf);
    for (auto at_key = first.find(grove::numbered(8)); at_key != first.end(); ++at_key) {
        changes.edit(at_key->first, nullptr);
    }
    CHECK_FALSE(changes.finish(source, memory, {}, *made, false, false));
    auto const large = std::string(1000, 'v');
    coppice::format::stored_value const large_value{large, false};
    changes.begin(leaf);
    for (auto at_key = first.find(grove::numbered(8)); at_key != first.end(); ++at_key) {
        changes.edit(at_key->first, &large_value);
    }
    CHECK_FALSE(changes.finish(source, memory, {}, *made, true, false));
}

TEST_CASE("leaves that become large and wide take the long way, and come back") {
    std::mt19937 random(1);
    edited_tree at({.leaf_bytes = 65536, .inner_bytes = 1024, .inline_value_bytes = 1024});
    grove::changes first;
    for (std::uint32_t i = 0; i < 3000; ++i) first[grove::numbered(i)] = std::string(90, 'v');
    at.apply(first);
    at.flush();
    for (int step = 0; step < 40; ++step) {
        at.apply(some_edits(random, at, 3000, 80, step % 3 == 0 ? 2000 : 1000));
        at.flush();
    }
}

TEST_CASE("a few children of an inner node change, and it is one patch") {
    edited_tree at({});
    grove::changes first;
    for (std::uint32_t i = 0; i < 20000; ++i) first[grove::numbered(i)] = std::string(100, 'v');
    at.apply(first);
    at.flush();
    std::mt19937 random(1);
    for (int step = 0; step < 10; ++step) {
        grove::changes edits;
        for (int i = 0; i < 200; ++i) {
            edits[grove::numbered(static_cast<std::uint32_t>(random() % 20000))] = "value";
        }
        at.apply(edits);
        at.flush();
    }
}
