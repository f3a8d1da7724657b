// SPDX-License-Identifier: BSL-1.0
#pragma once
// A thread with as little stack as is asked for.

#include <catch2/catch.hpp>
#include <workbench.hpp>

#include <cstddef>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>

#include <pthread.h>

namespace workbench {

/// Says why a test does nothing here. @return is that so?
inline bool skip_small_stacks() {
    auto const so = under_asan || under_tsan;
    if (so) std::printf("skipped: a sanitizer needs more stack\n");
    return so;
}

/// Runs a function in a thread with a stack of that size. What it throws is a failed test.
inline void with_stack(std::size_t stack_bytes, std::function<void()> const& body) {
    struct job {
        std::function<void()> const& body;
        std::string what;
    } own{body, {}};
    pthread_attr_t attributes;
    REQUIRE(::pthread_attr_init(&attributes) == 0);
    REQUIRE(::pthread_attr_setstacksize(&attributes, stack_bytes) == 0);
    pthread_t thread{};
    auto const run = [](void* at) -> void* {
        auto& each = *static_cast<job*>(at);
        try {
            each.body();
        } catch (std::exception const& e) {
            each.what = e.what();
        }
        return nullptr;
    };
    REQUIRE(::pthread_create(&thread, &attributes, run, &own) == 0);
    REQUIRE(::pthread_join(thread, nullptr) == 0);
    ::pthread_attr_destroy(&attributes);
    CHECK(own.what.empty());
}

} // namespace workbench
