// SPDX-License-Identifier: BSL-1.0
// bench/limited_memory.cpp: a control group below the root of cgroup v2.

#include "bench/limited_memory.hpp"

#include <unistd.h>

#include <fstream>
#include <stdexcept>
#include <string>

namespace bench {

namespace {

constexpr auto root = "/sys/fs/cgroup";

void write_to(std::filesystem::path const& path, std::string const& text) {
    std::ofstream file(path);
    if (!(file << text).flush()) throw std::runtime_error("cannot write " + path.string());
}

/// Throws where groups below the root do not have a limit of memory.
void require_controller() {
    auto const path = std::string(root) + "/cgroup.subtree_control";
    std::ifstream file(path);
    for (std::string word; file >> word;) {
        if (word == "memory") return;
    }
    throw std::runtime_error(path + " does not name memory: no cgroup v2, or not with this limit");
}

} // namespace

limited_memory::limited_memory(std::uint64_t bytes)
    : group_(std::string(root) + "/coppice-bench-" + std::to_string(getpid())) {
    require_controller();
    std::error_code code;
    std::filesystem::create_directory(group_, code);
    if (code) throw std::runtime_error("cannot make " + group_.string() + ": " + code.message());
    try {
        write_to(group_ / "memory.max", std::to_string(bytes));
    } catch (std::runtime_error const&) {
        std::filesystem::remove(group_, code);
        throw;
    }
}

limited_memory::~limited_memory() {
    std::error_code ignored;
    std::filesystem::remove(group_, ignored);
}

void limited_memory::enter() const { write_to(group_ / "cgroup.procs", std::to_string(getpid())); }

} // namespace bench
