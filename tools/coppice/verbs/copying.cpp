// SPDX-License-Identifier: BSL-1.0
// tools/coppice/verbs/copying.cpp: backup, restore, branch, rollback.
// Invariant: no file that is there is written over; what was not done to its end leaves nothing.

#include "tools/coppice/identity_text.hpp"
#include "tools/coppice/output.hpp"
#include "tools/coppice/verbs.hpp"

#include <filesystem>
#include <string>

namespace tool {

namespace {

void tell(arguments const& given, coppice::copy_report const& report) {
    say(given.output + ": commit " + to_text(report.newest) + ", " +
        std::to_string(report.copied_bytes) + " bytes copied, " +
        std::to_string(report.whole_bytes) + " in all");
}

} // namespace

exit_code backup(arguments const& given) {
    auto const db = open_to_read(given);
    if (given.output == "-") {
        if (given.incremental) {
            throw failure(exit_code::usage, "--incremental adds to a file, not to stdout");
        }
        output out;
        db.backup(moment(db, given),
                  [&](coppice::bytes piece) { out.write(coppice::as_text(piece)); });
        out.finish();
        return exit_code::done;
    }
    auto const extend = given.incremental && std::filesystem::exists(given.output);
    tell(given,
         extend ? db.extend_backup(given.output) : db.backup(given.output, moment(db, given)));
    return exit_code::done;
}

exit_code restore(arguments const& given) {
    auto const db = open_to_read(given);
    auto const report = db.check();
    if (!report.clean()) {
        throw failure(exit_code::corrupt, given.file + ": " + report.findings.front().what +
                                              " (offset " +
                                              std::to_string(report.findings.front().offset) + ")");
    }
    tell(given, db.backup(given.output, moment(db, given)));
    return exit_code::done;
}

exit_code branch(arguments const& given) {
    auto const db = open_to_read(given);
    auto const made = db.branch(given.output, moment(db, given).id());
    say(given.output + ": begins with commit " + to_text(made.read().identity()));
    return exit_code::done;
}

exit_code rollback(arguments const& given) { return branch(given); }

} // namespace tool
