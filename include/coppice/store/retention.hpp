// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/retention.hpp: which commits a compaction keeps.
// Owns: the rule. The newest one; those that the policy wants, by number and by age; those with a
//   tag in the newest one.
// Invariant: what is kept looking back from a later commit, and is not later than an earlier one,
//   was kept looking back from that one too, or was given a tag meanwhile. Reads only.

#include <coppice/options.hpp>
#include <coppice/store/history.hpp>
#include <coppice/store/revision.hpp>
#include <coppice/store/tags.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace coppice::inline COPPICE_ABI::store {

namespace detail {

/// Commits of this time and older ones are not young.
[[nodiscard]] inline std::uint64_t not_young_us(retention_policy const& policy,
                                                std::uint64_t now_us) noexcept {
    if (policy.age.count() <= 0) return std::numeric_limits<std::uint64_t>::max();
    return now_us - std::min(now_us, static_cast<std::uint64_t>(policy.age.count()));
}

} // namespace detail

/// The commits to keep of the history that ends with `newest`, which is the last of them.
/// Ascending.
/// @param now_us the time, @param first_id older commits are left out
/// @throws errc::corrupt
/// Cost: one record for each commit that the policy keeps, and O(number of tags)
[[nodiscard]] inline std::vector<commit_id> kept_commits(revision_ptr const& newest,
                                                         retention_policy const& policy,
                                                         std::uint64_t now_us, commit_id first_id) {
    auto const not_young = detail::not_young_us(policy, now_us);
    std::vector<commit_id> kept;
    for (auto at = newest; at; at = previous_state(*at)) {
        auto const& record = at->record();
        auto const wanted =
            kept.empty() || kept.size() < policy.commits || record.time_us > not_young;
        if (!wanted || record.commit_id < first_id.value) break;
        kept.push_back({record.commit_id});
    }
    for (auto const& each : tags_of(*newest)) {
        if (each.commit >= first_id) kept.push_back(each.commit);
    }
    std::sort(kept.begin(), kept.end());
    kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
    return kept;
}

} // namespace coppice::inline COPPICE_ABI::store
