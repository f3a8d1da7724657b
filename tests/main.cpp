// SPDX-License-Identifier: BSL-1.0
// Catch's main, compiled once for all groups of tests.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
