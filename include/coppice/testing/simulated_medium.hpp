// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/testing/simulated_medium.hpp: a database on a simulated machine.
// Owns: `simulated_storage`, `simulated_lock` and `simulated_medium`, which model the concepts
//   `storage`, `writer_lock` and `medium` for one process of a `machine`.
// Invariant: the engine runs unchanged on them: the code under test is the code that ships.

#include <coppice/database.hpp>
#include <coppice/error.hpp>
#include <coppice/format/endian.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/testing/machine.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

namespace coppice::testing {

/// A file that a process has open.
class simulated_storage {
  public:
    simulated_storage(machine& on, std::uint64_t process, std::uint64_t inode)
        : machine_(&on), process_(process), inode_(inode), memory_(on.file(inode)) {}

    [[nodiscard]] std::uint64_t size() const { return memory_->size(); }
    [[nodiscard]] std::size_t read(std::uint64_t offset, mutable_bytes buffer) const {
        machine_->begin(process_, call::read);
        if (offset >= memory_->size() || buffer.empty()) return 0;
        auto const count = std::min<std::size_t>(buffer.size(), memory_->size() - offset);
        std::memcpy(buffer.data(), memory_->data() + offset, count);
        return count;
    }
    void write(std::uint64_t offset, bytes data) {
        if (!data.empty()) machine_->write(process_, inode_, offset, data);
    }
    void sync() { machine_->sync(process_, inode_); }
    void truncate(std::uint64_t size_bytes) {
        machine_->begin(process_, call::truncate);
        machine_->require_room(size_bytes);
        machine_->run({operation_kind::truncate, inode_, size_bytes, {}, process_});
        memory_->resize(size_bytes);
    }
    [[nodiscard]] storage::mapped_view map(std::uint64_t /*size_bytes*/) const {
        machine_->begin(process_, call::map);
        return {std::shared_ptr<std::byte const>(memory_, memory_->data()),
                file_memory::capacity_bytes};
    }
    [[nodiscard]] storage::file_identity identity() const noexcept { return {1, inode_}; }

  private:
    machine* machine_;
    std::uint64_t process_;
    std::uint64_t inode_;
    std::shared_ptr<file_memory> memory_;
};

/// The writers' lock of the database, or that of compactions, as one process has it.
class simulated_lock {
  public:
    simulated_lock(machine& on, std::uint64_t process, std::uint64_t& holder)
        : machine_(&on), process_(process), holder_(&holder), me_(on.processes_.at(process)) {}

    /// There is nobody to wait for in one thread: a lock that another process holds is not had.
    [[nodiscard]] bool acquire(storage::deadline until) {
        machine_->begin(process_, call::lock);
        if (*holder_ == process_) {
            throw error(errc::would_deadlock, "finish this process's transaction first");
        }
        if (*holder_ != 0 && until) return false;
        if (*holder_ != 0) throw std::logic_error("a simulated process would wait for ever");
        *holder_ = process_;
        if (std::exchange(machine_->last_holder_, process_) != process_) {
            ++machine_->owner_changes_;
        }
        return true;
    }
    void bind(std::thread::id /*thread*/) noexcept {} // there is but one
    void unbind(std::thread::id /*thread*/) noexcept {}
    [[nodiscard]] static bool is_forked() noexcept { return false; }
    void release() noexcept {
        if (*holder_ == process_) *holder_ = 0;
    }
    void check_held() const {
        machine_->require_alive(process_);
        if (*holder_ != process_) throw error(errc::lock_lost, "a simulated lock");
    }
    [[nodiscard]] std::byte const* page() const noexcept { return machine_->page_.data(); }
    void write_page(std::uint64_t offset, bytes data) {
        machine_->begin(process_, call::page);
        check_held();
        machine_->run({operation_kind::page, 0, offset, {data.begin(), data.end()}, process_});
        std::copy(data.begin(), data.end(),
                  machine_->page_.begin() + static_cast<std::ptrdiff_t>(offset));
    }
    [[nodiscard]] storage::process_identity const& identity() const noexcept {
        return me_->identity;
    }
    [[nodiscard]] std::uint64_t owner_changes() const noexcept { return machine_->owner_changes_; }
    void poison() noexcept { ++me_->poison_count; }
    [[nodiscard]] std::uint64_t poison_count() const noexcept { return me_->poison_count; }

  private:
    machine* machine_;
    std::uint64_t process_;
    std::uint64_t* holder_;
    std::shared_ptr<machine::process_state> me_;
};

/// The place of the database, as one process sees it. Copies are of the same process.
class simulated_medium {
  public:
    using storage_type = simulated_storage;
    using lock_type = simulated_lock;

    simulated_medium(machine& on, std::uint64_t process) : machine_(&on), process_(process) {}

    /// To be given to `machine::kill`.
    [[nodiscard]] std::uint64_t process() const noexcept { return process_; }

    [[nodiscard]] std::shared_ptr<simulated_storage> open(storage::access /*how*/) {
        machine_->begin(process_, call::open);
        if (machine_->database_ == 0) throw error(errc::not_found, "nothing is there", path());
        return std::make_shared<simulated_storage>(*machine_, process_, machine_->database_);
    }
    [[nodiscard]] std::shared_ptr<simulated_storage> fresh() {
        static_cast<void>(discard_fresh());
        machine_->begin(process_, call::fresh);
        auto const inode = machine_->next_inode_;
        auto memory = file_memory::make();
        machine_->run({operation_kind::create, inode, 0, {}, process_});
        ++machine_->next_inode_;
        machine_->files_[inode] = std::move(memory);
        machine_->companion_ = inode;
        return std::make_shared<simulated_storage>(*machine_, process_, inode);
    }
    void replace(simulated_storage const& fresh) {
        machine_->begin(process_, call::rename);
        auto const inode = fresh.identity().inode;
        if (machine_->companion_ != inode) {
            throw error(std::make_error_code(std::errc::no_such_file_or_directory),
                        "the fresh file was taken away", path());
        }
        machine_->run({operation_kind::rename, inode, 0, {}, process_});
        machine_->database_ = inode;
        machine_->companion_ = 0;
    }
    void sync_name() {
        machine_->begin(process_, call::sync_name);
        machine_->run({operation_kind::sync_name, 0, 0, {}, process_});
    }
    [[nodiscard]] bool discard_fresh() {
        machine_->begin(process_, call::discard);
        if (machine_->companion_ == 0) return false;
        machine_->run({operation_kind::discard, 0, 0, {}, process_});
        machine_->companion_ = 0;
        return true;
    }
    [[nodiscard]] std::optional<storage::file_identity> companion() const {
        machine_->require_alive(process_);
        if (machine_->companion_ == 0) return {};
        return storage::file_identity{1, machine_->companion_};
    }
    [[nodiscard]] storage::standing compare(simulated_storage const& opened) const {
        if (machine_->database_ == 0) return storage::standing::missing;
        return machine_->database_ == opened.identity().inode ? storage::standing::same
                                                              : storage::standing::replaced;
    }
    [[nodiscard]] bool remove() {
        machine_->begin(process_, call::remove);
        if (machine_->database_ == 0) return false;
        machine_->run({operation_kind::remove, 0, 0, {}, process_});
        machine_->database_ = 0;
        return true;
    }
    [[nodiscard]] std::shared_ptr<simulated_lock> lock() {
        machine_->require_alive(process_);
        return std::make_shared<simulated_lock>(*machine_, process_, machine_->lock_holder_);
    }
    [[nodiscard]] std::shared_ptr<simulated_lock> reader_lock() { return lock(); }
    [[nodiscard]] std::shared_ptr<simulated_lock> compaction_lock() {
        machine_->require_alive(process_);
        return std::make_shared<simulated_lock>(*machine_, process_, machine_->compacting_);
    }
    /// The same numbers in every run, since the machine was given a seed.
    [[nodiscard]] std::uint64_t random() { return machine_->random_.below(~std::uint64_t{0}); }
    [[nodiscard]] std::string const& path() const noexcept { return machine_->path_; }

  private:
    machine* machine_;
    std::uint64_t process_;
};

static_assert(storage::medium<simulated_medium>);

inline simulated_medium machine::start_process() {
    auto const number = next_process_++;
    auto const made = std::make_shared<process_state>();
    format::store(made->identity.boot_id.data(), disk_.cached().boot);
    made->identity.pid = number;
    made->identity.start_time = number;
    made->identity.token = number;
    processes_[number] = made;
    return {*this, number};
}

/// A database on a simulated machine.
using database = basic_database<simulated_medium>;

} // namespace coppice::testing
