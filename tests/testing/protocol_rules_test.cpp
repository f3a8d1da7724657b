// SPDX-License-Identifier: BSL-1.0
#include <coppice/testing/protocol_rules.hpp>

#include <coppice/testing/simulated_medium.hpp>

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace {

using coppice::durability;
using coppice::testing::machine;
using coppice::testing::protocol_rules;

/// A machine with a database of two durable commits and a lazy one, and a process that holds the
/// lock and may do what it likes.
struct bench {
    bench() {
        {
            coppice::options chosen;
            chosen.preallocate_bytes = 0;
            chosen.clock = on.clock();
            coppice::testing::database db(on.start_process(), chosen);
            db.update([](auto& txn) { txn.put("a", "1"); });
            db.update([](auto& txn) { txn.put("b", "2"); });
            db.update([](auto& txn) { txn.put("c", "3"); }, durability::lazy);
            CHECK(rules.violations().empty());
            CHECK(rules.seen() == on.log().size());
        }
        REQUIRE(lock->acquire({}));
        file = process.open(coppice::storage::access::read_write);
    }
    [[nodiscard]] coppice::bytes content() const { return on.database_bytes(); }
    [[nodiscard]] coppice::format::superblock slot(unsigned index) const {
        auto const header =
            coppice::format::decode_file_header(content().first(coppice::format::block_bytes), {});
        return coppice::format::decode_slot(content().subspan(coppice::format::slot_offset(index),
                                                              coppice::format::superblock_bytes),
                                            header)
            .slot;
    }
    [[nodiscard]] unsigned newest() const { return slot(0).counter > slot(1).counter ? 0U : 1U; }
    void write(std::uint64_t offset, std::size_t count = 8) {
        file->write(offset, std::vector<std::byte>(count, std::byte{0xEE}));
    }
    /// The first complaint, or nothing.
    [[nodiscard]] std::string complaint() const {
        if (rules.violations().empty()) return {};
        auto const& text = rules.violations().front();
        return text.substr(text.find(": ") + 2);
    }

    machine on;
    protocol_rules rules{on};
    coppice::testing::simulated_medium process = on.start_process();
    std::shared_ptr<coppice::testing::simulated_lock> lock = process.lock();
    std::shared_ptr<coppice::testing::simulated_storage> file{};
};

} // namespace

TEST_CASE("what a database does breaks no rule, and what is written again breaks none") {
    bench on;
    auto const before = on.content();
    std::vector<std::byte> const copy(before.begin(), before.end());
    on.file->write(coppice::format::data_begin_offset,
                   coppice::bytes{copy}.subspan(coppice::format::data_begin_offset));
    auto const index = on.newest();
    on.file->write(coppice::format::slot_offset(index),
                   coppice::bytes{copy}.subspan(coppice::format::slot_offset(index),
                                                coppice::format::superblock_bytes));
    on.file->sync();
    on.write(copy.size());
    CHECK(on.complaint().empty());
}

TEST_CASE("a write of a slot that fails half way breaks no rule") {
    // Found by fuzz/plan.hpp: the rules read a whole slot from the 92 bytes that were written.
    machine on;
    coppice::options chosen;
    chosen.preallocate_bytes = 0;
    chosen.clock = on.clock();
    coppice::testing::database db(on.start_process(), chosen);
    db.update([](auto& txn) { txn.put("a", "1"); });
    protocol_rules const rules(on);
    for (std::size_t const bytes_done : {0U, 1U, 92U, 127U, 128U}) {
        INFO(bytes_done);
        auto txn = db.write();
        txn.put("b", std::to_string(bytes_done));
        // The first write is that of the data, the second one that of the slot.
        on.plan({.what = coppice::testing::call::write, .after = 1, .bytes_done = bytes_done});
        CHECK_THROWS_AS(txn.commit(durability::sync), coppice::error);
        CHECK(on.faults().fired() == 1);
        on.plan_nothing();
        coppice::testing::database(std::move(db)).close();
        db = coppice::testing::database(on.start_process(), chosen);
        db.update([](auto& other) { other.put("c", "3"); });
    }
    CHECK(rules.violations().empty());
}

TEST_CASE("each rule that is broken is named") {
    SECTION("a byte that a slot names") {
        bench on;
        on.write(coppice::format::data_begin_offset);
        CHECK(on.complaint() == "a byte below the end of a valid slot changes");
    }
    SECTION("valid bytes cut off") {
        bench on;
        on.file->truncate(on.slot(on.newest()).end_offset - 8);
        CHECK(on.complaint() == "valid bytes are cut off");
    }
    SECTION("the durable slot") {
        bench on;
        auto const lazy = on.newest();
        on.write(coppice::format::slot_offset(1U - lazy), coppice::format::superblock_bytes);
        CHECK(on.complaint() == "the durable slot is written over");
    }
    SECTION("a slot before its data") {
        bench on;
        auto slot = on.slot(on.newest());
        ++slot.counter;
        slot.verify_from = slot.end_offset = slot.end_offset + 64;
        on.file->write(coppice::format::slot_offset(on.newest()), coppice::format::encode(slot));
        CHECK(on.complaint() == "a slot is written before what it names");
    }
    SECTION("a counter that does not grow") {
        bench on;
        auto slot = on.slot(on.newest());
        slot.features = 1;
        on.file->write(coppice::format::slot_offset(on.newest()), coppice::format::encode(slot));
        CHECK(on.complaint() == "a counter does not grow");
    }
    SECTION("no lock") {
        bench on;
        on.lock->release();
        on.write(on.content().size());
        CHECK(on.complaint() == "written without the lock");
    }
    SECTION("a failed sync") {
        bench on;
        on.on.plan({.what = coppice::testing::call::sync});
        CHECK_THROWS_AS(on.file->sync(), coppice::error);
        on.write(on.content().size());
        CHECK(on.complaint() == "written after a failed sync");
    }
    SECTION("a name before the sync") {
        bench on;
        auto const fresh = on.process.fresh();
        auto const whole = on.content();
        fresh->write(0, std::vector<std::byte>(whole.begin(), whole.end()));
        on.process.replace(*fresh);
        CHECK(on.complaint() == "a file gets its name before it is durable");
    }
    SECTION("a mark before the sync") {
        bench on;
        std::vector<std::byte> page(coppice::format::live_page_bytes);
        std::copy_n(on.lock->page(), page.size(), page.begin());
        coppice::format::store(page.data() + 64, on.slot(on.newest()).counter);
        on.lock->write_page(0, page);
        CHECK(on.complaint() == "the mark names a slot whose sync has not returned");
    }
}
