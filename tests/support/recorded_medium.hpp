// SPDX-License-Identifier: BSL-1.0
#pragma once
// A machine in memory with one database on it, which writes down everything that is done to its
// files, names and live page, in order. It can be made again from an image of any moment. Models
// the concepts `storage`, `writer_lock` and `medium`. Bytes beyond the last page of a file cannot
// be touched: that ends the process, as SIGBUS would. For one thread.

#include <coppice/error.hpp>
#include <coppice/storage/concepts.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <sys/mman.h>

namespace recorded {

using coppice::bytes;
using coppice::errc;
using coppice::error;
using coppice::mutable_bytes;

/// What can be done to a disk.
enum class op { write, truncate, sync, create, rename, discard, remove, sync_name, page };

struct operation {
    op what{};
    std::uint64_t inode = 0;
    std::uint64_t offset = 0; ///< of a write, or the new size
    std::vector<std::byte> data{};
};

/// All that is on a machine at one moment. An inode of 0 is none.
struct image {
    std::map<std::uint64_t, std::vector<std::byte>> files{};
    std::uint64_t at_path = 0;
    std::uint64_t companion = 0;
    std::array<std::byte, 4096> page{};
    std::uint64_t boot = 1;
};

/// What an operation does to an image. `size` bytes of a write are done.
inline void apply(image& to, operation const& done, std::size_t size) {
    auto& file = to.files[done.inode];
    switch (done.what) {
    case op::write:
        file.resize(std::max<std::size_t>(file.size(), done.offset + size));
        std::copy_n(done.data.begin(), size,
                    file.begin() + static_cast<std::ptrdiff_t>(done.offset));
        break;
    case op::truncate: file.resize(done.offset); break;
    case op::create: to.companion = done.inode; break;
    case op::rename:
        to.at_path = done.inode;
        if (to.companion == done.inode) to.companion = 0;
        break;
    case op::discard: to.companion = 0; break;
    case op::remove: to.at_path = 0; break;
    case op::page:
        std::copy(done.data.begin(), done.data.end(),
                  to.page.begin() + static_cast<std::ptrdiff_t>(done.offset));
        break;
    case op::sync:
    case op::sync_name: break;
    }
    if (file.empty() && done.inode == 0) to.files.erase(0);
}

/// The bytes of one file, at an address that does not change.
class file_memory {
  public:
    file_memory()
        : first_(static_cast<std::byte*>(::mmap(
              nullptr, capacity, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {
        if (static_cast<void*>(first_) == MAP_FAILED) throw std::bad_alloc();
    }
    file_memory(file_memory const&) = delete;
    file_memory& operator=(file_memory const&) = delete;
    ~file_memory() { ::munmap(first_, capacity); }

    [[nodiscard]] std::byte* data() const noexcept { return first_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    void resize(std::size_t size) {
        if (size > capacity) throw error(std::make_error_code(std::errc::no_space_on_device), "");
        if (size < size_) std::fill(first_ + size, first_ + size_, std::byte{0});
        auto const before = pages(size_);
        auto const after = pages(size);
        if (after > before) ::mprotect(first_ + before, after - before, PROT_READ | PROT_WRITE);
        if (after < before) ::mprotect(first_ + after, before - after, PROT_NONE);
        size_ = size;
    }

    static constexpr std::size_t capacity = std::size_t{64} << 20U;

  private:
    [[nodiscard]] static std::size_t pages(std::size_t size) noexcept {
        return (size + 4095) & ~std::size_t{4095};
    }
    std::byte* first_;
    std::size_t size_ = 0;
};

/// The machine. Handles share it.
struct machine {
    explicit machine(image const& start = {})
        : at_path(start.at_path), companion(start.companion), page(start.page), boot(start.boot) {
        for (auto const& [inode, content] : start.files) {
            auto const memory = add_file(inode);
            memory->resize(content.size());
            if (!content.empty()) std::memcpy(memory->data(), content.data(), content.size());
        }
        log.clear();
        set_identity();
    }

    std::shared_ptr<file_memory> add_file(std::uint64_t inode) {
        next_inode = std::max(next_inode, inode + 1);
        return files[inode] = std::make_shared<file_memory>();
    }
    void set_identity() {
        identity.boot_id.fill(static_cast<std::byte>(boot));
        identity.pid = 1;
        identity.start_time = 1;
        identity.token = 1;
    }
    void note(operation done) {
        if (recording) log.push_back(std::move(done));
    }
    /// What is on it now.
    [[nodiscard]] image now() const {
        image result;
        for (auto const& [inode, memory] : files) {
            result.files[inode].assign(memory->data(), memory->data() + memory->size());
        }
        result.at_path = at_path;
        result.companion = companion;
        result.page = page;
        result.boot = boot;
        return result;
    }
    [[nodiscard]] file_memory& database() { return *files.at(at_path); }

    std::map<std::uint64_t, std::shared_ptr<file_memory>> files;
    std::uint64_t next_inode = 1;
    std::uint64_t at_path;
    std::uint64_t companion;
    alignas(8) std::array<std::byte, 4096> page;
    std::uint64_t boot;
    coppice::storage::process_identity identity;
    bool held = false;
    std::uint64_t poisoned = 0;
    bool recording = true;
    std::vector<operation> log;
};

/// Models `storage`.
class storage {
  public:
    storage(std::shared_ptr<machine> on, std::uint64_t inode)
        : machine_(std::move(on)), inode_(inode), memory_(machine_->files.at(inode)) {}

    [[nodiscard]] std::uint64_t inode() const noexcept { return inode_; }
    [[nodiscard]] std::uint64_t size() const { return memory_->size(); }
    [[nodiscard]] std::size_t read(std::uint64_t offset, mutable_bytes buffer) const {
        if (offset >= memory_->size() || buffer.empty()) return 0;
        auto const count = std::min<std::size_t>(buffer.size(), memory_->size() - offset);
        std::memcpy(buffer.data(), memory_->data() + offset, count);
        return count;
    }
    void write(std::uint64_t offset, bytes data) {
        if (data.empty()) return;
        memory_->resize(std::max<std::size_t>(memory_->size(), offset + data.size()));
        std::memcpy(memory_->data() + offset, data.data(), data.size());
        machine_->note({op::write, inode_, offset, {data.begin(), data.end()}});
    }
    void sync() { machine_->note({op::sync, inode_}); }
    void truncate(std::uint64_t size) {
        memory_->resize(size);
        machine_->note({op::truncate, inode_, size});
    }
    [[nodiscard]] coppice::storage::mapped_view map(std::uint64_t) const {
        return {std::shared_ptr<std::byte const>(memory_, memory_->data()), file_memory::capacity};
    }
    [[nodiscard]] coppice::storage::file_identity identity() const { return {1, inode_}; }

  private:
    std::shared_ptr<machine> machine_;
    std::uint64_t inode_;
    std::shared_ptr<file_memory> memory_;
};

/// Models `writer_lock`.
class machine_lock {
  public:
    explicit machine_lock(std::shared_ptr<machine> on) : machine_(std::move(on)) {}

    [[nodiscard]] bool acquire(coppice::storage::deadline) {
        if (machine_->held) throw error(errc::would_deadlock, "a recorded machine");
        return machine_->held = true;
    }
    void release() noexcept { machine_->held = false; }
    void check_held() {
        if (!machine_->held) throw std::logic_error("the lock is not held");
    }
    [[nodiscard]] std::byte const* page() const noexcept { return machine_->page.data(); }
    void write_page(std::uint64_t offset, bytes data) {
        std::copy(data.begin(), data.end(),
                  machine_->page.begin() + static_cast<std::ptrdiff_t>(offset));
        machine_->note({op::page, 0, offset, {data.begin(), data.end()}});
    }
    [[nodiscard]] coppice::storage::process_identity const& identity() const noexcept {
        return machine_->identity;
    }
    void poison() noexcept { ++machine_->poisoned; }
    [[nodiscard]] std::uint64_t poison_count() const noexcept { return machine_->poisoned; }

  private:
    std::shared_ptr<machine> machine_;
};

/// Models `medium`.
class medium {
  public:
    using storage_type = storage;
    using lock_type = machine_lock;

    explicit medium(std::shared_ptr<machine> on) : machine_(std::move(on)) {}

    [[nodiscard]] std::shared_ptr<storage> open(coppice::storage::access) {
        if (machine_->at_path == 0) throw error(errc::not_found, "a recorded machine");
        return std::make_shared<storage>(machine_, machine_->at_path);
    }
    [[nodiscard]] std::shared_ptr<storage> fresh() {
        static_cast<void>(discard_fresh());
        machine_->companion = machine_->next_inode;
        machine_->add_file(machine_->companion);
        machine_->note({op::create, machine_->companion});
        return std::make_shared<storage>(machine_, machine_->companion);
    }
    void replace(storage& fresh) {
        machine_->at_path = fresh.inode();
        machine_->companion = 0;
        machine_->note({op::rename, fresh.inode()});
    }
    void sync_name() { machine_->note({op::sync_name}); }
    [[nodiscard]] bool discard_fresh() {
        if (machine_->companion == 0) return false;
        machine_->companion = 0;
        machine_->note({op::discard});
        return true;
    }
    [[nodiscard]] coppice::storage::standing compare(storage& open) {
        if (machine_->at_path == 0) return coppice::storage::standing::missing;
        return machine_->at_path == open.inode() ? coppice::storage::standing::same
                                                 : coppice::storage::standing::replaced;
    }
    [[nodiscard]] bool remove() {
        if (machine_->at_path == 0) return false;
        machine_->at_path = 0;
        machine_->note({op::remove});
        return true;
    }
    [[nodiscard]] std::shared_ptr<machine_lock> lock() {
        return std::make_shared<machine_lock>(machine_);
    }
    [[nodiscard]] std::shared_ptr<machine_lock> reader_lock() { return lock(); }
    [[nodiscard]] std::string const& path() const { return path_; }

  private:
    std::shared_ptr<machine> machine_;
    std::string path_ = "recorded machine";
};

static_assert(coppice::storage::medium<medium>);

} // namespace recorded
