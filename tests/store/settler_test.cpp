// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/settler.hpp>

#include <catch2/catch.hpp>
#include <child_process.hpp>
#include <workbench.hpp>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using coppice::store::settler;

namespace {

/// What was done, in order, by which threads.
struct diary {
    void note(std::string const& what) {
        std::scoped_lock const guard(mutex);
        done.push_back(what);
        threads.push_back(std::this_thread::get_id());
        changed.notify_all();
    }
    void wait_for(std::size_t count) {
        std::unique_lock guard(mutex);
        changed.wait(guard, [&] { return done.size() >= count; });
    }
    [[nodiscard]] std::vector<std::string> read() {
        std::scoped_lock const guard(mutex);
        return done;
    }
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::string> done;
    std::vector<std::thread::id> threads;
};

class noted_job final : public settler::job {
  public:
    noted_job(diary& in, std::string name, std::function<void()> then)
        : in_(in), name_(std::move(name)), then_(std::move(then)) {}
    void settle() noexcept override { in_.note("settle " + name_); }
    void tell() noexcept override {
        in_.note("tell " + name_);
        if (then_) then_();
    }

  private:
    diary& in_;
    std::string name_;
    std::function<void()> then_;
};

void leave(settler& with, diary& in, std::string name, std::function<void()> then = {}) {
    settler::jobs one;
    one.push_back(std::make_unique<noted_job>(in, std::move(name), std::move(then)));
    with.start();
    with.add(std::move(one));
}

using words = std::vector<std::string>;

} // namespace

TEST_CASE("what is left to a settler is settled and told once each by a thread of its own") {
    diary in;
    settler with;
    for (std::size_t i = 0; i < 50; ++i) leave(with, in, std::to_string(i));
    in.wait_for(100);
    with.finish();
    auto const done = in.read();
    REQUIRE(done.size() == 100);
    words settled;
    words told;
    for (auto const& each : done)
        (each[0] == 's' ? settled : told).push_back(each.substr(each.find(' ') + 1));
    words wanted;
    for (std::size_t i = 0; i < 50; ++i) wanted.push_back(std::to_string(i));
    CHECK(settled == wanted);
    CHECK(told == wanted);
    for (auto const& each : in.threads) CHECK(each != std::this_thread::get_id());
}

TEST_CASE("all that is there is settled before the next is told") {
    diary in;
    settler with;
    std::mutex gate;
    std::unique_lock closed(gate);
    leave(with, in, "a", [&] { std::scoped_lock const wait(gate); });
    in.wait_for(2); // a is being told
    for (auto const* name : {"b", "c", "d"}) leave(with, in, name);
    closed.unlock();
    with.finish();
    CHECK(in.read() == words{"settle a", "tell a", "settle b", "settle c", "settle d", "tell b",
                             "tell c", "tell d"});
}

TEST_CASE("the end does what is left and afterwards everything is done at once") {
    diary in;
    settler with;
    leave(with, in, "a");
    leave(with, in, "b");
    with.finish();
    CHECK(in.read().size() == 4);
    with.finish();
    leave(with, in, "late");
    CHECK(in.read().back() == "tell late");
    CHECK(in.threads.back() == std::this_thread::get_id());
}

TEST_CASE("who is told may end the settler and the rest is told within that") {
    diary in;
    auto with = std::make_unique<settler>();
    std::mutex gate;
    std::unique_lock closed(gate);
    leave(*with, in, "a", [&] {
        std::scoped_lock const wait(gate);
        with->finish();
        in.note("ended");
        with.reset();
    });
    in.wait_for(2);
    leave(*with, in, "b");
    leave(*with, in, "c");
    closed.unlock();
    in.wait_for(7);
    CHECK(in.read() ==
          words{"settle a", "tell a", "settle b", "settle c", "tell b", "tell c", "ended"});
    // The thread has let go of what it is in when the diary may go.
    for (std::unique_lock last(gate); with != nullptr;) {
        last.unlock();
        std::this_thread::yield();
        last.lock();
    }
}

TEST_CASE("a settler that was never used has no thread to end") {
    settler const unused;
    settler other;
    other.finish();
}

TEST_CASE("a child of fork leaves a settler alone") {
    if (workbench::skip_forks()) return;
    diary in;
    settler with;
    std::mutex gate;
    std::unique_lock closed(gate);
    leave(with, in, "a", [&] { std::scoped_lock const wait(gate); });
    in.wait_for(2);
    leave(with, in, "b");
    workbench::child child([&](workbench::reporter const& tell) {
        with.abandon();
        with.finish();
        tell.tell(1, in.done.size());
    });
    auto const reports = child.all_reports();
    CHECK(child.wait() == 0);
    closed.unlock();
    with.finish();
    REQUIRE(reports.size() == 1);
    CHECK(reports[0].number == 2);
    CHECK(in.read().size() == 4);
}
