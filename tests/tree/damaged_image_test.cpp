// SPDX-License-Identifier: BSL-1.0
// Trees in files whose bytes were changed and whose checksums were made to hold again. Whatever the
// bytes say, every operation ends with an answer or with a typed error: no access outside a node
// (each is a block of its own, for the sanitizer), no endless loop, no stop of the process.
#include <catch2/catch.hpp>
#include <memory_source.hpp>
#include <tree_image.hpp>
#include <workbench.hpp>

#include <coppice/tree/builder.hpp>
#include <coppice/tree/find.hpp>
#include <coppice/tree/rank.hpp>

#include <functional>

namespace {

namespace format = coppice::format;
namespace tree = coppice::tree;
using grove::tree_image;
using workbench::dice;

/// @return did it give an answer?
bool ends(std::function<void()> const& operation) {
    try {
        operation();
        return true;
    } catch (coppice::error const& e) {
        auto const typed =
            e.kind() == coppice::errc::corrupt || e.kind() == coppice::errc::unsupported_feature;
        if (!typed) FAIL(e.what());
        return false;
    }
}

/// Walks some steps in a direction; a damaged tree can be long, since one node may be named often.
template <typename Step> void some_steps(tree::cursor<grove::image_source>& at, Step step) {
    std::size_t sum = 0;
    for (unsigned i = 0; i < 300 && at.valid(); ++i, (at.*step)()) {
        for (auto const byte : at.key()) sum += static_cast<unsigned char>(byte);
        for (auto const byte : at.value().raw) sum += static_cast<unsigned char>(byte);
    }
    CHECK(sum < std::size_t{1} << 40U);
}

void read_all_ways(tree_image const& image, dice& roll) {
    using image_cursor = tree::cursor<grove::image_source>;
    auto const key = grove::numbered(roll.below(130));
    ends([&] { static_cast<void>(tree::find(image.source, image.tree, key)); });
    ends([&] { static_cast<void>(tree::rank(image.source, image.tree, key)); });
    image_cursor at(image.source, image.tree);
    ends([&] {
        at.first();
        some_steps(at, &image_cursor::next);
    });
    ends([&] {
        at.last();
        some_steps(at, &image_cursor::prev);
    });
    ends([&] {
        static_cast<void>(at.seek(key));
        some_steps(at, &image_cursor::prev);
    });
    ends([&] {
        at.seek_nth(roll.below(200));
        some_steps(at, &image_cursor::next);
    });
    auto const report = tree::check(image.source, image.tree, grove::tiny, [&](auto const& extent) {
        static_cast<void>(image.source.value(extent));
    });
    CHECK(report.nodes <= image.source.file.size() / format::node_header_bytes);
}

void change_all_ways(tree_image const& image, dice& roll) {
    ends([&] {
        tree::arena memory;
        grove::changes edits;
        for (auto i = 1 + roll.below(6); i > 0; --i) {
            auto& edit = edits[grove::numbered(roll.below(130))];
            if (roll.below(2) == 0) edit = std::string(roll.below(60), 'n');
        }
        grove::walk by(edits, memory, 32);
        static_cast<void>(tree::apply(image.source, memory, grove::tiny, image.tree, by));
    });
    ends([&] {
        tree::arena memory;
        static_cast<void>(tree::erase_range(image.source, memory, grove::tiny, image.tree,
                                            grove::numbered(roll.below(60)),
                                            grove::numbered(60 + roll.below(60))));
    });
    ends([&] { // what compaction does
        tree::arena memory;
        tree::builder build(image.source, memory, grove::tiny);
        tree::cursor<grove::image_source> at(image.source, image.tree);
        at.first();
        for (unsigned i = 0; i < 500 && at.valid(); ++i, at.next()) build.add(at.key(), at.value());
        static_cast<void>(build.finish());
    });
}

tree_image sound_image() {
    grove::bench bench{grove::tiny};
    auto content = grove::numbered_content(120);
    for (unsigned i = 0; i < 120; i += 5) content[grove::numbered(i)] = std::string(100, 'o');
    auto image = grove::image_of(bench.build(content));
    image.source.verify_checksums = false;
    return image;
}

/// Changes a few places of nodes to random or telling values.
void damage(tree_image& image, dice& roll) {
    auto& file = image.source.file;
    for (auto changes = 1 + roll.below(3); changes > 0; --changes) {
        auto const ref = image.written[roll.below(image.written.size())];
        auto const size = ref.size_bytes();
        auto const at = file.data() + ref.offset() + roll.below(size - 8);
        std::uint64_t const telling[] = {0,
                                         1,
                                         size,
                                         size - 1,
                                         0x7F,
                                         0x80,
                                         0xFF,
                                         0xFFFF,
                                         0x7FFF,
                                         ~std::uint64_t{0},
                                         format::memory_bit,
                                         roll.next(),
                                         image.written[roll.below(image.written.size())].hot};
        auto const value = telling[roll.below(std::size(telling))];
        switch (roll.below(5)) {
        case 0: format::store(at, static_cast<std::uint8_t>(value)); break;
        case 1: format::store(at, static_cast<std::uint16_t>(value)); break;
        case 2: format::store(at, static_cast<std::uint32_t>(value)); break;
        case 3: format::store(at, value); break;
        default: *at ^= std::byte{1} << roll.below(8); break;
        }
    }
}

} // namespace

TEST_CASE("reading a tree of damaged nodes ends with an answer or a typed error") {
    auto const sound = sound_image();
    dice roll(1);
    for (unsigned i = 0; i < 1500U * workbench::scale(); ++i) {
        tree_image image{sound.tree, {sound.source.file, false, {}}, sound.written};
        damage(image, roll);
        read_all_ways(image, roll);
    }
}

TEST_CASE("changing a tree of damaged nodes ends with a tree or a typed error") {
    auto const sound = sound_image();
    dice roll(2);
    for (unsigned i = 0; i < 1500U * workbench::scale(); ++i) {
        tree_image image{sound.tree, {sound.source.file, false, {}}, sound.written};
        damage(image, roll);
        change_all_ways(image, roll);
    }
}

TEST_CASE("every byte of every node may be any of some values") {
    auto const sound = sound_image();
    dice roll(3);
    tree_image image{sound.tree, {sound.source.file, false, {}}, sound.written};
    for (auto const ref :
         {sound.written.front(), sound.written[sound.written.size() / 2], sound.written.back()}) {
        for (auto at = ref.offset(); at < ref.end_offset(); ++at) {
            for (auto const value : {0U, 1U, 0x80U, 0xFFU}) {
                auto const before =
                    std::exchange(image.source.file[at], static_cast<std::byte>(value));
                image.source.nodes.clear();
                read_all_ways(image, roll);
                change_all_ways(image, roll);
                image.source.file[at] = before;
            }
        }
    }
}

TEST_CASE(
    "a tree reference that lies about its root or its height ends with an answer or an error") {
    auto const sound = sound_image();
    dice roll(4);
    for (unsigned height = 1; height <= format::max_height; ++height) {
        for (auto const ref : sound.written) {
            tree_image image{sound.tree, {sound.source.file, false, {}}, sound.written};
            image.tree.root.node = ref;
            image.tree.height = static_cast<std::uint8_t>(height);
            read_all_ways(image, roll);
            if (height < 6 || height == format::max_height) change_all_ways(image, roll);
            if (height > 6) break;
        }
    }
}

TEST_CASE("a tree of the greatest height is read and changed") {
    grove::image_sink sink;
    grove::bench bench{grove::tiny};
    auto at = tree::relocate(sink, bench.put({}, "a"));
    auto other = tree::relocate(sink, bench.put({}, "x"));
    for (unsigned level = 1; level < format::max_height; ++level) {
        std::vector<format::inner_item> const items{{"", at.root}, {"m", other.root}};
        auto const node = sink.allocate_node(format::inner_node_bytes(items));
        format::write_inner(level, items, node);
        at.root.node = sink.seal_node(node);
        other.root.node = at.root.node;
        ++at.height;
    }
    tree_image image{at, {sink.file, false, {}}, sink.written};
    dice roll(5);
    for (unsigned i = 0; i < 20; ++i) {
        read_all_ways(image, roll);
        change_all_ways(image, roll);
    }
}

TEST_CASE("a change that would make a tree higher than the greatest height is refused") {
    grove::image_sink sink;
    grove::bench bench{grove::tiny};
    auto at = tree::relocate(sink, bench.put({}, "y"));
    // Three children fill a node, so that what splits at the right edge splits up to the root.
    for (unsigned level = 1; level < format::max_height; ++level) {
        std::string const low(1, static_cast<char>('A' + (format::max_height - level)));
        auto const [second, third] = std::pair{low + "1", low + "2"};
        std::vector<format::inner_item> const items{
            {"", at.root}, {second, at.root}, {third, at.root}};
        auto const node = sink.allocate_node(format::inner_node_bytes(items));
        format::write_inner(level, items, node);
        at.root.node = sink.seal_node(node);
        ++at.height;
    }
    grove::image_source const source{sink.file, true, {}};
    grove::changes edits;
    for (unsigned i = 0; i < 40; ++i) edits[grove::numbered(i, "z")] = "v";
    grove::walk by(edits, bench.arena.memory, 32);
    auto sizes = grove::tiny;
    sizes.patches = false; // else the node above the leaves becomes one, and does not split
    try {
        static_cast<void>(tree::apply(source, bench.arena, sizes, at, by));
        FAIL("it was changed");
    } catch (coppice::error const& e) {
        CHECK(e.kind() == coppice::errc::corrupt);
        CHECK_THAT(e.what(), Catch::Contains("too high"));
    }
}
