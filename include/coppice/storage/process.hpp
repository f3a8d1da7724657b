// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/process.hpp: who this process is, and whether it is a fork of another.
// Owns: the one process-wide state of the room, which the registry of locks hangs on.
// Invariants: the state belongs to one process. Its page is wiped by fork, so a child finds it
//   invalid and makes its own; the parent's is left alone there, since its mutexes may be held by
//   threads that the child does not have. States are immutable, found without a lock, never freed.

#include <coppice/storage/concepts.hpp>
#include <coppice/storage/posix.hpp>
#include <coppice/storage/random_bits.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>

#include <sys/auxv.h>
#include <sys/mman.h>

namespace coppice::storage {

class lock_registry;

/// True in the process that made it, false in its forks.
class fork_mark {
  public:
    fork_mark() {
        void* const page =
            ::mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) posix::fail(errno, "allocating the page that detects forks", {});
        alive_ = ::new (page) std::atomic<std::uint32_t>(1);
        wiped_ = ::madvise(page, page_bytes, MADV_WIPEONFORK) == 0;
    }
    fork_mark(fork_mark const&) = delete;
    fork_mark& operator=(fork_mark const&) = delete;
    ~fork_mark() { ::munmap(alive_, page_bytes); }

    /// Without MADV_WIPEONFORK (before Linux 4.14, or under an emulator) the pid has to do.
    [[nodiscard]] bool holds() const noexcept {
        return wiped_ ? alive_->load(std::memory_order_relaxed) != 0 : pid_ == ::getpid();
    }

  private:
    // The kernel rounds a length up to whole pages, whatever their size is.
    static constexpr std::size_t page_bytes = 4096;
    std::atomic<std::uint32_t>* alive_ = nullptr;
    bool wiped_ = false;
    pid_t pid_ = ::getpid();
};

/// What one process has of this room. Immutable but for `randoms` and `locks`.
struct process_state {
    process_identity identity;
    /// Differs at each execve, is the same in every shared library of a process: pid and start
    /// time alone come again after execve, after a deterministic boot and in other containers.
    std::uint64_t image = 0;
    fork_mark mark;
    random_stock randoms; ///< of this process alone: two that share one would draw the same
    std::atomic<lock_registry*> locks{nullptr}; ///< set once, see lock_registry.hpp
    process_state* parent = nullptr;            ///< kept reachable for leak checkers
};

namespace detail {

/// The beginning of a file of /proc; empty where there is none. Never throws.
inline std::string_view read_proc(char const* path, std::array<char, 1024>& buffer) noexcept {
    auto const opened = posix::try_open_at(AT_FDCWD, path, O_RDONLY);
    auto const got = opened.file ? ::read(opened.file.get(), buffer.data(), buffer.size()) : -1;
    return {buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
}

inline std::array<std::byte, 16> read_boot_id() noexcept {
    std::array<char, 1024> buffer;
    std::array<std::byte, 16> id{};
    std::size_t digits = 0;
    for (char const c : read_proc("/proc/sys/kernel/random/boot_id", buffer)) {
        bool const decimal = c >= '0' && c <= '9';
        if (!decimal && (c < 'a' || c > 'f')) continue;
        auto const digit = static_cast<unsigned>(decimal ? c - '0' : c - 'a' + 10);
        if (digits < 32) id[digits / 2] |= static_cast<std::byte>(digit << (digits % 2 ? 0U : 4U));
        ++digits;
    }
    return id;
}

/// Field 22 of /proc/self/stat, in clock ticks since boot. Field 2 may hold blanks and brackets.
inline std::uint64_t read_start_time() noexcept {
    std::array<char, 1024> buffer;
    auto text = read_proc("/proc/self/stat", buffer);
    text.remove_prefix(std::min(text.rfind(')') + 1, text.size()));
    for (int field = 3; field <= 22; ++field) {
        text.remove_prefix(std::min(text.find(' ') + 1, text.size()));
        if (field < 22 && text.find(' ') == std::string_view::npos) return 0;
    }
    std::uint64_t ticks = 0;
    for (char const c : text.substr(0, text.find(' '))) {
        ticks = ticks * 10 + static_cast<std::uint64_t>(c - '0');
    }
    return ticks;
}

/// Folds the 16 random bytes that the kernel gives each program it starts.
inline std::uint64_t image_id() noexcept {
    auto const address = ::getauxval(AT_RANDOM);
    if (address == 0) return 0;
    std::array<std::uint64_t, 2> halves{};
    std::memcpy(halves.data(), reinterpret_cast<void const*>(address), sizeof halves);
    // The raw bytes seed stack protectors, so what lands in a file must not give them away.
    std::uint64_t mixed = halves[0] * 0x9E37'79B9'7F4A'7C15U ^ halves[1];
    mixed = (mixed ^ (mixed >> 32U)) * 0xD6E8'FEB8'6659'FD93U;
    return mixed ^ (mixed >> 32U);
}

inline std::unique_ptr<process_state> make_process_state(process_state* parent) {
    auto state = std::make_unique<process_state>();
    state->identity.boot_id = read_boot_id();
    state->identity.pid = static_cast<std::uint64_t>(::getpid());
    state->identity.start_time = read_start_time();
    state->identity.token = random_bits();
    state->image = image_id();
    state->parent = parent;
    return state;
}

} // namespace detail

/// Where the state of the process stands. Exported even from libraries with hidden symbols, so
/// that they share it where the dynamic linker lets them. Constant-initialised: no guard that a
/// fork could catch half-way.
[[gnu::visibility("default")]] inline std::atomic<process_state*>& process_slot() noexcept {
    static constinit std::atomic<process_state*> slot{nullptr};
    return slot;
}

/// The state of this process, made at first use and made again in a fork.
/// Any thread may call it. Cost when made: two loads. Throws `errc::io_failed` or bad_alloc.
[[nodiscard]] inline process_state& current_process() {
    auto& slot = process_slot();
    auto* seen = slot.load(std::memory_order_acquire);
    while (seen == nullptr || !seen->mark.holds()) {
        auto fresh = detail::make_process_state(seen);
        if (slot.compare_exchange_strong(seen, fresh.get(), std::memory_order_acq_rel,
                                         std::memory_order_acquire)) {
            return *fresh.release();
        }
    }
    return *seen;
}

/// Is this process another than the one whose identity has that token? Safe in a child of a
/// process with threads: allocates nothing, locks nothing. Cost: three loads.
[[nodiscard]] inline bool forked(std::uint64_t token) noexcept {
    auto const* const state = process_slot().load(std::memory_order_acquire);
    return state == nullptr || !state->mark.holds() || state->identity.token != token;
}

/// Throws `errc::forked` where `forked(token)`.
inline void require_not_forked(std::uint64_t token, std::string const& path) {
    if (forked(token)) {
        throw error(errc::forked, "a fork cannot write with its parent's handle; open again", path);
    }
}

} // namespace coppice::storage
