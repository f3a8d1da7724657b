// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/left_in_fork.hpp: what must not be destroyed in a fork.
// Owns: one object, such as a thread, whose end waits for something that the parent alone has.
// Invariant: it is destroyed with this, in the process that made it, and left as it stands in a
//   fork of that. Thread safety: none.

#include <coppice/storage/process.hpp>

#include <cstdint>
#include <memory>
#include <utility>

namespace coppice::storage {

/// Holds an object, or none.
template <typename Object> class left_in_fork {
  public:
    left_in_fork() = default;
    left_in_fork(left_in_fork const&) = delete;
    left_in_fork& operator=(left_in_fork const&) = delete;
    ~left_in_fork() { reset(); }

    /// Makes the object, in place of an earlier one. What the constructor throws, and
    /// std::bad_alloc; then there is none.
    template <typename... Arguments> Object& emplace(Arguments&&... arguments) {
        reset();
        process_ = current_process().identity.token;
        object_ = std::make_unique<Object>(std::forward<Arguments>(arguments)...);
        return *object_;
    }
    /// Destroys it, or leaves it.
    void reset() noexcept {
        if (!object_) return;
        if (forked(process_)) {
            static_cast<void>(object_.release());
        } else {
            object_.reset();
        }
    }

    [[nodiscard]] explicit operator bool() const noexcept { return object_ != nullptr; }
    [[nodiscard]] Object& operator*() const noexcept { return *object_; }
    [[nodiscard]] Object* operator->() const noexcept { return object_.get(); }

  private:
    std::uint64_t process_ = 0;
    std::unique_ptr<Object> object_;
};

} // namespace coppice::storage
