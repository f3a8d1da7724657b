// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/testing.hpp: the umbrella of what tests need: simulated machines and power cuts.
// Owns: nothing. coppice.hpp does not include it; no program needs it, only its tests.

#include <coppice/testing/decay.hpp>
#include <coppice/testing/simulated_medium.hpp>
