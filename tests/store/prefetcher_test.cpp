// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/prefetcher.hpp>

#include <kind_of.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>
#include <child_process.hpp>
#include <workbench.hpp>

#include <algorithm>
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

/// The leaves of a state, and which of them somebody has read. The table of what was read may
/// forget some, so the questions are for any of many.
class leaves {
  public:
    explicit leaves(store::revision const& state) : state_(state), all_(leaves_of(state)) {}

    /// Was any leaf of the pieces [first, last) read?
    [[nodiscard]] bool any_read(std::uint64_t first, std::uint64_t last) const {
        auto const pieces = state_.user().root.bytes / prefetcher::piece_bytes;
        auto const begin = first * all_.size() / pieces;
        auto const end = std::min<std::uint64_t>(last * all_.size() / pieces, all_.size());
        for (auto i = begin; i < end; ++i) {
            if (state_.image().verified->contains(all_[i].hot)) return true;
        }
        return false;
    }
    /// Waits for that, which is for ever where nobody reads them.
    void wait_for(std::uint64_t first, std::uint64_t last) const {
        while (!any_read(first, last)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }

  private:
    store::revision const& state_;
    std::vector<format::node_ref> all_;
};

/// Long enough for threads that would go too far to be seen there.
constexpr std::chrono::milliseconds a_while{50};

} // namespace

TEST_CASE("leaves are read ahead of the walk, and no further than is said") {
    in_file const place;
    fill(place, 40);
    auto const db = place.open(options{});
    auto const now = db.read();
    auto const& state = *now.state();
    auto const entries = state.user().root.entries;
    leaves const all(state);
    constexpr auto most = prefetcher::most_pieces_ahead;
    CHECK_FALSE(all.any_read(0, 40));
    {
        prefetcher const ahead(state, state.user());
        all.wait_for(most - 2, most);
        std::this_thread::sleep_for(a_while);
    }
    CHECK_FALSE(all.any_read(most + 1, 40));
    {
        prefetcher ahead(state, state.user());
        ahead.reached(entries / 2); // the walk has skipped much
        all.wait_for(20 + most - 2, 20 + most);
        std::this_thread::sleep_for(a_while);
    }
    // Neither what the walk has behind it nor what is far before it.
    CHECK_FALSE(all.any_read(most + 1, 20));
    CHECK_FALSE(all.any_read(20 + most + 2, 40));
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
    leaves const all(*now.state());
    {
        prefetcher ahead(*now.state(), now.state()->user());
        for (std::uint64_t i = 0; i < 1000; ++i) ahead.reached(i);
        std::this_thread::sleep_for(a_while);
    }
    CHECK_FALSE(all.any_read(0, 40));
}

TEST_CASE("damage is told by the walk, not by who reads ahead of it") {
    in_file const place;
    fill(place, 12);
    std::uint64_t at = 0;
    {
        auto const db = place.open(options{});
        auto const now = db.read();
        auto const found = leaves_of(*now.state());
        at = found[found.size() / 2].offset() + 100;
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

// A child that a callback of a compaction had forked joined threads that it does not have.
TEST_CASE("a fork does not wait for the threads of its parent") {
    if (workbench::skip_forks()) return;
    in_file const place;
    fill(place, 40);
    auto const db = place.open(options{});
    auto const now = db.read();
    leaves const all(*now.state());
    std::optional<prefetcher> ahead(std::in_place, *now.state(), now.state()->user());
    // They have done all that they may, and wait; so none of them is in the allocator.
    all.wait_for(prefetcher::most_pieces_ahead - 2, prefetcher::most_pieces_ahead);
    std::this_thread::sleep_for(a_while);
    workbench::child forked([&](workbench::reporter const& to) {
        ahead->reached(now.state()->user().root.entries / 2);
        ahead.reset();
        to.tell(1, 1);
    });
    CHECK(forked.all_reports().size() == 1);
    CHECK(forked.wait() == 0);
    ahead.reset();
}
