// SPDX-License-Identifier: BSL-1.0
#pragma once
// tests/support/run_process.hpp: runs a program and keeps what it printed.
// Owns: nothing that outlives a call: input and output go through files without names.
// Invariant: whatever the program does, `run_process` returns when it has ended.

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ; // NOLINT: POSIX has it so

namespace support {

/// What a program did. A signal N shows as exit code 128 + N.
struct process_result {
    int exit_code = -1;
    std::string out;
    std::string err;
};

namespace detail {

using nameless_file = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

[[nodiscard]] inline nameless_file make_file(std::string_view text = {}) {
    nameless_file file(std::tmpfile(), &std::fclose);
    if (!file) throw std::system_error(errno, std::generic_category(), "tmpfile");
    if (!text.empty()) std::fwrite(text.data(), 1, text.size(), file.get());
    std::rewind(file.get());
    return file;
}

[[nodiscard]] inline std::string content_of(std::FILE* file) {
    std::string text;
    std::array<char, 65536> buffer{};
    std::rewind(file);
    while (auto const got = std::fread(buffer.data(), 1, buffer.size(), file)) {
        text.append(buffer.data(), got);
    }
    return text;
}

} // namespace detail

/// Runs a program found in PATH, with a text as its stdin, which is a file.
[[nodiscard]] inline process_result run_process(std::vector<std::string> words,
                                                std::string_view input = {}) {
    auto const in = detail::make_file(input);
    auto const out = detail::make_file();
    auto const err = detail::make_file();
    posix_spawn_file_actions_t actions{};
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ::fileno(in.get()), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ::fileno(out.get()), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ::fileno(err.get()), STDERR_FILENO);
    std::vector<char*> pointers;
    pointers.reserve(words.size() + 1);
    for (auto& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    pid_t child = 0;
    auto const failed =
        posix_spawnp(&child, pointers[0], &actions, nullptr, pointers.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) throw std::system_error(failed, std::generic_category(), words[0]);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "waitpid");
    }
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
            detail::content_of(out.get()), detail::content_of(err.get())};
}

/// Is there a program of this name in PATH?
[[nodiscard]] inline bool has_program(std::string const& name) {
    return run_process({"sh", "-c", "command -v \"$0\"", name}).exit_code == 0;
}

} // namespace support
