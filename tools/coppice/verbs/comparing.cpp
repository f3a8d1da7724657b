// SPDX-License-Identifier: BSL-1.0
// tools/coppice/verbs/comparing.cpp: diff, changes.
// Invariant: "done" is written behind all changes of a commit, and with them.

#include "tools/coppice/change_lines.hpp"
#include "tools/coppice/identity_text.hpp"
#include "tools/coppice/key_range.hpp"
#include "tools/coppice/output.hpp"
#include "tools/coppice/verbs.hpp"

#include <coppice/diff.hpp>
#include <coppice/feed.hpp>

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>

namespace tool {

namespace {

std::string head_of(coppice::commit_changes const& commit, bool json) {
    auto const identity = to_text(commit.identity);
    if (json) {
        nlohmann::ordered_json object{{"commit", identity}, {"time", iso_time(commit.time)}};
        add_bytes(object, "note", commit.note, false);
        if (commit.whole) object["whole"] = true;
        return object.dump() + '\n';
    }
    auto line = "commit\t" + identity + '\t' + iso_time(commit.time) + '\t';
    append_escaped(line, commit.note);
    return line + (commit.whole ? "\twhole\n" : "\n");
}

std::string end_of(coppice::commit_changes const& commit, bool json) {
    auto const identity = to_text(commit.identity);
    if (json) return nlohmann::json{{"done", identity}}.dump() + '\n';
    return "done\t" + identity + '\n';
}

} // namespace

exit_code diff(arguments const& given) {
    auto const db = open_to_read(given);
    auto const after = given.last ? state_of(db, *given.last) : db.read();
    auto const before = state_of(db, *given.first);
    auto const keys = range_of(given);
    output out;
    change_lines lines(given);
    for (auto const& change : coppice::diff(before, after, keys.lower(), keys.upper())) {
        out.write(lines.of(change));
    }
    out.finish();
    return exit_code::done;
}

exit_code changes(arguments const& given) {
    coppice::commit_identity since;
    if (given.since) {
        auto const wanted = identity_of(*given.since);
        if (!wanted) {
            throw failure(exit_code::usage, "'" + *given.since + "' is not a commit's identity");
        }
        since = *wanted;
    }
    auto const db = open_to_read(given);
    auto const keys = range_of(given);
    auto left = given.limit.value_or(std::numeric_limits<std::uint64_t>::max());
    output out;
    change_lines lines(given);
    while (left > 0) {
        auto const feed = db.changes(since, keys.lower(), keys.upper());
        for (auto at = feed.begin(); left > 0 && at != feed.end(); ++at, --left) {
            auto const commit = *at;
            out.write(head_of(commit, given.json));
            for (auto const& change : commit.changes) out.write(lines.of(change));
            out.write(end_of(commit, given.json));
            since = commit.identity;
        }
        out.finish();
        if (!given.follow) break;
        while (left > 0 && !db.wait_for_change(since, std::chrono::hours(1))) continue;
    }
    return exit_code::done;
}

} // namespace tool
