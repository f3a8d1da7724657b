// SPDX-License-Identifier: BSL-1.0
#pragma once
// What tests of simulated disks say over and over: operations with text for data, the content of a
// file as text, and every image of a power cut.

#include <coppice/bytes.hpp>
#include <coppice/testing/power_cut.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace disk_story {

using coppice::testing::choices;
using coppice::testing::cut_level;
using coppice::testing::disk;
using coppice::testing::disk_image;
using coppice::testing::operation;
using coppice::testing::power_cut;
using op = coppice::testing::operation_kind;

inline std::vector<std::byte> data_of(std::string_view text) {
    auto const data = coppice::as_bytes(text);
    return {data.begin(), data.end()};
}
inline operation write(std::uint64_t inode, std::uint64_t offset, std::string_view text) {
    return {op::write, inode, offset, data_of(text)};
}
inline operation truncate(std::uint64_t inode, std::uint64_t size_bytes) {
    return {op::truncate, inode, size_bytes};
}
inline operation of(op kind, std::uint64_t inode = 0) { return {kind, inode}; }

/// A file of an image as text; "(none)" where there is none.
inline std::string text_of(disk_image const& image, std::uint64_t inode) {
    auto const at = image.files.find(inode);
    if (at == image.files.end()) return "(none)";
    return std::string(coppice::as_text(at->second));
}

/// An image with one file, number 1, under the name of the database.
inline disk_image image_of(std::string_view content) {
    disk_image made;
    made.files[1] = data_of(content);
    made.database = 1;
    return made;
}

/// Some sectors, each full of one letter.
inline std::string sectors(std::string_view letters) {
    std::string text;
    for (auto const letter : letters) text.append(coppice::testing::sector_bytes, letter);
    return text;
}

/// A random write or change of size of file 1, within five sectors.
inline operation random_change(choices& pick) {
    auto const at = pick.below(2000);
    if (pick.below(4) == 0) return truncate(1, at);
    auto const letter = static_cast<char>('a' + pick.below(26));
    return write(1, at, std::string(1 + pick.below(600), letter));
}

/// File 1 of every image of a power cut, and how often each came.
inline std::map<std::string, std::size_t> all_cuts(disk const& at, cut_level level) {
    std::map<std::string, std::size_t> found;
    power_cut const cut(at, level);
    auto pick = choices::all();
    do {
        ++found[text_of(cut.image(pick), 1)];
    } while (pick.next());
    return found;
}

} // namespace disk_story
