// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/paced_sync.hpp: a file that is written for long, synced a piece at a time.
// Owns: when a piece is long enough, and the thread that syncs it beside the one that writes on,
//   where the storage takes helpers.
// Invariant: one sync at a time; its failure reaches the writer at the next call. No thread is left
//   when this ends. Belongs to one thread; in a fork nothing but its end may follow.

#include <coppice/storage/concepts.hpp>
#include <coppice/storage/left_in_fork.hpp>
#include <coppice/version.hpp>

#include <cstdint>
#include <future>
#include <memory>
#include <system_error>
#include <utility>

namespace coppice::inline COPPICE_ABI::store {

/// Syncs of one file that grows.
template <storage::storage Storage> class paced_sync {
  public:
    /// No more than this is left to one sync, and twice as much to the last.
    static constexpr std::uint64_t piece_bytes = std::uint64_t{8} << 20U;

    explicit paced_sync(std::shared_ptr<Storage> file) : file_(std::move(file)) {}
    paced_sync(paced_sync const&) = delete;
    paced_sync& operator=(paced_sync const&) = delete;
    ~paced_sync() = default; // waits: the future is one of `std::async`

    /// Syncs what was written, if it is a piece by now. May return before that is done.
    /// @throws errc::io_failed, also of the sync before; then nothing is known of the file
    void look() {
        auto const size = file_->size();
        if (size < synced_bytes_ + piece_bytes) return;
        begin();
        synced_bytes_ = size;
    }
    /// Syncs all that was written. @throws as `look`
    void finish() {
        wait();
        file_->sync();
    }

  private:
    void wait() {
        if (!under_way_) return;
        auto ended = std::move(*under_way_);
        under_way_.reset();
        ended.get();
    }
    void begin() {
        wait();
        if constexpr (storage::takes_helpers<Storage>) {
            try {
                under_way_.emplace(std::async(std::launch::async, [this] { file_->sync(); }));
                return;
            } catch (std::system_error const&) { // no thread can be had
            }
        }
        file_->sync();
    }

    std::shared_ptr<Storage> file_;
    std::uint64_t synced_bytes_ = 0;
    storage::left_in_fork<std::future<void>> under_way_;
};

} // namespace coppice::inline COPPICE_ABI::store
