// SPDX-License-Identifier: BSL-1.0
#pragma once
// Any bytes as operations on a database in memory with tiny nodes, beside a std::map: puts,
// erasures of keys and ranges, savepoints, bulk loads, streams, commits of each durability,
// compactions and reopening. Both must hold the same at each step; old commits and held snapshots
// must not change.

#include <coppice/database.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fuzz_operations_detail {

using content = std::map<std::string, std::string, std::less<>>;

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

class play {
  public:
    explicit play(numbers& from) : from_(from) {
        chosen_.preallocate_bytes = from_.next() % 3 * 100;
        chosen_.nodes = {128 + from_.next() % 4 * 64, 128 + from_.next() % 4 * 64,
                         from_.next() % 64};
        chosen_.two_sync_above_bytes = 600 + from_.next() * 16;
        chosen_.unsynced_limit_bytes = 1000 + from_.next() * 64;
        chosen_.pad_commits = from_.next() % 8 == 0;
        open();
    }

    void run() {
        for (unsigned steps = 0; !from_.empty() && steps < 2000; ++steps) step();
        txn_.reset();
        check_all();
    }

  private:
    using database = coppice::memory_database;

    void open() {
        db_.emplace(medium_, chosen_);
        compare(db_->read(), committed_);
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
        if (txn_) return;
        txn_.emplace(db_->write());
        work_ = committed_;
    }
    void change(unsigned what) {
        begin();
        auto const k = key();
        if (what == 0) {
            require(txn_->get(k).has_value() == work_.contains(k), "another presence");
        } else if (what == 1) {
            auto const v = value();
            require(txn_->insert(k, v) == work_.emplace(k, v).second, "another insertion");
        } else {
            auto v = value();
            txn_->put(k, v);
            work_[k] = std::move(v);
        }
    }
    void erase(unsigned what) {
        begin();
        auto const from = key();
        if (what < 16) {
            require(txn_->erase(from) == (work_.erase(from) != 0), "another erasure");
            return;
        }
        auto const to = what == 16 ? key() : std::string();
        auto first = work_.lower_bound(from);
        auto last = first;
        std::uint64_t gone = 0;
        while (last != work_.end() &&
               (what == 16 ? last->first < to : last->first.starts_with(from))) {
            ++last;
            ++gone;
        }
        work_.erase(first, last);
        require((what == 16 ? txn_->erase(from, to) : txn_->erase_prefix(from)) == gone,
                "another number of erasures");
    }
    void bulk(unsigned what) {
        begin();
        if (what == 20) {
            auto const k = key();
            auto const v = value();
            auto stream = txn_->put_stream(k, v.size());
            if (from_.next() % 4 == 0) return; // abandoned
            stream.write(std::string_view(v).substr(0, v.size() / 2));
            stream.write(std::string_view(v).substr(v.size() / 2));
            stream.finish();
            work_[k] = v;
            return;
        }
        content more;
        for (auto i = from_.next() % 30; i > 0; --i) more[key()] = value();
        txn_->load(more);
        for (auto& [k, v] : more) work_[k] = v;
    }
    void moment(unsigned what) {
        begin();
        if (what == 21) {
            compare(txn_->view(), work_);
        } else if (what == 22 || moments_.empty()) {
            moments_.emplace_back(txn_->savepoint(), work_);
        } else {
            auto const& [point, then] = moments_[from_.next() % moments_.size()];
            txn_->rollback_to(point);
            work_ = then;
        }
    }
    void commit(unsigned what) {
        begin();
        moments_.clear();
        if (what == 28) {
            txn_.reset();
            return;
        }
        coppice::durability const ways[] = {coppice::durability::sync, coppice::durability::lazy,
                                            coppice::durability::two_sync};
        auto const before = db_->read().id();
        auto const id = txn_->commit(ways[what % 3], std::string(from_.next() % 30, 'n'));
        txn_.reset();
        require(id >= before, "commit ids go back");
        committed_ = work_;
        old_[id] = committed_;
        compare(db_->read(), committed_);
    }
    void outside(unsigned what) {
        if (what == 29 && held_.size() < 8) {
            held_.emplace_back(db_->read(), committed_);
            return;
        }
        if (txn_) return;
        if (what == 30) {
            require(db_->compact(), "a compaction stopped by itself");
            old_.clear();
            old_[db_->read().id()] = committed_;
        } else {
            db_.reset();
            open();
        }
        check_all();
    }

    void check_all() {
        auto const now = db_->read();
        compare(now, committed_);
        for (auto const& [state, then] : held_) compare(state, then);
        for (auto const& [id, then] : old_) compare(db_->read(id), then);
        auto const report = db_->check();
        for (auto const& each : report.findings) {
            std::fprintf(stderr, "check: %s at %llu\n", each.what.c_str(),
                         static_cast<unsigned long long>(each.offset));
        }
        require(report.clean(), "check finds fault");
        require(report.entries == committed_.size(), "check counts other entries");
    }

    numbers& from_;
    coppice::options chosen_;
    coppice::storage::memory_medium medium_;
    std::optional<database> db_;
    std::optional<database::transaction> txn_;
    content committed_;
    content work_;
    std::vector<std::pair<coppice::savepoint, content>> moments_;
    std::deque<std::pair<coppice::snapshot, content>> held_;
    std::map<coppice::commit_id, content> old_;
};

} // namespace fuzz_operations_detail

/// How many shortened forms of an input the replay tries. Each is a whole history with databases of
/// its own.
inline constexpr std::size_t fuzz_operations_cuts = 16;

/// @param data options, then operations
inline int fuzz_operations(std::uint8_t const* data, std::size_t size) {
    if (size > 20'000) return 0;
    fuzz_operations_detail::numbers from(data, size);
    fuzz_operations_detail::play(from).run();
    return 0;
}
