// SPDX-License-Identifier: BSL-1.0
// bench/limited_memory.cpp: a control group below the root of cgroup v2, or of v1's for memory.

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

struct controller {
    std::filesystem::path folder;
    std::string limit; ///< the file of a group that takes it
};

/// Throws where no group can have a limit of memory.
controller memory_controller() {
    auto const path = std::string(root) + "/cgroup.subtree_control";
    std::ifstream file(path);
    for (std::string word; file >> word;) {
        if (word == "memory") return {root, "memory.max"};
    }
    std::filesystem::path const first_version = std::string(root) + "/memory";
    if (std::filesystem::exists(first_version / "memory.limit_in_bytes")) {
        return {first_version, "memory.limit_in_bytes"};
    }
    throw std::runtime_error(path + " does not name memory, and there is no " +
                             first_version.string() + " of cgroup v1");
}

} // namespace

limited_memory::limited_memory(std::uint64_t bytes) {
    auto const from = memory_controller();
    group_ = from.folder / ("coppice-bench-" + std::to_string(getpid()));
    std::error_code code;
    std::filesystem::create_directory(group_, code);
    if (code) throw std::runtime_error("cannot make " + group_.string() + ": " + code.message());
    try {
        write_to(group_ / from.limit, std::to_string(bytes));
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
