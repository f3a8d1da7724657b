// SPDX-License-Identifier: BSL-1.0
// Transactions whose changes outgrow the memory that they may take: what goes to the file ahead of
// the commit reads as before, what was handed out stays, and the end is as of any transaction.

#include <coppice/transaction.hpp>

#include <coppice/salvage.hpp>
#include <coppice/store/recovery.hpp>

#include <faulty_medium.hpp>
#include <kind_of.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace coppice;
using proving::content;
using proving::content_of;
using proving::in_file;
using proving::in_memory;
using proving::must_hold;
using proving::noise;
using proving::numbered;
using proving::test_database;
using support::kind_of;

namespace {

/// @param bytes of memory for a transaction: with 0 each change goes to the file before the next
options with_memory(std::uint64_t bytes) {
    auto chosen = proving::tiny();
    chosen.transaction_bytes = bytes;
    return chosen;
}

/// Changes of every kind at random. What was handed out is kept, with what it was.
template <typename Transaction> class random_changes {
  public:
    random_changes(Transaction& txn, content start, std::uint64_t seed)
        : txn_(txn), now_(std::move(start)), dice_(seed) {}

    void change() {
        auto const key = numbered("k", dice_.next() % 400);
        switch (dice_.next() % 12) {
        case 0: CHECK(txn_.erase(key) == (now_.erase(key) == 1)); break;
        case 1: erase_range(key, numbered("k", dice_.next() % 400)); break;
        case 2:
            CHECK(txn_.modify(key, [](auto old) {
                return old ? std::string(*old).substr(0, 200) + "!" : "made";
            }));
            now_[key] = now_.contains(key) ? now_[key].substr(0, 200) + "!" : "made";
            break;
        case 3:
            CHECK(txn_.insert(key, "inserted") == !now_.contains(key));
            now_.try_emplace(key, "inserted");
            break;
        case 4: stream(key, noise(dice_.next() % 3000, dice_.next())); break;
        default: {
            auto const value = noise(dice_.next() % 150, dice_.next());
            txn_.put(key, value);
            now_[key] = value;
        }
        }
    }
    void look() {
        auto const key = numbered("k", dice_.next() % 400);
        auto const found = txn_.get(key);
        REQUIRE(found.has_value() == now_.contains(key));
        if (found) seen_.emplace_back(*found, now_[key]);
        if (dice_.next() % 20 == 0) views_.emplace_back(txn_.view(), now_);
    }
    /// Comes back to where it was after some changes more.
    void go_and_come_back() {
        auto const point = txn_.savepoint();
        auto const then = now_;
        for (auto changes = dice_.next() % 30; changes > 0; --changes) change();
        txn_.rollback_to(point);
        now_ = then;
    }
    void must_be_as_seen() const {
        for (auto const& [view, value] : seen_) REQUIRE((view == value));
    }
    [[nodiscard]] content const& now() const { return now_; }
    [[nodiscard]] std::vector<std::pair<snapshot, content>> const& views() const { return views_; }

  private:
    void erase_range(std::string const& from, std::string const& to) {
        if (from > to) return;
        auto const first = now_.lower_bound(from);
        auto const last = now_.lower_bound(to);
        CHECK(txn_.erase(from, to) == static_cast<std::uint64_t>(std::distance(first, last)));
        now_.erase(first, last);
    }
    void stream(std::string const& key, std::string const& value) {
        auto to = txn_.put_stream(key, value.size());
        to.write(value);
        to.finish();
        now_[key] = value;
    }

    Transaction& txn_;
    content now_;
    workbench::dice dice_;
    std::vector<std::pair<std::string_view, std::string>> seen_;
    std::vector<std::pair<snapshot, content>> views_;
};

} // namespace

TEMPLATE_TEST_CASE("a transaction that outgrows its memory is one like any other", "", in_file,
                   in_memory) {
    for (std::uint64_t seed = 1; seed <= 60 / workbench::fewer; ++seed) {
        CAPTURE(seed);
        test_database<TestType> on(with_memory(seed % 3 * 8000));
        auto& db = *on;
        auto const start = proving::numbered_entries(seed * 7 % 300);
        db.update([&](auto& txn) { txn.load(start); });
        // A base that is in memory itself, in the same arena.
        auto before = start;
        if (seed % 2 == 0) {
            db.update([](auto& txn) { txn.put("deferred", "1"); }, durability::deferred);
            before["deferred"] = "1";
        }
        std::vector<std::pair<snapshot, content>> views;
        auto after = before;
        {
            auto txn = db.write();
            random_changes changes(txn, before, seed);
            for (int i = 0; i < 300; ++i) {
                changes.change();
                changes.look();
                if (i % 50 == 49) changes.go_and_come_back();
            }
            must_hold(txn.view(), changes.now());
            changes.must_be_as_seen();
            views = changes.views();
            if (seed % 5 == 0) {
                txn.rollback();
            } else {
                txn.commit(seed % 7 == 0 ? durability::deferred : durability::sync);
                after = changes.now();
            }
        }
        db.update([&](auto& txn) { txn.put("next", noise(5000, seed)); });
        after["next"] = noise(5000, seed);
        must_hold(db.read(), after);
        for (auto const& [view, wanted] : views) must_hold(view, wanted);
    }
}

TEST_CASE("what is over the memory of a transaction is in the file before its commit") {
    faulty::medium medium;
    basic_database<faulty::medium> db(medium, with_memory(20'000));
    auto txn = db.write();
    medium.told().begin_anew();
    std::uint64_t quiet = 0;
    for (std::uint64_t i = 0; i < 1000; ++i) {
        txn.put(numbered("k", i), noise(100, i));
        if (medium.told().count(faulty::call::write) == 0) ++quiet;
    }
    // Some 300 bytes each, and memory comes in chunks.
    CHECK(quiet > 30);
    CHECK(quiet < 150);
    CHECK(medium.told().count(faulty::call::write) > 5);
    CHECK(medium.told().count(faulty::call::sync) == 0);
    txn.commit();
    CHECK(medium.told().count(faulty::call::sync) == 2);
    CHECK(db.read().size() == 1000);
}

// A base that was postponed becomes a tree when the transaction first looks at it. That memory was
// counted as the transaction's own, whose next change then went to the file although it was small.
TEST_CASE("what was deferred before a transaction does not count as its memory") {
    faulty::medium medium;
    basic_database<faulty::medium> db(medium, with_memory(20'000));
    for (std::uint64_t i = 0; i < 1500; ++i) {
        db.update([&](auto& txn) { txn.put(numbered("k", i), noise(100, i)); },
                  durability::deferred);
    }
    auto txn = db.write();
    medium.told().begin_anew();
    REQUIRE(txn.contains(numbered("k", 7)));
    for (std::uint64_t i = 0; i < 10; ++i) txn.put(numbered("own", i), "small");
    CHECK(medium.told().count(faulty::call::write) == 0);
    txn.commit();
    CHECK(db.read().size() == 1510);
}

// The base went to the file as a commit of its own, and the note with it.
TEST_CASE("a transaction that took all of its changes back commits nothing, however many") {
    auto chosen = with_memory(20'000);
    chosen.flush.interval = {};
    faulty::medium medium;
    basic_database<faulty::medium> db(medium, chosen);
    content wanted;
    for (std::uint64_t i = 0; i < 40; ++i) {
        db.update([&](auto& txn) { txn.put(numbered("k", i), "1"); }, durability::deferred);
        wanted[numbered("k", i)] = "1";
    }
    auto const newest = db.read().id();
    auto txn = db.write();
    auto const point = txn.savepoint();
    for (std::uint64_t i = 0; i < 20; ++i) txn.put(numbered("k", i), noise(400, i));
    txn.rollback_to(point);
    CHECK(txn.commit(durability::sync, "of nothing") == newest);
    CHECK(db.read().id() == newest);
    for (commit_info const& commit : db.history()) CHECK(commit.note.empty());
    must_hold(db.read(), wanted);
}

// Only the commit looked whether the lock and the slots are still as they were. What went to the
// file before it was written over what somebody else had committed meanwhile, and after a sync that
// had failed.
TEST_CASE("what goes to the file early does not go over the commit of another writer") {
    for (int way = 0; way < 4; ++way) {
        CAPTURE(way);
        faulty::medium medium;
        basic_database<faulty::medium> db(medium, with_memory(5000));
        db.update([](auto& txn) { txn.put("a", "1"); });
        auto txn = db.write();
        auto stream = txn.put_stream("stream", 9000);
        std::optional<snapshot> view;
        if (way == 3) {
            txn.load(content{{"k", "1"}});
            view = txn.view();
        }
        // Someone who does not keep to the lock writes a slot.
        auto const storage = medium.open(storage::access::read_write);
        auto const file = store::recognise(storage, verify::first_touch, "");
        auto slots = store::read_slots(*storage, file.header());
        auto slot = slots.slots[*slots.newest()].slot;
        slot.counter += 5;
        storage->write(format::slot_offset(1 - *slots.newest()), format::encode(slot));
        auto const before = proving::bytes_of(*storage);
        auto const change = [&] {
            if (way == 0) {
                for (std::uint64_t i = 0; i < 100; ++i) txn.put(numbered("k", i), noise(100, i));
            } else if (way == 1) {
                txn.load(content{{"k", "1"}});
            } else if (way == 2) {
                stream.write(noise(9000));
            } else {
                txn.rollback();
                throw error(errc::lock_lost, "a rollback says nothing");
            }
        };
        CHECK(kind_of(change) == errc::lock_lost);
        CHECK((proving::bytes_of(*storage) == before));
    }
}

TEST_CASE("what goes to the file early does not go there after a sync that has failed") {
    faulty::medium medium;
    basic_database<faulty::medium> db(medium, with_memory(5000));
    auto pending = [&] {
        auto txn = db.write();
        txn.put("a", "1");
        return txn.commit_async();
    }();
    auto txn = db.write();
    medium.told().fail_after(faulty::call::sync, 0);
    CHECK(kind_of([&] { pending.wait(); }) == errc::sync_failed);
    medium.told().begin_anew();
    CHECK(kind_of([&] {
              for (std::uint64_t i = 0; i < 100; ++i) txn.put(numbered("k", i), noise(100, i));
          }) == errc::sync_failed);
    CHECK(medium.told().count(faulty::call::write) == 0);
}

// A record stayed among the bytes that the next attempt wrote. Without slots it was the one that
// was found, and what had been committed instead was lost.
TEST_CASE("a commit that has failed leaves no record to the next one of its transaction") {
    for (std::uint64_t n = 0; n < 3; ++n) {
        CAPTURE(n);
        faulty::medium medium;
        auto chosen = with_memory(2000);
        chosen.preallocate_bytes = 0;
        {
            basic_database<faulty::medium> db(medium, chosen);
            db.update([](auto& txn) { txn.put("start", "1"); });
            auto txn = db.write();
            for (std::uint64_t i = 0; i < 100; ++i) txn.put(numbered("k", i), noise(100, i));
            medium.told().fail_after(faulty::call::write, n);
            REQUIRE(kind_of([&] { txn.commit(); }) == errc::io_failed);
            txn.put("important", "committed");
            txn.erase_prefix("k");
            txn.commit();
        }
        auto const storage = medium.open(storage::access::read_only);
        std::string text(as_text(proving::bytes_of(*storage)));
        text.replace(4096, 8192, 8192, '\0');
        workbench::folder const here;
        proving::write_text(here / "broken", text);
        CHECK(salvage(here / "broken", here / "saved").taken.value == 3);
        database const saved(here / "saved");
        CHECK(content_of(saved.read()) == content{{"start", "1"}, {"important", "committed"}});
    }
}

TEST_CASE("a change that finds no room in the file is not made, and those before it stay") {
    faulty::medium medium;
    basic_database<faulty::medium> db(medium, with_memory(5000));
    db.update([](auto& txn) { txn.put("before", "1"); });
    content wanted{{"before", "1"}};
    std::uint64_t refused = 0;
    {
        auto txn = db.write();
        for (std::uint64_t i = 0; i < 500; ++i) {
            medium.told().fail_after(faulty::call::write, i % 3);
            medium.told().half_written = i % 2 == 0;
            auto const key = numbered("k", i * 37 % 100);
            auto const value = noise(i % 7 * 40, i);
            auto const how = i % 3;
            auto erased = false;
            auto const change = [&] {
                if (how == 0) {
                    txn.put(key, value);
                } else if (how == 1) {
                    erased = txn.erase(key);
                } else {
                    erased = txn.erase(key, key + "~") == 1;
                }
            };
            if (auto const kind = kind_of(change)) {
                CHECK(kind == errc::io_failed);
                ++refused;
                REQUIRE(txn.contains(key) == wanted.contains(key));
                REQUIRE(content_of(txn.view()) == wanted);
                medium.told().begin_anew();
                change();
            }
            medium.told().begin_anew();
            if (how == 0) wanted[key] = value;
            if (how != 0) CHECK(erased == (wanted.erase(key) == 1));
        }
        CHECK(refused > 10);
        txn.commit();
    }
    must_hold(db.read(), wanted);
    CHECK(db.check().clean());
}

TEMPLATE_TEST_CASE("a rollback gives back what went to the file early", "", in_file, in_memory) {
    test_database<TestType> on(with_memory(0));
    auto& db = *on;
    db.update([](auto& txn) { txn.put("a", "1"); });
    auto const end_offset = db.read().state()->limit_offset();
    for (int i = 0; i < 5; ++i) {
        auto txn = db.write();
        for (std::uint64_t k = 0; k < 300; ++k) txn.put(numbered("k", k), noise(100, k));
        CHECK(txn.size() == 301);
    }
    CHECK(content_of(db.read()) == content{{"a", "1"}});
    db.update([](auto& txn) { txn.put("b", "2"); });
    CHECK(db.read().state()->limit_offset() < end_offset + 2000);
}

TEMPLATE_TEST_CASE("changes go to the file around a value that is still coming in", "", in_file,
                   in_memory) {
    test_database<TestType> on(with_memory(0));
    auto& db = *on;
    auto const large = noise(300'000, 1);
    content wanted;
    {
        auto txn = db.write();
        auto first = txn.put_stream("first", large.size());
        auto second = txn.put_stream("second", 5000);
        for (std::uint64_t i = 0; i < 300; ++i) {
            first.write(std::string_view(large).substr(i * 1000, 1000));
            auto const key = numbered("k", i * 7 % 50);
            txn.put(key, noise(i, i));
            wanted[key] = noise(i, i);
            if (i % 10 == 0) REQUIRE(content_of(txn.view()) == wanted);
        }
        first.finish();
        wanted["first"] = large;
        txn.put("last", "1");
        wanted["last"] = "1";
        second.write(noise(5000, 2));
        second.finish();
        wanted["second"] = noise(5000, 2);
        txn.commit();
    }
    must_hold(db.read(), wanted);
}

// A view that `modify` gives to its callback lies in memory that may go to the file, and be given
// back, when the callback itself changes something.
TEMPLATE_TEST_CASE("what modify shows stays as long as its callback runs", "", in_file, in_memory) {
    test_database<TestType> on(with_memory(0));
    auto& db = *on;
    auto txn = db.write();
    auto const value = noise(90);
    txn.put("a", value);
    CHECK(txn.modify("a", [&](std::optional<std::string_view> old) {
        for (std::uint64_t i = 0; i < 500; ++i) txn.put(numbered("k", i), noise(90, i));
        REQUIRE((*old == value));
        return std::string(*old) + "!";
    }));
    CHECK((txn.get("a") == value + "!"));
    txn.commit();
}
