// SPDX-License-Identifier: BSL-1.0
#pragma once

// What threads of a test have to complain about: the first words that one of them threw, kept so
// that a failure says what it was. May be used by any number of threads.

#include <mutex>
#include <stdexcept>
#include <string>

namespace workbench {

/// Collects what threads have to complain about.
class complaints {
  public:
    template <typename Work> void listen(Work work) {
        try {
            work();
        } catch (std::exception const& e) {
            std::scoped_lock const guard(mutex_);
            if (first_.empty()) first_ = e.what();
        }
    }
    [[nodiscard]] std::string first() const {
        std::scoped_lock const guard(mutex_);
        return first_;
    }

  private:
    mutable std::mutex mutex_;
    std::string first_;
};

/// Throws `what` where `holds` is false.
inline void require(bool holds, std::string const& what) {
    if (!holds) throw std::runtime_error(what);
}

} // namespace workbench
