// SPDX-License-Identifier: BSL-1.0
// What snapshots pin of files that were replaced.

#include <coppice/store/replaced_files.hpp>

#include <catch2/catch.hpp>

using namespace coppice;

TEST_CASE("a replaced file counts as pinned until its last reader is gone") {
    store::replaced_files files;
    CHECK(files.pinned_bytes() == 0);
    auto first = std::make_shared<store::verified_table>();
    auto const also_first = first;
    auto second = std::make_shared<store::verified_table>();
    files.remember(first, 1000);
    files.remember(second, 30);
    CHECK(files.pinned_bytes() == 1030);
    first.reset();
    CHECK(files.pinned_bytes() == 1030);
    second.reset();
    CHECK(files.pinned_bytes() == 1000);
    files.remember(also_first, 5); // what is gone is forgotten, what lives is kept
    CHECK(files.pinned_bytes() == 1005);
}
