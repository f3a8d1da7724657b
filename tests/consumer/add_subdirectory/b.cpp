// SPDX-License-Identifier: BSL-1.0
// The second translation unit that includes all of coppice.
#include <coppice/coppice.hpp>

#include <string>

std::string read_back(coppice::database& db);

std::string read_back(coppice::database& db) {
    auto const now = db.read();
    auto const value = now.get("k");
    return value ? std::string(*value) : std::string("nothing");
}
