// SPDX-License-Identifier: BSL-1.0
#pragma once
// An input range of made-up elements: what std::views::iota and transform would give, if clang 14
// could compile them with this standard library.

#include <cstddef>
#include <iterator>
#include <utility>

namespace support {

/// The elements make(first), make(first + 1), ... up to last, each a temporary.
template <typename Number, typename Make> class generated {
  public:
    generated(Number first, Number last, Make make)
        : first_(first), last_(last), make_(std::move(make)) {}

    class iterator {
      public:
        using iterator_concept = std::input_iterator_tag;
        using value_type = decltype(std::declval<Make const&>()(std::declval<Number>()));
        using difference_type = std::ptrdiff_t;

        iterator() = default;
        iterator(Number at, Number last, Make const& make) noexcept
            : at_(at), last_(last), make_(&make) {}
        [[nodiscard]] value_type operator*() const { return (*make_)(at_); }
        iterator& operator++() {
            ++at_;
            return *this;
        }
        void operator++(int) { ++*this; }
        [[nodiscard]] bool operator==(std::default_sentinel_t) const noexcept {
            return at_ == last_;
        }

      private:
        Number at_{};
        Number last_{};
        Make const* make_ = nullptr;
    };

    [[nodiscard]] iterator begin() const { return {first_, last_, make_}; }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

  private:
    Number first_;
    Number last_;
    Make make_;
};

} // namespace support
