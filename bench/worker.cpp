// SPDX-License-Identifier: BSL-1.0
// bench/worker.cpp: one group of workloads on one engine, in a process of its own.

#include "bench/worker.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <stdexcept>
#include <string_view>

extern char** environ;

namespace bench {

namespace {

/// A folder of its own, removed at the end.
class scratch_folder {
  public:
    explicit scratch_folder(std::filesystem::path const& in) {
        std::filesystem::create_directories(in);
        auto pattern = (in / "coppice-bench-XXXXXX").string();
        if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp in " + pattern);
        path_ = pattern;
    }
    scratch_folder(scratch_folder const&) = delete;
    scratch_folder& operator=(scratch_folder const&) = delete;
    ~scratch_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] std::filesystem::path const& path() const noexcept { return path_; }

  private:
    std::filesystem::path path_;
};

[[nodiscard]] std::string joined(std::set<std::string> const& words) {
    std::string text;
    for (auto const& word : words) text += (text.empty() ? "" : ",") + word;
    return text;
}

/// Starts this program with these arguments. @return its process
[[nodiscard]] pid_t start(std::vector<std::string> words, int standard_output) {
    words.insert(words.begin(), "coppice_bench");
    std::vector<char*> pointers;
    for (auto& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, standard_output, STDOUT_FILENO);
    pid_t child = 0;
    auto const code =
        posix_spawn(&child, "/proc/self/exe", &actions, nullptr, pointers.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (code != 0) throw std::runtime_error("cannot start a worker");
    return child;
}

/// Everything that comes out of a pipe until its other end is closed.
[[nodiscard]] std::string read_all(int from) {
    std::string text;
    std::array<char, 4096> buffer{};
    for (;;) {
        auto const bytes = read(from, buffer.data(), buffer.size());
        if (bytes <= 0) return text;
        text.append(buffer.data(), static_cast<std::size_t>(bytes));
    }
}

[[nodiscard]] std::vector<measurement> measurements_in(std::string_view text) {
    std::vector<measurement> found;
    while (!text.empty()) {
        auto const line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        found.push_back(nlohmann::json::parse(line).get<measurement>());
    }
    return found;
}

} // namespace

void work(arguments const& given) {
    for (auto const& group : all_groups()) {
        if (group.name != given.group) continue;
        scratch_folder const folder(given.folder);
        recorder out(stdout);
        auto const* const engine = group.with_engine ? &engine_named(given.engines.at(0)) : nullptr;
        task of{engine, folder.path(), given.pairs, given.workloads, out};
        group.run(of);
        return;
    }
    throw std::runtime_error("no group " + given.group);
}

std::vector<measurement> run_worker(arguments const& given, group const& of,
                                    std::string const& engine) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    std::vector<std::string> words = {
        "--group",  std::string(of.name),  "--pairs", std::to_string(given.pairs),
        "--folder", given.folder.string(), "--only",  joined(given.workloads)};
    if (!engine.empty()) words.insert(words.end(), {"--engines", engine});
    auto const child = start(std::move(words), ends[1]);
    close(ends[1]);
    auto const text = read_all(ends[0]);
    close(ends[0]);
    int status = 0;
    if (waitpid(child, &status, 0) != child || status != 0) {
        throw std::runtime_error("the worker failed");
    }
    return measurements_in(text);
}

} // namespace bench
