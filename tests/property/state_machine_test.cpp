// SPDX-License-Identifier: BSL-1.0
// The whole API against std::map: commands that RapidCheck makes up, shrinks and prints with their
// seed, over databases in memory and in files, in tiny nodes so that trees are deep and split and
// merge all the time. RC_PARAMS="max_success=9000 max_size=200" asks for another amount,
// RC_PARAMS="seed=..." for the same sequences again.

#include <coppice/coppice.hpp>

#include <workbench.hpp>

#include <catch2/catch.hpp>
#include <rapidcheck.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace coppice;

namespace {

using model = std::map<std::string, std::string>;

/// What can be done. Numbers choose keys, values and sizes, so that commands shrink well.
struct command {
    enum class kind : std::uint8_t {
        put,
        insert,
        modify,
        erase,
        erase_range,
        erase_prefix,
        savepoint,
        rollback_to,
        load,
        stream,
        view,
        commit,
        rollback,
        compact,
        reopen,
        hold,
        read_old,
        sync,
        flush,
        last_kind
    };
    kind what{};
    std::uint16_t a = 0;
    std::uint16_t b = 0;
};

void showValue(command const& c, std::ostream& out) { // NOLINT: the name is RapidCheck's
    out << '{' << static_cast<int>(c.what) << ',' << c.a << ',' << c.b << '}';
}

std::string key_of(std::uint16_t n) {
    switch (n % 50) {
    case 0: return {};
    case 1: return std::string(1, static_cast<char>(n >> 8U));
    case 2: return std::string(1024, 'k') + std::to_string(n % 7);
    case 3: return std::string(65530, 'z') + std::to_string(n % 3);
    default: return std::to_string(n % 300);
    }
}

std::string value_of(std::uint16_t n) {
    auto const size = n % 40 == 0 ? 5000U + n % 1000U : n % 60U;
    return std::string(size, static_cast<char>('a' + n % 26));
}

/// A database on some medium, and what it must hold.
template <typename Database> class machine {
  public:
    explicit machine(std::function<Database()> open) : open_(std::move(open)), db_(open_()) {}

    void run(std::vector<command> const& commands) {
        for (auto const& c : commands) step(c);
        txn_.reset();
        compare(db_->read(), committed_);
        for (auto const& [moment, expected] : held_) compare(moment, expected);
        RC_ASSERT(db_->check().clean());
    }

  private:
    static void compare(snapshot const& now, model const& expected) {
        RC_ASSERT(now.size() == expected.size());
        auto at = expected.begin();
        std::uint64_t index = 0;
        for (auto const [key, value] : now) {
            RC_ASSERT(at != expected.end());
            RC_ASSERT((key == at->first && value == at->second));
            if (index % 5 == 0) {
                RC_ASSERT(now.rank(key) == index);
                RC_ASSERT(now.nth(index)->key == key);
                RC_ASSERT((now.get(key) == value));
            }
            ++at;
            ++index;
        }
        RC_ASSERT(at == expected.end());
        auto back = expected.rbegin();
        auto const reversed = now.all().reversed();
        for (auto const [key, value] : reversed) RC_ASSERT(key == (back++)->first);
        RC_ASSERT(back == expected.rend());
        compare_many(now, expected);
        compare_pieces(now.all(), expected);
    }
    /// Keys that are asked for together.
    static void compare_many(snapshot const& now, model const& expected) {
        std::vector<std::string> keys{"absent"};
        for (auto const& [key, value] : expected) {
            if (key.size() % 2 != 0) keys.push_back(key);
            if (key.size() % 5 == 2) keys.push_back(key + '\0');
        }
        auto next = keys.begin();
        now.get_many(keys, [&](auto key, auto value) {
            RC_ASSERT((key == *next++));
            auto const known = expected.find(std::string(key));
            RC_ASSERT(value.has_value() == (known != expected.end()));
            RC_ASSERT((!value || *value == known->second));
        });
        RC_ASSERT(next == keys.end());
    }
    /// Pieces, each of which begins where the one before it has ended.
    static void compare_pieces(entry_range const& all, model const& expected) {
        auto first = expected.begin();
        for (auto const& piece : all.split(3)) {
            RC_ASSERT((first != expected.end() && piece.begin()->key == first->first));
            std::advance(first, static_cast<std::ptrdiff_t>(piece.count()));
        }
        RC_ASSERT(first == expected.end());
    }

    auto& txn() {
        if (!txn_) {
            txn_.emplace(db_->write());
            // What was rolled back may have taken so much memory that it was flushed.
            if (db_->stats().deferred_commits == 0) deferred_.reset();
            pending_ = committed_;
            points_.clear();
        }
        return *txn_;
    }
    void end_transaction(bool commit, std::uint16_t how) {
        if (!txn_) return;
        if (commit) {
            constexpr durability choices[] = {durability::sync, durability::lazy,
                                              durability::two_sync, durability::deferred};
            auto const id = txn_->commit(choices[how % 4], std::to_string(how));
            committed_ = pending_;
            note_newest(id);
        }
        txn_.reset();
    }
    /// A deferred commit becomes one with the next, and only the last of them is in the file.
    void note_newest(commit_id id) {
        if (deferred_ && *deferred_ != id) {
            old_.erase(*deferred_);
            RC_ASSERT_THROWS_AS(static_cast<void>(db_->read(*deferred_)), error);
        }
        old_[id] = committed_;
        deferred_.reset();
        if (db_->stats().deferred_commits != 0) deferred_ = id;
    }

    void step(command const& c) {
        using enum command::kind;
        auto const key = key_of(c.a);
        switch (c.what) {
        case commit: return end_transaction(true, c.a);
        case rollback: return end_transaction(false, 0);
        case compact:
            end_transaction(true, c.a);
            RC_ASSERT(db_->compact());
            old_.clear();
            deferred_.reset();
            break;
        case reopen:
            end_transaction(false, 0);
            db_.reset();
            db_.emplace(open_());
            deferred_.reset();
            break;
        case hold:
            held_.emplace_back(db_->read(), committed_);
            compare(held_[c.a % held_.size()].first, held_[c.a % held_.size()].second);
            break;
        case read_old:
            if (!old_.empty()) {
                auto const at = std::next(old_.begin(), c.a % static_cast<long>(old_.size()));
                compare(db_->read(at->first), at->second);
            }
            break;
        case sync:
            if (txn_) break;
            db_->sync();
            deferred_.reset();
            break;
        case flush:
            if (txn_) break;
            db_->flush();
            deferred_.reset();
            RC_ASSERT(db_->stats().deferred_commits == 0);
            break;
        default: change(c, key);
        }
        if (txn_) return;
        look_up(key);
        look_up(key_of(c.b));
        // A snapshot makes a tree of what is deferred; keys alone are found without one.
        if (c.b % 3 != 0) compare(db_->read(), committed_);
    }

    void look_up(std::string const& key) {
        auto const wanted = committed_.find(key);
        auto const found = db_->get(key);
        RC_ASSERT(found.has_value() == (wanted != committed_.end()));
        if (found) RC_ASSERT(*found == wanted->second);
    }

    void change(command const& c, std::string const& key) {
        using enum command::kind;
        auto& t = txn();
        switch (c.what) {
        case put:
            t.put(key, value_of(c.b));
            pending_[key] = value_of(c.b);
            break;
        case insert:
            RC_ASSERT(t.insert(key, value_of(c.b)) == pending_.emplace(key, value_of(c.b)).second);
            break;
        case modify: {
            auto const known = pending_.find(key);
            auto const was = known == pending_.end() ? std::string() : known->second;
            auto const gone = c.b % 4 == 0;
            auto const changed = was.substr(0, 40) + value_of(c.b).substr(0, 40);
            RC_ASSERT(t.modify(key, [&](auto old) {
                RC_ASSERT(old.value_or("") == was);
                return gone ? std::nullopt : std::optional(changed);
            }) == !gone);
            if (gone) {
                pending_.erase(key);
            } else {
                pending_[key] = changed;
            }
            break;
        }
        case erase: RC_ASSERT(t.erase(key) == (pending_.erase(key) == 1)); break;
        case erase_range: erase_between(key, key_of(c.b)); break;
        case erase_prefix: {
            auto const prefix = key.substr(0, c.b % 3);
            std::uint64_t count = 0;
            for (auto at = pending_.lower_bound(prefix);
                 at != pending_.end() && at->first.starts_with(prefix); ++count) {
                at = pending_.erase(at);
            }
            RC_ASSERT(t.erase_prefix(prefix) == count);
            break;
        }
        case savepoint: points_.emplace_back(t.savepoint(), pending_); break;
        case rollback_to:
            if (points_.empty()) break;
            t.rollback_to(points_[c.a % points_.size()].first);
            pending_ = points_[c.a % points_.size()].second;
            break;
        case load: load_some(c); break;
        case stream: {
            auto const value = value_of(c.b);
            auto writer = t.put_stream(key, value.size());
            writer.write(value);
            if (c.a % 5 == 0) break; // abandoned
            writer.finish();
            pending_[key] = value;
            break;
        }
        default: compare(t.view(), pending_);
        }
        auto const seen = t.get(key);
        auto const expected = pending_.find(key);
        RC_ASSERT(seen.has_value() == (expected != pending_.end()));
        if (seen) RC_ASSERT(*seen == expected->second);
    }

    void erase_between(std::string from, std::string to) {
        std::uint64_t count = 0;
        if (from < to) {
            auto const first = pending_.lower_bound(from);
            auto const last = pending_.lower_bound(to);
            count = static_cast<std::uint64_t>(std::distance(first, last));
            pending_.erase(first, last);
        }
        RC_ASSERT(txn().erase(from, to) == count);
    }

    void load_some(command const& c) {
        model pairs;
        for (unsigned i = 0; i < c.b % 100U; ++i) {
            auto const n = static_cast<std::uint16_t>(c.a + i * 37U);
            pairs[key_of(n)] = value_of(n);
        }
        RC_ASSERT(txn().load(pairs) == pairs.size());
        for (auto const& [key, value] : pairs) pending_[key] = value;
    }

    std::function<Database()> open_;
    std::optional<Database> db_;
    std::optional<typename Database::transaction> txn_;
    model committed_;
    model pending_;
    std::vector<std::pair<coppice::savepoint, model>> points_;
    std::vector<std::pair<snapshot, model>> held_;
    std::map<commit_id, model> old_;
    std::optional<commit_id> deferred_; // the newest commit, where it is not in the file
};

options tiny(unsigned choice) {
    options chosen;
    chosen.preallocate_bytes = choice % 2 == 0 ? 0 : 65536;
    chosen.verify = choice % 3 == 0 ? verify::every_read : verify::first_touch;
    chosen.nodes = {128U << choice % 3, 128U << choice / 3 % 2, 1024};
    chosen.pad_commits = choice % 5 == 4;
    chosen.two_sync_above_bytes = choice % 4 == 1 ? 2000 : std::uint64_t{4} << 20U;
    chosen.unsynced_limit_bytes = choice % 4 == 2 ? 10'000 : std::uint64_t{32} << 20U;
    if (choice % 5 == 2) chosen.transaction_bytes = choice % 2 == 0 ? 0 : 10'000;
    chosen.flush = {choice % 3 == 1 ? 30'000U : 10'000'000U, choice % 4 == 3 ? 2U : 100U, {}};
    return chosen;
}

/// What the sanitizers make slow is done less often, so that each build takes about as long.
constexpr unsigned slower = workbench::under_tsan ? 12 : workbench::under_asan ? 8 : 1;

/// Runs a property so many times, unless RC_PARAMS asks for another amount. Prints the seed.
template <typename Property> bool holds_in(unsigned sequences, Property const& property) {
    auto params = rc::detail::configuration().testParams;
    auto const* const asked = std::getenv("RC_PARAMS");
    if (asked == nullptr || std::string_view(asked).find("max_success") == std::string_view::npos) {
        params.maxSuccess = static_cast<int>(sequences / slower * workbench::scale());
    }
    std::printf("%d sequences, seed %llu\n", params.maxSuccess,
                static_cast<unsigned long long>(params.seed));
    auto const result = rc::detail::checkTestable(property, rc::detail::TestMetadata(), params);
    rc::detail::printResultMessage(result, std::cerr);
    std::cerr << std::endl;
    return result.template is<rc::detail::SuccessResult>();
}

template <typename Database>
void whole_api(unsigned sequences,
               std::function<std::function<Database()>(unsigned)> const& opener) {
    auto const holds = holds_in(sequences, [&] {
        using kind = command::kind;
        auto const one = rc::gen::build<command>(
            rc::gen::set(&command::what,
                         rc::gen::map(rc::gen::inRange(0, static_cast<int>(kind::last_kind) + 12),
                                      [](int n) {
                                          // Puts and commits are more common than the rest.
                                          auto const last = static_cast<int>(kind::last_kind);
                                          if (n >= last + 3) return kind::put;
                                          return n >= last ? kind::commit : static_cast<kind>(n);
                                      })),
            rc::gen::set(&command::a, rc::gen::arbitrary<std::uint16_t>()),
            rc::gen::set(&command::b, rc::gen::arbitrary<std::uint16_t>()));
        auto const commands = *rc::gen::scale(8.0, rc::gen::container<std::vector<command>>(one));
        auto const choice = *rc::gen::inRange(0U, 60U);
        machine<Database>(opener(choice)).run(commands);
    });
    CHECK(holds);
}

} // namespace

TEST_CASE("the whole API keeps to std::map in memory") {
    whole_api<memory_database>(2000, [](unsigned choice) {
        storage::memory_medium const medium;
        return [medium, choice] { return memory_database(medium, tiny(choice)); };
    });
}

TEST_CASE("the whole API keeps to std::map in files") {
    workbench::folder const dir;
    int number = 0;
    whole_api<database>(600, [&](unsigned choice) {
        auto const path = dir / (std::to_string(++number) + ".db");
        return [path, choice] { return database(path, tiny(choice)); };
    });
}
