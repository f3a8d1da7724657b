// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/tags.hpp: the names that commits have, as the system tree keeps them.
// Owns: how a tag is written (docs/format.md, "The system tree"), and reading it.
// Invariant: a tag names a commit of the same file that is older than the state that has the tag.
//   Whatever a file holds, reading ends with tags or errc::corrupt. Reads only.

#include <coppice/commit_id.hpp>
#include <coppice/error.hpp>
#include <coppice/format/endian.hpp>
#include <coppice/options.hpp>
#include <coppice/store/history.hpp>
#include <coppice/store/revision.hpp>
#include <coppice/tree/cursor.hpp>
#include <coppice/tree/find.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace coppice::inline COPPICE_ABI::store {

/// A commit that has a name.
struct tagged_commit {
    std::string name;   ///< any bytes, UTF-8 by custom
    commit_id commit{}; ///< what it names

    friend bool operator==(tagged_commit const&, tagged_commit const&) noexcept = default;
};

namespace detail {

/// Keys of tags begin so; the rest is the name.
inline constexpr std::string_view tag_prefix{"tag\0", 4};
/// The value of a tag: the number of the commit.
inline constexpr std::size_t tag_value_bytes = 8;

/// @throws errc::invalid_argument for what cannot be a name
[[nodiscard]] inline std::string tag_key(std::string_view name) {
    if (name.empty() || name.size() > max_tag_bytes) {
        throw error(errc::invalid_argument, "the name of a tag has 1 to " +
                                                std::to_string(max_tag_bytes) + " bytes, not " +
                                                std::to_string(name.size()));
    }
    return std::string(tag_prefix).append(name);
}

[[nodiscard]] inline std::array<std::byte, tag_value_bytes> tag_value(commit_id id) noexcept {
    std::array<std::byte, tag_value_bytes> image{};
    format::store(image.data(), id.value);
    return image;
}

/// The commit that the value of a tag names; 0 where it is none.
[[nodiscard]] inline commit_id id_in(std::string_view value) noexcept {
    if (value.size() != tag_value_bytes) return {};
    return {format::load<std::uint64_t>(as_bytes(value).data())};
}

/// @throws errc::corrupt
[[nodiscard]] inline commit_id tagged_id(revision const& of, format::stored_value const& stored) {
    commit_id id;
    if (stored.length_bytes() == tag_value_bytes) id = id_in(of.value(stored));
    if (id.value == 0 || id.value >= of.record().commit_id) {
        throw error(errc::corrupt, "a tag names no older commit", of.image().path, of.at().offset);
    }
    return id;
}

} // namespace detail

/// All tags that a state has, by name. @throws errc::corrupt
[[nodiscard]] inline std::vector<tagged_commit> tags_of(revision const& of) {
    std::vector<tagged_commit> result;
    tree::cursor<revision> at(of, of.system());
    for (at.seek(detail::tag_prefix); at.valid(); at.next()) {
        auto const key = at.key();
        if (!key.starts_with(detail::tag_prefix)) break;
        result.push_back({std::string(key.substr(detail::tag_prefix.size())),
                          detail::tagged_id(of, at.value())});
    }
    return result;
}

/// The commit that a tag names; nothing where there is no such tag. O(height) nodes.
/// @throws errc::corrupt, errc::invalid_argument
[[nodiscard]] inline std::optional<commit_id> find_tag(revision const& of, std::string_view name) {
    auto const stored = tree::find(of, of.system(), detail::tag_key(name));
    if (!stored) return {};
    return detail::tagged_id(of, *stored);
}

/// The state that a tag names. O(log n).
/// @throws errc::no_such_tag, errc::corrupt, errc::invalid_argument
[[nodiscard]] inline revision_ptr tagged_state(revision_ptr const& newest, std::string_view name) {
    auto const id = find_tag(*newest, name);
    if (!id) throw error(errc::no_such_tag, std::string(name), newest->image().path);
    return state_at(newest, *id);
}

} // namespace coppice::inline COPPICE_ABI::store
