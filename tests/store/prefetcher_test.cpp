// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/prefetcher.hpp>

#include <kind_of.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace coppice;
using proving::in_file;
using proving::noise;
using proving::numbered;
using store::prefetcher;
using support::kind_of;

namespace {

/// Makes a file of about that many pieces.
void fill(in_file const& place, std::uint64_t pieces) {
    auto db = place.open(options{});
    std::vector<std::pair<std::string, std::string>> pairs;
    for (std::uint64_t i = 0; i < pieces * prefetcher::piece_bytes / 950; ++i) {
        // One in a hundred lies out of line.
        pairs.emplace_back(numbered("k", i), noise(i % 100 == 7 ? 3000 : 900, i));
    }
    db.update([&](auto& txn) { txn.load(pairs); });
}

/// All leaves of a tree, in order. Opens no leaf.
void leaves_below(store::revision const& state, format::node_pair const& node, unsigned level,
                  std::vector<format::node_ref>& found) {
    if (level == 0) return found.push_back(node.base);
    auto const inner = tree::open_inner(state, node, level);
    for (std::size_t i = 0; i < inner.count(); ++i) {
        leaves_below(state, inner.pair(i), level - 1, found);
    }
}
std::vector<format::node_ref> leaves_of(store::revision const& state) {
    std::vector<format::node_ref> found;
    leaves_below(state, state.user().root.pair(), state.user().height - 1U, found);
    return found;
}

/// How many of them somebody has read.
std::uint64_t read_of(store::revision const& state, std::vector<format::node_ref> const& leaves) {
    std::uint64_t count = 0;
    for (auto const leaf : leaves) count += state.image().verified->contains(leaf.hot) ? 1U : 0U;
    return count;
}

/// Waits until so many are read, which is for ever where nobody reads them.
void wait_for(store::revision const& state, std::vector<format::node_ref> const& leaves,
              std::uint64_t count) {
    while (read_of(state, leaves) < count) std::this_thread::yield();
}

} // namespace

TEST_CASE("leaves are read ahead of the walk, and no further than is said") {
    in_file const place;
    fill(place, 40);
    auto const db = place.open(options{});
    auto const now = db.read();
    auto const& state = *now.state();
    auto const leaves = leaves_of(state);
    auto const entries = state.user().root.entries;
    CHECK(read_of(state, leaves) == 0);
    auto const leaves_of_pieces = [&](std::uint64_t pieces) {
        return pieces * leaves.size() / (state.user().root.bytes / prefetcher::piece_bytes);
    };
    {
        prefetcher ahead(state, state.user());
        wait_for(state, leaves, leaves_of_pieces(prefetcher::most_pieces_ahead - 1));
    }
    CHECK(read_of(state, leaves) <= leaves_of_pieces(prefetcher::most_pieces_ahead + 1));
    {
        prefetcher ahead(state, state.user());
        ahead.reached(entries / 2); // the walk has skipped much
        wait_for(state, leaves, leaves_of_pieces(2 * prefetcher::most_pieces_ahead - 3));
    }
    // What the walk has behind it is not read any more.
    auto const first_not_read = leaves_of_pieces(prefetcher::most_pieces_ahead + 2);
    CHECK_FALSE(state.image().verified->contains(leaves[first_not_read].hot));
    {
        prefetcher ahead(state, state.user());
        for (std::uint64_t i = 0; i < entries; ++i) ahead.reached(i);
    }
    CHECK(db.check().clean());
}

TEST_CASE("a small tree is left alone") {
    in_file const place;
    fill(place, prefetcher::least_bytes / prefetcher::piece_bytes - 2);
    auto const db = place.open(options{});
    auto const now = db.read();
    auto const leaves = leaves_of(*now.state());
    {
        prefetcher ahead(*now.state(), now.state()->user());
        for (std::uint64_t i = 0; i < 1000; ++i) ahead.reached(i);
    }
    CHECK(read_of(*now.state(), leaves) == 0);
}

TEST_CASE("damage is told by the walk, not by who reads ahead of it") {
    in_file const place;
    fill(place, 12);
    std::uint64_t at = 0;
    {
        auto const db = place.open(options{});
        auto const leaves = leaves_of(*db.read().state());
        at = leaves[leaves.size() / 2].offset() + 100;
    }
    auto text = proving::text_of(place.path());
    text[at] = static_cast<char>(~text[at]);
    proving::write_text(place.path(), text);
    options chosen;
    chosen.read_ahead = false; // so that compactions read by threads
    auto db = place.open(chosen);
    for (int i = 0; i < 3; ++i) CHECK(kind_of([&] { db.compact(); }) == errc::corrupt);
    CHECK(db.get(numbered("k", 1)).has_value());
}
