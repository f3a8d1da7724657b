// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/old_file.hpp>

#include <catch2/catch.hpp>
#include <child_process.hpp>
#include <workbench.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <thread>

using namespace coppice;

namespace {

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
    mapping of;
    std::optional<store::old_file> old(std::in_place);
    of.held = true;
    old->let_go(of.make());
    CHECK(of.gone == 0);
    of.held = false;
    old->let_go(of.make()); // one at a time
    CHECK(of.gone >= 1);
    old.reset();
    CHECK(of.gone == 2);
    CHECK(of.elsewhere);
}

TEST_CASE("who still maps a file keeps it") {
    mapping of;
    auto const reader = of.make();
    {
        store::old_file old;
        old.let_go(reader);
    }
    CHECK(of.gone == 0);
}

TEST_CASE("in a fork the thread is the parent's, and is not waited for") {
    if (workbench::skip_forks()) return;
    mapping of;
    of.held = true;
    std::optional<store::old_file> old(std::in_place);
    old->let_go(of.make());
    {
        workbench::child forked([&](workbench::reporter const& to) {
            old.reset();
            to.tell(1, 1);
        });
        CHECK(forked.all_reports().size() == 1);
        CHECK(forked.wait() == 0);
    }
    CHECK(of.gone == 0);
    of.held = false;
    old.reset();
    CHECK(of.gone == 1);
}
