// SPDX-License-Identifier: BSL-1.0
#include <coppice/tree/relocate.hpp>

#include <catch2/catch.hpp>
#include <memory_source.hpp>
#include <tree_image.hpp>

#include <coppice/tree/find.hpp>

#include <algorithm>

namespace {

using grove::image_of;

grove::content with_long_values(std::uint64_t count) {
    auto content = grove::numbered_content(count);
    for (std::uint64_t i = 0; i < count; i += 7) {
        content[grove::numbered(i)] = std::string(50 + i % 300, static_cast<char>('a' + i % 26));
    }
    return content;
}

/// What the tree in the file holds.
grove::content content_of(grove::tree_image const& image) {
    grove::content result;
    coppice::tree::cursor<grove::image_source> at(image.source, image.tree);
    for (at.first(); at.valid(); at.next()) {
        auto const value = at.value();
        result.emplace_hint(result.end(), at.key(),
                            value.out_of_line ? image.source.value(value.extent()) : value.raw);
    }
    return result;
}

coppice::tree::check_report check(grove::tree_image const& image) {
    return coppice::tree::check(image.source, image.tree, grove::tiny, [&](auto const& extent) {
        static_cast<void>(image.source.value(extent));
    });
}

} // namespace

TEST_CASE("a relocated tree holds the same, in a file whose every checksum holds") {
    for (std::uint64_t const count : {1U, 5U, 50U, 3000U}) {
        grove::bench bench{grove::tiny};
        auto const content = with_long_values(count);
        auto const built = bench.build(content);
        auto const image = image_of(built);
        CHECK(image.tree.height == built.height);
        CHECK(image.tree.root.entries == built.root.entries);
        CHECK(image.tree.root.bytes == built.root.bytes);
        CHECK(content_of(image) == content);
        auto const report = check(image);
        CHECK(report.findings.empty());
        CHECK(report.nodes == image.written.size());
        CHECK(report.bytes == image.source.file.size() - coppice::format::data_begin_offset);
        CHECK(bench.difference(built, content).empty());
    }
}

TEST_CASE("the empty tree is relocated to itself") {
    grove::image_sink sink;
    CHECK(coppice::tree::relocate(sink, {}) == coppice::format::tree_ref{});
    CHECK(sink.written.empty());
}

TEST_CASE("of a changed tree only what is new is written") {
    grove::bench bench{grove::tiny};
    auto content = with_long_values(2000);
    auto image = image_of(bench.build(content));
    auto const before = image.source.file;
    for (unsigned i = 0; i < 20; ++i) {
        grove::changes edits{{grove::numbered(97 * i), "another"}};
        if (i % 3 == 0) edits[grove::numbered(31 * i)] = std::string(200, 'n');
        if (i % 4 == 0) edits[grove::numbered(55 * i)] = std::nullopt;
        grove::change(content, edits);
        grove::walk by(edits, bench.arena.memory, grove::tiny.inline_value_bytes);
        auto const changed =
            coppice::tree::apply(image.source, bench.arena, grove::tiny, image.tree, by);
        grove::image_sink sink;
        sink.file = std::move(image.source.file);
        image.tree = coppice::tree::relocate(sink, changed);
        CHECK(sink.written.size() <= 9U * image.tree.height);
        image.source.file = std::move(sink.file);
        CHECK(check(image).findings.empty());
        CHECK(content_of(image) == content);
    }
    CHECK(std::equal(before.begin(), before.end(), image.source.file.begin()));
}

TEST_CASE("in a relocated tree a damaged byte of any node is found by its checksum") {
    grove::bench bench{grove::tiny};
    auto image = image_of(bench.build(grove::numbered_content(60)));
    for (std::size_t at = coppice::format::data_begin_offset; at < image.source.file.size(); ++at) {
        image.source.nodes.clear();
        image.source.file[at] ^= std::byte{1};
        if (check(image).findings.empty()) FAIL("byte " << at);
        image.source.file[at] ^= std::byte{1};
    }
}
