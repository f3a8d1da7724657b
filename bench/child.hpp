// SPDX-License-Identifier: BSL-1.0
#pragma once
// bench/child.hpp: steps in processes of their own, so that memory, locks and caches are.
// Owns: starting and waiting for them.
// Invariant: a child that failed has said why on standard error, and fails its parent.

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace bench {

/// Runs a step in a copy of this process. REQUIRES: this process has no threads.
[[nodiscard]] pid_t start_child(std::function<void()> const& step);
/// @throws std::runtime_error if the child has failed
void wait_for(pid_t child, char const* what);
/// Runs a step in a copy of this process, to its end.
void in_child(char const* what, std::function<void()> const& step);
/// Runs another program to its end. @param words its name, looked for in PATH, and arguments
void run_program(std::vector<std::string> words);

} // namespace bench
