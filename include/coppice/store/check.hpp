// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/check.hpp: is everything that the newest commit relies on as it should be?
// Owns: the walk over both trees of the newest visible commit, over the chain of records and tags.
// Invariant: reads only, never throws for damage: every damage is a finding, and what can still be
//   walked is. Cost: reads everything that is reachable, once, with its checksums.

#include <coppice/store/history.hpp>
#include <coppice/store/store.hpp>
#include <coppice/store/tags.hpp>
#include <coppice/tree/check.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace coppice::inline COPPICE_ABI::store {

using tree::finding;

/// What a check found. Empty `findings` means that all is well.
struct check_report : tree::check_report {
    std::uint64_t commits = 0; ///< records in the chain, back to the first of the file

    [[nodiscard]] bool clean() const noexcept { return findings.empty(); }
};

namespace detail {

/// Walks the chain of records from a state to the first one of the file.
inline void check_chain(revision const& newest, check_report& report) {
    auto record = newest.record();
    auto at = newest.at();
    report.commits = 1;
    try {
        while (!record.previous.is_null()) {
            auto const before = newest.image().record(record.previous, at.offset);
            if (before.commit_id >= record.commit_id - record.id_span ||
                before.time_us >= record.time_us || before.index + 1 != record.index) {
                report.findings.push_back(
                    {"a commit record does not follow the one before it", at.offset});
            }
            at = record.previous;
            record = before;
            ++report.commits;
        }
        if (record.index != 0) {
            report.findings.push_back({"the chain of commit records ends early", at.offset});
        }
    } catch (error const& e) {
        report.findings.push_back({e.what(), e.offset().value_or(at.offset)});
    }
}

/// Is every commit there that has a name?
inline void check_tags(revision_ptr const& state, check_report& report) {
    try {
        for (auto const& [name, commit] : tags_of(*state)) {
            try {
                static_cast<void>(state_at(state, commit));
            } catch (error const& e) {
                report.findings.push_back(
                    {"the tag '" + name + "': " + e.what(), state->at().offset});
            }
        }
    } catch (error const& e) {
        report.findings.push_back({e.what(), e.offset().value_or(state->at().offset)});
    }
}

/// The same state on a fresh table, so that every checksum is compared now.
[[nodiscard]] inline revision_ptr unverified(revision const& state) {
    auto image = std::make_shared<file_image>(state.image());
    image->verified = std::make_shared<verified_table>();
    image->verify = coppice::verify::first_touch;
    return revision_ptr(
        new revision(std::move(image), state.record(), state.at(), state.limit_offset()));
}

inline void merge(check_report& into, tree::check_report part) {
    into.nodes += part.nodes;
    into.leaves += part.leaves;
    into.entries += part.entries;
    into.bytes += part.bytes;
    into.patches += part.patches;
    into.leaf_bytes += part.leaf_bytes;
    into.unlisted_findings += part.unlisted_findings;
    into.findings.insert(into.findings.end(), std::make_move_iterator(part.findings.begin()),
                         std::make_move_iterator(part.findings.end()));
}

} // namespace detail

/// Checks one state.
[[nodiscard]] inline check_report check(revision const& shown) {
    auto const state = detail::unverified(shown);
    auto const& sizes = state->image().header.nodes;
    auto const verify_extent = [&](extent_ref const& extent) {
        static_cast<void>(state->value_part(extent, 0, extent.length_bytes));
    };
    check_report report;
    detail::merge(report, tree::check(*state, state->system(), sizes, verify_extent));
    report.entries = 0; // the system tree's entries are not the user's
    detail::merge(report, tree::check(*state, state->user(), sizes, verify_extent));
    detail::check_chain(*state, report);
    detail::check_tags(state, report);
    return report;
}

/// Checks the newest visible commit of a database that is in its file.
template <storage::medium Medium> [[nodiscard]] check_report check(store<Medium>& from) {
    return check(*state_in_file(from.current()));
}

} // namespace coppice::inline COPPICE_ABI::store
