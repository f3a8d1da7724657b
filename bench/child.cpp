// SPDX-License-Identifier: BSL-1.0
// bench/child.cpp: fork and exec.

#include "bench/child.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <stdexcept>

namespace bench {

pid_t start_child(std::function<void()> const& step) {
    auto const child = fork();
    if (child < 0) throw std::runtime_error("fork");
    if (child > 0) return child;
    int code = 0;
    try {
        step();
    } catch (std::exception const& e) {
        std::fprintf(stderr, "%s\n", e.what());
        code = 1;
    }
    _exit(code);
}

void wait_for(pid_t child, char const* what) {
    int status = 0;
    if (waitpid(child, &status, 0) != child || status != 0) {
        throw std::runtime_error(std::string("failed: ") + what);
    }
}

void in_child(char const* what, std::function<void()> const& step) {
    wait_for(start_child(step), what);
}

void run_program(std::vector<std::string> words) {
    auto const name = words.at(0);
    in_child(name.c_str(), [&] {
        std::vector<char*> pointers;
        for (auto& word : words) pointers.push_back(word.data());
        pointers.push_back(nullptr);
        execvp(pointers[0], pointers.data());
        throw std::runtime_error("cannot start " + name + ": is it installed?");
    });
}

} // namespace bench
