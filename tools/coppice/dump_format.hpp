// SPDX-License-Identifier: BSL-1.0
#pragma once
// tools/coppice/dump_format.hpp: the text format of db_dump and mdb_dump.
// Owns: writing it, and reading it strictly: every error names the line.
// Invariant: a reader has seen DATA=END, and nothing but empty lines behind it, when `next` returns
//   false; whatever else ends a dump is thrown.

#include "tools/coppice/line_source.hpp"
#include "tools/coppice/text_form.hpp"

#include <coppice/options.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace tool {

/// A key and a value of a dump.
struct dump_pair {
    std::string key;
    std::string value;
};

// ---- writing -----------------------------------------------------------------------------------

/// @param to has `write`, as output has @param lmdb_map_bytes how much room mdb_load shall make; 0
/// says nothing of it
template <typename Output>
void write_dump_header(Output& to, bool print, std::uint64_t lmdb_map_bytes) {
    to.write("VERSION=3\nformat=");
    to.write(print ? "print" : "bytevalue");
    to.write("\ntype=btree\n");
    if (lmdb_map_bytes != 0) to.write("mapsize=" + std::to_string(lmdb_map_bytes) + "\n");
    to.write("HEADER=END\n");
}

/// Writes a key or a value as a line. A large one is never a second time in memory.
template <typename Output> void write_dump_line(Output& to, std::string_view bytes, bool print) {
    constexpr std::size_t piece_bytes = 4096;
    std::string text = " ";
    for (std::size_t at = 0; at < bytes.size(); at += piece_bytes) {
        auto const piece = bytes.substr(at, piece_bytes);
        if (!print) append_hex(text, piece);
        for (std::size_t i = 0; print && i < piece.size(); ++i) {
            auto const printable = piece[i] >= ' ' && piece[i] <= '~';
            if (printable && piece[i] != '\\') {
                text += piece[i];
            } else {
                text += '\\';
                append_hex(text, piece.substr(i, 1));
            }
        }
        to.write(text);
        text.clear();
    }
    text += '\n';
    to.write(text);
}

template <typename Output> void write_dump_footer(Output& to) { to.write("DATA=END\n"); }

// ---- reading -----------------------------------------------------------------------------------

/// The pairs of a dump, one after the other.
class dump_reader {
  public:
    /// Reads the header.
    explicit dump_reader(line_source& from) : from_(from) {
        while (header_line(line("the header ends early"))) {
        }
        if (!version_) from_.refuse("the header has no VERSION=3");
        if (!format_) from_.refuse("the header has no format=");
    }

    /// Reads the next pair. @return false at the end of the dump
    [[nodiscard]] bool next(dump_pair& pair) {
        auto const first = line("the dump ends without DATA=END");
        if (first == "DATA=END") {
            expect_nothing_more();
            return false;
        }
        decode(first, pair.key);
        if (pair.key.size() > coppice::max_key_bytes) {
            from_.refuse("a key of " + std::to_string(pair.key.size()) + " bytes; " +
                         std::to_string(coppice::max_key_bytes) + " are allowed");
        }
        if (duplicates_) {
            if (last_key_ == pair.key) {
                from_.refuse("a second value for the same key; a key has one value in coppice");
            }
            last_key_ = pair.key;
        }
        auto const second = line("the dump ends between a key and its value");
        if (second == "DATA=END") from_.refuse("a key without a value");
        decode(second, pair.value);
        return true;
    }

  private:
    [[nodiscard]] std::string_view line(char const* otherwise) {
        auto const next = from_.next();
        if (!next) from_.refuse(otherwise);
        return *next;
    }

    /// @return false at the end of the header
    [[nodiscard]] bool header_line(std::string_view text) {
        if (text == "HEADER=END") return false;
        auto const equals = text.find('=');
        if (equals == std::string_view::npos || equals == 0) {
            from_.refuse("this is no header line: 'name=value' is expected");
        }
        auto const name = text.substr(0, equals);
        auto const value = text.substr(equals + 1);
        if (name == "VERSION") {
            if (value != "3") from_.refuse("only VERSION=3 is known");
            version_ = true;
        } else if (name == "format") {
            if (value != "bytevalue" && value != "print") from_.refuse("an unknown format");
            format_ = true;
            print_ = value == "print";
        } else if (name == "type") {
            if (value != "btree" && value != "hash") from_.refuse("a type that has no keys");
        } else if (name == "keys") {
            if (value != "1") from_.refuse("the dump has no keys");
        } else if (name == "duplicates" || name == "dupsort") {
            duplicates_ = duplicates_ || value != "0";
        }
        return true;
    }

    void decode(std::string_view text, std::string& to) {
        if (text.empty() || text.front() != ' ') from_.refuse("a line of data begins with a space");
        text.remove_prefix(1);
        if (print_) return decode_print(text, to);
        auto bytes = from_hex(text);
        if (!bytes) from_.refuse("this is not an even number of hex digits");
        to = std::move(*bytes);
    }

    void decode_print(std::string_view text, std::string& to) {
        to.clear();
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] != '\\') {
                to += text[i];
            } else if (text.substr(i + 1, 1) == "\\") {
                to += '\\';
                ++i;
            } else {
                auto const byte = from_hex(text.substr(i + 1, 2));
                if (!byte || byte->empty())
                    from_.refuse("behind a backslash two hex digits follow");
                to += *byte;
                i += 2;
            }
        }
    }

    void expect_nothing_more() {
        while (auto const more = from_.next()) {
            if (!more->empty()) from_.refuse("something follows DATA=END; one database is loaded");
        }
    }

    line_source& from_;
    std::optional<std::string> last_key_;
    bool version_ = false;
    bool format_ = false;
    bool print_ = false;
    bool duplicates_ = false;
};

} // namespace tool
