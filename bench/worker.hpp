// SPDX-License-Identifier: BSL-1.0
#pragma once
// bench/worker.hpp: one group of workloads on one engine, in a process of its own.
// Owns: both ends of the pipe: how a worker is started, and what it does.
// Invariant: no two runs share a process, a folder or a cache of an engine.

#include "bench/arguments.hpp"
#include "bench/measurement.hpp"
#include "bench/workloads/workloads.hpp"

#include <string>
#include <vector>

namespace bench {

/// Runs the group that a worker was given and writes its figures to standard output.
void work(arguments const& given);

/// Starts this program as a worker and waits for it.
/// @param engine empty for a floor
/// @throws std::runtime_error if it failed; what it has to say is on standard error
[[nodiscard]] std::vector<measurement> run_worker(arguments const& given, group const& of,
                                                  std::string const& engine);

} // namespace bench
