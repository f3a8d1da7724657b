// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/old_file.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <thread>

using namespace coppice;

namespace {

struct told_lock {
    std::atomic<bool> forked = false;
    [[nodiscard]] bool is_forked() const noexcept { return forked; }
};

/// What happens to a mapping.
struct mapping {
    std::atomic<bool> held = false;
    std::atomic<int> gone = 0;
    std::atomic<bool> elsewhere = false;
    std::thread::id maker = std::this_thread::get_id();

    /// Takes as long as it is held.
    [[nodiscard]] std::shared_ptr<std::byte const> make() {
        static std::byte const something{};
        return {&something, [this](std::byte const*) {
                    while (held) std::this_thread::yield();
                    elsewhere = std::this_thread::get_id() != maker;
                    ++gone;
                }};
    }
};

} // namespace

TEST_CASE("the last of a file is let go of beside, and its end waits for that") {
    auto const lock = std::make_shared<told_lock>();
    mapping of;
    std::optional<store::old_file<told_lock>> old(std::in_place);
    of.held = true;
    old->let_go(of.make(), lock);
    CHECK(of.gone == 0);
    of.held = false;
    old->let_go(of.make(), lock); // one at a time
    CHECK(of.gone >= 1);
    old.reset();
    CHECK(of.gone == 2);
    CHECK(of.elsewhere);
}

TEST_CASE("who still maps a file keeps it") {
    auto const lock = std::make_shared<told_lock>();
    mapping of;
    auto const reader = of.make();
    {
        store::old_file<told_lock> old;
        old.let_go(reader, lock);
    }
    CHECK(of.gone == 0);
}

TEST_CASE("in a fork the thread is the parent's, and is not waited for") {
    auto const lock = std::make_shared<told_lock>();
    mapping of;
    of.held = true;
    {
        store::old_file<told_lock> old;
        old.let_go(of.make(), lock);
        lock->forked = true;
    }
    CHECK(of.gone == 0);
    of.held = false;
    while (of.gone == 0) std::this_thread::yield();
}
