// SPDX-License-Identifier: BSL-1.0
// tools/coppice/verbs/comparing.cpp: diff.

#include "tools/coppice/change_lines.hpp"
#include "tools/coppice/key_range.hpp"
#include "tools/coppice/output.hpp"
#include "tools/coppice/verbs.hpp"

#include <coppice/diff.hpp>

namespace tool {

exit_code diff(arguments const& given) {
    auto const db = open_to_read(given);
    auto const after = given.last ? db.read(coppice::commit_id{*given.last}) : db.read();
    auto const before = db.read(coppice::commit_id{*given.first});
    auto const keys = range_of(given);
    output out;
    change_lines lines(given);
    for (auto const& change : coppice::diff(before, after, keys.lower(), keys.upper())) {
        out.write(lines.of(change));
    }
    out.finish();
    return exit_code::done;
}

} // namespace tool
