// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/flusher.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <condition_variable>
#include <mutex>

using namespace std::chrono_literals;
using coppice::store::flusher;

namespace {

/// Work that is counted, and can be waited for.
class counted_work {
  public:
    /// @param tries how often it says that it is to be tried again
    flusher::work function(int tries = 0) {
        return [this, tries]() -> std::optional<flusher::clock::duration> {
            std::scoped_lock const guard(mutex_);
            ++done_;
            thread_ = std::this_thread::get_id();
            changed_.notify_all();
            return done_ <= tries ? std::optional<flusher::clock::duration>(1ms) : std::nullopt;
        };
    }
    void wait_for(int count) {
        std::unique_lock guard(mutex_);
        changed_.wait(guard, [&] { return done_ >= count; });
    }
    [[nodiscard]] int done() {
        std::scoped_lock const guard(mutex_);
        return done_;
    }
    [[nodiscard]] std::thread::id thread() {
        std::scoped_lock const guard(mutex_);
        return thread_;
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int done_ = 0;
    std::thread::id thread_;
};

} // namespace

TEST_CASE("a flusher works once for each time it is armed and in a thread of its own") {
    counted_work work;
    flusher timer;
    timer.start(work.function());
    for (int round = 1; round <= 3; ++round) {
        timer.arm(flusher::clock::now());
        work.wait_for(round);
    }
    timer.stop();
    CHECK(work.done() == 3);
    CHECK(work.thread() != std::this_thread::get_id());
}

TEST_CASE("a flusher tries again until its work is done") {
    counted_work work;
    flusher timer;
    timer.start(work.function(4));
    timer.arm(flusher::clock::now());
    work.wait_for(5);
    timer.stop();
    CHECK(work.done() == 5);
}

TEST_CASE("a flusher does not work before its time and an earlier time takes the place") {
    counted_work work;
    flusher timer;
    timer.start(work.function());
    timer.arm(flusher::clock::now() + 24h);
    CHECK(work.done() == 0);
    timer.arm(flusher::clock::now());
    work.wait_for(1);
    timer.arm(flusher::clock::now() + 24h);
    timer.stop();
    CHECK(work.done() == 1);
}

TEST_CASE("a flusher that was stopped never works again") {
    counted_work work;
    flusher timer;
    timer.stop();
    timer.start(work.function());
    timer.arm(flusher::clock::now());
    timer.stop();
    CHECK(work.done() == 0);
}

TEST_CASE("stopping a flusher waits for the work that it does") {
    std::atomic<bool> began{false};
    std::atomic<bool> may_end{false};
    std::atomic<bool> ended{false};
    flusher timer;
    timer.start([&]() -> std::optional<flusher::clock::duration> {
        began = true;
        began.notify_all();
        may_end.wait(false);
        ended = true;
        return {};
    });
    timer.arm(flusher::clock::now());
    began.wait(false);
    std::thread helper([&] {
        may_end = true;
        may_end.notify_all();
    });
    timer.stop();
    CHECK(ended);
    helper.join();
}
