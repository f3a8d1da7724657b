// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/transaction/value_writer.hpp: a large value that comes in pieces.
// Owns: the way of a streamed value into the file, its table of checksums, and its becoming part of
//   the transaction when it is finished.
// Invariant: destroyed before `finish`, nothing of it is ever seen. Needs memory for the table
//   only: 8 bytes for each MiB. Belongs to the transaction's thread.

#include <coppice/bytes.hpp>
#include <coppice/error.hpp>
#include <coppice/format/extent.hpp>
#include <coppice/transaction/state.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coppice::inline COPPICE_ABI {

/// Writes one value of a known length. Made by `transaction::put_stream`.
template <storage::medium Medium> class [[nodiscard]] basic_value_writer {
  public:
    using state_type = detail::transaction_state<Medium>;

    basic_value_writer(std::shared_ptr<state_type> const& state, std::string_view key,
                       std::uint64_t size_bytes)
        : state_(state),
          key_(key),
          size_bytes_(size_bytes),
          table_(static_cast<std::size_t>(format::extent_table_bytes(size_bytes))) {
        auto& to = state->append_early();
        offset_ = to.reserve(format::extent_stored_bytes(size_bytes));
        ++state->open_streams;
        counted_ = true;
    }
    basic_value_writer(basic_value_writer&& other) noexcept
        : state_(std::move(other.state_)),
          key_(std::move(other.key_)),
          size_bytes_(other.size_bytes_),
          written_bytes_(other.written_bytes_),
          offset_(other.offset_),
          table_(std::move(other.table_)),
          piece_(other.piece_),
          counted_(std::exchange(other.counted_, false)) {}
    basic_value_writer& operator=(basic_value_writer&&) = delete;
    ~basic_value_writer() { abandon(); }

    /// Adds the next bytes of the value.
    /// @throws errc::invalid_argument beyond the announced length, errc::finished, lock_lost, I/O
    ///   errors
    void write(std::string_view text) { write(as_bytes(text)); }
    void write(bytes data) {
        auto const state = locked();
        if (data.size() > size_bytes_ - written_bytes_) {
            throw error(errc::invalid_argument, "a stream was given more than its " +
                                                    std::to_string(size_bytes_) + " bytes");
        }
        auto& to = state->append_early();
        while (!data.empty()) {
            auto const left =
                format::extent_piece_bytes - written_bytes_ % format::extent_piece_bytes;
            auto const part =
                data.first(static_cast<std::size_t>(std::min<std::uint64_t>(left, data.size())));
            to.write_reserved(offset_ + table_.size() + written_bytes_, part);
            piece_.update(part);
            written_bytes_ += part.size();
            if (!table_.empty() && written_bytes_ % format::extent_piece_bytes == 0) {
                note_piece();
                piece_ = {};
            }
            data = data.subspan(part.size());
        }
    }

    /// Puts the value under its key.
    /// @throws errc::stream_unfinished unless all announced bytes were written, errc::finished,
    ///   lock_lost, I/O errors; then it may be called again
    void finish() {
        auto const state = locked();
        if (written_bytes_ != size_bytes_) {
            throw error(errc::stream_unfinished, std::to_string(written_bytes_) + " of " +
                                                     std::to_string(size_bytes_) + " bytes");
        }
        format::extent_ref extent{offset_, size_bytes_, piece_.digest()};
        if (!table_.empty()) {
            // Again, where an earlier call has failed below: so it may change nothing but the
            // table.
            if (written_bytes_ % format::extent_piece_bytes != 0) note_piece();
            state->append_early().write_reserved(offset_, table_);
            extent.checksum = format::extent_table_checksum(size_bytes_, table_);
        }
        state->see_appended();
        if (size_bytes_ <= state->sizes().inline_value_bytes) {
            state->put(key_, state->work()->value_part(extent, 0, size_bytes_));
        } else {
            state->put(key_, extent);
        }
        abandon();
    }

  private:
    [[nodiscard]] std::shared_ptr<state_type> locked() const {
        auto state = state_.lock();
        if (!state || !counted_) throw error(errc::finished, "the stream or its transaction ended");
        state->check_open();
        return state;
    }
    /// Notes the checksum of the bytes since the last whole piece. REQUIRES: there is a table.
    void note_piece() noexcept {
        auto const piece = (written_bytes_ - 1) / format::extent_piece_bytes;
        format::store(table_.data() + 8 * piece, piece_.digest());
    }
    void abandon() noexcept {
        if (!std::exchange(counted_, false)) return;
        if (auto const state = state_.lock()) --state->open_streams;
    }

    std::weak_ptr<state_type> state_;
    std::string key_;
    std::uint64_t size_bytes_;
    std::uint64_t written_bytes_ = 0;
    std::uint64_t offset_ = 0;
    std::vector<std::byte> table_;
    format::checksum_stream piece_;
    bool counted_ = false;
};

} // namespace coppice::inline COPPICE_ABI
