// SPDX-License-Identifier: BSL-1.0
#pragma once
// Any bytes as a dump that the tool loads: it loads all of it or nothing, and of what it refuses
// it names the line. A second reader, written to be short, says what a dump is and holds; what was
// loaded is dumped and loaded again.

#include <coppice/database.hpp>
#include <tools/coppice/dump_format.hpp>
#include <tools/coppice/dump_loader.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fuzz_dump_detail {

using content = std::map<std::string, std::string>;
using pairs = std::vector<std::pair<std::string, std::string>>;

inline void require(bool holds, char const* what) {
    if (holds) return;
    std::fprintf(stderr, "dump: %s\n", what);
    std::abort();
}

// ---- the second reader
// ---------------------------------------------------------------------------

inline std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        auto const end = text.find('\n');
        lines.push_back(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return lines;
}

inline int digit(char of) {
    std::string_view const digits = "0123456789abcdefABCDEF";
    auto const at = digits.find(of);
    return at == std::string_view::npos ? -1 : static_cast<int>(at < 16 ? at : at - 6);
}

/// A byte from two hex digits at a place.
inline std::optional<char> byte_at(std::string_view text, std::size_t at) {
    if (at + 2 > text.size() || digit(text[at]) < 0 || digit(text[at + 1]) < 0) return {};
    return static_cast<char>(digit(text[at]) * 16 + digit(text[at + 1]));
}

inline std::optional<std::string> data_of(std::string_view line, bool print) {
    if (line.substr(0, 1) != " ") return {};
    std::string bytes;
    for (std::size_t at = 1; at < line.size();) {
        if (print && line[at] != '\\') {
            bytes += line[at++];
            continue;
        }
        if (print && line.substr(at, 2) == "\\\\") {
            bytes += '\\';
            at += 2;
            continue;
        }
        auto const byte = byte_at(line, at + (print ? 1 : 0));
        if (!byte) return {};
        bytes += *byte;
        at += print ? 3 : 2;
    }
    return bytes;
}

/// What a header says, or nothing where it is none.
struct header {
    std::size_t lines = 0; ///< with HEADER=END
    bool print = false;
    bool duplicates = false;
};
inline std::optional<header> header_of(std::vector<std::string_view> const& lines) {
    header result;
    bool version = false;
    std::string_view format;
    for (auto const line : lines) {
        ++result.lines;
        if (line == "HEADER=END") {
            result.print = format == "print";
            return version && !format.empty() ? std::optional(result) : std::nullopt;
        }
        auto const equals = line.find('=');
        if (equals == 0 || equals == std::string_view::npos) return {};
        auto const name = line.substr(0, equals);
        auto const value = line.substr(equals + 1);
        if (name == "VERSION" && value != "3") return {};
        if (name == "format" && value != "bytevalue" && value != "print") return {};
        if (name == "type" && value != "btree" && value != "hash") return {};
        if (name == "keys" && value != "1") return {};
        if (name == "VERSION") version = true;
        if (name == "format") format = value;
        if ((name == "duplicates" || name == "dupsort") && value != "0") result.duplicates = true;
    }
    return {};
}

/// The pairs of a dump in their order, or nothing where it is none.
inline std::optional<pairs> pairs_of(std::string_view text) {
    auto const lines = lines_of(text);
    auto const header = header_of(lines);
    if (!header) return {};
    pairs result;
    for (auto at = header->lines;; at += 2) {
        if (at >= lines.size()) return {};
        if (lines[at] == "DATA=END") {
            auto const rest = lines.begin() + static_cast<std::ptrdiff_t>(at) + 1;
            auto const empty = [](auto line) { return line.empty(); };
            return std::all_of(rest, lines.end(), empty) ? std::optional(result) : std::nullopt;
        }
        if (at + 1 >= lines.size()) return {};
        auto key = data_of(lines[at], header->print);
        auto value = data_of(lines[at + 1], header->print);
        if (!key || !value || key->size() > 65535) return {};
        if (header->duplicates && !result.empty() && result.back().first == *key) return {};
        result.emplace_back(std::move(*key), std::move(*value));
    }
}

// ---- the tool's own
// ------------------------------------------------------------------------------

/// The pairs that are to be put: without those that are there and keep their values.
struct wanted_pairs {
    tool::dump_reader& reader;
    std::optional<coppice::snapshot> kept;

    bool next(tool::dump_pair& pair) {
        while (reader.next(pair)) {
            if (!kept || !kept->contains(pair.key)) return true;
        }
        return false;
    }
};

/// Loads as the verb `load` does. @return what it refused, or nothing
inline std::optional<std::string> load(coppice::memory_database& db, std::string text,
                                       bool overwrite) {
    try {
        tool::line_source lines("input", ::fmemopen(text.data(), text.size(), "re"));
        tool::dump_reader reader(lines);
        auto txn = db.write();
        wanted_pairs from{reader, overwrite ? std::nullopt : std::optional(txn.view())};
        tool::load_pairs(txn, from, overwrite);
        txn.commit();
    } catch (tool::failure const& e) {
        require(e.code() == tool::exit_code::corrupt, "another exit code");
        return e.what();
    }
    return {};
}

struct text_output {
    std::string text;
    void write(std::string_view more) { text += more; }
};

inline std::string dump(coppice::snapshot const& now, bool print) {
    text_output to;
    tool::write_dump_header(to, print, 0);
    for (auto const& [key, value] : now.all()) {
        tool::write_dump_line(to, key, print);
        tool::write_dump_line(to, value, print);
    }
    tool::write_dump_footer(to);
    return to.text;
}

inline content content_of(coppice::snapshot const& now) {
    content result;
    for (auto const& [key, value] : now.all()) result.emplace(key, value);
    return result;
}

/// The line that a complaint names, which begins with the name of the source.
inline std::size_t line_of(std::string_view complaint) {
    std::string_view const start = "input: line ";
    require(complaint.starts_with(start), "a complaint without its line");
    return std::strtoul(std::string(complaint.substr(start.size())).c_str(), nullptr, 10);
}

inline coppice::options tiny() {
    coppice::options chosen;
    chosen.preallocate_bytes = 0;
    chosen.nodes = {128, 128, 32};
    return chosen;
}

} // namespace fuzz_dump_detail

/// How many shortened forms of an input the replay tries.
inline constexpr std::size_t fuzz_dump_cuts = 64;

/// @param data choices (bit 0: keys that are there keep their values), then a dump
inline int fuzz_dump(std::uint8_t const* data, std::size_t size) {
    using namespace fuzz_dump_detail;
    if (size < 2 || size > 200'000) return 0;
    auto const overwrite = (data[0] & 1U) == 0;
    std::string const text(reinterpret_cast<char const*>(data) + 1, size - 1);
    coppice::memory_database db(coppice::storage::memory_medium(), tiny());
    content wanted{{"a", "there"}, {"k", std::string(100, 'v')}, {"z", ""}};
    db.update([&](auto& txn) {
        for (auto const& [key, value] : wanted) txn.put(key, value);
    });
    auto const before = db.read();

    auto const refused = load(db, text, overwrite);
    auto const given = pairs_of(text);
    require(refused.has_value() == !given.has_value(), "the two readers do not agree");
    if (refused) {
        require(line_of(*refused) <= lines_of(text).size(), "a line that is not there");
        require(db.read() == before && db.read().id() == before.id(), "half a load");
    } else {
        for (auto const& [key, value] : *given) {
            if (overwrite) {
                wanted[key] = value;
            } else {
                wanted.emplace(key, value);
            }
        }
    }
    require(content_of(db.read()) == wanted, "another content");
    require(db.check().clean(), "check finds fault");
    for (bool const print : {false, true}) {
        coppice::memory_database copy(coppice::storage::memory_medium(), tiny());
        require(!load(copy, dump(db.read(), print), true), "its own dump is refused");
        require(content_of(copy.read()) == wanted, "another content after dump and load");
    }
    return 0;
}
