// SPDX-License-Identifier: BSL-1.0
#pragma once
// A medium in memory whose device can be held up: a sync returns when the gate lets it. All that is
// written and synced is in a log, in the order in which it was asked for. For any number of
// threads.

#include <coppice/error.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/storage/memory_medium.hpp>
#include <coppice/storage/memory_storage.hpp>
#include <medium_around.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace gated {

/// What was asked of the device.
enum class step : std::uint8_t { write, sync_begins, sync_ends };
struct entry {
    step what{};
    std::uint64_t inode = 0;
    std::uint64_t offset = 0;
    std::uint64_t end_offset = 0;
};

/// What stands between the program and the device. Shared by all handles.
class gate {
  public:
    void write(std::uint64_t inode, std::uint64_t offset, std::uint64_t size_bytes) {
        std::scoped_lock const guard(mutex_);
        log_.push_back({step::write, inode, offset, offset + size_bytes});
    }
    void sync(std::uint64_t inode) {
        std::unique_lock guard(mutex_);
        log_.push_back({step::sync_begins, inode, 0, 0});
        ++waiting_;
        changed_.notify_all();
        changed_.wait(guard, [this] { return !closed_ || may_pass_ != 0; });
        if (closed_) --may_pass_;
        if (takes_.count() != 0) {
            guard.unlock();
            std::this_thread::sleep_for(takes_);
            guard.lock();
        }
        --waiting_;
        log_.push_back({step::sync_ends, inode, 0, 0});
        if (std::exchange(fails_, false)) {
            throw coppice::error(std::make_error_code(std::errc::io_error), "a planned failure");
        }
    }

    /// Holds syncs up from now on.
    void close() {
        std::scoped_lock const guard(mutex_);
        closed_ = true;
    }
    /// Lets them go; @param fails does the first that returns fail?
    void open(bool fails = false) {
        std::scoped_lock const guard(mutex_);
        closed_ = false;
        fails_ = fails;
        changed_.notify_all();
    }
    /// Lets one go; those after it are held up.
    void let_one_pass() {
        std::scoped_lock const guard(mutex_);
        ++may_pass_;
        changed_.notify_all();
    }
    /// How long each sync takes at least.
    void slow_down(std::chrono::microseconds takes) {
        std::scoped_lock const guard(mutex_);
        takes_ = takes;
    }
    /// Waits until a sync is held up.
    void wait_for_sync() {
        std::unique_lock guard(mutex_);
        changed_.wait(guard, [this] { return waiting_ != 0; });
    }
    [[nodiscard]] std::vector<entry> log() const {
        std::scoped_lock const guard(mutex_);
        return log_;
    }
    void forget_log() {
        std::scoped_lock const guard(mutex_);
        log_.clear();
    }

  private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<entry> log_;
    std::chrono::microseconds takes_{0};
    int waiting_ = 0;
    int may_pass_ = 0;
    bool closed_ = false;
    bool fails_ = false;
};

/// Models `storage`.
class storage {
  public:
    storage(std::shared_ptr<coppice::storage::memory_storage> inner, std::shared_ptr<gate> through)
        : inner_(std::move(inner)), gate_(std::move(through)) {}

    [[nodiscard]] std::uint64_t size() const { return inner_->size(); }
    [[nodiscard]] std::size_t read(std::uint64_t offset, coppice::mutable_bytes buffer) const {
        return inner_->read(offset, buffer);
    }
    void write(std::uint64_t offset, coppice::bytes data) {
        gate_->write(identity().inode, offset, data.size());
        inner_->write(offset, data);
    }
    void sync() { gate_->sync(identity().inode); }
    void truncate(std::uint64_t size_bytes) { inner_->truncate(size_bytes); }
    [[nodiscard]] coppice::storage::mapped_view map(std::uint64_t size_bytes) const {
        return inner_->map(size_bytes);
    }
    [[nodiscard]] coppice::storage::file_identity identity() const { return inner_->identity(); }
    [[nodiscard]] coppice::storage::memory_storage& inner() const noexcept { return *inner_; }

  private:
    std::shared_ptr<coppice::storage::memory_storage> inner_;
    std::shared_ptr<gate> gate_;
};

/// Models `medium`.
class medium : public support::medium_around<storage, coppice::storage::memory_medium> {
  public:
    medium() : medium(std::make_shared<gate>()) {}

    [[nodiscard]] gate& device() const noexcept { return *gate_; }

  private:
    explicit medium(std::shared_ptr<gate> const& through)
        : medium_around(
              {},
              [through](auto file) { return std::make_shared<storage>(std::move(file), through); }),
          gate_(through) {}

    std::shared_ptr<gate> gate_;
};

static_assert(coppice::storage::medium<medium>);

} // namespace gated
