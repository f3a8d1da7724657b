// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/housekeeper.hpp: compacts a database by itself, when enough of it is garbage.
// Owns: one thread, and when it is woken: by what this process commits, once it is published.
// Invariant: it compacts only what is due at that moment, and never beside another compaction. No
//   commit of its process begins on a file longer than `most_bytes`, unless the last attempt to
//   compact has failed. Its end does not wait for writers. A child of this process has no such
//   thread.

#include <coppice/error.hpp>
#include <coppice/options.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/store/compact.hpp>
#include <coppice/store/measure.hpp>
#include <coppice/store/store.hpp>
#include <coppice/tell.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

namespace coppice::inline COPPICE_ABI::store {

/// Is a state due to be compacted?
/// @param retained what the last compaction kept for older commits: it would do so again
[[nodiscard]] inline bool is_due(revision const& state, compaction_policy const& policy,
                                 std::uint64_t retained) noexcept {
    auto const valid = state.limit_offset();
    auto const live = live_bytes(state.record()) + retained;
    return policy.garbage_ratio > 0 && valid > policy.floor_bytes && valid > live &&
           static_cast<double>(valid - live) > policy.garbage_ratio * static_cast<double>(live);
}

/// How long the file of a state may become while it is compacted: half as much garbage again as
/// made it due, and no less than the floor.
[[nodiscard]] inline std::uint64_t most_bytes(revision const& state,
                                              compaction_policy const& policy,
                                              std::uint64_t retained) noexcept {
    constexpr auto past_due = 1.5;
    auto const live = static_cast<double>(live_bytes(state.record()) + retained);
    auto const most = live * (1 + past_due * policy.garbage_ratio);
    constexpr auto limit = static_cast<double>(format::max_file_bytes);
    auto const floor = static_cast<double>(policy.floor_bytes) * past_due;
    return static_cast<std::uint64_t>(std::min(std::max(most, floor), limit));
}

/// The thread that compacts a database. REQUIRES: one for a store. Belongs to the handle.
template <storage::medium Medium> class housekeeper {
  public:
    /// @throws std::system_error where there can be no thread
    explicit housekeeper(std::shared_ptr<store<Medium>> owner) : owner_(std::move(owner)) {
        thread_ = std::thread([this] { work(); });
        owner_->watch([this](revision const& state) { look_at(state); });
    }
    housekeeper(housekeeper const&) = delete;
    housekeeper& operator=(housekeeper const&) = delete;
    /// Ends a compaction that is under way undone, unless it is about to take its name.
    ~housekeeper() {
        if (owner_->lock()->is_forked()) { // it is the parent's
            thread_.detach();
            return;
        }
        owner_->watch({});
        stop_.request_stop();
        wake(signal::end);
        thread_.join();
        owner_->turn().reserve(false);
    }

  private:
    enum class signal : std::uint32_t { none, due, end };

    void wake(signal why) noexcept {
        auto seen = signal_.load();
        while (seen < why && !signal_.compare_exchange_weak(seen, why)) continue;
        signal_.notify_all();
    }

    /// Of each commit of this process.
    void look_at(revision const& state) noexcept {
        auto const& policy = owner_->chosen().compaction;
        auto const retained = known_retained(state);
        if (!is_due(state, policy, retained)) return;
        std::scoped_lock const guard(mutex_);
        auto const is_too_long = state.limit_offset() > most_bytes(state, policy, retained);
        if (is_too_long && !is_helpless_) owner_->turn().reserve(true);
        wake(signal::due);
    }

    /// Gives the turn back to everybody, unless it was reserved for the attempt that comes next.
    void end_attempt(bool done) noexcept {
        std::scoped_lock const guard(mutex_);
        is_helpless_ = !done;
        if (!done || signal_.load() != signal::due) owner_->turn().reserve(false);
    }

    void work() noexcept {
        for (;;) {
            signal_.wait(signal::none);
            auto seen = signal::due;
            if (!signal_.compare_exchange_strong(seen, signal::none)) return;
            auto const done = attempt();
            end_attempt(done);
            if (!done) rest();
        }
    }

    /// @return false if it is to be tried again, and not at once
    [[nodiscard]] bool attempt() noexcept {
        auto const& events = owner_->chosen().events;
        try {
            auto const done = compact_if_due();
            if (!done && !stop_.stop_requested()) wake(signal::due);
            return done;
        } catch (error const& e) {
            tell(events, &events::on_error, e);
        } catch (std::exception const& e) { // no memory
            tell(events, &events::log, log_level::error, std::string_view(e.what()));
        }
        return false; // the next commit wakes it
    }

    /// @return false if somebody else compacts now
    [[nodiscard]] bool compact_if_due() {
        auto const lock = owner_->medium().compaction_lock();
        storage::held_lock const held(*lock, courtesy::clock::now());
        if (!held.is_held()) return false;
        auto const now = state_in_file(owner_->current(false));
        if (!is_really_due(now)) return true;
        compaction_hooks hooks;
        hooks.most_bytes = most_bytes(*now, owner_->chosen().compaction, known_retained(*now));
        hooks.stop = stop_.get_token();
        static_cast<void>(detail::compaction<Medium>(owner_, hooks).run());
        return true;
    }

    /// Looks at the records. What a file retains does not change while it lives.
    [[nodiscard]] bool is_really_due(revision_ptr const& newest) {
        auto const retained = retained_bytes(newest);
        retained_ = retained;
        looked_at_ = newest->image().header.generation;
        return is_due(*newest, owner_->chosen().compaction, retained);
    }
    /// Reads nothing. Nothing, until that file was looked at: then it is looked at once too often.
    [[nodiscard]] std::uint64_t known_retained(revision const& state) const noexcept {
        return looked_at_ == state.image().header.generation ? retained_.load() : 0;
    }

    /// So that what fails again and again costs little.
    void rest() const {
        constexpr std::chrono::milliseconds piece{10};
        constexpr int pieces = 50;
        for (int i = 0; i < pieces && signal_.load() != signal::end; ++i) {
            std::this_thread::sleep_for(piece);
        }
    }

    std::shared_ptr<store<Medium>> owner_;
    std::atomic<signal> signal_{signal::none};
    std::atomic<std::uint64_t> retained_{0};  // bytes,
    std::atomic<std::uint64_t> looked_at_{0}; // of the file of this generation
    std::stop_source stop_;
    std::mutex mutex_;
    bool is_helpless_ = false; // the last attempt failed: nobody is kept waiting for the next
    std::thread thread_;
};

} // namespace coppice::inline COPPICE_ABI::store
