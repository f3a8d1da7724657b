// SPDX-License-Identifier: BSL-1.0
#pragma once
// The images that a crash can leave behind at each moment of a history.

#include <crash_history.hpp>

#include <coppice/testing/power_cut.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace crash {

using coppice::testing::choices;
using coppice::testing::cut_level;
using coppice::testing::disk;
using coppice::testing::power_cut;

/// What is to be done with an image: the image, floor, ceiling, what it is in words.
using visitor = std::function<void(image const&, std::uint64_t, std::uint64_t, std::string const&)>;

/// Every image that the death of the process can leave: after each operation, and within each write
/// at every multiple of `grain_bytes`.
inline void for_each_kill(history const& told, std::size_t grain_bytes, visitor const& visit) {
    image cached = told.start;
    for (std::size_t at = 0;; ++at) {
        auto const where = "killed after operation " + std::to_string(at);
        visit(cached, told.floor(at, false), told.ceiling(at), where);
        if (at == told.log.size()) return;
        auto const& next = told.log[at];
        if (next.kind == op::write) {
            for (auto cut = grain_bytes - next.offset % grain_bytes; cut < next.data.size();
                 cut += grain_bytes) {
                image torn = cached;
                apply(torn, next, cut);
                visit(torn, told.floor(at, false), told.ceiling(at),
                      where + " and " + std::to_string(cut) + " bytes of the next");
            }
        }
        apply(cached, next);
    }
}

/// What is left of the live page after a power cut: nothing, or the page of another boot.
inline void with_each_page(image cut, std::function<void(image const&)> const& visit) {
    visit(cut);
    cut.page = {};
    visit(cut);
}

/// Images that a power cut can leave after each operation: all of them while there are at most
/// `most` pending sectors (or writes, for levels of whole writes), else `many` at random.
/// @param first the operation to begin with
inline void for_each_power_cut(history const& told, cut_level level, std::size_t most,
                               std::size_t many, visitor const& visit, std::size_t first = 0) {
    disk now(told.start);
    for (std::size_t at = 0; at < first; ++at) now.take(told.log[at]);
    for (std::size_t at = first;; ++at) {
        power_cut const cut(now, level);
        auto const floor = told.floor(at, true);
        auto const ceiling = told.ceiling(at);
        auto const pieces =
            level <= cut_level::whole_writes ? now.pending().size() : cut.pending_sectors();
        auto const exhaustive = pieces <= most && level <= cut_level::sectors;
        auto pick = exhaustive ? choices::all() : choices::random(at);
        auto left = many;
        do {
            with_each_page(cut.image(pick), [&](image const& found) {
                visit(found, floor, ceiling,
                      "power cut after operation " + std::to_string(at) + ", " + pick.name());
            });
        } while (pick.next() && (exhaustive || --left != 0));
        if (at == told.log.size()) return;
        now.take(told.log[at]);
    }
}

/// A history that goes on with what was done after its first `at` operations and a kill.
[[nodiscard]] inline history joined(history const& told, std::size_t at, history const& after) {
    auto result = told;
    result.log.resize(at);
    result.log.insert(result.log.end(), after.log.begin(), after.log.end());
    std::erase_if(result.begun, [&](auto const& each) { return each.at > at; });
    std::erase_if(result.promised, [&](auto const& each) { return each.at > at; });
    for (auto each : after.begun) {
        each.at += at;
        result.begun.push_back(each);
    }
    for (auto each : after.promised) {
        if (each.at == 0) continue; // what was there after the kill may be lost to a power cut
        each.at += at;
        result.promised.push_back(each);
    }
    result.states = after.states;
    result.names = after.names;
    return result;
}

} // namespace crash
