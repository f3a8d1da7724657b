// SPDX-License-Identifier: BSL-1.0
// tools/coppice/verbs/reports.cpp: stat, check, log, tag; and what they share with others: times,
// bytes in JSON.

#include "tools/coppice/output.hpp"
#include "tools/coppice/text_form.hpp"
#include "tools/coppice/verbs.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <map>
#include <string>
#include <string_view>

namespace tool {

namespace {

using json = nlohmann::ordered_json;

void print_line(std::string const& line) {
    output out;
    out.write(line + "\n");
    out.finish();
}

/// The names that commits have.
using names_by_commit = std::multimap<std::uint64_t, std::string>;

names_by_commit names_in(coppice::database const& db) {
    names_by_commit result;
    for (auto& [name, commit] : db.tags()) result.emplace(commit.value, name);
    return result;
}

json json_of(coppice::commit_info const& commit, names_by_commit const& names) {
    json object;
    object["id"] = commit.id.value;
    object["time"] = iso_time(commit.time);
    object["entries"] = commit.entries;
    object["bytes"] = commit.live_bytes;
    object["durable"] = commit.durable;
    add_bytes(object, "note", commit.note, false);
    auto const [first, last] = names.equal_range(commit.id.value);
    for (auto at = first; at != last; ++at) {
        json name;
        add_bytes(name, "tag", at->second, false);
        object["tags"].push_back(name);
    }
    return object;
}

std::string line_of(coppice::commit_info const& commit, names_by_commit const& names) {
    auto line = std::to_string(commit.id.value) + '\t' + iso_time(commit.time) + '\t' +
                std::to_string(commit.entries) + '\t' + std::to_string(commit.live_bytes) + '\t' +
                (commit.durable ? "durable" : "lazy") + '\t';
    append_escaped(line, commit.note);
    auto const [first, last] = names.equal_range(commit.id.value);
    for (auto at = first; at != last; ++at) {
        line += '\t';
        append_escaped(line, at->second);
    }
    return line;
}

/// What a check found; a database that cannot even be opened for damage has one finding.
coppice::check_report report_of(arguments const& given) {
    try {
        return open_to_read(given).check();
    } catch (coppice::error const& e) {
        if (e.kind() != coppice::errc::corrupt) throw;
        coppice::check_report report;
        report.findings.push_back({e.what(), e.offset().value_or(0)});
        return report;
    }
}

} // namespace

void print_members(json const& object, bool as_json) {
    if (as_json) return print_line(object.dump());
    std::string text;
    for (auto const& [name, value] : object.items()) {
        text += name + std::string(name.size() < 20 ? 20 - name.size() : 1, ' ');
        if (value.is_string()) {
            append_escaped(text, value.get_ref<std::string const&>());
        } else {
            text += value.dump();
        }
        text += '\n';
    }
    output out;
    out.write(text);
    out.finish();
}

std::string iso_time(std::chrono::system_clock::time_point when) {
    namespace chrono = std::chrono;
    auto const exact = chrono::floor<chrono::microseconds>(when);
    auto const day = chrono::floor<chrono::days>(exact);
    chrono::year_month_day const date(day);
    chrono::hh_mm_ss const clock(exact - day);
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02ld:%02ld:%02lld.%06lldZ",
                  static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                  static_cast<unsigned>(date.day()), static_cast<long>(clock.hours().count()),
                  static_cast<long>(clock.minutes().count()),
                  static_cast<long long>(clock.seconds().count()),
                  static_cast<long long>(clock.subseconds().count()));
    return text.data();
}

void add_bytes(json& object, std::string const& name, std::string_view bytes, bool hex) {
    if (hex) {
        std::string digits;
        append_hex(digits, bytes);
        object[name + "_hex"] = std::move(digits);
    } else if (is_utf8(bytes)) {
        object[name] = bytes;
    } else {
        object[name + "_base64"] = to_base64(bytes);
    }
}

exit_code stat(arguments const& given) {
    auto const figures = open_to_read(given).stats();
    json object;
    add_bytes(object, "file", given.file, false);
    object["entries"] = figures.entries;
    object["height"] = figures.height;
    object["commits"] = figures.commits;
    object["newest_commit"] = figures.newest.value;
    object["durable_commit"] = figures.durable.value;
    object["file_bytes"] = figures.file_bytes;
    object["valid_bytes"] = figures.valid_bytes;
    object["live_bytes"] = figures.live_bytes;
    object["retained_bytes"] = figures.retained_bytes;
    object["garbage_bytes"] = figures.garbage_bytes;
    object["unsynced_bytes"] = figures.unsynced_bytes;
    object["pinned_bytes"] = figures.pinned_bytes;
    object["generation"] = figures.generation;
    object["leaf_bytes"] = figures.nodes.leaf_bytes;
    object["inner_bytes"] = figures.nodes.inner_bytes;
    object["inline_value_bytes"] = figures.nodes.inline_value_bytes;
    print_members(object, given.json);
    return exit_code::done;
}

exit_code check(arguments const& given) {
    auto const report = report_of(given);
    json object;
    object["clean"] = report.findings.empty();
    object["commits"] = report.commits;
    object["nodes"] = report.nodes;
    object["leaves"] = report.leaves;
    object["entries"] = report.entries;
    object["bytes"] = report.bytes;
    if (given.json) {
        object["findings"] = json::array();
        for (auto const& [what, offset] : report.findings) {
            object["findings"].push_back(json{{"what", what}, {"offset", offset}});
        }
    } else {
        object["findings"] = report.findings.size();
        for (auto const& [what, offset] : report.findings) {
            say(what + " (offset " + std::to_string(offset) + ")");
        }
    }
    print_members(object, given.json);
    return report.findings.empty() ? exit_code::done : exit_code::no;
}

exit_code log(arguments const& given) {
    auto const db = open_to_read(given);
    auto const commits = given.until_time ? db.history(*given.until_time) : db.history();
    auto const names = names_in(db);
    auto left = given.limit.value_or(std::numeric_limits<std::uint64_t>::max());
    output out;
    for (auto at = commits.begin(); left > 0 && at != commits.end(); ++at, --left) {
        auto const commit = *at;
        if (given.since_time && commit.time < *given.since_time) break; // the others are older
        out.write((given.json ? json_of(commit, names).dump() : line_of(commit, names)) + "\n");
    }
    out.finish();
    return exit_code::done;
}

exit_code tag(arguments const& given) {
    if (given.tag) {
        auto db = open_to_write(given, coppice::create::never);
        if (given.take_away) {
            auto const was_there = db.untag(*given.tag, given.durability);
            return was_there ? exit_code::done : exit_code::no;
        }
        auto const at = given.at ? state_of(db, *given.at).id() : coppice::commit_id{};
        db.tag(*given.tag, at, given.durability);
        return exit_code::done;
    }
    if (given.take_away || given.at || given.durability) {
        throw failure(exit_code::usage, "the name of a tag is missing");
    }
    auto const db = open_to_read(given);
    output out;
    for (auto const& [name, commit] : db.tags()) {
        json object;
        add_bytes(object, "tag", name, false);
        object["commit"] = commit.value;
        std::string line;
        append_escaped(line, name);
        line += '\t' + std::to_string(commit.value);
        out.write((given.json ? object.dump() : line) + "\n");
    }
    out.finish();
    return exit_code::done;
}

} // namespace tool
