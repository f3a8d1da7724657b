// SPDX-License-Identifier: BSL-1.0
// tools/coppice/arguments.cpp: what each verb may be told, and the text of --help.
// Invariant: an empty argument is an empty key or value, never a missing one.

#include "tools/coppice/arguments.hpp"

#include "tools/coppice/exit_code.hpp"
#include "tools/coppice/output.hpp"
#include "tools/coppice/text_form.hpp"
#include "tools/coppice/time_text.hpp"

#include <coppice/options.hpp>
#include <coppice/version.hpp>

#include <CLI/CLI.hpp>

#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>

namespace tool {

namespace {

constexpr std::string_view general_footer = R"(
Data goes to stdout, words go to stderr. Exit codes: 0 done; 1 no: the key is absent, damage was
found, or a replay went astray; 2 the command line makes no sense, or the history that it asks for
is gone; 3 a file cannot be opened, read or written; 4 another process holds the write lock; 5 the
database, the dump or the trace is damaged.
An argument that begins with '-' follows '--': coppice get FILE -- -key
`coppice help VERB` tells more.)";

constexpr std::string_view scan_footer = R"(
One entry a line: key, a tab, value. In keys and values a tab is \t, a newline \n, a backslash \\;
other control characters and bytes that are not UTF-8 are \xHH. --raw prints them as they are,
--hex as hex digits.
With --json each line is {"key":...,"value":...}. A text that is not UTF-8 comes as base64 under
another name: "key_base64" or "value_base64"; with --hex they are "key_hex" and "value_hex".)";

constexpr std::string_view diff_footer = R"(
What makes commit FROM commit TO, or the newest. One key a line: + key, value; - key, old value;
~ key, old value, new value; with tabs between and escaped as scan does.
With --json each line is {"key":...,"before":...,"after":...}, without what is not there.
Costs as much as has changed, not as much as there is.)";

constexpr std::string_view changes_footer = R"(
The durable commits behind SINCE, oldest first; without SINCE from the first commit of the file on,
whose changes are all of its entries: "whole". Before the changes of a commit, each as diff prints
it, comes a line: commit, identity, time, note, and whole where it is so; behind them a line: done,
identity. Whoever goes on with the identity of the last "done" sees each commit once.
If that commit is not in the file any more (after a compaction) it ends with 2: begin anew.)";

constexpr std::string_view load_footer = R"(
Reads what `coppice dump`, mdb_dump and db_dump write, with format=bytevalue or format=print.
Everything is one transaction: of a dump that is cut short or malformed nothing is loaded. Sorted
dumps need no memory; from the first key that is out of order on, the rest is held in memory.
What mdb_dump -p of LMDB 0.9 writes cannot be told apart where backslashes are in it.)";

constexpr std::string_view dump_footer = R"(
The format of db_dump and mdb_dump, for `coppice load`, mdb_load and db_load. LMDB takes neither
empty keys nor keys above 511 bytes, and mdb_load makes room for 1 MiB only unless the dump says
more: --lmdb adds that line, which db_load does not know.)";

constexpr std::string_view backup_footer = R"(
The backup is a database of its own file: the newest commit, or that of --at, and the history before
it. It may be taken while others write. With --incremental a backup that is there takes in what was
committed since, and one that is not there is made; after a compaction it ends with 2, since a new
one is needed. OUT may be -, stdout, but not with --incremental.)";

constexpr std::string_view restore_footer = R"(
FILE is the backup. It is checked first, and not restored if there is damage (5). OUT must not be
there yet. With --at an earlier commit that the backup holds becomes the newest.)";

constexpr std::string_view branch_footer = R"(
OUT becomes a database of its own that begins with the newest commit, or that of --at. Nothing is
copied where the file system can share blocks.)";

constexpr std::string_view rollback_footer = R"(
Nothing that is committed is undone in place: others may read it. NEW becomes a database of its own
with the history up to that commit and the tags of that time; FILE stays as it is. To go on with NEW
in the place of FILE end whoever uses FILE, and rename. Nothing is copied where the file system can
share blocks.)";

constexpr std::string_view compact_footer = R"(
The newest commit is always kept, and so is each commit with a tag. What kept commits share is there
once, as before.)";

constexpr std::string_view tag_footer = R"(
A commit with a name is kept by compactions, and can be read by its name: --at NAME. A name that is
only digits is taken for a number there. A name that another commit has moves. A tag is a commit of
its own, without changes. One name a line: name, a tab, number of its commit; names are escaped as
scan does.)";

constexpr std::string_view salvage_footer = R"(
Of a FILE that is damaged, and not written to meanwhile, OUT becomes a database with all that can be
read of one commit: the one that opening would show; where it does not open, the newest whose record
is left. FILE stays as it is. What is below damaged nodes is left out and told as ranges of keys; it
may be whole in an older commit, which --at saves into another file. --unconfirmed fills these
ranges with what looks like entries of them, of whatever commit, also such as were erased.
Ends with 0 where everything was saved, with 1 where something is lost or may be, with 5 where there
is nothing to save.)";

constexpr std::string_view map_footer = R"(
One HTML page that needs nothing else: the file from its first byte to its last, coloured by what is
live and how old the garbage is; the levels of the tree and how full its nodes are; how it grew.
Reads all nodes of the newest commit, and all commit records. The page holds some keys.)";

constexpr std::string_view trace_footer = R"(
Writes what rebuilds each commit that the file still holds: the oldest one as a load, each later one
as the difference to the one before it, with its note and a hash of the whole state. How durable a
commit was the file does not know: all are lazy unless --durability says otherwise, with a sync at
the end. Tags are left out. `coppice replay` carries it out.)";

constexpr std::string_view replay_footer = R"(
A trace is text, one operation a line. Keys, values and notes are "text" as scan escapes it, with "
for a quote, or x and hex digits:
  coppice trace 1               the first line; then maybe: option leaf_bytes 4096, inner_bytes,
                                inline_value_bytes, preallocate_bytes, two_sync_above_bytes,
                                unsynced_limit_bytes, pad_commits
  begin                         a transaction: put KEY VALUE, insert KEY VALUE, stream KEY VALUE,
                                erase KEY, erase-range FROM TO, erase-from KEY, erase-prefix KEY,
                                load and behind it ascending: pair KEY VALUE
  savepoint 0, rollback 0       the savepoints of a transaction have the numbers from 0 on
  commit sync|lazy|two_sync|deferred [note TEXT] [hash 16-DIGITS], or: abort
  compact, sync, reopen         between transactions
  end                           the last line
A line that begins with # says something to people. abandon KEY SIZE, get KEY, view and hold change
nothing. The whole trace is read before anything is done; of a malformed one nothing is carried out.
A commit that would not have the hash that stands there is not made, and the replay ends with 1.)";

/// Adds an option whose empty value is a value. CLI11 would make nothing of it for an optional.
template <typename Value>
CLI::Option* add(CLI::App& verb, std::string const& name, std::optional<Value>& field,
                 std::string const& type, std::string const& help) {
    return verb
        .add_option_function<Value>(
            name, [&field](Value const& given) { field = given; }, help)
        ->type_name(type);
}

/// CLI11 takes -1 for the largest number there is. @param name of the option, for the complaint
std::uint64_t number_of(std::string const& name, std::string const& text) {
    std::uint64_t number = 0;
    auto const* const end = text.data() + text.size();
    auto const [stop, wrong] = std::from_chars(text.data(), end, number);
    if (wrong != std::errc{} || stop != end) {
        throw failure(exit_code::usage, name + ": '" + text + "' is not a number from 0 on");
    }
    return number;
}

CLI::Option* add_number(CLI::App& verb, std::string const& name,
                        std::optional<std::uint64_t>& field, std::string const& type,
                        std::string const& help) {
    auto const read = [&field, name](std::string const& text) { field = number_of(name, text); };
    return verb.add_option_function<std::string>(name, read, help)->type_name(type);
}

CLI::App& add_verb(CLI::App& all, arguments& to, std::string const& name, std::string const& help) {
    auto& verb = *all.add_subcommand(name, help);
    verb.add_option("FILE", to.file, "the database")->required()->type_name("");
    return verb;
}

void add_key(CLI::App& verb, arguments& to) {
    verb.add_option("KEY", to.key, "the key")->required()->type_name("");
}

void add_hex(CLI::App& verb, arguments& to) {
    verb.add_flag("--hex", to.hex, "keys and values are hex digits, here and in the output");
}

void add_json(CLI::App& verb, arguments& to, std::string const& help) {
    verb.add_flag("--json", to.json, help);
}

CLI::Option* add_time(CLI::App& verb, std::string const& name,
                      std::optional<std::chrono::system_clock::time_point>& field,
                      std::string const& help) {
    auto const read = [&field, name](std::string const& text) {
        field = time_of(text);
        if (!field) {
            throw failure(exit_code::usage, name + ": '" + text +
                                                "' is not a time as 2024-02-29T12:34:56Z or a "
                                                "part of it from the left, UTC");
        }
    };
    return verb.add_option_function<std::string>(name, read, help)->type_name("TIME");
}

/// A number, or else the name of a tag.
CLI::Option* add_commit(CLI::App& verb, std::string const& name, std::optional<commit_name>& field,
                        std::string const& type, std::string const& help) {
    auto const read = [&field, name](std::string const& text) {
        commit_name commit{{}, text};
        auto const is_number = text.find_first_not_of("0123456789") == std::string::npos;
        if (is_number) commit = {number_of(name, text), {}};
        field = commit;
    };
    return verb.add_option_function<std::string>(name, read, help)->type_name(type);
}

CLI::Option* add_at_commit(CLI::App& verb, arguments& to) {
    return add_commit(verb, "--at", to.at, "COMMIT",
                      "as it was after this commit: a number (see log), or a tag");
}

void add_at(CLI::App& verb, arguments& to) {
    auto* const commit = add_at_commit(verb, to);
    add_time(verb, "--as-of", to.as_of, "as it was at this time, as in 2024-02-29T12:34")
        ->excludes(commit);
}

void add_retention(CLI::App& verb, arguments& to) {
    verb.add_option_function<std::string>(
            "--keep-commits",
            [&to](std::string const& text) {
                to.retention.commits = number_of("--keep-commits", text);
            },
            "keeps the newest N commits, readable as before")
        ->type_name("N");
    verb.add_option_function<std::string>(
            "--keep-age",
            [&to](std::string const& text) {
                auto const age = duration_of(text);
                if (!age) {
                    throw failure(exit_code::usage, "--keep-age: '" + text +
                                                        "' is not a time as 90s, 15m, 36h, 30d or "
                                                        "8w");
                }
                to.retention.age = *age;
            },
            "keeps the commits that are younger, as in 30d")
        ->type_name("TIME");
}

void add_bounds(CLI::App& verb, arguments& to) {
    add(verb, "--from", to.from, "KEY", "keys from this one on");
    add(verb, "--to", to.to, "KEY", "keys before this one");
    add(verb, "--prefix", to.prefix, "TEXT", "keys that begin so");
}

coppice::durability durability_of(std::string_view name) {
    if (name == "sync") return coppice::durability::sync;
    if (name == "lazy") return coppice::durability::lazy;
    if (name == "two_sync") return coppice::durability::two_sync;
    throw failure(exit_code::usage, "--durability is sync, lazy or two_sync");
}

void add_wait(CLI::App& verb, arguments& to) {
    add(verb, "--wait", to.wait_seconds, "SECONDS",
        "how long to wait for another writer, then 4; else for ever")
        ->check(CLI::Range(0.0, 1e9).description(""));
}

void add_durability(CLI::App& verb, arguments& to, std::string const& help) {
    verb.add_option_function<std::string>(
            "--durability", [&to](std::string const& name) { to.durability = durability_of(name); },
            help)
        ->type_name("HOW");
}

void add_writing(CLI::App& verb, arguments& to) {
    add_durability(verb, to, "what the commit waits for: sync (default), lazy or two_sync");
    verb.add_option("--note", to.note, "kept with the commit, at most 4096 bytes")
        ->type_name("TEXT");
    add_wait(verb, to);
}

void add_reading_verbs(CLI::App& all, arguments& to) {
    auto& get = add_verb(all, to, "get", "prints the value of a key, without a newline");
    add_key(get, to);
    add_at(get, to);
    add_hex(get, to);

    auto& scan = add_verb(all, to, "scan", "prints entries in the order of their keys");
    add_bounds(scan, to);
    scan.add_flag("--reverse", to.reverse, "highest key first");
    add_number(scan, "--limit", to.limit, "N", "at most so many");
    add_at(scan, to);
    scan.add_flag("--keys", to.keys_only, "keys without values");
    add_json(scan, to, "JSON Lines");
    auto* const raw = scan.add_flag("--raw", to.raw, "nothing is escaped");
    add_hex(scan, to);
    raw->excludes("--json")->excludes("--hex");
    scan.footer(std::string(scan_footer));

    auto& count = add_verb(all, to, "count", "prints how many keys there are, in O(log n)");
    add_bounds(count, to);
    add_at(count, to);
    add_hex(count, to);

    auto& diff = add_verb(all, to, "diff", "prints what has changed between two commits");
    add_commit(diff, "FROM", to.first, "", "a commit: its number (see log), or a tag")->required();
    add_commit(diff, "TO", to.last, "", "a commit; else the newest");
    add_bounds(diff, to);
    add_json(diff, to, "JSON Lines");
    add_hex(diff, to);
    diff.footer(std::string(diff_footer));

    auto& changes = add_verb(all, to, "changes", "prints the commits and what each has changed");
    add(changes, "SINCE", to.since, "", "the identity of a commit, as in 42:00d1f0c0ffee4711");
    changes.add_flag("--follow", to.follow, "waits for more, until it is stopped");
    add_number(changes, "--limit", to.limit, "N", "at most so many commits");
    add_bounds(changes, to);
    add_json(changes, to, "JSON Lines");
    add_hex(changes, to);
    changes.footer(std::string(changes_footer));
}

void add_writing_verbs(CLI::App& all, arguments& to) {
    auto& put = add_verb(all, to, "put", "puts a value; a missing database is made");
    add_key(put, to);
    add(put, "VALUE", to.value, "", "the value; '-' or nothing: stdin, which is never hex");
    add_hex(put, to);
    add_writing(put, to);

    auto& del = add_verb(all, to, "del", "erases keys, all or none; 1 when there are none");
    del.add_option_function<std::string>(
           "KEY",
           [&to](std::string const& key) {
               to.key = key;
               to.has_key = true;
           },
           "the key")
        ->type_name("");
    add_bounds(del, to);
    add(del, "--keys-from", to.keys_from, "IN", "the keys are the lines of this file, - is stdin");
    add_hex(del, to);
    add_writing(del, to);

    auto& load = add_verb(all, to, "load", "loads a dump; a missing database is made");
    load.add_option("-i,--input", to.input, "the dump; else stdin")->type_name("IN");
    load.add_flag("-n,--no-overwrite", to.no_overwrite, "keys that are there keep their values");
    add_writing(load, to);
    load.footer(std::string(load_footer));

    auto& replay = add_verb(all, to, "replay", "carries out a trace; a missing database is made");
    replay.add_option("TRACE", to.input, "the trace; - or nothing: stdin")->type_name("");
    add_wait(replay, to);
    replay.footer(std::string(replay_footer));

    auto& compact = add_verb(all, to, "compact",
                             "rewrites the database without the history that is not to be kept");
    add_retention(compact, to);
    add_wait(compact, to);
    add(compact, "--rate", to.mib_per_second, "MIB",
        "writes at most so many MiB a second, until writers wait for it")
        ->check(CLI::Range(0.001, 1e6).description(""));
    compact.footer(std::string(compact_footer));

    auto& tag = add_verb(all, to, "tag", "names a commit, or prints the names");
    add(tag, "NAME", to.tag, "", "the name; without it all names are printed");
    auto* const at = add_commit(tag, "--at", to.at, "COMMIT",
                                "the commit: a number (see log), or a tag; else the newest");
    tag.add_flag("--delete", to.take_away, "takes the name away; 1 when there is no such")
        ->excludes(at);
    add_durability(tag, to, "what it waits for: sync (default), lazy or two_sync");
    add_json(tag, to, "JSON Lines");
    tag.footer(std::string(tag_footer));
}

void add_report_verbs(CLI::App& all, arguments& to) {
    auto& stat = add_verb(all, to, "stat", "prints the figures of the database");
    add_json(stat, to, "as one JSON object");

    auto& check = add_verb(all, to, "check", "looks for damage; 1 when there is any");
    add_json(check, to, "as one JSON object");

    auto& log = add_verb(all, to, "log", "prints the commits, newest first");
    add_number(log, "--limit", to.limit, "N", "at most so many");
    add_time(log, "--since", to.since_time, "commits from this time on");
    add_time(log, "--until", to.until_time, "commits up to this time, found in O(log n)");
    add_json(log, to, "JSON Lines");
    log.footer(
        "\nOne commit a line, tabs between: number, time, entries, bytes that it reaches,\n"
        "durable or lazy, its note, and its tags, escaped as scan does. Times are UTC, as in "
        "2024-02-29T12:34:56Z\n"
        "or a part of that from the left: a date alone is its first moment.");

    auto& map = add_verb(all, to, "map", "writes a page that shows what each byte is");
    map.add_option("-o,--output", to.output, "the page to write; else stdout")->type_name("OUT");
    map.footer(std::string(map_footer));

    auto& dump = add_verb(all, to, "dump", "writes all entries as text");
    dump.add_option("-o,--output", to.output, "the file to write; else stdout")->type_name("OUT");
    dump.add_flag("-p,--print", to.print, "printable characters as they are");
    dump.add_flag("--lmdb", to.for_lmdb, "tells mdb_load how much room to make");
    add_at(dump, to);
    dump.footer(std::string(dump_footer));

    auto& trace = add_verb(all, to, "trace", "writes the commits as operations, for replay");
    trace.add_option("-o,--output", to.output, "the file to write; else stdout")->type_name("OUT");
    trace.add_flag("--no-hashes", to.no_hashes, "without the hash of each state");
    add_durability(trace, to, "what each commit shall wait for: lazy (default), sync or two_sync");
    trace.footer(std::string(trace_footer));
}

void add_copying_verbs(CLI::App& all, arguments& to) {
    auto const add_out = [&to](CLI::App& verb, std::string const& help) {
        verb.add_option("OUT", to.output, help)->required()->type_name("");
        add_at(verb, to);
    };
    auto& backup = add_verb(all, to, "backup", "copies the database, also while others write");
    add_out(backup, "the backup");
    backup.add_flag("--incremental", to.incremental, "adds what is new to a backup")
        ->excludes("--at")
        ->excludes("--as-of");
    backup.footer(std::string(backup_footer));

    auto& restore = add_verb(all, to, "restore", "makes a database from a backup");
    add_out(restore, "the database to make");
    restore.footer(std::string(restore_footer));

    auto& branch = add_verb(all, to, "branch", "makes another database from a commit");
    add_out(branch, "the database to make");
    branch.footer(std::string(branch_footer));

    auto& rollback =
        add_verb(all, to, "rollback", "makes a database that ends with an earlier commit");
    add_commit(rollback, "--to", to.at, "COMMIT", "its newest commit: a number (see log), or a tag")
        ->required();
    rollback.add_option("-o,--output", to.output, "the database to make")
        ->required()
        ->type_name("NEW");
    rollback.footer(std::string(rollback_footer));

    auto& salvage = add_verb(all, to, "salvage", "saves what can be read of a damaged database");
    salvage.add_option("-o,--output", to.output, "the database to make")
        ->required()
        ->type_name("OUT");
    salvage
        .add_option_function<std::string>(
            "--at",
            [&to](std::string const& text) {
                to.at = commit_name{number_of("--at", text), {}};
            },
            "as it was after the commit of this number")
        ->type_name("COMMIT");
    salvage.add_flag("--unconfirmed", to.unconfirmed, "also what nothing vouches for");
    add_json(salvage, to, "as one JSON object");
    salvage.footer(std::string(salvage_footer));
}

void decode(std::string& text) {
    auto bytes = from_hex(text);
    if (!bytes)
        throw failure(exit_code::usage, "'" + text + "' is not an even number of hex digits");
    text = *bytes;
}

void decode_hex(arguments& to) {
    decode(to.key);
    // "-" is not a value but stdin, which is never hex.
    for (auto* const text : {&to.from, &to.to, &to.prefix, &to.value}) {
        if (*text && !(text == &to.value && **text == "-")) decode(**text);
    }
}

/// What CLI11 found wrong, except that it does not say which verb it does not know.
std::string complaint_of(CLI::ParseError const& e, CLI::App const& all, int count,
                         char const* const* words) {
    constexpr char const* advice = "; see 'coppice help'";
    if (!all.get_subcommands().empty()) return e.what() + std::string(advice);
    std::string const first = count > 1 ? words[1] : "";
    if (first.empty() || first.front() == '-') return std::string("a verb is missing") + advice;
    return "there is no verb '" + first + "'" + advice;
}

void print(std::string const& text) {
    output out;
    out.write(text);
    out.finish();
}

} // namespace

std::optional<arguments> parse(int count, char const* const* words) {
    arguments result;
    CLI::App all("Reads, writes and looks after coppice databases.", "coppice");
    all.set_version_flag("--version", "coppice " COPPICE_VERSION_STRING);
    all.footer(std::string(general_footer));
    all.require_subcommand(1);
    add_reading_verbs(all, result);
    add_writing_verbs(all, result);
    add_report_verbs(all, result);
    add_copying_verbs(all, result);
    auto& help = *all.add_subcommand("help", "tells about a verb");
    std::string about;
    help.add_option("VERB", about, "the verb")->type_name("");
    try {
        all.parse(count, words);
        result.verb = all.get_subcommands().front()->get_name();
        if (result.verb == "help") {
            print(about.empty() ? all.help() : all.get_subcommand(about)->help("coppice"));
            return {};
        }
    } catch (CLI::ParseError const& e) {
        std::ostringstream text;
        std::ostringstream complaint;
        if (all.exit(e, text, complaint) != 0) {
            throw failure(exit_code::usage, complaint_of(e, all, count, words));
        }
        print(text.str());
        return {};
    } catch (CLI::OptionNotFound const& e) {
        throw failure(exit_code::usage, "there is no verb '" + about + "'");
    }
    if (result.hex) decode_hex(result);
    return result;
}

} // namespace tool
