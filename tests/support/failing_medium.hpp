// SPDX-License-Identifier: BSL-1.0
#pragma once
// A database in memory whose n-th operation fails, and which counts its operations. Models the
// concepts `storage` and `medium` over the memory medium; the lock is the memory medium's own.

#include <coppice/error.hpp>
#include <coppice/storage/memory_medium.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

namespace failing {

/// What is counted, and what fails.
struct plan {
    std::uint64_t operations = 0; ///< writes, syncs, truncations, renames so far
    std::uint64_t fail_at = 0;    ///< the operation that fails; 0 is none
    bool for_ever = false;        ///< all operations after it fail as well
    std::uint64_t syncs = 0;
    std::uint64_t writes = 0;
    std::string failed{}; ///< what failed first

    void step(char const* what) {
        ++operations;
        if (fail_at == 0 || operations < fail_at || (operations > fail_at && !for_ever)) return;
        if (failed.empty()) failed = what;
        throw coppice::error(std::make_error_code(std::errc::io_error), what, "(failing)");
    }
};

/// Models `storage`.
class storage {
  public:
    storage(std::shared_ptr<coppice::storage::memory_storage> on, std::shared_ptr<plan> by)
        : memory_(std::move(on)), plan_(std::move(by)) {}

    [[nodiscard]] std::uint64_t size() const { return memory_->size(); }
    [[nodiscard]] std::size_t read(std::uint64_t offset, coppice::mutable_bytes to) const {
        return memory_->read(offset, to);
    }
    void write(std::uint64_t offset, coppice::bytes data) {
        ++plan_->writes;
        plan_->step(offset < 12288 && data.size() < 12288 ? "slot write" : "data write");
        memory_->write(offset, data);
    }
    void sync() {
        ++plan_->syncs;
        plan_->step("sync");
        memory_->sync();
    }
    void truncate(std::uint64_t size) {
        plan_->step("truncate");
        memory_->truncate(size);
    }
    [[nodiscard]] coppice::storage::mapped_view map(std::uint64_t size) const {
        return memory_->map(size);
    }
    [[nodiscard]] coppice::storage::file_identity identity() const { return memory_->identity(); }
    [[nodiscard]] coppice::storage::memory_storage& memory() const { return *memory_; }

  private:
    std::shared_ptr<coppice::storage::memory_storage> memory_;
    std::shared_ptr<plan> plan_;
};

/// Models `medium`. Copies share the place and the plan.
class medium {
  public:
    using storage_type = storage;
    using lock_type = coppice::storage::memory_medium::lock_type;

    explicit medium(std::shared_ptr<plan> by) : plan_(std::move(by)) {}

    [[nodiscard]] std::shared_ptr<storage> open(coppice::storage::access how) {
        return std::make_shared<storage>(memory_.open(how), plan_);
    }
    [[nodiscard]] std::shared_ptr<storage> fresh() {
        plan_->step("making a fresh file");
        return std::make_shared<storage>(memory_.fresh(), plan_);
    }
    void replace(storage& fresh) {
        plan_->step("rename");
        memory_.replace(fresh.memory());
    }
    void sync_name() {
        plan_->step("sync of the name");
        memory_.sync_name();
    }
    [[nodiscard]] bool discard_fresh() { return memory_.discard_fresh(); }
    [[nodiscard]] coppice::storage::standing compare(storage const& opened) {
        return memory_.compare(opened.memory());
    }
    [[nodiscard]] bool remove() { return memory_.remove(); }
    [[nodiscard]] std::shared_ptr<lock_type> lock() { return memory_.lock(); }
    [[nodiscard]] std::shared_ptr<lock_type> reader_lock() { return memory_.reader_lock(); }
    [[nodiscard]] std::string const& path() const { return memory_.path(); }

  private:
    coppice::storage::memory_medium memory_;
    std::shared_ptr<plan> plan_;
};

static_assert(coppice::storage::medium<medium>);

} // namespace failing
