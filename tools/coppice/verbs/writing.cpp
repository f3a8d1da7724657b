// SPDX-License-Identifier: BSL-1.0
// tools/coppice/verbs/writing.cpp: put, del.
// Invariant: a value from stdin is whole before the lock is taken, unless it is a file: then its
//   size is known, and it goes through in pieces.

#include "tools/coppice/output.hpp"
#include "tools/coppice/text_form.hpp"
#include "tools/coppice/verbs.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>

#include <sys/stat.h>
#include <unistd.h>

namespace tool {

namespace {

/// Reads on from stdin. @return an empty view at its end
std::string_view read_some(std::array<char, std::size_t{1} << 16U>& buffer) {
    for (;;) {
        auto const got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
        if (got >= 0) return {buffer.data(), static_cast<std::size_t>(got)};
        if (errno != EINTR) throw os_failure("stdin");
    }
}

/// How many bytes stdin still has, where it is a file.
std::optional<std::uint64_t> bytes_in_stdin() {
    struct stat status {};
    if (::fstat(STDIN_FILENO, &status) != 0 || !S_ISREG(status.st_mode)) return {};
    auto const at = ::lseek(STDIN_FILENO, 0, SEEK_CUR);
    if (at < 0) return {};
    return static_cast<std::uint64_t>(std::max<::off_t>(status.st_size - at, 0));
}

std::string all_of_stdin() {
    std::array<char, std::size_t{1} << 16U> buffer{};
    std::string text;
    for (;;) {
        auto const more = read_some(buffer);
        if (more.empty()) return text;
        text += more;
    }
}

void stream_stdin(coppice::transaction::value_writer to, std::uint64_t left) {
    std::array<char, std::size_t{1} << 16U> buffer{};
    while (left > 0) {
        auto const more = read_some(buffer).substr(0, static_cast<std::size_t>(left));
        if (more.empty()) throw failure(exit_code::unavailable, "stdin became shorter meanwhile");
        to.write(more);
        left -= more.size();
    }
    to.finish();
}

} // namespace

exit_code put(arguments const& given) {
    constexpr std::uint64_t stream_from_bytes = std::uint64_t{1} << 20U;
    auto const from_stdin = !given.value || *given.value == "-";
    auto const size_bytes = from_stdin ? bytes_in_stdin() : std::nullopt;
    auto const streamed = size_bytes && *size_bytes >= stream_from_bytes;
    std::string const value = streamed ? "" : from_stdin ? all_of_stdin() : *given.value;

    auto db = open_to_write(given, coppice::create::if_missing);
    auto txn = begin(db, given);
    if (streamed) {
        stream_stdin(txn.put_stream(given.key, *size_bytes), *size_bytes);
    } else {
        txn.put(given.key, value);
    }
    txn.commit(given.durability, given.note);
    return exit_code::done;
}

namespace {

/// Erases the keys that the lines of a file, or of stdin, are.
std::uint64_t erase_lines(coppice::transaction& txn, arguments const& given) {
    std::ifstream file;
    auto const from_stdin = *given.keys_from == "-";
    if (!from_stdin) {
        file.open(*given.keys_from);
        if (!file) throw failure(exit_code::unavailable, *given.keys_from + " cannot be opened");
    }
    auto& lines = from_stdin ? static_cast<std::istream&>(std::cin) : file;
    std::uint64_t erased = 0;
    std::uint64_t number = 0;
    for (std::string line; std::getline(lines, line);) {
        ++number;
        if (given.hex) {
            auto const key = from_hex(line);
            if (!key) {
                throw failure(exit_code::usage, "line " + std::to_string(number) +
                                                    " is not an even number of hex digits");
            }
            line = *key;
        }
        erased += txn.erase(line) ? 1U : 0U;
    }
    return erased;
}

std::uint64_t erase_bounds(coppice::transaction& txn, arguments const& given) {
    if (given.prefix) return txn.erase_prefix(*given.prefix);
    if (given.to) return txn.erase(given.from.value_or(""), *given.to);
    return txn.erase_from(*given.from);
}

} // namespace

exit_code del(arguments const& given) {
    auto const bounded = given.from || given.to;
    auto const ways = int{given.has_key} + int{bounded} + int{given.prefix.has_value()} +
                      int{given.keys_from.has_value()};
    if (ways != 1) {
        throw failure(exit_code::usage,
                      "del takes a KEY, or --from and --to, or --prefix, or --keys-from");
    }
    auto db = open_to_write(given, coppice::create::never);
    auto txn = begin(db, given);
    std::uint64_t erased = 0;
    if (given.has_key) {
        erased = txn.erase(given.key) ? 1 : 0;
    } else if (given.keys_from) {
        erased = erase_lines(txn, given);
    } else {
        erased = erase_bounds(txn, given);
    }
    if (erased == 0) {
        say("there is no such key");
        return exit_code::no;
    }
    txn.commit(given.durability, given.note);
    if (!given.has_key) say(std::to_string(erased) + " keys erased");
    return exit_code::done;
}

} // namespace tool
