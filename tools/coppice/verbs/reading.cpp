// SPDX-License-Identifier: BSL-1.0
// tools/coppice/verbs/reading.cpp: get, scan, count.
// Invariant: what is printed is one moment of the database; --keys never touches a large value.

#include "tools/coppice/key_range.hpp"
#include "tools/coppice/output.hpp"
#include "tools/coppice/text_form.hpp"
#include "tools/coppice/verbs.hpp"

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace tool {

namespace {

/// Calls `visit(cursor)` for the entries that the arguments ask for.
template <typename Visit>
void walk(coppice::snapshot const& now, arguments const& given, Visit visit) {
    auto const range = range_of(given);
    auto left = given.limit.value_or(std::numeric_limits<std::uint64_t>::max());
    auto at = now.cursor();
    if (!given.reverse) {
        for (at.seek(range.from); left > 0 && at.valid(); at.next(), --left) {
            if (range.to && at.key() >= *range.to) return;
            visit(at);
        }
        return;
    }
    if (range.to) at.seek(*range.to);
    for (at.prev(); left > 0 && at.valid() && at.key() >= range.from; at.prev(), --left) visit(at);
}

std::string json_line(coppice::cursor const& at, arguments const& given) {
    nlohmann::ordered_json entry;
    add_bytes(entry, "key", at.key(), given.hex);
    if (!given.keys_only) add_bytes(entry, "value", at.value(), given.hex);
    return entry.dump();
}

} // namespace

exit_code get(arguments const& given) {
    auto const db = open_to_read(given);
    auto const now = moment(db, given);
    auto const value = now.get(given.key);
    if (!value) {
        say("there is no such key");
        return exit_code::no;
    }
    output out;
    if (given.hex) {
        std::string digits;
        append_hex(digits, *value);
        out.write(digits);
    } else {
        out.write(*value);
    }
    out.finish();
    return exit_code::done;
}

exit_code scan(arguments const& given) {
    auto const db = open_to_read(given);
    auto const form = given.raw ? text_form::raw : given.hex ? text_form::hex : text_form::escaped;
    output out;
    std::string line;
    walk(moment(db, given), given, [&](coppice::cursor const& at) {
        line.clear();
        if (given.json) {
            line = json_line(at, given);
        } else {
            append_text(line, at.key(), form);
            if (!given.keys_only) {
                line += '\t';
                append_text(line, at.value(), form);
            }
        }
        line += '\n';
        out.write(line);
    });
    out.finish();
    return exit_code::done;
}

exit_code count(arguments const& given) {
    auto const db = open_to_read(given);
    auto const now = moment(db, given);
    auto const range = range_of(given);
    auto const first = now.rank(range.from);
    auto const last = range.to ? now.rank(*range.to) : now.size();
    output out;
    out.write(std::to_string(last > first ? last - first : 0) + "\n");
    out.finish();
    return exit_code::done;
}

} // namespace tool
