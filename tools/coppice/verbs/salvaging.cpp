// SPDX-License-Identifier: BSL-1.0
// tools/coppice/verbs/salvaging.cpp: salvage.
// Invariant: what was lost is told in full, and the exit code says so.

#include "tools/coppice/output.hpp"
#include "tools/coppice/text_form.hpp"
#include "tools/coppice/verbs.hpp"

#include <string>
#include <string_view>

namespace tool {

namespace {

using json = nlohmann::ordered_json;

std::string in_quotes(std::string_view key) {
    std::string text = "'";
    append_escaped(text, key);
    return text + "'";
}

std::string line_of(coppice::lost_range const& lost) {
    auto keys =
        lost.from.empty() ? std::string("from the first key") : "from " + in_quotes(lost.from);
    keys += lost.to ? " to before " + in_quotes(*lost.to) : std::string(" to the last key");
    return "lost: " + std::to_string(lost.entries) + " entries " + keys + ": " + lost.reason;
}

json json_of(coppice::lost_range const& lost) {
    json object;
    add_bytes(object, "from", lost.from, false);
    if (lost.to) add_bytes(object, "to", *lost.to, false);
    object["entries"] = lost.entries;
    object["reason"] = lost.reason;
    object["offset"] = lost.offset;
    return object;
}

json json_of(coppice::lost_key const& lost) {
    json object;
    add_bytes(object, "key", lost.key, false);
    object["reason"] = lost.reason;
    object["offset"] = lost.offset;
    return object;
}

json json_of(coppice::tagged_commit const& tagged) {
    json object;
    add_bytes(object, "tag", tagged.name, false);
    object["commit"] = tagged.commit.value;
    return object;
}

void tell_losses(coppice::salvage_report const& report) {
    for (auto const& lost : report.lost_ranges) say(line_of(lost));
    for (auto const& lost : report.lost_keys) {
        say("lost: the value of " + in_quotes(lost.key) + ": " + lost.reason);
    }
    for (auto const& each : report.tags) {
        auto const number = std::to_string(each.commit.value);
        std::string line = "the tag " + in_quotes(each.name) + " named commit ";
        line.append(number).append(": --at ").append(number).append(" saves it, if it is left");
        say(line);
    }
    if (report.taken.value < report.newest.value) {
        say("there is a trace of commit " + std::to_string(report.newest.value) +
            ": --at saves it, if its record is left");
    } else if (!report.slot_holds) {
        say("no superblock slot says that this was the newest commit");
    }
}

} // namespace

exit_code salvage(arguments const& given) {
    coppice::salvage_choice choice;
    if (given.at) choice.at = coppice::commit_id{*given.at->number};
    choice.unconfirmed = given.unconfirmed;
    auto const report = coppice::salvage(given.file, given.output, choice);
    json object;
    object["complete"] = report.complete();
    object["commit"] = report.taken.value;
    object["newest_commit"] = report.newest.value;
    object["header_holds"] = report.header_holds;
    object["slot_holds"] = report.slot_holds;
    object["entries"] = report.entries;
    object["unconfirmed_entries"] = report.unconfirmed_entries;
    object["tags_lost"] = report.tags_lost;
    if (given.json) {
        object["lost_ranges"] = json::array();
        for (auto const& lost : report.lost_ranges) object["lost_ranges"].push_back(json_of(lost));
        object["lost_keys"] = json::array();
        for (auto const& lost : report.lost_keys) object["lost_keys"].push_back(json_of(lost));
        object["tags"] = json::array();
        for (auto const& each : report.tags) object["tags"].push_back(json_of(each));
    } else {
        object["tags"] = report.tags.size();
        object["lost_ranges"] = report.lost_ranges.size();
        object["lost_keys"] = report.lost_keys.size();
        tell_losses(report);
    }
    print_members(object, given.json);
    return report.complete() ? exit_code::done : exit_code::no;
}

} // namespace tool
