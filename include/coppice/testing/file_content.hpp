// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/testing/file_content.hpp: the bytes of a file on a simulated disk, cheap to copy.
// Owns: a vector that copies share until one of them is changed. Crash tests copy each disk several
//   times for each image, and change a few sectors of it.
// Invariant: a value: no change of one is seen through another.
// Thread safety: as a value; copies may belong to different threads.

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace coppice::testing {

/// The bytes of one file.
class file_content {
  public:
    using vector = std::vector<std::byte>;
    using value_type = std::byte;

    file_content() = default;
    /// From the bytes themselves; not explicit, since it is nothing else.
    file_content(vector initial) : shared_(std::make_shared<vector>(std::move(initial))) {}

    [[nodiscard]] vector const& seen() const noexcept { return shared_ ? *shared_ : nothing(); }
    operator vector const&() const noexcept { return seen(); }
    [[nodiscard]] std::size_t size() const noexcept { return seen().size(); }
    [[nodiscard]] bool empty() const noexcept { return seen().empty(); }
    [[nodiscard]] std::byte const* data() const noexcept { return seen().data(); }
    [[nodiscard]] auto begin() const noexcept { return seen().begin(); }
    [[nodiscard]] auto end() const noexcept { return seen().end(); }
    [[nodiscard]] std::byte operator[](std::size_t i) const noexcept { return seen()[i]; }

    /// The same bytes, to be changed: good until this is copied. Copies them if they are shared.
    [[nodiscard]] vector& own() {
        if (!shared_) {
            shared_ = std::make_shared<vector>();
        } else if (shared_.use_count() != 1) {
            shared_ = std::make_shared<vector>(*shared_);
        } else {
            // Whoever shared it last, in another thread, has read it before it let go.
            std::atomic_thread_fence(std::memory_order_acquire);
        }
        return *shared_;
    }
    void resize(std::size_t size_bytes) {
        if (size_bytes != size()) own().resize(size_bytes);
    }

    friend bool operator==(file_content const& a, file_content const& b) noexcept {
        return a.shared_ == b.shared_ || a.seen() == b.seen();
    }

  private:
    [[nodiscard]] static vector const& nothing() noexcept {
        static vector const none;
        return none;
    }

    std::shared_ptr<vector> shared_; ///< null: empty
};

} // namespace coppice::testing
