// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/copy.hpp>

#include <coppice/database.hpp>
#include <coppice/testing.hpp>

#include <catch2/catch.hpp>
#include <kind_of.hpp>
#include <medium_around.hpp>
#include <test_database.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace store = coppice::store;
namespace testing = coppice::testing;
using coppice::errc;
using proving::content;
using proving::content_of;
using support::kind_of;
using simulated_store = store::store<testing::simulated_medium>;

/// A database in memory with some commits, of which copies are made on a simulated machine.
struct original {
    coppice::memory_database db{coppice::storage::memory_medium(), proving::tiny()};

    original() { grow(3); }

    void grow(unsigned commits) {
        for (unsigned i = 0; i < commits; ++i) {
            db.update([&](auto& t) {
                auto const n = t.view().size();
                for (std::uint64_t k = n; k < n + 12; ++k) {
                    t.put(proving::numbered("k", k), proving::noise(k * 13 % 200, k));
                }
            });
        }
    }
    [[nodiscard]] store::copy_head head() const { return {db.read().state()->image().header, 0}; }
};

/// What is on the machine; nothing where no database is.
std::optional<content> found_on(testing::machine& computer) {
    try {
        testing::database const db(computer.start_process(), {.create = coppice::create::never});
        CHECK(db.check().clean());
        return content_of(db.read());
    } catch (coppice::error const& e) {
        CHECK(e.kind() == errc::not_found);
        return {};
    }
}

void copy(original const& from, testing::machine& computer) {
    static_cast<void>(
        store::copy_to_medium(*from.db.read().state(), from.head(), computer.start_process(), {}));
}
void extend(original const& from, testing::machine& computer) {
    auto const to = std::make_shared<simulated_store>(
        computer.start_process(), coppice::options{.create = coppice::create::never});
    static_cast<void>(store::continue_copy(from.db.read().state(), to));
}

/// A file of a file system that can share blocks, which a test cannot have everywhere.
class sharing_storage : public coppice::storage::file_storage {
  public:
    explicit sharing_storage(file_storage&& file) : file_storage(std::move(file)) {}
    [[nodiscard]] file_storage const& inner() const noexcept { return *this; }
    [[nodiscard]] bool share_blocks(sharing_storage const& original) {
        std::vector<std::byte> all(static_cast<std::size_t>(original.size()));
        REQUIRE(original.read(0, all) == all.size());
        write(0, all);
        return shared = true;
    }
    void write(std::uint64_t offset, coppice::bytes data) {
        file_storage::write(offset, data);
        written += data.size();
    }
    static inline bool shared = false;
    static inline std::uint64_t written = 0;
};

/// The place of such a file.
class sharing_medium
    : public support::medium_around<sharing_storage, coppice::storage::file_medium> {
  public:
    sharing_medium(std::filesystem::path const& path, bool create_directories,
                   bool read_ahead = true)
        : medium_around({path, create_directories, read_ahead},
                        support::adopt<sharing_storage, coppice::storage::file_storage>) {}
};

bool power_or_death(coppice::error const& e) {
    return e.kind() == errc::io_failed || e.kind() == errc::sync_failed;
}

} // namespace

TEST_CASE("a copy has the content and the history of the original and takes commits") {
    original from;
    testing::machine computer(1);
    copy(from, computer);
    testing::database db(computer.start_process());
    CHECK(content_of(db.read()) == content_of(from.db.read()));
    CHECK(db.read().identity() == from.db.read().identity());
    for (std::uint64_t id = 1; id <= 4; ++id) {
        CHECK(content_of(db.read({id})) == content_of(from.db.read({id})));
    }
    db.update([](auto& t) { t.put("of", "its own"); });
    CHECK(db.check().clean());
    CHECK(db.read().id().value == 5);
}

TEST_CASE("a copy in pieces is the same as a copy in a file") {
    original from;
    std::string bytes;
    store::copy_to_sink(*from.db.read().state(), from.head(),
                        [&](coppice::bytes piece) { bytes += coppice::as_text(piece); });
    workbench::folder const folder;
    proving::write_text(folder / "copy.db", bytes);
    coppice::database const db(folder / "copy.db");
    CHECK(content_of(db.read()) == content_of(from.db.read()));
    CHECK(db.check().clean());
}

TEST_CASE("a power cut leaves no copy or a whole one") {
    original const from;
    auto const whole = content_of(from.db.read());
    unsigned none = 0;
    std::uint64_t operations = 0;
    for (bool cut = true; cut; ++operations) {
        for (std::uint64_t seed = 0; seed < 40; ++seed) {
            auto pick = testing::choices::random(seed, operations);
            testing::machine computer(seed);
            computer.fail_power_after(operations);
            try {
                copy(from, computer);
            } catch (coppice::error const& e) {
                CHECK(power_or_death(e));
            }
            cut = !computer.powered();
            computer.restart(pick);
            auto const found = found_on(computer);
            none += found ? 0U : 1U;
            CHECK((!found || *found == whole));
            if (!cut) CHECK(found);
            if (!found) copy(from, computer); // and what is left over is in nobody's way
            CHECK((found_on(computer) == whole));
        }
    }
    CHECK(none > 40);
    CHECK(operations > 4);
}

TEST_CASE("a power cut or a death leaves an older copy as it was or continued") {
    original from;
    auto const before = content_of(from.db.read());
    auto const id = from.db.read().id().value;
    from.grow(4);
    auto const after = content_of(from.db.read());
    auto const older = from.db.read({id});
    unsigned kept = 0;
    unsigned continued = 0;
    for (bool const death : {false, true}) {
        std::uint64_t operations = 0;
        for (bool cut = true; cut; ++operations) {
            for (std::uint64_t seed = 0; seed < 40; ++seed) {
                auto pick = testing::choices::random(seed, operations);
                testing::machine computer(seed);
                static_cast<void>(store::copy_to_medium(*older.state(), from.head(),
                                                        computer.start_process(), {}));
                if (death) {
                    computer.kill_after(operations);
                } else {
                    computer.fail_power_after(operations);
                }
                auto failed = false;
                try {
                    extend(from, computer);
                } catch (coppice::error const& e) {
                    CHECK(power_or_death(e));
                    failed = true;
                }
                cut = failed;
                computer.spare();
                if (!death) computer.restart(pick);
                auto const found = found_on(computer);
                REQUIRE(found);
                CHECK((*found == before || *found == after));
                if (!failed) CHECK(*found == after);
                kept += *found == before ? 1U : 0U;
                continued += failed && *found == after ? 1U : 0U;
                extend(from, computer); // whatever is left, it can be continued
                CHECK((found_on(computer) == after));
                computer.restart(pick);
                CHECK((found_on(computer) == after));
            }
        }
        CHECK(operations > 5);
    }
    CHECK(kept > 40);
    CHECK(continued > 10);
}

TEST_CASE("what does not continue a copy is refused and changes nothing") {
    original from;
    testing::machine computer(5);
    copy(from, computer);
    auto const before = found_on(computer);
    auto const refused = [&](original const& by) { return kind_of([&] { extend(by, computer); }); };
    CHECK(refused(original()) == errc::invalid_argument); // another database
    extend(from, computer);                               // nothing to do
    from.grow(1);
    auto const older = from.db.read({4});
    extend(from, computer);
    auto const to = std::make_shared<simulated_store>(computer.start_process(), coppice::options{});
    CHECK(kind_of([&] { static_cast<void>(store::continue_copy(older.state(), to)); }) ==
          errc::history_gone); // the copy is ahead
    {                          // the copy was written to by itself
        testing::database own(computer.start_process());
        own.update([](auto& t) { t.put("of", "its own"); });
    }
    from.grow(2);
    CHECK(refused(from) == errc::history_gone);
    testing::machine other(6);
    copy(from, other);
    from.db.compact();
    CHECK(kind_of([&] { extend(from, other); }) == errc::history_gone);
    CHECK(found_on(other) == content_of(from.db.read()));
    CHECK(before != found_on(computer));
}

TEST_CASE("what another writer has left in a copy is not written over") {
    original from;
    auto const older = from.db.read();
    from.grow(2);
    unsigned refused = 0;
    for (std::uint64_t index = 0; index < 400; ++index) {
        auto const operations = index % 10;
        auto pick = testing::choices::random(9, index);
        testing::machine computer(9);
        static_cast<void>(
            store::copy_to_medium(*older.state(), from.head(), computer.start_process(), {}));
        computer.kill_after(operations);
        try {
            testing::database own(computer.start_process(), proving::tiny());
            own.update([](auto& t) { t.put("of", proving::noise(5000)); });
        } catch (coppice::error const& e) {
            CHECK(power_or_death(e));
        }
        computer.spare();
        computer.restart(pick); // and in half of the cases the live page is lost
        simulated_store looking(computer.start_process(), {.read_only = true});
        auto const seen = looking.latest()->record().commit_id;
        auto const kind = kind_of([&] { extend(from, computer); });
        CHECK((!kind || kind == errc::history_gone));
        // Its bytes are there, and no slot names them: whether one did nobody knows.
        refused += kind && seen == older.id().value ? 1U : 0U;
        auto const found = found_on(computer);
        REQUIRE(found);
        CHECK((kind || *found == content_of(from.db.read())));
    }
    CHECK(refused > 0);
}

TEST_CASE("what is not committed is not copied") {
    original from;
    auto txn = from.db.write();
    txn.put("not", "committed");
    auto const view = txn.view();
    testing::machine computer(7);
    CHECK(kind_of([&] {
              static_cast<void>(
                  store::copy_to_medium(*view.state(), from.head(), computer.start_process(), {}));
          }) == errc::invalid_argument);
    CHECK_FALSE(found_on(computer));
    CHECK(kind_of([&] { copy(from, computer); }) == std::nullopt);
    CHECK(kind_of([&] { copy(from, computer); }) == errc::already_exists);
}

TEST_CASE("a copy that cannot be written leaves nothing") {
    original const from;
    testing::machine computer(8);
    computer.limit_disk(13'000);
    CHECK(kind_of([&] { copy(from, computer); }) == errc::io_failed);
    computer.limit_disk(std::uint64_t{1} << 30U);
    CHECK_FALSE(computer.start_process().discard_fresh());
    CHECK_FALSE(found_on(computer));
    copy(from, computer);
    CHECK(found_on(computer) == content_of(from.db.read()));
}

TEST_CASE("a copy that shares blocks ends with its commit and has a head of its own") {
    workbench::folder const folder;
    coppice::basic_database<sharing_medium> db(folder / "original.db", proving::tiny());
    for (unsigned i = 0; i < 20; ++i) {
        db.update([&](auto& t) { t.put(proving::numbered("k", i), proving::noise(3000, i)); });
    }
    auto const at = db.read({11});
    sharing_medium const original(folder / "original.db", false);
    auto head = store::copy_head{at.state()->image().header, 0};
    head.header = store::fresh_header(head.header.nodes, {1, 2});
    sharing_storage::written = 0;
    static_cast<void>(
        store::copy_to_medium(*at.state(), head, sharing_medium(folder / "copy.db", false),
                              std::shared_ptr<sharing_storage const>(sharing_medium(original).open(
                                  coppice::storage::access::read_only))));
    CHECK(sharing_storage::shared);
    CHECK(sharing_storage::written == std::filesystem::file_size(folder / "original.db") + 12288);
    CHECK(std::filesystem::file_size(folder / "copy.db") == at.state()->limit_offset());
    coppice::database copy(folder / "copy.db");
    CHECK((content_of(copy.read()) == content_of(at)));
    CHECK(copy.check().clean());
    copy.update([](auto& t) { t.put("of", "its own"); });
    CHECK(copy.check().clean());
    CHECK_FALSE(db.get("of"));
    CHECK(db.check().clean());
}
