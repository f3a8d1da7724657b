// SPDX-License-Identifier: BSL-1.0
#pragma once
// What the tests of tree/ stand on: a source of memory nodes that counts what is opened, a sink
// that counts what is made, edits from a std::map, and a bench that applies them.

#include <coppice/error.hpp>
#include <coppice/format/leaf.hpp>
#include <coppice/options.hpp>
#include <coppice/tree/apply.hpp>
#include <coppice/tree/arena.hpp>
#include <coppice/tree/check.hpp>
#include <coppice/tree/cursor.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace grove {

namespace format = coppice::format;
namespace tree = coppice::tree;
using coppice::node_sizes;
using format::extent_ref;
using format::stored_value;
using format::tree_ref;

/// Node sizes that make deep trees of few entries.
inline constexpr node_sizes tiny{.leaf_bytes = 128, .inner_bytes = 128, .inline_value_bytes = 32};

/// Memory nodes, with a count of those that were opened.
struct memory_source {
    mutable std::size_t opened = 0;

    [[nodiscard]] std::byte const* node(format::node_ref ref, unsigned level) const {
        ++opened;
        if (!ref.in_memory() || format::load_node_header(ref.memory()).level != level) {
            throw coppice::error(coppice::errc::corrupt, "not a memory node of that level");
        }
        return ref.memory();
    }
};

/// An arena, with a count of the nodes that were made in it.
struct counting_arena {
    tree::arena memory{};
    std::size_t made = 0;

    [[nodiscard]] coppice::mutable_bytes allocate_node(std::size_t size_bytes) {
        ++made;
        return memory.allocate_node(size_bytes);
    }
    [[nodiscard]] format::node_ref seal_node(coppice::mutable_bytes node) noexcept {
        return memory.seal_node(node);
    }
};

/// The content of a tree, and changes of it.
using content = std::map<std::string, std::string>;
using changes = std::map<std::string, std::optional<std::string>>;

inline void change(content& what, changes const& by) {
    for (auto const& [key, value] : by) {
        if (value) {
            what[key] = *value;
        } else {
            what.erase(key);
        }
    }
}

/// The text that a stored value in memory stands for.
[[nodiscard]] inline std::string_view text_of(stored_value const& value) {
    if (!value.out_of_line) return value.raw;
    auto const extent = value.extent();
    return coppice::as_text({extent.memory(), static_cast<std::size_t>(extent.length_bytes)});
}

/// Walks changes. Models `tree::edit_source`.
class walk {
  public:
    walk(changes const& edits, tree::arena& memory, std::size_t inline_value_bytes)
        : at_(edits.begin()),
          end_(edits.end()),
          memory_(memory),
          inline_value_bytes_(inline_value_bytes) {
        fetch();
    }

    [[nodiscard]] bool done() const noexcept { return at_ == end_; }
    [[nodiscard]] std::string_view key() const noexcept { return at_->first; }
    [[nodiscard]] stored_value const* value() const noexcept {
        return at_->second ? &value_ : nullptr;
    }
    void next() {
        ++at_;
        fetch();
    }

  private:
    void fetch() {
        if (done() || !at_->second) return;
        std::string_view const text = *at_->second;
        value_ = {text, false};
        if (text.size() <= inline_value_bytes_) return;
        extent_ref::in_memory_at(coppice::as_bytes(memory_.copy(text))).encode(reference_.data());
        value_ = {coppice::as_text(reference_), true};
    }

    changes::const_iterator at_;
    changes::const_iterator end_;
    tree::arena& memory_;
    std::size_t inline_value_bytes_;
    stored_value value_{};
    std::array<std::byte, extent_ref::encoded_bytes> reference_{};
};

static_assert(tree::edit_source<walk>);

/// An arena and all that is done in it.
struct bench {
    node_sizes sizes{};
    counting_arena arena{};
    memory_source source{};

    [[nodiscard]] tree_ref apply(tree_ref const& to, changes const& edits) {
        walk by(edits, arena.memory, sizes.inline_value_bytes);
        return tree::apply(source, arena, sizes, to, by);
    }
    [[nodiscard]] tree_ref put(tree_ref const& to, std::string const& key,
                               std::string const& value = "v") {
        return apply(to, {{key, value}});
    }
    [[nodiscard]] tree_ref erase(tree_ref const& from, std::string const& key) {
        return apply(from, {{key, std::nullopt}});
    }
    [[nodiscard]] tree_ref erase_range(tree_ref const& of, std::string_view from,
                                       std::optional<std::string_view> to) {
        return tree::erase_range(source, arena, sizes, of, from, to);
    }
    /// A tree built in one go.
    [[nodiscard]] tree_ref build(content const& from) {
        return apply({}, changes(from.begin(), from.end()));
    }
    [[nodiscard]] tree::cursor<memory_source> cursor(tree_ref const& of) const {
        return {source, of};
    }
    [[nodiscard]] tree::check_report check(tree_ref const& of) const {
        return tree::check(source, of, sizes);
    }

    /// What makes the tree another than `expected`, or not sound; empty where nothing does.
    [[nodiscard]] std::string difference(tree_ref const& of, content const& expected) const {
        auto const report = check(of);
        if (!report.findings.empty()) return report.findings.front().what;
        if (report.entries != expected.size()) return "the check counts other entries";
        if (of.root.entries != expected.size()) return "the root says other entries";
        if (of.root.bytes != report.bytes) return "the check counts other bytes";
        auto at = cursor(of);
        at.first();
        for (auto const& [key, value] : expected) {
            if (!at.valid()) return "ends before " + key.substr(0, 20);
            if (at.key() != key) return "has another key than " + key.substr(0, 20);
            if (text_of(at.value()) != value) return "has another value of " + key.substr(0, 20);
            at.next();
        }
        return at.valid() ? "goes on behind the last key" : "";
    }
};

/// "prefix00000042": keys that ascend with the number.
[[nodiscard]] inline std::string numbered(std::uint64_t number, std::string_view prefix = "key") {
    auto const digits = std::to_string(number);
    return std::string(prefix) + std::string(8 - digits.size(), '0') + digits;
}

/// `count` numbered keys with short values.
[[nodiscard]] inline content numbered_content(std::uint64_t count) {
    content result;
    for (std::uint64_t i = 0; i < count; ++i) {
        result.emplace_hint(result.end(), numbered(i), "value " + std::to_string(i));
    }
    return result;
}

} // namespace grove
