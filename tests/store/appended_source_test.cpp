// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/appended_source.hpp>

#include <coppice/format/node_writer.hpp>
#include <coppice/storage/memory_medium.hpp>

#include <catch2/catch.hpp>

#include <array>

using namespace coppice;

TEST_CASE("a node is read back through the file, and its copy stays when the buffer moves") {
    storage::memory_medium medium;
    auto const file = medium.fresh();
    store::appender<storage::memory_storage> to(*file, 12288);
    store::appended_source const source(nullptr, to, *file);
    format::leaf_item const item{"key", {"value", false}};
    format::leaf_measure measure;
    measure.add(3, item.value);
    auto const node = to.allocate_node(measure.node_bytes());
    format::write_leaf({&item, 1}, node);
    auto const ref = to.seal_node(node);
    auto const* const back = source.node(ref, 0);
    for (int i = 0; i < 100; ++i) static_cast<void>(to.allocate_node(65536));
    CHECK(format::leaf_view(back).key(0) == "key");

    to.flush();
    std::array<std::byte, 1> const damage{std::byte{0xff}};
    file->write(12300, damage);
    CHECK_THROWS_AS(source.node(ref, 0), error);
}
