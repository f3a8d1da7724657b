// SPDX-License-Identifier: BSL-1.0
#pragma once
// A database in memory with a random history, its file as bytes that can be harmed, and what every
// commit held. What the tests of salvage stand on.

#include <coppice/database.hpp>
#include <coppice/store/salvage.hpp>
#include <forged_file.hpp>
#include <test_database.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace broken {

namespace store = coppice::store;
using proving::content;
using workbench::dice;

/// A place in memory that holds these bytes.
[[nodiscard]] inline coppice::storage::memory_medium place_of(forged::file_bytes const& file) {
    coppice::storage::memory_medium medium;
    auto const fresh = medium.fresh();
    fresh->write(0, file);
    medium.replace(*fresh);
    return medium;
}

/// A sound file, and what each of its commits holds.
struct sample {
    forged::file_bytes file;
    std::map<std::uint64_t, content> states;
};

/// Random transactions over some hundred keys in tiny nodes; the values of some lie out of line.
/// Where it is asked for, some commits get names. Who forges the children of a node wants no
/// patches, which would say something else of them.
[[nodiscard]] inline sample random_history(std::uint64_t seed, unsigned commits,
                                           bool with_names = false, bool with_patches = true) {
    dice pick(seed);
    dice tagging(seed + 1'000'000);
    coppice::storage::memory_medium medium;
    auto chosen = proving::tiny();
    chosen.nodes.patches = with_patches;
    coppice::memory_database db(medium, chosen);
    sample made;
    content now;
    made.states[1] = now;
    for (unsigned i = 0; i < commits; ++i) {
        auto txn = db.write();
        for (auto left = 1 + pick.below(60); left > 0; --left) {
            auto const key = proving::numbered("k", pick.below(300));
            if (pick.below(5) == 0) {
                txn.erase(key);
                now.erase(key);
            } else {
                now[key] = proving::noise(pick.below(70), pick.next());
                txn.put(key, now[key]);
            }
        }
        auto const id = txn.commit();
        made.states[id.value] = now;
        if (!with_names || tagging.below(3) != 0) continue;
        auto const name = proving::numbered("tag", tagging.below(20));
        auto const tagged = db.tag(name, {1 + tagging.below(id.value)});
        made.states[tagged.value] = now;
    }
    db.close();
    made.file = proving::bytes_of(*medium.open(coppice::storage::access::read_only));
    return made;
}

inline void zero(forged::file_bytes& file, std::uint64_t offset, std::uint64_t size) {
    for (auto at = offset; at < std::min<std::uint64_t>(offset + size, file.size()); ++at) {
        file[static_cast<std::size_t>(at)] = std::byte{0};
    }
}
inline void zero_slots(forged::file_bytes& file) { zero(file, 4096, 8192); }

/// What salvage makes of some bytes: the report, and the new database.
struct saved {
    store::salvage_report report;
    std::shared_ptr<coppice::memory_database> db;
};

[[nodiscard]] inline saved save(forged::file_bytes const& file,
                                store::salvage_choice const& choice = {}) {
    auto from = place_of(file);
    auto const storage = from.open(coppice::storage::access::read_only);
    coppice::storage::memory_medium to;
    saved result{store::salvage(*storage, "broken", to, choice), {}};
    REQUIRE((proving::bytes_of(*storage) == file));
    coppice::options chosen;
    chosen.create = coppice::create::never;
    result.db = std::make_shared<coppice::memory_database>(to, chosen);
    return result;
}

/// Takes out of a content what a report calls lost.
[[nodiscard]] inline content without_lost(content state, store::salvage_report const& report) {
    for (auto const& range : report.lost_ranges) {
        state.erase(state.lower_bound(range.from),
                    range.to ? state.lower_bound(*range.to) : state.end());
    }
    for (auto const& lost : report.lost_keys) state.erase(lost.key);
    return state;
}

} // namespace broken
