// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/appender.hpp: the bytes of an uncommitted transaction at their final offsets.
// Owns: a buffer that stands for [flushed_end, end) of the file, and its way into the file.
// Invariant: writes lie at or behind `begin_offset`, where no slot reaches; nodes and values are
//   8-aligned. Without `spill` nothing is written before `flush`. Models `relocation_sink`.
//   Belongs to the one writer.

#include <coppice/bytes.hpp>
#include <coppice/error.hpp>
#include <coppice/format/checksum.hpp>
#include <coppice/format/extent.hpp>
#include <coppice/format/reference.hpp>
#include <coppice/format/superblock.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/tree/relocate.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

namespace coppice::inline COPPICE_ABI::store {

namespace detail {

/// Bytes that grow at their end. What is added is not set to anything, unlike in a vector: all of
/// it is written anyway. Where there is much of it, growing moves pages and copies nothing.
class growing_bytes {
  public:
    [[nodiscard]] std::byte* data() const noexcept { return begin_.get(); }
    [[nodiscard]] std::size_t size() const noexcept { return size_bytes_; }
    [[nodiscard]] bool empty() const noexcept { return size_bytes_ == 0; }
    /// Forgets all but the first so many.
    void shrink(std::size_t size_bytes) noexcept { size_bytes_ = size_bytes; }

    /// Adds bytes without a meaning. @throws std::bad_alloc, and nothing is changed
    [[nodiscard]] mutable_bytes add(std::size_t more_bytes) {
        if (more_bytes > capacity_bytes_ - size_bytes_) grow(size_bytes_ + more_bytes);
        return {data() + std::exchange(size_bytes_, size_bytes_ + more_bytes), more_bytes};
    }

  private:
    struct freer {
        void operator()(std::byte* memory) const noexcept { std::free(memory); }
    };

    void grow(std::size_t at_least_bytes) {
        auto const wanted = std::max(at_least_bytes, 2 * capacity_bytes_);
        auto* const grown = static_cast<std::byte*>(std::realloc(begin_.get(), wanted));
        if (grown == nullptr) throw std::bad_alloc();
        static_cast<void>(begin_.release()); // realloc has freed it, or it is the same
        begin_.reset(grown);
        capacity_bytes_ = wanted;
    }

    std::unique_ptr<std::byte, freer> begin_;
    std::size_t size_bytes_ = 0;
    std::size_t capacity_bytes_ = 0;
};

} // namespace detail

/// Appends to a storage through a buffer.
template <storage::storage Storage> class appender {
  public:
    /// @param begin_offset 8-aligned, at or behind the end of the valid bytes
    appender(Storage& storage, std::uint64_t begin_offset) noexcept
        : storage_(&storage), begin_offset_(begin_offset), flushed_end_(begin_offset) {}

    [[nodiscard]] std::uint64_t begin_offset() const noexcept { return begin_offset_; }
    /// Bytes below this are in the file already.
    [[nodiscard]] std::uint64_t flushed_end() const noexcept { return flushed_end_; }
    [[nodiscard]] std::uint64_t end_offset() const noexcept {
        return flushed_end_ + buffer_.size();
    }
    /// Was anything written to the file before the commit?
    [[nodiscard]] bool spilled() const noexcept { return flushed_end_ != begin_offset_; }
    /// What is not yet in the file.
    [[nodiscard]] bytes buffered() const noexcept { return {buffer_.data(), buffer_.size()}; }

    /// From now on full buffers go to the file early: for transactions that may be larger than
    /// memory.
    void spill() noexcept { spill_ = true; }

    [[nodiscard]] mutable_bytes allocate_node(std::size_t size_bytes) {
        if (spill_ && buffer_.size() >= spill_bytes) flush();
        return grow(size_bytes);
    }
    [[nodiscard]] format::node_ref seal_node(mutable_bytes node) const noexcept {
        auto const at = flushed_end_ + static_cast<std::uint64_t>(node.data() - buffer_.data());
        return format::node_ref::at(at, node.size(), format::checksum(node));
    }

    /// Writes a value with its table, if it needs one.
    [[nodiscard]] format::extent_ref add_extent(std::string_view value) {
        if (value.size() > format::extent_piece_bytes) return add_large_extent(value);
        if (spill_ && buffer_.size() >= spill_bytes) flush();
        format::extent_ref const ref{end_offset(), value.size(), format::checksum(as_bytes(value))};
        append(as_bytes(value));
        return ref;
    }

    /// Adds bytes and zeros up to a multiple of 8.
    void append(bytes data) {
        auto const to = grow(static_cast<std::size_t>(align8(data.size())));
        auto const behind = std::copy(data.begin(), data.end(), to.begin());
        std::fill(behind, to.end(), std::byte{0});
    }

    /// Sets a place aside in the file, to be written by `write_reserved` before the commit.
    [[nodiscard]] std::uint64_t reserve(std::uint64_t size_bytes) {
        check_limit(size_bytes);
        flush();
        auto const at = flushed_end_;
        flushed_end_ += align8(size_bytes);
        return at;
    }
    void write_reserved(std::uint64_t offset, bytes data) { storage_->write(offset, data); }

    /// Writes out what is buffered. @throws error io_failed; calling again tries again
    void flush() {
        if (buffer_.empty()) return;
        storage_->write(flushed_end_, buffered());
        flushed_end_ += buffer_.size();
        buffer_.shrink(0);
    }

    /// Takes back what was appended behind an offset. What of it is in the file already is written
    /// over by what comes next. @param end_offset an earlier `end_offset()`
    void take_back(std::uint64_t end_offset) noexcept {
        flushed_end_ = std::min(flushed_end_, end_offset);
        buffer_.shrink(static_cast<std::size_t>(end_offset - flushed_end_));
    }

    /// Writes zeros behind what is appended, before it is flushed: for small durable commits, since
    /// a sync that need not grow the file is cheaper. @param most_bytes so many at most
    void write_ahead(std::uint64_t most_bytes) {
        // A small file gets little ahead, so that a process that commits once does not write 1 MiB.
        auto const in_proportion =
            std::max(end_offset() / 4, std::uint64_t{16} * format::block_bytes);
        auto const ahead = std::min(most_bytes, in_proportion);
        if (ahead == 0 || end_offset() <= storage_->size()) return;
        try {
            // Short writes, so that the kernel's cache has short runs of pages there: what it does
            // for each of the small writes that follow grows with the run that is written to.
            std::vector<std::byte> const zeros(std::size_t{64} << 10U);
            for (std::uint64_t done = 0; done < ahead; done += zeros.size()) {
                auto const rest = static_cast<std::size_t>(ahead - done);
                storage_->write(end_offset() + done,
                                bytes(zeros).first(std::min(rest, zeros.size())));
            }
        } catch (error const&) { // it only saves time; a full disk is told by the commit itself
        }
    }

  private:
    static constexpr std::size_t spill_bytes = std::size_t{1} << 20U;

    void check_limit(std::uint64_t more_bytes) const {
        if (more_bytes >= format::max_file_bytes ||
            end_offset() >= format::max_file_bytes - more_bytes - 64) {
            throw error(errc::value_too_large, "the file would pass 2^47 bytes");
        }
    }

    [[nodiscard]] mutable_bytes grow(std::size_t size_bytes) {
        check_limit(size_bytes);
        return buffer_.add(size_bytes);
    }

    [[nodiscard]] format::extent_ref add_large_extent(std::string_view value) {
        auto const pieces = format::extent_pieces(value.size());
        std::vector<std::byte> table(static_cast<std::size_t>(pieces * 8));
        auto const data = as_bytes(value);
        for (std::uint64_t i = 0; i < pieces; ++i) {
            auto const piece =
                data.subspan(static_cast<std::size_t>(i * format::extent_piece_bytes),
                             static_cast<std::size_t>(format::extent_piece_size(value.size(), i)));
            format::store(table.data() + 8 * i, format::checksum(piece));
        }
        format::extent_ref const ref{end_offset(), value.size(),
                                     format::extent_table_checksum(value.size(), table)};
        if (spill_) {
            auto const at = reserve(table.size() + data.size());
            storage_->write(at, table);
            storage_->write(at + table.size(), data);
        } else {
            append(table);
            append(data);
        }
        return ref;
    }

    Storage* storage_;
    std::uint64_t begin_offset_;
    std::uint64_t flushed_end_;
    bool spill_ = false;
    detail::growing_bytes buffer_;
};

} // namespace coppice::inline COPPICE_ABI::store
