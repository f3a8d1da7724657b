// SPDX-License-Identifier: BSL-1.0
#pragma once
// A medium in memory that counts and writes down what is asked of it, and on which one chosen call
// fails. Models `storage` and `medium` around those of memory; the lock is that of memory. Handles
// and copies share the counts and the plan. For one thread.

#include <coppice/error.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/storage/memory_medium.hpp>
#include <coppice/storage/memory_storage.hpp>
#include <medium_around.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace faulty {

/// What can fail.
enum class call : std::uint8_t { write, sync, truncate, fresh, rename, sync_name, discard };
inline constexpr std::size_t kinds_of_calls = 7;

[[nodiscard]] inline char const* name_of(call what) {
    constexpr std::array<char const*, kinds_of_calls> names{
        "write", "sync", "truncate", "fresh", "rename", "sync_name", "discard"};
    return names[static_cast<std::size_t>(what)];
}

/// A call as it was made.
struct entry {
    call what{};
    std::uint64_t inode = 0;
    std::uint64_t offset = 0;
    std::uint64_t size_bytes = 0;

    friend bool operator==(entry const&, entry const&) = default;
};

/// What was asked for, and what is to fail. Shared by all handles.
struct plan {
    std::array<std::uint64_t, kinds_of_calls> counts{};
    std::vector<entry> log{};
    std::optional<call> failing{};     ///< which kind of call fails
    std::uint64_t calls_before_it = 0; ///< how many of that kind succeed first
    bool half_written = false;         ///< does a failing write leave half of its bytes?
    bool for_ever = false;             ///< do all calls of that kind fail from then on?
    std::uint64_t failures = 0;        ///< how many calls did fail
    std::optional<std::uint64_t> sizes_before_it{}; ///< so many questions for a size succeed first
    std::error_code reason = std::make_error_code(std::errc::no_space_on_device);

    [[nodiscard]] std::uint64_t count(call what) const {
        return counts[static_cast<std::size_t>(what)];
    }
    /// Forgets the counts and the log; the next `n` calls of a kind succeed and then one fails.
    void fail_after(call what, std::uint64_t n) {
        begin_anew();
        failing = what;
        calls_before_it = n;
    }
    void begin_anew() {
        counts = {};
        log.clear();
        failing.reset();
        failures = 0;
    }
    /// @return is this the call that fails?
    [[nodiscard]] bool note(entry const& made) {
        log.push_back(made);
        ++counts[static_cast<std::size_t>(made.what)];
        if (failing != made.what) return false;
        if (calls_before_it != 0) {
            --calls_before_it;
            return false;
        }
        if (!for_ever) failing.reset();
        ++failures;
        return true;
    }
    /// A question for a size, which is not in the log.
    void note_size() {
        if (!sizes_before_it || (*sizes_before_it)-- != 0) return;
        sizes_before_it.reset();
        ++failures;
        throw coppice::error(reason, "a planned failure of size");
    }
    [[noreturn]] void fail(call what) const {
        throw coppice::error(reason, std::string("a planned failure of ") + name_of(what));
    }
};

/// Models `storage`.
class storage {
  public:
    storage(std::shared_ptr<coppice::storage::memory_storage> inner, std::shared_ptr<plan> on)
        : inner_(std::move(inner)), plan_(std::move(on)) {}

    [[nodiscard]] std::uint64_t size() const {
        plan_->note_size();
        return inner_->size();
    }
    [[nodiscard]] std::size_t read(std::uint64_t offset, coppice::mutable_bytes buffer) const {
        return inner_->read(offset, buffer);
    }
    void write(std::uint64_t offset, coppice::bytes data) {
        if (plan_->note({call::write, identity().inode, offset, data.size()})) {
            if (plan_->half_written) inner_->write(offset, data.first(data.size() / 2));
            plan_->fail(call::write);
        }
        inner_->write(offset, data);
    }
    void sync() {
        if (plan_->note({call::sync, identity().inode, 0, 0})) plan_->fail(call::sync);
    }
    void truncate(std::uint64_t size_bytes) {
        if (plan_->note({call::truncate, identity().inode, size_bytes, 0})) {
            plan_->fail(call::truncate);
        }
        inner_->truncate(size_bytes);
    }
    [[nodiscard]] coppice::storage::mapped_view map(std::uint64_t size_bytes) const {
        return inner_->map(size_bytes);
    }
    [[nodiscard]] coppice::storage::file_identity identity() const { return inner_->identity(); }
    [[nodiscard]] coppice::storage::memory_storage& inner() const noexcept { return *inner_; }

  private:
    std::shared_ptr<coppice::storage::memory_storage> inner_;
    std::shared_ptr<plan> plan_;
};

/// Models `medium`.
class medium : public support::medium_around<storage, coppice::storage::memory_medium> {
  public:
    medium() : medium(std::make_shared<plan>()) {}

    [[nodiscard]] plan& told() const noexcept { return *plan_; }

    [[nodiscard]] std::shared_ptr<storage> fresh() {
        note(call::fresh);
        return medium_around::fresh();
    }
    void replace(storage const& fresh) {
        note(call::rename, fresh.identity().inode);
        medium_around::replace(fresh);
    }
    void sync_name() {
        note(call::sync_name);
        medium_around::sync_name();
    }
    [[nodiscard]] bool discard_fresh() {
        note(call::discard);
        return medium_around::discard_fresh();
    }

  private:
    explicit medium(std::shared_ptr<plan> const& on)
        : medium_around({},
                        [on](auto file) { return std::make_shared<storage>(std::move(file), on); }),
          plan_(on) {}

    void note(call what, std::uint64_t inode = 0) {
        if (plan_->note({what, inode, 0, 0})) plan_->fail(what);
    }

    std::shared_ptr<plan> plan_;
};

static_assert(coppice::storage::storage<storage>);
static_assert(coppice::storage::medium<medium>);

} // namespace faulty
