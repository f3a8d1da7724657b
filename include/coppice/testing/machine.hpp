// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/testing/machine.hpp: a simulated computer with one disk and any number of processes.
// Owns: the files as processes see them, the names, the lock with its page, who is alive, the log
//   of all that was done, and the faults that are planned.
// Invariant: every operation goes through `run`, in the order in which it happens, so log, disk and
//   observer agree. A dead process changes nothing. Belongs to one thread.

#include <coppice/error.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/testing/choices.hpp>
#include <coppice/testing/disk.hpp>
#include <coppice/testing/fault.hpp>
#include <coppice/testing/file_memory.hpp>
#include <coppice/testing/power_cut.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace coppice::testing {

class simulated_medium;

/// A computer. Media, databases, transactions and snapshots refer to it: declare it before them.
class machine {
  public:
    /// An empty disk. @param seed of everything that is random on the machine
    explicit machine(std::uint64_t seed = 0) : machine(disk_image{}, seed) {}
    /// @param start what is on its disk
    explicit machine(disk_image start, std::uint64_t seed = 0) : random_(choices::random(seed)) {
        boot(testing::disk(std::move(start)));
    }
    /// Goes on with a disk whose cache is still there: what is found after all processes have died.
    explicit machine(testing::disk kept, std::uint64_t seed) : random_(choices::random(seed)) {
        boot(std::move(kept));
    }
    machine(machine const&) = delete;
    machine& operator=(machine const&) = delete;

    /// Starts a process, and gives the place of the database as that process sees it.
    [[nodiscard]] simulated_medium start_process();
    /// Ends a process at once, as SIGKILL does. Its handles do nothing any more.
    void kill(std::uint64_t process) {
        if (auto const at = processes_.find(process); at != processes_.end()) {
            deaths_ += std::exchange(at->second->alive, false) ? 1U : 0U;
        }
        if (lock_holder_ == process) lock_holder_ = 0;
        if (compacting_ == process) compacting_ = 0;
    }

    // ---- power -----------------------------------------------------------------------------

    /// The process that does it dies just before the operation that comes after `count` more.
    void kill_after(std::uint64_t count) noexcept {
        fail_power_after(count);
        only_the_process_ = true;
    }
    /// The power fails just before the operation that comes after `count` more of them.
    void fail_power_after(std::uint64_t count) noexcept {
        operations_left_ = count;
        only_the_process_ = false;
    }
    /// Calls off the death or power failure that was planned and has not come.
    void spare() noexcept { operations_left_ = never; }
    [[nodiscard]] bool powered() const noexcept { return powered_; }
    /// How many processes were killed since the machine was made.
    [[nodiscard]] std::uint64_t deaths() const noexcept { return deaths_; }
    /// Cuts the power, if it did not fail already, and starts again with what was left. All
    /// processes are dead. The plan of a fault, the limit of the disk and the clock stay.
    void restart(choices& pick, cut_level level = cut_level::sectors) {
        auto left = power_cut(disk_, level).image(pick);
        // The lock file is never synced: its page may be gone.
        if (pick.flip()) left.page = {};
        boot(testing::disk(std::move(left)));
    }

    // ---- faults ----------------------------------------------------------------------------

    /// Plans a fault; an earlier plan is given up.
    void plan(fault const& planned) { faults_ = fault_plan(planned); }
    void plan_nothing() { faults_ = fault_plan(); }
    [[nodiscard]] fault_plan const& faults() const noexcept { return faults_; }
    /// How large all files may be together. A write beyond it does a part and fails.
    void limit_disk(std::uint64_t size_bytes) noexcept { capacity_bytes_ = size_bytes; }
    /// Drops some sectors of the database that a failed sync has left clean from the cache: they
    /// are read from the disk again.
    void evict(choices& pick);

    // ---- looking ---------------------------------------------------------------------------

    /// A clock for `options::clock` that shows the same times in every run.
    [[nodiscard]] std::function<std::chrono::system_clock::time_point()> clock() {
        return [this] {
            now_ += std::chrono::milliseconds(1);
            return now_;
        };
    }

    /// Calls with each operation before it is done; an empty function ends that.
    void watch(std::function<void(operation const&)> observer) { observer_ = std::move(observer); }
    /// All that was done since the machine was started.
    [[nodiscard]] std::vector<operation> const& log() const noexcept { return log_; }
    [[nodiscard]] testing::disk const& disk() const noexcept { return disk_; }
    /// Keeps no log: for machines that are only opened and looked at, many times.
    void forget_log() noexcept {
        logging_ = false;
        log_.clear();
    }
    /// The bytes of the database itself, to be damaged. What is changed here is seen by processes,
    /// but not known to `disk()`.
    [[nodiscard]] mutable_bytes database_bytes() const {
        auto const& memory = file(database_);
        return {memory->data(), memory->size()};
    }
    /// Cuts the database, as somebody who does not know about databases would.
    void cut_database(std::uint64_t size_bytes) { file(database_)->resize(size_bytes); }
    /// How often a call was made.
    [[nodiscard]] std::uint64_t count(call what) const noexcept {
        return counts_[static_cast<std::size_t>(what)];
    }
    [[nodiscard]] std::uint64_t lock_holder() const noexcept { return lock_holder_; }
    /// Which process compacts, 0 if none.
    [[nodiscard]] std::uint64_t compacting() const noexcept { return compacting_; }

  private:
    friend class simulated_storage;
    friend class simulated_lock;
    friend class simulated_medium;

    struct process_state {
        storage::process_identity identity{};
        std::uint64_t poison_count = 0;
        bool alive = true;
    };

    void boot(testing::disk found);
    void require_alive(std::uint64_t process) const {
        auto const at = processes_.find(process);
        if (!powered_ || at == processes_.end() || !at->second->alive) {
            throw error(std::make_error_code(std::errc::io_error), "the process is dead", path_);
        }
    }
    /// Counts a call, and fails it if that is planned.
    void begin(std::uint64_t process, call what) {
        require_alive(process);
        ++counts_[static_cast<std::size_t>(what)];
        if (what != call::sync && what != call::write && faults_.fires(what)) fail(what);
    }
    [[noreturn]] void fail(call what) const {
        throw error(std::make_error_code(faults_.planned().reason),
                    std::string("a planned failure of ") + name_of(what), path_);
    }
    /// @throws error no_space_on_device for a file that no simulated disk can hold
    void require_room(std::uint64_t size_bytes) const {
        if (size_bytes > file_memory::capacity_bytes) {
            throw error(std::make_error_code(std::errc::no_space_on_device), "a small disk", path_);
        }
    }
    /// Does an operation, unless the power fails first.
    void run(operation done) {
        if (operations_left_ == 0) {
            operations_left_ = never;
            if (only_the_process_) {
                kill(done.process);
            } else {
                powered_ = false;
                lock_holder_ = compacting_ = 0;
            }
            throw error(std::make_error_code(std::errc::io_error), "the end came", path_);
        }
        if (operations_left_ != never) --operations_left_;
        if (observer_) observer_(done);
        disk_.take(done);
        if (logging_) log_.push_back(std::move(done));
    }
    void write(std::uint64_t process, std::uint64_t inode, std::uint64_t offset, bytes data);
    void sync(std::uint64_t process, std::uint64_t inode);
    void lose(std::uint64_t process, std::uint64_t inode, sync_failure how);
    /// Reads a file from the disk again, as some images of a power cut would have it.
    void revert(std::uint64_t process, std::uint64_t inode);

    /// Of all files that have a name or are open; the others are gone.
    [[nodiscard]] std::uint64_t used_bytes() {
        std::uint64_t sum = 0;
        std::erase_if(files_, [&](auto const& each) {
            auto const& [inode, memory] = each;
            if (inode != database_ && inode != companion_ && memory.use_count() == 1) return true;
            sum += memory->size();
            return false;
        });
        return sum;
    }
    [[nodiscard]] std::shared_ptr<file_memory> const& file(std::uint64_t inode) const {
        return files_.at(inode);
    }

    std::string path_ = "(simulated)";
    choices random_ = choices::random(0);
    testing::disk disk_;
    std::map<std::uint64_t, std::shared_ptr<file_memory>> files_;
    std::uint64_t next_inode_ = 1;
    std::uint64_t database_ = 0;
    std::uint64_t companion_ = 0;
    alignas(8) std::array<std::byte, 4096> page_{};
    std::uint64_t lock_holder_ = 0;
    std::uint64_t compacting_ = 0;  // who has the lock of compactions
    std::uint64_t last_holder_ = 0; // of either
    std::uint64_t owner_changes_ = 0;
    std::map<std::uint64_t, std::shared_ptr<process_state>> processes_;
    std::uint64_t next_process_ = 1;
    bool powered_ = true;
    static constexpr auto never = ~std::uint64_t{0};
    std::uint64_t operations_left_ = never;
    bool only_the_process_ = false;
    std::uint64_t deaths_ = 0;
    std::uint64_t capacity_bytes_ = never;
    fault_plan faults_;
    bool report_late_ = false;
    std::chrono::system_clock::time_point now_{std::chrono::seconds(1'000'000'000)};
    std::array<std::uint64_t, kinds_of_calls> counts_{};
    std::function<void(operation const&)> observer_;
    std::vector<operation> log_;
    bool logging_ = true;
};

inline void machine::boot(testing::disk found) {
    auto const& start = found.cached();
    files_.clear();
    for (auto const& [inode, content] : start.files) {
        auto const memory = file_memory::make(content.size());
        if (!content.empty()) std::memcpy(memory->data(), content.data(), content.size());
        files_[inode] = memory;
        next_inode_ = std::max(next_inode_, inode + 1);
    }
    database_ = start.database;
    companion_ = start.companion;
    page_ = start.page;
    lock_holder_ = compacting_ = 0;
    processes_.clear();
    powered_ = true;
    operations_left_ = never;
    report_late_ = false;
    log_.clear();
    disk_ = std::move(found);
}

inline void machine::write(std::uint64_t process, std::uint64_t inode, std::uint64_t offset,
                           bytes data) {
    begin(process, call::write);
    auto const& memory = file(inode);
    auto const end = offset + data.size();
    require_room(end);
    auto const grown = end > memory->size() ? end - memory->size() : 0;
    auto const room = capacity_bytes_ - std::min(capacity_bytes_, used_bytes());
    auto const planned = faults_.fires(call::write);
    auto const full = grown > room;
    auto done = data.size();
    if (planned) done = std::min(done, faults_.planned().bytes_done);
    if (full) done -= std::min<std::size_t>(done, grown - room);
    if (done != 0) {
        auto const part = data.first(done);
        run({operation_kind::write, inode, offset, {part.begin(), part.end()}, process});
        memory->resize(std::max<std::size_t>(memory->size(), offset + done));
        std::memcpy(memory->data() + offset, part.data(), done);
    }
    if (planned) fail(call::write);
    if (full) {
        throw error(std::make_error_code(std::errc::no_space_on_device), "a full disk", path_);
    }
}

inline void machine::sync(std::uint64_t process, std::uint64_t inode) {
    begin(process, call::sync);
    if (std::exchange(report_late_, false)) {
        lose(process, inode, sync_failure::clean);
        throw error(std::make_error_code(std::errc::io_error), "a failure told late", path_);
    }
    if (!faults_.fires(call::sync)) {
        run({operation_kind::sync, inode, 0, {}, process});
        return;
    }
    auto const how = faults_.planned().how;
    lose(process, inode, how);
    report_late_ = how == sync_failure::late;
    if (how == sync_failure::clean || how == sync_failure::reverted) fail(call::sync);
}

inline void machine::lose(std::uint64_t process, std::uint64_t inode, sync_failure how) {
    run({operation_kind::failed_sync, inode, 0, {}, process});
    if (how == sync_failure::reverted) revert(process, inode);
}

inline void machine::revert(std::uint64_t process, std::uint64_t inode) {
    auto left = power_cut(disk_).image(random_).files;
    auto const found = left.find(inode);
    if (found == left.end()) return;
    // The size is metadata, which is not lost: lost bytes read as zeros or as they were.
    found->second.resize(file(inode)->size());
    auto const& memory = file(inode);
    for (std::size_t at = 0; at < found->second.size(); at += sector_bytes) {
        auto const count = std::min(sector_bytes, found->second.size() - at);
        auto const begin = found->second.begin() + static_cast<std::ptrdiff_t>(at);
        if (std::equal(begin, begin + static_cast<std::ptrdiff_t>(count), memory->data() + at)) {
            continue;
        }
        run({operation_kind::evict,
             inode,
             at,
             {begin, begin + static_cast<std::ptrdiff_t>(count)},
             process});
        std::copy_n(begin, count, memory->data() + at);
    }
}

inline void machine::evict(choices& pick) {
    if (database_ == 0) return;
    auto const memory = file(database_);
    for (auto const sector : disk_.given_up_sectors(database_)) {
        if (pick.flip()) continue;
        auto const at = sector * sector_bytes;
        auto const& durable = disk_.durable().files.at(database_);
        std::vector<std::byte> content(std::min(sector_bytes, memory->size() - at));
        if (at < durable.size()) {
            std::copy_n(durable.begin() + static_cast<std::ptrdiff_t>(at),
                        std::min(content.size(), durable.size() - at), content.begin());
        }
        run({operation_kind::evict, database_, at, content, 0});
        std::copy(content.begin(), content.end(), memory->data() + at);
    }
}

} // namespace coppice::testing
