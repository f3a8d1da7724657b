// SPDX-License-Identifier: BSL-1.0
#include <coppice/transaction/load_edits.hpp>

#include <kind_of.hpp>
#include <test_database.hpp>

#include <generated.hpp>

#include <catch2/catch.hpp>

#include <iterator>
#include <map>
#include <ranges>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

using namespace coppice;
using support::kind_of;

namespace {

/// Takes values out of line, and remembers them.
struct memory_sink {
    std::vector<std::string> values{};

    [[nodiscard]] mutable_bytes allocate_node(std::size_t) { return {}; }
    [[nodiscard]] format::node_ref seal_node(mutable_bytes) noexcept { return {}; }
    [[nodiscard]] format::extent_ref add_extent(std::string_view value) {
        values.emplace_back(value);
        return {values.size() * 8, value.size(), 0};
    }
};

using pairs = std::vector<std::pair<std::string, std::string>>;

/// All that the edits of a range are. Values out of line come back from the sink.
template <typename Range>
pairs walk(Range&& range, memory_sink& sink, std::uint32_t inline_value_bytes = 8) {
    detail::load_edits edits(range, sink, inline_value_bytes);
    pairs seen;
    while (!edits.done()) {
        REQUIRE(edits.value() != nullptr);
        auto const& value = *edits.value();
        seen.emplace_back(edits.key(), value.out_of_line ? sink.values.back() : value.raw);
        edits.next();
    }
    CHECK(edits.count() == seen.size());
    return seen;
}
template <typename Range> pairs walk(Range&& range) {
    memory_sink sink;
    return walk(range, sink);
}

/// Gives each line of a text once, as a generator would: an input range of temporaries.
class lines {
  public:
    explicit lines(std::string const& text) : in_(text) {}
    class iterator {
      public:
        using iterator_concept = std::input_iterator_tag;
        using value_type = std::pair<std::string, std::string>;
        using difference_type = std::ptrdiff_t;
        explicit iterator(std::istringstream& in) : in_(&in) { ++*this; }
        [[nodiscard]] value_type operator*() const { return {line_, line_ + "!"}; }
        iterator& operator++() {
            if (!std::getline(*in_, line_)) in_ = nullptr;
            return *this;
        }
        void operator++(int) { ++*this; }
        [[nodiscard]] bool operator==(std::default_sentinel_t) const noexcept {
            return in_ == nullptr;
        }

      private:
        std::istringstream* in_;
        std::string line_{};
    };
    [[nodiscard]] iterator begin() { return iterator(in_); }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

  private:
    std::istringstream in_;
};

} // namespace

TEST_CASE("pairs come through as they are, short values inline and long ones in the sink") {
    memory_sink sink;
    pairs const wanted = {{"", "12345678"}, {"a", ""}, {"b", "123456789"}, {"c", "x"}};
    CHECK(walk(wanted, sink) == wanted);
    CHECK(sink.values == std::vector<std::string>{"123456789"});
    CHECK(walk(pairs()).empty());
}

TEST_CASE("a range may be of any pairs, and may make each of them only when asked") {
    CHECK(walk(std::map<std::string, std::string>{{"a", "1"}, {"b", "2"}}).size() == 2);
    std::vector<std::pair<std::string_view, char const*>> const views = {{"a", "1"}, {"b", "2"}};
    CHECK(walk(views) == pairs{{"a", "1"}, {"b", "2"}});
    std::vector<std::tuple<std::string, std::string>> const tuples = {{"a", "1"}};
    CHECK(walk(tuples).size() == 1);
    CHECK(walk(lines("a\nb\nc")) == pairs{{"a", "a!"}, {"b", "b!"}, {"c", "c!"}});
    auto const numbers = support::generated(10, 60, [](int i) {
        return std::pair(std::to_string(i), std::string(static_cast<std::size_t>(i), 'v'));
    });
    CHECK(walk(numbers).size() == 50);
}

TEST_CASE("keys that do not ascend strictly, or are too long, are refused where they come") {
    CHECK(kind_of([] { walk(pairs{{"b", ""}, {"a", ""}}); }) == errc::not_sorted);
    CHECK(kind_of([] { walk(pairs{{"b", ""}, {"b", ""}}); }) == errc::not_sorted);
    CHECK(kind_of([] { walk(pairs{{"a", ""}, {"", ""}}); }) == errc::not_sorted);
    CHECK(kind_of([] {
              walk(pairs{{"a", ""}, {"a\xff", ""}, {"a\x7f", ""}});
          }) == errc::not_sorted);
    CHECK_FALSE(kind_of([] { walk(pairs{{"a\x7f", ""}, {"a\xff", ""}}); }).has_value());
    CHECK(kind_of([] { walk(pairs{{std::string(65536, 'k'), ""}}); }) == errc::key_too_large);
    CHECK(walk(pairs{{std::string(65535, 'k'), ""}}).size() == 1);
}
