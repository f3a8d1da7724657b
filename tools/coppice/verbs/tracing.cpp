// SPDX-License-Identifier: BSL-1.0
// tools/coppice/verbs/tracing.cpp: trace, replay.
// Invariant: a trace is read to its end before a database is opened, so that a malformed one
//   changes nothing.

#include "tools/coppice/line_source.hpp"
#include "tools/coppice/output.hpp"
#include "tools/coppice/progress.hpp"
#include "tools/coppice/state_hash.hpp"
#include "tools/coppice/trace_format.hpp"
#include "tools/coppice/trace_player.hpp"
#include "tools/coppice/trace_reader.hpp"
#include "tools/coppice/verbs.hpp"

#include <coppice/diff.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tool {

namespace {

/// Writes the commits of a database as transactions, oldest first.
class history_writer {
  public:
    history_writer(output& to, arguments const& given) : to_(to), given_(given) {}

    void begin(coppice::node_sizes const& nodes) {
        append_trace_header(text_);
        coppice::node_sizes const usual;
        option("leaf_bytes", nodes.leaf_bytes, usual.leaf_bytes);
        option("inner_bytes", nodes.inner_bytes, usual.inner_bytes);
        option("inline_value_bytes", nodes.inline_value_bytes, usual.inline_value_bytes);
    }
    /// The first commit that the file still holds; an empty one is what a new database begins with.
    void first(coppice::snapshot const& now) {
        if (now.empty()) return;
        begin_commit(now);
        write({.verb = trace_verb::load});
        for (auto const& [key, value] : now.all()) {
            hash_.add(key, value);
            write({.verb = trace_verb::pair, .key = std::string(key), .value = std::string(value)});
        }
        end_commit(now);
    }
    /// A commit and the one before it.
    void next(coppice::snapshot const& before, coppice::snapshot const& now) {
        begin_commit(now);
        changes_ = 0;
        for (auto const& [key, old, now_value] : coppice::diff(before, now)) {
            if (old) hash_.remove(key, *old);
            if (now_value) {
                put(key, *now_value);
            } else {
                erase(key);
            }
        }
        // A commit that wrote what was there already is made again by doing the same.
        if (auto const same = now.first(); changes_ == 0 && same) {
            write({.verb = trace_verb::put,
                   .key = std::string(same->key),
                   .value = std::string(same->value)});
        }
        end_commit(now);
    }
    void end() {
        if (given_.durability.value_or(coppice::durability::lazy) == coppice::durability::lazy) {
            write({.verb = trace_verb::sync});
        }
        write({.verb = trace_verb::end});
        to_.write(text_);
    }

  private:
    void option(std::string_view name, std::uint32_t chosen, std::uint32_t usual) {
        if (chosen == usual) return;
        write({.verb = trace_verb::option, .key = std::string(name), .number = chosen});
    }
    void begin_commit(coppice::snapshot const& now) {
        text_ += "# commit " + std::to_string(now.id().value) + "\n";
        write({.verb = trace_verb::begin});
    }
    void end_commit(coppice::snapshot const& now) {
        trace_operation commit{.verb = trace_verb::commit};
        commit.how = given_.durability.value_or(coppice::durability::lazy);
        commit.note = now.note();
        if (!given_.no_hashes) commit.hash = hash_.value();
        write(commit);
    }
    void erase(std::string_view key) {
        write({.verb = trace_verb::erase, .key = std::string(key)});
        ++changes_;
    }
    void put(std::string_view key, std::string_view value) {
        hash_.add(key, value);
        write({.verb = trace_verb::put, .key = std::string(key), .value = std::string(value)});
        ++changes_;
    }
    void write(trace_operation const& done) {
        append_operation(text_, done);
        to_.write(text_);
        text_.clear();
    }

    output& to_;
    arguments const& given_;
    std::string text_;
    state_hash hash_;
    std::uint64_t changes_ = 0;
};

/// The numbers of all commits up to a moment, oldest first.
std::vector<coppice::commit_id> commits_up_to(coppice::snapshot const& newest) {
    std::vector<coppice::commit_id> result;
    for (auto const& commit : coppice::commit_history(newest.state(), 0)) {
        result.push_back(commit.id);
    }
    return {result.rbegin(), result.rend()};
}

/// The options of a trace that can be carried out. @throws failure for one that cannot
coppice::options read_through(line_source& lines) {
    coppice::options chosen;
    trace_reader reader(lines);
    trace_operation next;
    while (reader.next(next)) {
        if (next.verb == trace_verb::option) choose(chosen, next);
    }
    lines.rewind();
    return chosen;
}

} // namespace

exit_code trace(arguments const& given) {
    auto const db = open_to_read(given);
    auto const newest = db.read();
    output out(given.output);
    history_writer writer(out, given);
    writer.begin(db.stats().nodes);
    progress bar("tracing");
    std::optional<coppice::snapshot> before;
    auto const commits = commits_up_to(newest);
    for (std::size_t i = 0; i < commits.size(); ++i) {
        // Not through the handle: another process may have compacted the database meanwhile.
        coppice::snapshot now(coppice::store::state_at(newest.state(), commits[i]));
        if (before) {
            writer.next(*before, now);
        } else {
            writer.first(now);
        }
        before = std::move(now);
        bar.show(i + 1, commits.size());
    }
    writer.end();
    out.finish();
    return exit_code::done;
}

exit_code replay(arguments const& given) {
    line_source lines(given.input);
    lines.keep();
    auto const chosen = read_through(lines);
    trace_reader reader(lines);
    trace_operation next;
    coppice::compaction_hooks compaction;
    if (given.wait_seconds) compaction.longest_wait = wait_of(given);
    trace_player<coppice::database> player([&] { return coppice::database(given.file, chosen); },
                                           [&](coppice::database& db) { return begin(db, given); },
                                           compaction);
    progress bar("replaying");
    for (static_cast<void>(reader.next(next)); next.verb != trace_verb::end;) {
        auto const verb = next.verb;
        auto const at = lines.place();
        try {
            auto const result = player.step(next, reader);
            if (verb == trace_verb::compact && result == 0) throw locked(given);
        } catch (state_differs const&) {
            throw failure(exit_code::no, at + ": the state is not the one that the trace names; "
                                              "this commit was not made");
        }
        bar.show(lines.bytes(), 0);
    }
    return exit_code::done;
}

} // namespace tool
