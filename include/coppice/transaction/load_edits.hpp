// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/transaction/load_edits.hpp: a user's sorted range as edits for the tree.
// Owns: the check that keys ascend strictly, and where a loaded value goes.
// Invariant: key and value are copied, so the range's elements may be temporaries; large values
//   are in the file before the leaf that names them. Models `tree::edit_source`.

#include <coppice/error.hpp>
#include <coppice/format/leaf.hpp>
#include <coppice/format/reference.hpp>
#include <coppice/options.hpp>
#include <coppice/tree/relocate.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <ranges>
#include <string>
#include <string_view>

namespace coppice::inline COPPICE_ABI::detail {

/// Walks a range of pairs of texts.
template <std::ranges::input_range Range, tree::relocation_sink Sink> class load_edits {
  public:
    load_edits(Range& range, Sink& sink, std::uint32_t inline_value_bytes)
        : at_(std::ranges::begin(range)),
          end_(std::ranges::end(range)),
          sink_(sink),
          inline_value_bytes_(inline_value_bytes) {
        fetch();
    }

    [[nodiscard]] bool done() const noexcept { return done_; }
    [[nodiscard]] std::string_view key() const noexcept { return key_; }
    [[nodiscard]] format::stored_value const* value() const noexcept { return &value_; }
    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

    void next() {
        ++at_;
        ++count_;
        std::swap(key_, previous_key_);
        fetch();
        if (!done_ && key_ <= previous_key_) {
            throw error(errc::not_sorted, "entry " + std::to_string(count_) +
                                              " of a bulk load is not above the one before it");
        }
    }

  private:
    void fetch() {
        done_ = at_ == end_;
        if (done_) return;
        auto&& [key, value] = *at_;
        key_.assign(std::string_view(key));
        if (key_.size() > max_key_bytes) {
            throw error(errc::key_too_large, std::to_string(key_.size()) + " bytes");
        }
        std::string_view const text(value);
        if (text.size() > inline_value_bytes_) {
            sink_.add_extent(text).encode(reference_.data());
            value_ = {as_text(reference_), true};
        } else {
            text_.assign(text);
            value_ = {text_, false};
        }
    }

    std::ranges::iterator_t<Range> at_;
    std::ranges::sentinel_t<Range> end_;
    Sink& sink_;
    std::uint32_t inline_value_bytes_;
    bool done_ = false;
    std::uint64_t count_ = 0;
    std::string key_;
    std::string previous_key_;
    std::string text_;
    std::array<std::byte, format::extent_ref::encoded_bytes> reference_{};
    format::stored_value value_;
};

} // namespace coppice::inline COPPICE_ABI::detail
