// SPDX-License-Identifier: BSL-1.0
#pragma once
// tools/coppice/verbs.hpp: the verbs of the tool, and how they open a database.
// Invariant: reading verbs open read-only and never make a database; put, load and replay may make
// one.

#include "tools/coppice/arguments.hpp"
#include "tools/coppice/exit_code.hpp"

#include <coppice/coppice.hpp>

#include <chrono>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace tool {

exit_code get(arguments const& given);
exit_code put(arguments const& given);
exit_code del(arguments const& given);
exit_code scan(arguments const& given);
exit_code count(arguments const& given);
exit_code diff(arguments const& given);
exit_code changes(arguments const& given);
exit_code stat(arguments const& given);
exit_code check(arguments const& given);
exit_code log(arguments const& given);
exit_code dump(arguments const& given);
exit_code load(arguments const& given);
exit_code trace(arguments const& given);
exit_code replay(arguments const& given);
exit_code compact(arguments const& given);
exit_code backup(arguments const& given);
exit_code restore(arguments const& given);
exit_code branch(arguments const& given);
exit_code rollback(arguments const& given);
exit_code tag(arguments const& given);
exit_code map(arguments const& given);
exit_code salvage(arguments const& given);

[[nodiscard]] inline coppice::database open_to_read(arguments const& given) {
    return coppice::database(given.file, {.create = coppice::create::never, .read_only = true});
}

[[nodiscard]] inline coppice::database open_to_write(arguments const& given,
                                                     coppice::create create) {
    return coppice::database(given.file, {.create = create});
}

/// The state that a commit made.
[[nodiscard]] inline coppice::snapshot state_of(coppice::database const& db,
                                                commit_name const& commit) {
    return commit.number ? db.read(coppice::commit_id{*commit.number}) : db.read(commit.tag);
}

/// The moment that --at or --as-of names, or the newest.
[[nodiscard]] inline coppice::snapshot moment(coppice::database const& db, arguments const& given) {
    if (given.as_of) return db.read(*given.as_of);
    return given.at ? state_of(db, *given.at) : db.read();
}

/// What --wait gives. REQUIRES: it was given.
[[nodiscard]] inline std::chrono::nanoseconds wait_of(arguments const& given) {
    using std::chrono::duration;
    return std::chrono::ceil<std::chrono::nanoseconds>(duration<double>(*given.wait_seconds));
}

/// The end of a verb that had to wait too long.
[[nodiscard]] inline failure locked(arguments const& given) {
    return {exit_code::locked, given.file + ": another writer holds the lock"};
}

/// The write transaction, within the time that --wait gives.
[[nodiscard]] inline coppice::transaction begin(coppice::database& db, arguments const& given) {
    if (!given.wait_seconds) return db.write();
    auto txn = db.write_for(wait_of(given));
    if (!txn) throw locked(given);
    return std::move(*txn);
}

/// Adds bytes to an object: under `name`, or `name` with the form at its end where they are no
/// text or hex was asked for.
void add_bytes(nlohmann::ordered_json& object, std::string const& name, std::string_view bytes,
               bool hex);

/// Prints an object's members one a line, or the object.
void print_members(nlohmann::ordered_json const& object, bool as_json);

/// As in 2024-02-29T12:34:56.789012Z.
[[nodiscard]] std::string iso_time(std::chrono::system_clock::time_point when);

} // namespace tool
