// SPDX-License-Identifier: BSL-1.0
#pragma once
// Any bytes as operations on a database in memory with tiny nodes, beside a std::map: puts,
// erasures of keys and ranges, savepoints, bulk loads, streams, commits of each durability,
// compactions and reopening. Both must hold the same at each step; old commits and held snapshots
// must not change. The bytes become a trace first, which people can read, cut and play again.

#include <coppice/database.hpp>
#include <tools/coppice/trace_format.hpp>
#include <tools/coppice/trace_player.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fuzz_operations_detail {

using content = std::map<std::string, std::string, std::less<>>;
using tool::trace_operation;
using tool::trace_verb;
using trace = std::vector<trace_operation>;

/// The input as a stream of small numbers; zeros when it is used up.
class numbers {
  public:
    numbers(std::uint8_t const* data, std::size_t size) : data_(data), left_(size) {}
    [[nodiscard]] bool empty() const noexcept { return left_ == 0; }
    unsigned next() noexcept {
        if (left_ == 0) return 0;
        --left_;
        return *data_++;
    }

  private:
    std::uint8_t const* data_;
    std::size_t left_;
};

/// What the bytes of an input stand for.
class decoder {
  public:
    explicit decoder(numbers from) : from_(from) {}

    [[nodiscard]] trace decode() {
        option("preallocate_bytes", from_.next() % 3 * 100);
        option("leaf_bytes", 128 + from_.next() % 4 * 64);
        option("inner_bytes", 128 + from_.next() % 4 * 64);
        option("inline_value_bytes", from_.next() % 64);
        option("two_sync_above_bytes", 600 + from_.next() * 16);
        option("unsynced_limit_bytes", 1000 + from_.next() * 64);
        option("pad_commits", from_.next() % 8 == 0 ? 1 : 0);
        for (unsigned steps = 0; !from_.empty() && steps < 2000; ++steps) step();
        if (inside_) add({.verb = trace_verb::abort});
        return std::move(made_);
    }

  private:
    void add(trace_operation next) { made_.push_back(std::move(next)); }
    void option(char const* name, std::uint64_t number) {
        add({.verb = trace_verb::option, .key = name, .number = number});
    }

    [[nodiscard]] std::string key() {
        auto const choice = from_.next();
        std::string text = "k";
        switch (choice % 4) {
        case 0: break;
        case 1: text.append(choice / 4 % 8, 'k'); break;
        case 2: text = std::string(choice / 2, 'l'); break;
        default: text = ""; break;
        }
        text += static_cast<char>('a' + from_.next() % 26);
        if (choice % 8 < 5) text += static_cast<char>(from_.next());
        return text;
    }
    [[nodiscard]] std::string value() {
        auto const choice = from_.next();
        auto const size = choice < 200 ? choice % 40U : (choice - 200) * 23U;
        return std::string(size, static_cast<char>('a' + choice % 26));
    }

    void step() {
        auto const what = from_.next() % 32;
        if (what < 14) return change(what);
        if (what < 18) return erase(what);
        if (what < 21) return bulk(what);
        if (what < 24) return moment(what);
        if (what < 29) return commit(what);
        outside(what);
    }

    void begin() {
        if (inside_) return;
        add({.verb = trace_verb::begin});
        inside_ = true;
    }
    void change(unsigned what) {
        begin();
        auto k = key();
        if (what == 0) return add({.verb = trace_verb::get, .key = std::move(k)});
        add({.verb = what == 1 ? trace_verb::insert : trace_verb::put,
             .key = std::move(k),
             .value = value()});
    }
    void erase(unsigned what) {
        begin();
        auto from = key();
        if (what < 16) return add({.verb = trace_verb::erase, .key = std::move(from)});
        if (what == 17) return add({.verb = trace_verb::erase_prefix, .key = std::move(from)});
        add({.verb = trace_verb::erase_range, .key = std::move(from), .value = key()});
    }
    void bulk(unsigned what) {
        begin();
        if (what == 20) {
            auto k = key();
            auto v = value();
            if (from_.next() % 4 == 0) {
                return add({.verb = trace_verb::abandon, .key = std::move(k), .number = v.size()});
            }
            return add({.verb = trace_verb::stream, .key = std::move(k), .value = std::move(v)});
        }
        content more;
        for (auto i = from_.next() % 30; i > 0; --i) more[key()] = value();
        add({.verb = trace_verb::load});
        for (auto& [k, v] : more) {
            add({.verb = trace_verb::pair, .key = k, .value = std::move(v)});
        }
    }
    void moment(unsigned what) {
        begin();
        if (what == 21) return add({.verb = trace_verb::view});
        if (what == 22 || savepoints_ == 0) {
            return add({.verb = trace_verb::savepoint, .number = savepoints_++});
        }
        add({.verb = trace_verb::rollback, .number = from_.next() % savepoints_});
    }
    void commit(unsigned what) {
        begin();
        inside_ = false;
        savepoints_ = 0;
        if (what == 28) return add({.verb = trace_verb::abort});
        using coppice::durability;
        durability const ways[] = {durability::sync, durability::lazy, durability::two_sync,
                                   durability::deferred};
        add({.verb = trace_verb::commit,
             .how = ways[what % 4],
             .note = std::string(from_.next() % 30, 'n')});
    }
    void outside(unsigned what) {
        if (what == 29 && held_ < 8) {
            ++held_;
            return add({.verb = trace_verb::hold});
        }
        if (inside_) return;
        add({.verb = what == 30 ? trace_verb::compact : trace_verb::reopen});
    }

    numbers from_;
    trace made_;
    bool inside_ = false;
    std::uint64_t savepoints_ = 0;
    unsigned held_ = 0;
};

inline void require(bool holds, char const* what) {
    if (holds) return;
    std::fprintf(stderr, "operations: %s\n", what);
    std::abort();
}

inline void compare(coppice::snapshot const& state, content const& wanted) {
    require(state.size() == wanted.size(), "another size");
    auto at = wanted.begin();
    std::uint64_t index = 0;
    for (auto const& [key, value] : state.all()) {
        require(at != wanted.end() && key == at->first && value == at->second, "another entry");
        if (index % 5 == 0) {
            require(state.rank(key) == index && state.nth(index)->key == key, "another rank");
            require(state.get(key) == value, "another value");
        }
        ++at;
        ++index;
    }
}

/// A trace as trace_reader would read it.
class trace_source {
  public:
    explicit trace_source(trace const& from) : from_(&from) {}
    bool next(trace_operation& operation) {
        operation = at_ < from_->size() ? (*from_)[at_++] : trace_operation{};
        return operation.verb != trace_verb::end;
    }
    /// The operation that comes behind the one that was given last.
    [[nodiscard]] std::size_t position() const noexcept { return at_; }

  private:
    trace const* from_;
    std::size_t at_ = 0;
};

/// Plays a trace on a database and on a std::map.
class play {
  public:
    explicit play(trace const& all) : all_(&all) {
        chosen_.preallocate_bytes = 0;
        chosen_.flush = {.bytes = 2000, .count = 3, .interval = {}}; // without a thread
        for (auto const& each : all) {
            if (each.verb == trace_verb::option) tool::choose(chosen_, each);
        }
    }

    void run() {
        coppice::storage::memory_medium const medium;
        tool::trace_player<database> player([&] { return database(medium, chosen_); },
                                            [](database& db) { return db.write(); });
        trace_source from(*all_);
        trace_operation next;
        static_cast<void>(from.next(next));
        while (next.verb != trace_verb::end) {
            auto const done = next;
            auto const wanted = expect(done, from.position());
            auto const found = player.step(next, from);
            require(!wanted || found == *wanted, "a call gives another answer");
            look(player, done, coppice::commit_id{found});
        }
        check_all(player);
    }

  private:
    using database = coppice::memory_database;

    /// Does it to the std::map. @return what the call shall give, where that is known
    std::optional<std::uint64_t> expect(trace_operation const& next, std::size_t behind) {
        auto const& key = next.key;
        auto const& value = next.value;
        switch (next.verb) {
        case trace_verb::begin:
            work_ = committed_;
            moments_.clear();
            return {};
        case trace_verb::stream:
        case trace_verb::put: work_[key] = value; return {};
        case trace_verb::insert: return work_.emplace(key, value).second ? 1 : 0;
        case trace_verb::get: return work_.contains(key) ? 1 : 0;
        case trace_verb::view: return work_.size();
        case trace_verb::erase: return work_.erase(key);
        case trace_verb::erase_from: return erase(key, [](auto const&) { return true; });
        case trace_verb::erase_prefix:
            return erase(key, [&](auto const& each) { return each.starts_with(key); });
        case trace_verb::erase_range:
            return erase(key, [&](auto const& each) { return each < value; });
        case trace_verb::load: {
            std::uint64_t count = 0;
            for (; behind < all_->size() && (*all_)[behind].verb == trace_verb::pair; ++behind) {
                work_[(*all_)[behind].key] = (*all_)[behind].value;
                ++count;
            }
            return count;
        }
        case trace_verb::savepoint: moments_.push_back(work_); return {};
        case trace_verb::rollback: work_ = moments_.at(next.number); return {};
        case trace_verb::commit: committed_ = work_; return {};
        case trace_verb::hold: held_.push_back(committed_); return {};
        case trace_verb::compact: return 1;
        default: return {};
        }
    }
    template <typename Condition> std::uint64_t erase(std::string const& from, Condition wanted) {
        auto const first = work_.lower_bound(from);
        auto last = first;
        std::uint64_t gone = 0;
        for (; last != work_.end() && wanted(last->first); ++last) ++gone;
        work_.erase(first, last);
        return gone;
    }

    /// Compares after an operation. @param made the commit that it has made, if it is one
    void look(tool::trace_player<database>& player, trace_operation const& done,
              coppice::commit_id made) {
        switch (done.verb) {
        case trace_verb::view: return compare(player.txn().view(), work_);
        case trace_verb::commit:
            require(made >= newest_, "commit ids go back");
            newest_ = made;
            // A deferred commit may become one with those behind it, and then has no past.
            if (done.how != coppice::durability::deferred) old_[made] = committed_;
            look_up(player.db());
            seen_ = committed_;
            // A snapshot makes a tree of what is deferred; keys alone are found without one.
            if (made.value % 2 == 0) compare(player.db().read(), committed_);
            return;
        case trace_verb::compact:
            old_.clear();
            old_[player.db().read().id()] = committed_;
            return check_all(player);
        case trace_verb::reopen: return check_all(player);
        default: return;
        }
    }
    /// Looks for each key that there is, or was before the last commit.
    void look_up(database& db) {
        for (auto const& [key, value] : committed_) {
            require(db.get(key) == value, "another value of the newest commit");
        }
        for (auto const& [key, value] : seen_) {
            require(db.get(key).has_value() == committed_.contains(key), "a key that was erased");
        }
    }
    void check_all(tool::trace_player<database>& player) {
        auto& db = player.db();
        compare(db.read(), committed_);
        for (std::size_t i = 0; i < held_.size(); ++i) compare(player.held()[i], held_[i]);
        for (auto const& [id, then] : old_) compare(db.read(id), then);
        auto const report = db.check();
        for (auto const& each : report.findings) {
            std::fprintf(stderr, "check: %s at %llu\n", each.what.c_str(),
                         static_cast<unsigned long long>(each.offset));
        }
        require(report.clean(), "check finds fault");
        require(report.entries == committed_.size(), "check counts other entries");
    }

    trace const* all_;
    coppice::options chosen_;
    content committed_;
    content seen_; // what was compared last
    coppice::commit_id newest_{};
    content work_;
    std::vector<content> moments_;
    std::vector<content> held_;
    std::map<coppice::commit_id, content> old_;
};

} // namespace fuzz_operations_detail

/// How many shortened forms of an input the replay tries. Each is a whole history with databases of
/// its own.
inline constexpr std::size_t fuzz_operations_cuts = 16;

/// What an input does, as a trace that `coppice replay` and `fuzz_replay --trace` can carry out.
inline std::string fuzz_operations_text(std::uint8_t const* data, std::size_t size) {
    using namespace fuzz_operations_detail;
    std::string text;
    tool::append_trace_header(text);
    for (auto const& each : decoder(numbers(data, size)).decode()) {
        tool::append_operation(text, each);
    }
    return text + "end\n";
}

/// Carries a trace out beside a std::map.
inline void fuzz_operations_trace(std::vector<tool::trace_operation> const& all) {
    fuzz_operations_detail::play(all).run();
}

/// @param data options, then operations
inline int fuzz_operations(std::uint8_t const* data, std::size_t size) {
    using namespace fuzz_operations_detail;
    if (size > 20'000) return 0;
    fuzz_operations_trace(decoder(numbers(data, size)).decode());
    return 0;
}
