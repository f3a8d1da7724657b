// SPDX-License-Identifier: BSL-1.0
#pragma once
// Calls that are tried in a child which has prepared itself: with rights taken away, limits, system
// calls that fail. How each one ends is compared with how it has to end.

#include <coppice/error.hpp>

#include <catch2/catch.hpp>
#include <child_process.hpp>

#include <cstdint>
#include <cstdio>
#include <functional>
#include <system_error>
#include <vector>

#include <unistd.h>

namespace workbench {

/// How a call ended.
struct outcome {
    std::uint64_t kind = 0;   ///< of the error; 0 without one
    std::uint64_t reason = 0; ///< errno, where the error has one

    friend bool operator==(outcome const&, outcome const&) = default;
};

[[nodiscard]] inline outcome outcome_of(std::function<void()> const& call) {
    try {
        call();
        return {};
    } catch (coppice::error const& e) {
        bool const system = e.code().category() == std::generic_category() ||
                            e.code().category() == std::system_category();
        return {static_cast<std::uint64_t>(e.kind()),
                system ? static_cast<std::uint64_t>(e.code().value()) : 0};
    }
}
[[nodiscard]] inline outcome failed(coppice::errc kind, int reason = 0) {
    return {static_cast<std::uint64_t>(kind), static_cast<std::uint64_t>(reason)};
}
inline constexpr outcome done{};

/// Something to try, and how it has to end.
struct attempt {
    std::function<void()> call;
    outcome wanted;
};

/// Runs the attempts in a child that has prepared itself. @return false, and says why, if it
/// could not
inline bool try_all(std::function<bool()> const& prepare, std::vector<attempt> const& attempts) {
    child own([&](reporter const& to) {
        if (!prepare()) ::_exit(77);
        for (auto const& each : attempts) {
            auto const [kind, reason] = outcome_of(each.call);
            to.tell(kind, reason);
        }
    });
    auto const reports = own.all_reports();
    auto const code = own.wait();
    if (code == 77) {
        std::printf("skipped: the kernel does not let a process refuse its own calls\n");
        return false;
    }
    CHECK(code == 0);
    REQUIRE(reports.size() == attempts.size());
    for (std::size_t i = 0; i < reports.size(); ++i) {
        CAPTURE(i);
        CHECK(reports[i].kind == attempts[i].wanted.kind);
        CHECK(reports[i].number == attempts[i].wanted.reason);
    }
    return true;
}

} // namespace workbench
