// SPDX-License-Identifier: BSL-1.0
// tools/coppice/verbs/compacting.cpp: compact.

#include "tools/coppice/output.hpp"
#include "tools/coppice/progress.hpp"
#include "tools/coppice/verbs.hpp"

#include <cstdint>
#include <string>

namespace tool {

exit_code compact(arguments const& given) {
    coppice::database db(given.file,
                         {.create = coppice::create::never, .retention = given.retention});
    auto const before = db.stats().file_bytes;
    {
        progress bar("compacting");
        coppice::compaction_hooks hooks;
        hooks.progress = [&](std::uint64_t done, std::uint64_t all) {
            bar.show(done, all);
            return true;
        };
        if (given.wait_seconds) hooks.longest_wait = wait_of(given);
        constexpr double mib = 1024.0 * 1024.0;
        if (given.mib_per_second) {
            hooks.bytes_per_second = static_cast<std::uint64_t>(*given.mib_per_second * mib);
        }
        // Nothing stops it here, so there is one reason for not being done.
        if (!db.compact(hooks)) throw locked(given);
    }
    say(given.file + ": " + std::to_string(before) + " bytes before, " +
        std::to_string(db.stats().file_bytes) + " after");
    return exit_code::done;
}

} // namespace tool
