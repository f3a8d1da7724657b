// SPDX-License-Identifier: BSL-1.0
#pragma once
// What is done of a long enumeration, in a file, so that it can be ended and gone on with. A line
// for each unit: its part, its number, histories, images (distinct within the unit) and their sum.
// Files of several shards may be put together; the sums do not depend on who did which unit.

#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace explorer {

/// What came of a unit.
struct unit_result {
    std::uint64_t histories = 0;
    std::uint64_t images = 0;
    std::uint64_t sum = 0;
};

/// The units that are done. Any thread may add one.
class progress {
  public:
    /// @param path of the file, which is made where it is missing
    /// @param kind of the enumeration; @throws std::runtime_error for a file of another kind
    progress(std::string path, std::string const& kind) : path_(std::move(path)) {
        std::ifstream before(path_);
        std::string line;
        if (!std::getline(before, line)) {
            append(kind + "\n");
            return;
        }
        if (line != kind) throw std::runtime_error(path_ + " is of another enumeration: " + line);
        while (std::getline(before, line)) {
            std::istringstream words(line);
            std::string part;
            std::string end;
            unsigned unit = 0;
            unit_result found;
            // A line that a killed process left half written is done again.
            words >> part >> unit >> found.histories >> found.images >> std::hex >> found.sum >>
                end;
            if (end == "ok") done_[{part, unit}] = found;
        }
    }

    [[nodiscard]] bool is_done(std::string const& part, unsigned unit) const {
        std::lock_guard const guard(mutex_);
        return done_.contains({part, unit});
    }
    void add(std::string const& part, unsigned unit, unit_result const& found) {
        std::lock_guard const guard(mutex_);
        char line[128];
        std::snprintf(line, sizeof line, " %u %" PRIu64 " %" PRIu64 " %016" PRIx64 " ok\n", unit,
                      found.histories, found.images, found.sum);
        append(part + line);
        done_[{part, unit}] = found;
    }
    /// How many units of a part are done, and all that came of them.
    [[nodiscard]] std::pair<std::size_t, unit_result> total(std::string const& part) const {
        std::lock_guard const guard(mutex_);
        std::pair<std::size_t, unit_result> all;
        for (auto const& [key, found] : done_) {
            if (key.first != part) continue;
            ++all.first;
            all.second.histories += found.histories;
            all.second.images += found.images;
            all.second.sum += found.sum;
        }
        return all;
    }

  private:
    void append(std::string const& text) {
        std::ofstream file(path_, std::ios::app);
        file << text << std::flush;
        if (!file) throw std::runtime_error("cannot write " + path_);
    }

    std::string path_;
    mutable std::mutex mutex_;
    std::map<std::pair<std::string, unsigned>, unit_result> done_;
};

} // namespace explorer
