// SPDX-License-Identifier: BSL-1.0
// The process to which things happen: it does one job on one database file, and the drivers beside
// this file kill it, fail its system calls, fill its disk and cut its power. It says what was
// acknowledged, and what failed how; `audit`, in a fresh process, says what is there afterwards.
//   coppice_fault_worker prepare STATE PATH     leaves the file as a crash may leave it
//   coppice_fault_worker JOB PATH               what is disturbed, between two marks
//   coppice_fault_worker audit PATH LEAST MOST  is one whole commit of these there, and all well?
//   coppice_fault_worker fill HOW PATH          commits until the disk is full, and when it is not
//   coppice_fault_worker power PATH             commits until the power is cut
//   coppice_fault_worker mixed PATH COMMITS     commits in every way, compacts, opens again
//   coppice_fault_worker bank-... PATH ...      see bank_jobs.hpp

#include "bank_jobs.hpp"
#include "content.hpp"
#include "report.hpp"

#include <failing_call.hpp>

#include <coppice/database.hpp>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

namespace fs = std::filesystem;
using coppice::database;
using coppice::durability;
using faults::attempt;
using faults::ending;
using faults::say;
using faults::standing;

[[noreturn]] void contradict(std::string const& what) { throw faults::contradiction(what); }

void mark(char const* name) { static_cast<void>(::access(name, F_OK)); }

/// A handle that is used on after whatever failed, as a program would that reads the errors.
class user {
  public:
    user(fs::path path, coppice::options chosen)
        : path_(std::move(path)), chosen_(std::move(chosen)) {}

    /// Opens, and looks at what is there. @return false if that failed
    bool open() {
        auto const opened = attempt("open", [&] { db_.emplace(path_, chosen_); });
        if (opened != ending::done) return false;
        return look();
    }

    /// Commits the next number. After an error that changed nothing it may be tried again at once.
    ending commit(durability how) {
        if (!db_ && !open()) return ending::failed;
        auto const next = now_.number + 1;
        say("try " + std::to_string(next));
        auto const ended = attempt("commit", [&] { faults::commit_number(*db_, next, how); });
        if (ended == ending::done) {
            now_.number = next;
            say("ack " + std::to_string(next));
        }
        after(ended, {next, now_.filtered});
        return ended;
    }
    void sync() {
        if (!db_ && !open()) return;
        after(attempt("sync", [&] { db_->sync(); }), now_);
    }
    ending compact(bool filtering) {
        if (!db_ && !open()) return ending::failed;
        coppice::compaction_hooks hooks;
        auto const drops = [](std::string_view key, std::string_view) {
            return !key.starts_with(faults::droppable);
        };
        if (filtering) hooks.keep = drops;
        // EACCES for a lock that is only tried means that somebody has it: then one waits.
        hooks.longest_wait = std::chrono::seconds(2);
        auto const ended = attempt("compact", [&] {
            if (db_->compact(hooks)) return;
            throw coppice::error(coppice::errc::lock_unusable, "somebody compacts", path_.string());
        });
        auto const filtered = standing{now_.number, now_.filtered || filtering};
        if (ended == ending::done) now_ = filtered;
        after(ended, filtered);
        return ended;
    }
    /// Every way of reading.
    void read() {
        if (!db_ && !open()) return;
        static_cast<void>(attempt("read", [&] {
            require(faults::recognise(db_->read()) == now_, "the newest commit");
            for (auto const& each : db_->history()) {
                auto const then = faults::recognise(db_->read(each.id));
                require(then.number <= now_.number, "a commit of the past");
            }
            require(db_->get(faults::marks[1]) == std::to_string(now_.number), "one value");
        }));
    }
    void check() {
        if (!db_ && !open()) return;
        static_cast<void>(attempt("check", [&] {
            // What could not be read is a finding of the check.
            for (auto const& each : db_->check().findings) say("failed check 0 " + each.what);
        }));
    }

  private:
    static void require(bool holds, char const* what) {
        if (!holds) contradict(std::string("something else was read: ") + what);
    }

    bool look() {
        auto const looked = attempt("look", [&] {
            auto const found = faults::recognise(db_->read_latest());
            require(found == now_ || found == perhaps_ || !seen_, "after opening again");
            now_ = perhaps_ = found;
            seen_ = true;
        });
        if (looked != ending::done) db_.reset();
        return looked == ending::done;
    }

    /// A failed call has changed nothing; one whose outcome is unknown ends writing with the
    /// handle.
    void after(ending ended, standing const& wanted) {
        perhaps_ = ended == ending::unknown ? wanted : now_;
        if (ended == ending::unknown) {
            auto const again = attempt("refusal", [&] { static_cast<void>(db_->write()); });
            if (again == ending::done) contradict("a transaction after a failed sync");
            db_.reset();
            return;
        }
        static_cast<void>(attempt("read", [&] {
            require(faults::recognise(db_->read_latest()) == now_,
                    "after a commit, or a failed one");
        }));
    }

    fs::path path_;
    coppice::options chosen_;
    std::optional<database> db_;
    standing now_;
    standing perhaps_; ///< what may be there as well
    bool seen_ = false;
};

// ---- the jobs -----------------------------------------------------------------------------------

using job = std::function<void(fs::path const&)>;

void commit_often(fs::path const& path, durability how) {
    auto chosen = faults::chosen();
    chosen.create = coppice::create::never;
    user one(path, chosen);
    for (int i = 0; i < 3; ++i) one.commit(how);
    if (how == durability::lazy) one.sync();
}

std::map<std::string, job> const& jobs() {
    static std::map<std::string, job> const table{
        {"create",
         [](fs::path const& path) {
             user one(path, faults::chosen());
             one.commit(durability::sync);
         }},
        {"commit-sync", [](fs::path const& path) { commit_often(path, durability::sync); }},
        {"commit-lazy", [](fs::path const& path) { commit_often(path, durability::lazy); }},
        {"commit-two", [](fs::path const& path) { commit_often(path, durability::two_sync); }},
        {"compact",
         [](fs::path const& path) {
             user one(path, faults::chosen());
             one.compact(false);
             one.commit(durability::lazy);
             one.compact(true);
             one.commit(durability::sync);
         }},
        {"read",
         [](fs::path const& path) {
             auto chosen = faults::chosen();
             chosen.read_only = true;
             user(path, chosen).read();
         }},
        {"check", [](fs::path const& path) { user(path, faults::chosen()).check(); }},
    };
    return table;
}

void run_job(job const& what, fs::path const& path) {
    auto const before = faults::open_descriptors();
    mark("/coppice-fault-begin");
    what(path);
    mark("/coppice-fault-end");
    auto open = faults::open_descriptors();
    if (open != before) { // a lock that could not be given back properly is, with the next handle
        static_cast<void>(attempt("close", [&] { database const db(path, faults::chosen()); }));
        open = faults::open_descriptors();
    }
    say("open " + std::to_string(open - before));
    say("end");
}

/// Commits durably, and compacts now and then, until the power is cut.
void commit_for_ever(fs::path const& path) {
    user one(path, faults::chosen());
    for (unsigned i = 1;; ++i) {
        auto const how = i % 3 == 0 ? durability::two_sync : durability::sync;
        if (one.commit(how) != ending::done) return;
        if (i % 7 == 0 && one.compact(false) != ending::done) return;
    }
}

/// Commits in every way, compacts and opens again. What it calls acknowledged a power cut must not
/// take back, so it says nothing of a lazy or a deferred commit before its sync.
void commit_mixed(fs::path const& path, std::uint64_t commits) {
    constexpr std::array ways{durability::sync, durability::lazy,     durability::sync,
                              durability::lazy, durability::two_sync, durability::deferred};
    auto chosen = faults::chosen();
    chosen.flush.interval = {}; // without a thread: what is written when is the same each time
    std::optional<database> db(std::in_place, path, chosen);
    auto const acknowledge = [](std::uint64_t number) { say("ack " + std::to_string(number)); };
    auto const attempt_to = [](std::uint64_t number) { say("try " + std::to_string(number)); };
    for (std::uint64_t number = 1; number <= commits; ++number) {
        attempt_to(number);
        if (number % 7 == 0) { // two that are settled together, in three ways
            auto const first = number % 2 == 0 ? durability::sync : durability::two_sync;
            auto pending = faults::commit_pending(*db, number, first);
            attempt_to(++number);
            if (number % 3 == 0) {
                faults::commit_number(*db, number, durability::lazy);
                pending.wait();
                acknowledge(number - 1);
            } else {
                faults::commit_pending(*db, number, durability::sync).wait();
                acknowledge(number);
            }
        } else {
            auto const how = ways.at(number % ways.size());
            faults::commit_number(*db, number, how);
            if (how == durability::sync || how == durability::two_sync) acknowledge(number);
        }
        if (number % 5 == 0) {
            db->sync();
            acknowledge(number);
        }
        if (number % 11 == 0 && !db->compact()) contradict("nobody was in the way of compacting");
        if (number % 17 == 0) db.emplace(path, chosen);
    }
}

/// Commits until that fails, and something once more, since nothing has changed; then, when there
/// is space again, the same with the same handle.
void fill_disk(std::string const& how, fs::path const& path) {
    std::map<std::string, durability> const ways{{"sync", durability::sync},
                                                 {"lazy", durability::lazy},
                                                 {"two", durability::two_sync},
                                                 {"compact", durability::lazy}};
    user one(path, faults::chosen());
    auto const commit = [&] { return one.commit(ways.at(how)); };
    auto const once_more = [&] { return how == "compact" ? one.compact(false) : commit(); };
    while (commit() == ending::done) {
    }
    if (once_more() == ending::done) contradict("the disk is full for one commit only");
    say("full");
    static_cast<void>(std::getchar());
    if (commit() != ending::done || once_more() != ending::done) {
        contradict("there is space, and the handle does not commit");
    }
    say("end");
}

// ---- what a crash may leave ---------------------------------------------------------------------

/// Dies at the next call of a kind.
void die_at(long call) {
    workbench::failing_call deadly;
    deadly.number = call;
    deadly.kills = true;
    if (!workbench::fail_from_now_on(deadly)) ::_exit(77);
}

/// Damages the newer of the two superblock slots, as a write that was torn by a power cut.
void tear_newest_slot(fs::path const& path) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    std::array<std::uint64_t, 2> counters{};
    for (std::size_t i = 0; i < 2; ++i) {
        file.seekg(static_cast<std::streamoff>(4096 * (i + 1) + 8));
        file.read(reinterpret_cast<char*>(&counters[i]), 8);
    }
    auto const newest = counters[1] > counters[0] ? 8192 : 4096;
    file.seekp(newest + 40);
    file.write("torn", 4);
}

void prepare(std::string const& state, fs::path const& path) {
    if (state == "nothing") return;
    constexpr std::uint64_t commits = 8;
    database db(path, faults::chosen());
    for (std::uint64_t n = 1; n <= commits; ++n) faults::commit_number(db, n, durability::sync);
    say("ack " + std::to_string(commits));
    if (state == "unsynced" || state == "torn" || state == "no-page") die_at(SYS_fdatasync);
    if (state == "leftover") {
        die_at(SYS_renameat);
        db.compact();
    }
    if (state == "unclosed") {
        faults::commit_number(db, commits + 1, durability::lazy);
        say("ack " + std::to_string(commits + 1));
        ::_exit(0);
    }
    if (state == "base") return;
    say("try " + std::to_string(commits + 1));
    faults::commit_number(db, commits + 1, durability::sync);
}

/// Makes the live page one of another boot, if there is one, as the next start of the machine does.
void make_page_old(fs::path const& path) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    std::array<char, 104> page{};
    if (!file.read(page.data(), page.size()) || page[0] != 'l') return;
    page[8] = static_cast<char>(page[8] ^ 1); // of the boot id
    auto const sum = coppice::format::checksum(std::as_bytes(std::span(page).first(96)));
    coppice::format::store(reinterpret_cast<std::byte*>(page.data()) + 96, sum);
    file.seekp(0).write(page.data(), page.size());
}

/// What is done to the file when its process has died.
void disturb(std::string const& state, fs::path const& path) {
    if (state == "rebooted") make_page_old(path.string() + ".lock");
    if (state == "torn") tear_newest_slot(path);
    if (state == "no-page") fs::remove(path.string() + ".lock");
}

// ---- what is there afterwards -------------------------------------------------------------------

void audit(fs::path const& path, std::uint64_t least, std::uint64_t most) {
    standing found;
    {
        database db(path, faults::chosen());
        found = faults::recognise(db.read());
        auto txn = db.write_for(std::chrono::seconds(1));
        if (!txn) contradict("the lock is not free");
        auto const taken_over = faults::recognise(txn->view());
        if (found.number < least) contradict("shown: only " + std::to_string(found.number));
        if (taken_over.number < found.number) contradict("the writer has an older commit");
        found = taken_over;
        txn.reset();
        if (!db.check().clean()) contradict("the check is not clean");
        faults::commit_number(db, found.number + 1, durability::sync);
        if (faults::recognise(db.read()).number != found.number + 1) contradict("the next commit");
        if (!db.check().clean()) contradict("the check is not clean after the next commit");
    }
    if (found.number < least || found.number > most) {
        contradict("there is commit " + std::to_string(found.number));
    }
    for (auto const& each : fs::directory_iterator(path.parent_path())) {
        auto const name = each.path().filename();
        auto const own = path.filename().string();
        if (name != own && name != own + ".lock" && name != own + ".lock2") {
            contradict("left behind: " + name.string());
        }
    }
    say("ok " + std::to_string(found.number));
}

int run(std::vector<std::string> const& words) {
    if (words.size() < 2) return 2;
    auto const& verb = words[0];
    auto const found = jobs().find(verb);
    if (found != jobs().end()) {
        run_job(found->second, words[1]);
    } else if (verb == "prepare" && words.size() == 3) {
        prepare(words[1], words[2]);
    } else if (verb == "fill" && words.size() == 3) {
        fill_disk(words[1], words[2]);
    } else if (verb == "power") {
        commit_for_ever(words[1]);
    } else if (verb == "mixed" && words.size() == 3) {
        commit_mixed(words[1], std::stoull(words[2]));
    } else if (verb == "disturb" && words.size() == 3) {
        disturb(words[1], words[2]);
    } else if (verb == "audit" && words.size() == 4) {
        audit(words[1], std::stoull(words[2]), std::stoull(words[3]));
    } else if (verb == "jobs") {
        for (auto const& each : jobs()) say(each.first);
    } else {
        return faults::run_bank_job(words);
    }
    return 0;
}

} // namespace

int main(int count, char** words) {
    try {
        return run({words + 1, words + count});
    } catch (faults::contradiction const& e) {
        say(std::string("wrong ") + e.what());
    } catch (std::exception const& e) {
        say(std::string("raw ") + typeid(e).name() + " " + e.what());
    }
    return 1;
}
