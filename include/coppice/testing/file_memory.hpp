// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/testing/file_memory.hpp: the bytes of one simulated file, at an address that stays.
// Owns: 64 MiB of addresses, of which only the pages of the file can be touched.
// Invariant: reading beyond the last page of the file ends the process, as SIGBUS ends one that has
//   mapped a real file; within the last page the bytes beyond the end are zero.

#include <coppice/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <system_error>
#include <utility>
#include <vector>

#include <sys/mman.h>

namespace coppice::testing {

/// The bytes of one file. Belongs to one thread, except that views of it may be read anywhere.
class file_memory {
  public:
    static constexpr std::size_t capacity_bytes = std::size_t{64} << 20U;

    file_memory()
        : first_(
              static_cast<std::byte*>(::mmap(nullptr, capacity_bytes, PROT_NONE,
                                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {
        if (static_cast<void*>(first_) == MAP_FAILED) throw std::bad_alloc();
    }
    file_memory(file_memory const&) = delete;
    file_memory& operator=(file_memory const&) = delete;
    ~file_memory() { ::munmap(first_, capacity_bytes); }

    /// A file of zeros. Crash tests make thousands in a second, so what is given back is used
    /// again.
    [[nodiscard]] static std::shared_ptr<file_memory> make(std::size_t size_bytes = 0) {
        auto& spare = spare_ones().files;
        // Best is one of the same size: protecting memory stops all threads for a moment.
        auto const fits = [&](auto const& each) { return each->accessible_ == pages(size_bytes); };
        auto found = std::find_if(spare.begin(), spare.end(), fits);
        if (found == spare.end() && !spare.empty()) found = spare.begin();
        std::unique_ptr<file_memory> made;
        if (found == spare.end()) {
            made = std::make_unique<file_memory>();
        } else {
            made = std::move(*found);
            spare.erase(found);
        }
        made->resize(size_bytes);
        return {made.release(), [](file_memory* used) { give_back(used); }};
    }

    [[nodiscard]] std::byte* data() const noexcept { return first_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    /// Cuts, or grows with zeros. @throws error no_space_on_device beyond the capacity
    void resize(std::size_t size_bytes) {
        if (size_bytes > capacity_bytes) {
            throw error(std::make_error_code(std::errc::no_space_on_device), "a simulated file");
        }
        if (size_bytes < size_) std::memset(first_ + size_bytes, 0, size_ - size_bytes);
        protect(pages(size_bytes));
        size_ = size_bytes;
    }

  private:
    static constexpr std::size_t page_bytes = 4096;
    static constexpr std::size_t most_spare = 32;
    /// What was given back on this thread, until the thread ends.
    struct spare_list {
        std::vector<std::unique_ptr<file_memory>> files;
        spare_list() {
            files.reserve(most_spare);
            is_open() = true;
        }
        ~spare_list() { is_open() = false; }
        [[nodiscard]] static bool& is_open() noexcept {
            static thread_local bool open = false;
            return open;
        }
    };

    [[nodiscard]] static spare_list& spare_ones() {
        static thread_local spare_list spare;
        return spare;
    }
    static void give_back(file_memory* used) noexcept {
        std::unique_ptr<file_memory> owned(used);
        if (!spare_list::is_open() || used->accessible_ > page_bytes * 64) return;
        auto& spare = spare_ones().files;
        if (spare.size() >= most_spare) return;
        std::memset(used->first_, 0, used->size_);
        used->size_ = 0;
        spare.push_back(std::move(owned));
    }
    /// The size in whole pages, in bytes.
    [[nodiscard]] static std::size_t pages(std::size_t size_bytes) noexcept {
        return (size_bytes + page_bytes - 1) / page_bytes * page_bytes;
    }
    /// What is not accessible holds zeros.
    void protect(std::size_t accessible) {
        int refused = 0;
        if (accessible > accessible_) {
            refused =
                ::mprotect(first_ + accessible_, accessible - accessible_, PROT_READ | PROT_WRITE);
        } else if (accessible < accessible_) {
            refused = ::mprotect(first_ + accessible, accessible_ - accessible, PROT_NONE);
        }
        if (refused != 0) throw std::bad_alloc();
        accessible_ = accessible;
    }

    std::byte* first_;
    std::size_t size_ = 0;
    std::size_t accessible_ = 0;
};

} // namespace coppice::testing
