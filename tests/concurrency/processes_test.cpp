// SPDX-License-Identifier: BSL-1.0
// Several processes on one database: writers, readers and a compactor, of which a killer ends some
// at random and starts them again. Nothing that was acknowledged is lost, every snapshot is right,
// and whoever begins to read after an acknowledgement sees it, in whatever process it was given.

#include <bank.hpp>
#include <catch2/catch.hpp>
#include <child_process.hpp>

#include <array>
#include <atomic>
#include <new>

#include <sys/mman.h>

namespace {

using coppice::database;
using workbench::child;
using workbench::reporter;

constexpr unsigned writer_count = 3;
constexpr unsigned reader_count = 2;

/// Memory that all processes share.
struct shared_state {
    std::atomic<bool> over{false};
    std::array<std::atomic<std::uint64_t>, writer_count> acknowledged{};
};

class shared_memory {
  public:
    shared_memory() {
        void* const page = ::mmap(nullptr, sizeof(shared_state), PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) throw std::bad_alloc();
        state_ = ::new (page) shared_state;
    }
    shared_memory(shared_memory const&) = delete;
    shared_memory& operator=(shared_memory const&) = delete;
    ~shared_memory() { ::munmap(state_, sizeof(shared_state)); }
    shared_state* operator->() const noexcept { return state_; }

  private:
    shared_state* state_;
};

enum : std::uint64_t { committed = 1, audited = 2, compacted = 3 };

using path = std::filesystem::path;

void write_for_ever(path const& where, shared_memory const& all, unsigned writer,
                    std::uint64_t seed, reporter const& to) {
    database db(where, bank::chosen());
    workbench::dice dice(seed);
    while (!all->over.load()) {
        auto txn = db.write();
        auto const count = bank::transfer(txn, dice, writer);
        if (dice.below(10) == 0) continue; // rolled back
        txn.commit(bank::any_durability(dice));
        all->acknowledged[writer].store(count);
        to.tell(committed, count);
    }
}

void read_for_ever(path const& where, shared_memory const& all, std::uint64_t seed,
                   reporter const& to) {
    auto chosen = bank::chosen();
    chosen.read_only = seed % 2 == 0;
    database db(where, chosen);
    workbench::dice dice(seed);
    std::uint64_t last = 0;
    auto held = db.read();
    std::string const remembered(*held.get(bank::account(1)));
    while (!all->over.load()) {
        std::array<std::uint64_t, writer_count> promised{};
        for (unsigned i = 0; i < writer_count; ++i) promised[i] = all->acknowledged[i].load();
        auto const state = db.read();
        bank::require(state.id().value >= last, "a reader went back in time");
        last = state.id().value;
        bank::audit(state, dice);
        for (unsigned i = 0; i < writer_count; ++i) {
            bank::require(bank::number_of(*state.get(bank::counter(i))) >= promised[i],
                          "an acknowledged commit is not to be seen in another process");
        }
        to.tell(audited, db.stats().generation);
    }
    bank::audit(held, dice);
    bank::require(*held.get(bank::account(1)) == remembered, "a held snapshot has changed");
}

void compact_for_ever(path const& where, shared_memory const& all, reporter const& to) {
    database db(where, bank::chosen());
    while (!all->over.load()) {
        bank::require(db.compact(), "a compaction was stopped");
        to.tell(compacted, db.stats().generation);
        workbench::sleep_ms(3);
    }
}

/// The processes, and what they have reported.
struct company {
    path where;
    shared_memory all{};
    std::vector<child> workers{}; // the writers, then the compactor
    std::array<std::uint64_t, writer_count> promised{};
    std::uint64_t compactions = 0;
    std::uint64_t commits = 0;
    std::uint64_t seed = 100;

    [[nodiscard]] child start(unsigned worker) {
        auto const number = ++seed;
        return child([this, worker, number](reporter const& to) {
            if (worker == writer_count) return compact_for_ever(where, all, to);
            write_for_ever(where, all, worker, number, to);
        });
    }
    void note(unsigned worker, std::vector<workbench::report> const& reports) {
        for (auto const& each : reports) {
            if (each.kind == compacted) {
                ++compactions;
            } else {
                ++commits;
                promised[worker] = std::max(promised[worker], each.number);
            }
        }
    }
};

void check_the_end(company& of) {
    database db(of.where, bank::chosen());
    workbench::dice dice(1);
    auto const state = db.read();
    CHECK_NOTHROW(bank::audit(state, dice));
    CHECK(db.check().clean());
    for (unsigned i = 0; i < writer_count; ++i) {
        INFO("writer " << i);
        CHECK(bank::number_of(*state.get(bank::counter(i))) >= of.promised[i]);
    }
    CHECK_NOTHROW(db.update([](auto& txn) { txn.put("after", "all"); }));
    CHECK_FALSE(std::filesystem::exists(of.where.string() + ".compact"));
}

} // namespace

TEST_CASE("processes that are killed at random lose nothing and mislead nobody") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    company all{here / "bank"};
    {
        database db(all.where, bank::chosen());
        bank::found(db, writer_count);
    }
    for (unsigned i = 0; i <= writer_count; ++i) all.workers.push_back(all.start(i));
    std::vector<child> reading;
    for (unsigned i = 0; i < reader_count; ++i) {
        reading.emplace_back(
            [&, i](reporter const& to) { read_for_ever(all.where, all.all, i, to); });
    }
    workbench::dice dice(42);
    auto const kills = 100 * workbench::scale();
    unsigned done = 0;
    for (; done < kills; ++done) {
        workbench::sleep_ms(1 + static_cast<unsigned>(dice.below(20)));
        for (unsigned i = 0; i <= writer_count; ++i) all.note(i, all.workers[i].reports_so_far());
        auto const victim = static_cast<unsigned>(dice.below(writer_count + 1));
        all.workers[victim].signal(SIGKILL);
        all.note(victim, all.workers[victim].all_reports());
        auto const ended = all.workers[victim].wait();
        CHECK(ended == 128 + SIGKILL); // 3: it had something to complain about
        if (ended != 128 + SIGKILL) break;
        all.workers[victim] = all.start(victim);
    }
    all.all->over = true;
    std::size_t audits = 0;
    for (auto& each : reading) {
        audits += each.all_reports().size();
        CHECK(each.wait() == 0);
    }
    for (unsigned i = 0; i <= writer_count; ++i) {
        all.note(i, all.workers[i].all_reports());
        CHECK(all.workers[i].wait() == 0);
    }
    check_the_end(all);
    CHECK(audits > 0);
    CHECK(all.commits > 0);
    std::printf("%u kills, %llu commits, %llu compactions, %zu audits by other processes\n", done,
                static_cast<unsigned long long>(all.commits),
                static_cast<unsigned long long>(all.compactions), audits);
}

TEST_CASE("readers of three processes cross a hundred compactions without a wrong answer") {
    if (workbench::skip_forks()) return;
    constexpr unsigned crossings = 100;
    workbench::folder const here;
    company all{here / "bank"};
    {
        database db(all.where, bank::chosen());
        bank::found(db, writer_count);
    }
    all.workers.push_back(all.start(0));
    std::vector<child> reading;
    for (unsigned i = 0; i < 3; ++i) {
        reading.emplace_back(
            [&, i](reporter const& to) { read_for_ever(all.where, all.all, i, to); });
    }
    database db(all.where, bank::chosen());
    std::size_t audits = 0;
    for (unsigned i = 0; i < crossings; ++i) {
        REQUIRE(db.compact());
        auto const generation = db.stats().generation;
        for (auto& each : reading) {
            std::uint64_t reached = 0;
            while (reached < generation) {
                auto const told = each.next_reports();
                REQUIRE_FALSE(told.empty()); // it had something to complain about
                audits += told.size();
                reached = told.back().number;
            }
        }
        all.note(0, all.workers[0].reports_so_far());
    }
    all.all->over = true;
    for (auto& each : reading) {
        audits += each.all_reports().size();
        CHECK(each.wait() == 0);
    }
    all.note(0, all.workers[0].all_reports());
    CHECK(all.workers[0].wait() == 0);
    CHECK(db.stats().generation == crossings + 1);
    check_the_end(all);
    std::printf("3 readers crossed %u compactions beside %llu commits: %zu audits\n", crossings,
                static_cast<unsigned long long>(all.commits), audits);
}

TEST_CASE("a reader follows the commits and compactions of another process by itself") {
    if (workbench::skip_forks()) return;
    workbench::folder const here;
    auto const where = here / "followed";
    { database const db(where, bank::chosen()); }
    std::array<int, 2> go{};
    REQUIRE(::pipe2(go.data(), O_CLOEXEC) == 0);
    child writer([&](reporter const& to) {
        database db(where, bank::chosen());
        char word = 0;
        for (unsigned i = 1; ::read(go[0], &word, 1) == 1; ++i) {
            if (word == 'x') return;
            if (word == 'k') db.compact();
            auto const id =
                db.update([&](auto& txn) { txn.put("round", std::to_string(i)); },
                          i % 2 == 0 ? coppice::durability::lazy : coppice::durability::sync);
            to.tell(committed, id.value);
        }
    });
    database reader(where, bank::chosen());
    auto read_only = bank::chosen();
    read_only.read_only = true;
    database second(where, read_only);
    auto const held = reader.read();
    for (unsigned i = 1; i <= 30; ++i) {
        REQUIRE(::write(go[1], i % 5 == 0 ? "k" : "c", 1) == 1);
        auto const told = writer.next_reports();
        REQUIRE(told.size() == 1);
        CHECK(reader.read().id().value == told[0].number);
        CHECK(second.read().id().value == told[0].number);
        CHECK(reader.get("round") == std::to_string(i));
        CHECK(second.get("round") == std::to_string(i));
    }
    CHECK(reader.stats().generation == 7);
    CHECK(held.empty());
    CHECK_NOTHROW(reader.update([](auto& txn) { txn.put("reader", "may write as well"); }));
    CHECK(second.get("reader") == "may write as well");
    REQUIRE(::write(go[1], "x", 1) == 1);
    CHECK(writer.wait() == 0);
    ::close(go[0]);
    ::close(go[1]);
}
