// SPDX-License-Identifier: BSL-1.0
#pragma once
// System calls that fail in this process from now on, with an errno of choice: the kernel itself
// refuses them (seccomp). There is no way back, so this is for children of the test process.

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace workbench {

/// Which calls fail: all of a number, or those with one of some second arguments (as of fcntl).
struct failing_call {
    long number = 0;
    int reason = EIO;
    std::vector<std::uint32_t> second_arguments{};
    bool kills = false; ///< the whole process at that call, instead of failing it
};

/// Makes it so for this process. @return false where the kernel does not let us
[[nodiscard]] inline bool fail_from_now_on(failing_call const& what) {
    using step = ::sock_filter;
    constexpr std::uint16_t load = BPF_LD | BPF_W | BPF_ABS;
    constexpr std::uint16_t if_equal = BPF_JMP | BPF_JEQ | BPF_K;
    constexpr std::uint16_t give = BPF_RET | BPF_K;
    // The low half of the second argument, on a little-endian machine.
    constexpr std::uint32_t second = offsetof(::seccomp_data, args) + 8;
    auto const refuse = what.kills ? SECCOMP_RET_KILL_PROCESS
                                   : SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(what.reason);
    std::vector<step> steps{{load, 0, 0, offsetof(::seccomp_data, nr)},
                            {if_equal, 1, 0, static_cast<std::uint32_t>(what.number)},
                            {give, 0, 0, SECCOMP_RET_ALLOW}};
    if (!what.second_arguments.empty()) {
        steps.push_back({load, 0, 0, second});
        for (auto const each : what.second_arguments) {
            steps.push_back({if_equal, 0, 1, each});
            steps.push_back({give, 0, 0, refuse});
        }
        steps.push_back({give, 0, 0, SECCOMP_RET_ALLOW});
    } else {
        steps.push_back({give, 0, 0, refuse});
    }
    ::sock_fprog const program{static_cast<unsigned short>(steps.size()), steps.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

} // namespace workbench
