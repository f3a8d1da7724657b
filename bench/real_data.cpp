// SPDX-License-Identifier: BSL-1.0
// bench/real_data.cpp: data that the machine has: package lists and a list of words.

#include "bench/data.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

namespace bench {

namespace {

[[nodiscard]] std::string text_of_file(std::filesystem::path const& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

[[nodiscard]] bool is_list(std::filesystem::path const& path) {
    return path.string().ends_with("Packages");
}

/// The text of one of apt's lists, which apt itself unpacks if it is compressed.
[[nodiscard]] std::string text_of_list(std::filesystem::path const& path) {
    if (is_list(path) || path.filename() == "status") return text_of_file(path);
    auto const command = "/usr/lib/apt/apt-helper cat-file '" + path.string() + "' 2>/dev/null";
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> const from(::popen(command.c_str(), "r"),
                                                               &::pclose);
    std::string text;
    std::array<char, 65536> part{};
    while (from) {
        auto const length = std::fread(part.data(), 1, part.size(), from.get());
        if (length == 0) break;
        text.append(part.data(), length);
    }
    return text;
}

/// The files of apt's lists, or dpkg's own.
[[nodiscard]] std::vector<std::filesystem::path> package_lists() {
    std::vector<std::filesystem::path> lists;
    std::error_code none;
    for (auto const& file : std::filesystem::directory_iterator("/var/lib/apt/lists", none)) {
        auto const path = file.path();
        if (is_list(path) || is_list(path.parent_path() / path.stem())) lists.push_back(path);
    }
    std::sort(lists.begin(), lists.end());
    if (lists.empty() && std::filesystem::exists("/var/lib/dpkg/status", none)) {
        lists.emplace_back("/var/lib/dpkg/status");
    }
    return lists;
}

/// What stands behind "\nName: " in a stanza that begins with a newline.
[[nodiscard]] std::string_view field(std::string_view stanza, std::string_view name) {
    auto const at = stanza.find(name);
    if (at == std::string_view::npos) return {};
    auto const begin = at + name.size();
    return stanza.substr(begin, stanza.find('\n', begin) - begin);
}

/// Sorts by key and keeps the first pair of each.
void sort_pairs(std::vector<pair>& pairs) {
    auto const same_key = [](pair const& a, pair const& b) { return a.first == b.first; };
    std::stable_sort(pairs.begin(), pairs.end(),
                     [](pair const& a, pair const& b) { return a.first < b.first; });
    pairs.erase(std::unique(pairs.begin(), pairs.end(), same_key), pairs.end());
}

} // namespace

std::optional<data_set> package_data() {
    std::vector<std::string> texts;
    std::size_t keys_bytes = 0;
    for (auto const& path : package_lists()) {
        texts.push_back("\n" + text_of_list(path));
        keys_bytes += texts.back().size(); // more than all keys can take
    }
    data_set data;
    std::string keys;
    keys.reserve(keys_bytes);
    for (auto const& text : texts) {
        std::string_view rest = text;
        while (!rest.empty()) {
            auto const end = rest.find("\n\n");
            auto const stanza = rest.substr(0, end);
            rest = end == std::string_view::npos ? "" : rest.substr(end + 1);
            auto const name = field(stanza, "\nPackage: ");
            auto const version = field(stanza, "\nVersion: ");
            if (name.empty() || version.empty()) continue;
            auto const begin = keys.size();
            keys.append(name).append(" ").append(version);
            data.pairs.emplace_back(std::string_view(keys).substr(begin), stanza.substr(1));
        }
    }
    if (data.pairs.empty()) return {};
    sort_pairs(data.pairs);
    // The texts move into their place; texts of more than a few bytes keep their address.
    data.texts = std::move(texts);
    data.texts.push_back(std::move(keys));
    return data;
}

std::optional<data_set> word_data() {
    auto text = text_of_file("/usr/share/dict/words");
    data_set data;
    std::string numbers;
    numbers.reserve(8 * text.size());
    std::string_view rest = text;
    for (std::uint64_t number = 0; !rest.empty(); ++number) {
        auto const word = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), word.size() + 1));
        if (word.empty()) continue;
        numbers.append(reinterpret_cast<char const*>(&number), sizeof number);
        data.pairs.emplace_back(word, std::string_view(numbers).substr(numbers.size() - 8));
    }
    if (data.pairs.empty()) return {};
    sort_pairs(data.pairs);
    data.texts.push_back(std::move(text));
    data.texts.push_back(std::move(numbers));
    return data;
}

} // namespace bench
