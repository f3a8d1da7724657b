// SPDX-License-Identifier: BSL-1.0
#pragma once
// Histories of a database on a simulated machine: what was done, what was promised when, and what
// each commit holds; and the question to an image that a crash has left: does it open by itself,
// does it hold exactly one whole commit that is not older than what was promised, is it sound, and
// can it be written to?

#include <coppice/testing/simulated_medium.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace crash {

using coppice::durability;
using coppice::testing::database;
using coppice::testing::hash_of;
using coppice::testing::machine;
using coppice::testing::operation;
using image = coppice::testing::disk_image;
using op = coppice::testing::operation_kind;
using content = std::map<std::string, std::string>;
using name_list = std::map<std::string, std::uint64_t>;
using edits = std::vector<std::pair<std::string, std::optional<std::string>>>;

/// Tiny nodes, so that a few entries make a tree of several levels.
inline coppice::options tiny() {
    coppice::options chosen;
    chosen.nodes = {128, 128, 32};
    chosen.preallocate_bytes = 0;
    chosen.flush.interval = {}; // threads are not simulated
    return chosen;
}

/// An image with one file, which is a database.
inline image image_of(std::vector<std::byte> file) {
    image made;
    made.files[1] = std::move(file);
    made.database = 1;
    return made;
}

inline void must(bool holds, std::string const& what) {
    if (!holds) throw std::runtime_error(what);
}

inline void must_be(coppice::snapshot const& found, content const& wanted,
                    std::string const& when) {
    must(found.size() == wanted.size(), when + ": another number of entries");
    auto at = wanted.begin();
    for (auto const& [key, value] : found.all()) {
        must(at != wanted.end() && key == at->first && value == at->second,
             when + ": entry '" + std::string(key) + "' is not that of the commit");
        ++at;
    }
}

/// A commit that was begun, or promised, when the log had so many operations.
struct milestone {
    std::size_t at = 0;
    std::uint64_t id = 0;
    bool durable = false;
};

/// What was done, what was promised when, and what each commit holds.
struct history {
    image start;
    std::vector<operation> log;
    std::map<std::uint64_t, content> states;
    std::map<std::uint64_t, name_list> names; ///< the tags of each commit
    std::vector<milestone> begun;
    std::vector<milestone> promised;
    coppice::options chosen;

    /// The oldest commit that may be found once `at` operations are done.
    [[nodiscard]] std::uint64_t floor(std::size_t at, bool power_cut) const {
        std::uint64_t id = 0;
        for (auto const& each : promised) {
            if (each.at <= at && (each.durable || !power_cut)) id = std::max(id, each.id);
        }
        return id;
    }
    [[nodiscard]] std::uint64_t ceiling(std::size_t at) const {
        std::uint64_t id = 0;
        for (auto const& each : begun) {
            if (each.at <= at) id = std::max(id, each.id);
        }
        return id;
    }
    [[nodiscard]] std::uint64_t newest_id() const { return states.rbegin()->first; }
    [[nodiscard]] content newest() const {
        return states.empty() ? content{} : states.rbegin()->second;
    }
    void begin(std::size_t at, std::uint64_t id, content state) {
        begun.push_back({at, id, false});
        states[id] = std::move(state);
        names[id] = names.empty() ? name_list{} : names.rbegin()->second;
    }
    void promise(std::size_t at, std::uint64_t id, bool durable) {
        promised.push_back({at, id, durable});
    }
};

/// What some edits make of a content.
[[nodiscard]] inline content edited(content state, edits const& changes) {
    for (auto const& [key, value] : changes) {
        if (value) {
            state[key] = *value;
        } else {
            state.erase(key);
        }
    }
    return state;
}

/// Puts edits into a transaction.
template <typename Transaction> void carry_out(Transaction& txn, edits const& changes) {
    for (auto const& [key, value] : changes) {
        if (value) {
            txn.put(key, *value);
        } else {
            txn.erase(key);
        }
    }
}

/// Makes a history by working with a database, in one process after the other.
class scribe {
  public:
    explicit scribe(coppice::options chosen, image const& start = {})
        : on_(std::make_unique<crash::machine>(start, hash_of(start))) {
        told_.start = start;
        told_.chosen = std::move(chosen);
        told_.chosen.clock = on_->clock();
    }

    void create() {
        told_.begin(done(), 1, {});
        open();
        told_.promise(done(), 1, true);
    }
    void open() { open_.emplace(on_->start_process(), told_.chosen); }
    void close() {
        open_.reset();
        promise_flushed();
    }
    void commit(edits const& changes, durability how) {
        auto txn = open_->write();
        carry_out(txn, changes);
        auto const before = told_.newest_id();
        told_.begin(done(), before + 1, edited(told_.newest(), changes));
        must(txn.commit(how).value == told_.newest_id(), "an unexpected commit id");
        // It takes along what is deferred, which no file ever holds by itself.
        if (deferring_) told_.states.erase(before);
        deferring_ = how == durability::deferred;
        if (!deferring_) told_.promise(done(), told_.newest_id(), how != durability::lazy);
    }
    void flush() {
        open_->flush();
        promise_flushed();
    }
    /// Gives a commit a name. @param id not that of a commit that has this name
    void tag(std::string const& name, std::uint64_t id, durability how) {
        change_names([&](name_list& names) { names[name] = id; },
                     [&] { must(open_->tag(name, {id}, how).value == told_.newest_id(), name); },
                     how);
    }
    /// Takes a name away. REQUIRES: there is such a tag.
    void untag(std::string const& name, durability how) {
        change_names([&](name_list& names) { names.erase(name); },
                     [&] { must(open_->untag(name, how), name); }, how);
    }
    void sync() {
        open_->sync();
        deferring_ = false;
        told_.promise(done(), told_.newest_id(), true);
    }
    /// Compacts. @param dropped a key that the filter leaves out, or nothing
    /// @param meanwhile what is done beside it, again and again; not with a filter
    void compact(std::string const& dropped = {}, std::function<void()> const& meanwhile = {}) {
        coppice::compaction_hooks hooks;
        hooks.progress = [&](std::uint64_t, std::uint64_t) {
            if (meanwhile) meanwhile();
            return true;
        };
        if (!dropped.empty()) {
            hooks.keep = [&](std::string_view key, std::string_view) { return key != dropped; };
            auto state = told_.newest();
            state.erase(dropped);
            told_.begin(done(), told_.newest_id() + 1, std::move(state));
        }
        must(open_->compact(hooks), "a compaction was stopped");
        deferring_ = false;
        told_.promise(done(), told_.newest_id(), true);
    }
    [[nodiscard]] std::uint64_t newest_id() const { return told_.newest_id(); }
    [[nodiscard]] history const& told() {
        told_.log = on_->log();
        return told_;
    }
    [[nodiscard]] image const& now() const noexcept { return on_->disk().cached(); }
    [[nodiscard]] crash::machine& machine() noexcept { return *on_; }
    [[nodiscard]] database& handle() { return *open_; }

  private:
    template <typename Note, typename Change>
    void change_names(Note note, Change change, durability how) {
        told_.begin(done(), told_.newest_id() + 1, told_.newest());
        note(told_.names[told_.newest_id()]);
        change();
        deferring_ = false;
        told_.promise(done(), told_.newest_id(), how != durability::lazy);
    }
    [[nodiscard]] std::size_t done() const noexcept { return on_->log().size(); }
    void promise_flushed() {
        if (!std::exchange(deferring_, false)) return;
        told_.promise(done(), told_.newest_id(), false);
    }

    std::unique_ptr<crash::machine> on_;
    history told_;
    bool deferring_ = false; ///< is the newest commit in memory alone?
    std::optional<database> open_;
};

/// What the newest commit, of this number, has of the past: its names, and all that the file holds.
inline void must_remember(database& db, history const& told, std::uint64_t id) {
    auto const known = told.names.find(id);
    auto const names = known == told.names.end() ? name_list{} : known->second;
    name_list found;
    for (auto const& [name, commit] : db.tags()) {
        found[name] = commit.value;
        must(db.read(name).id() == commit, "the tag " + name + " names another commit");
    }
    must(found == names, "other tags");
    std::uint64_t held = 0;
    for (auto const& commit : db.history()) {
        auto const state = told.states.find(commit.id.value);
        must(state != told.states.end(), "a commit of the past that nobody made");
        must_be(db.read(commit.id), state->second, "of the past");
        ++held;
    }
    auto const made = std::distance(told.states.begin(), told.states.upper_bound(id));
    auto const wanted = std::min(told.chosen.retention.commits, static_cast<std::uint64_t>(made));
    must(held >= wanted, "commits are gone that were to be kept");
}

/// Opens an image as recovery does, and asks it everything.
/// @return what was done to it meanwhile, as a history of its own
inline history examine(image const& found, history const& told, std::uint64_t floor,
                       std::uint64_t ceiling) {
    scribe after(told.chosen, found);
    try {
        after.open();
    } catch (coppice::error const& e) {
        throw std::runtime_error(std::string("does not open: ") + e.what());
    }
    auto const state = after.handle().read();
    auto const id = state.id().value;
    must(id <= ceiling || (floor == 0 && id == 1),
         "a commit that nobody made: " + std::to_string(id));
    must(id >= floor, "a promised commit is lost: " + std::to_string(floor) + ", there is " +
                          std::to_string(id));
    auto states = told.states;
    if (floor == 0) states.try_emplace(1);
    must(states.contains(id), "an unknown commit " + std::to_string(id));
    must_be(state, states[id], "after opening");
    auto known = told;
    known.states = states;
    must_remember(after.handle(), known, id);
    must(after.handle().check().clean(), "check() finds fault after opening");
    must(after.machine().log().empty() || found.database == 0, "opening has written something");

    edits const marker{{"\xff marker", "after the crash"}};
    auto base = id;
    coppice::commit_id next;
    {
        // Readers are not shown what nobody was promised; a writer takes over what is whole.
        auto txn = after.handle().write();
        base = txn.view().id().value;
        must(base >= id && base <= std::max<std::uint64_t>(ceiling, 1), "an unknown base");
        carry_out(txn, marker);
        next = txn.commit(durability::sync);
    }
    must(next.value > base, "commit ids go back");
    auto const wanted = edited(states[base], marker);
    must_be(after.handle().read(), wanted, "after the next commit");
    must_be(state, states[id], "the snapshot that was held meanwhile");
    must(after.handle().check().clean(), "check() finds fault after the next commit");
    auto result = after.told();
    states.erase(states.upper_bound(base), states.end());
    result.states = states;
    result.names = told.names;
    result.names.erase(result.names.upper_bound(base), result.names.end());
    result.begun.push_back({0, base, true});
    result.promised.push_back({0, std::max<std::uint64_t>(floor, 1), true});
    result.begin(0, next.value, wanted);
    result.promise(result.log.size(), next.value, true);
    must_remember(after.handle(), result, next.value);

    machine later(after.now());
    database const again(later.start_process(), told.chosen);
    must_be(again.read(), wanted, "opened once more");
    return result;
}

} // namespace crash
