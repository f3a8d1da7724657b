// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/salvage.hpp: what can be saved of a database that does not open any more.
// Owns: `salvage`, from a path to a path.
// Invariant: the damaged file is opened read-only, without its lock file, and stays as it is. The
//   new one appears whole or not at all, and takes the place of nothing.

#include <coppice/storage/concepts.hpp>
#include <coppice/storage/file_medium.hpp>
#include <coppice/store/salvage.hpp>

#include <filesystem>

namespace coppice::inline COPPICE_ABI {

using store::lost_key;
using store::lost_range;
using store::salvage_choice;
using store::salvage_report;

/// Makes a new database of what can be read of a damaged one: of the commit that opening it would
/// show; where it does not open, of the newest commit whose record is left. What lies below damaged
/// nodes is left out and told as ranges of keys; a value that is damaged, as its key. The result is
/// a part of one commit, never a mixture: what is lost may be whole in an older commit, which
/// `salvage_choice::at` saves into another file.
/// @param broken its path; nothing should write to it meanwhile
/// @param fresh the path of the new one, where nothing may be; another database, with one commit
/// @return what was saved, and what was lost
/// @throws errc::corrupt where nothing is left to save, history_gone, already_exists, not_found,
///   unsupported_version, unsupported_feature, and errno of the system; then there is no new file
/// Cost: reads the damaged file a few times, whatever is in it. Memory: 32 bytes for each commit,
/// and the report; with `unconfirmed` a map of all keys.
inline salvage_report salvage(std::filesystem::path const& broken,
                              std::filesystem::path const& fresh,
                              salvage_choice const& choice = {}) {
    storage::file_medium from(broken, false);
    auto const file = from.open(storage::access::read_only);
    return store::salvage(*file, from.path(), storage::file_medium(fresh, false), choice);
}

} // namespace coppice::inline COPPICE_ABI
