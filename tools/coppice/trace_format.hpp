// SPDX-License-Identifier: BSL-1.0
#pragma once
// tools/coppice/trace_format.hpp: a trace: operations on a database as text, one on each line.
// Owns: the table of operations, and writing them; trace_reader.hpp reads them again.
// Invariant: a trace is UTF-8 text without control characters, whatever bytes its keys and values
//   are; whoever writes one writes the header first and `end` last.

#include "tools/coppice/text_form.hpp"

#include <coppice/options.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tool {

/// What a line of a trace does. `get`, `view` and `hold` change nothing; they are for fuzzing.
enum class trace_verb : std::uint8_t {
    option,       ///< of the database that is made or opened: its name and a number
    begin,        ///< a transaction
    put,          ///< a key and its value
    insert,       ///< the same, if the key is not there
    erase,        ///< a key
    erase_range,  ///< the keys from one on and before another
    erase_from,   ///< the keys from one on
    erase_prefix, ///< the keys that begin so
    load,         ///< a bulk load of the pairs that follow
    pair,         ///< of a bulk load; keys ascend
    stream,       ///< a key and its value, which goes through a stream
    abandon,      ///< begins a stream for a key and a size, and gives it up
    get,          ///< reads a key
    view,         ///< makes a view of the transaction
    savepoint,    ///< the first one of a transaction is 0, the next one 1
    rollback,     ///< to a savepoint
    commit,       ///< how, and maybe a note and the hash of the state
    abort,        ///< ends a transaction without a commit
    hold,         ///< takes a snapshot and keeps it
    reopen,       ///< closes the database and opens it again
    compact,      ///< rewrites it
    sync,         ///< makes earlier commits durable
    end,          ///< of the trace
};

/// One line. What a verb does not need stays as it is in a fresh one.
struct trace_operation {
    trace_verb verb = trace_verb::end;
    std::string key{};   ///< or the name of an option, or a prefix
    std::string value{}; ///< or the end of a range
    std::uint64_t number = 0;
    coppice::durability how = coppice::durability::sync;
    std::string note{};
    std::optional<std::uint64_t> hash{};

    friend bool operator==(trace_operation const&, trace_operation const&) = default;
};

inline constexpr std::string_view trace_header = "coppice trace 1";

namespace detail {

/// What follows a verb on its line.
enum class operands : std::uint8_t {
    none,
    key,
    key_value,
    two_keys,
    key_size,
    number,
    setting,
    how
};
/// Where it may stand.
enum class place : std::uint8_t { head, outside, inside, in_load, anywhere };

struct trace_shape {
    std::string_view name;
    operands has;
    place where;
};

/// In the order of `trace_verb`.
inline constexpr std::array<trace_shape, 23> trace_shapes{
    {{"option", operands::setting, place::head},
     {"begin", operands::none, place::outside},
     {"put", operands::key_value, place::inside},
     {"insert", operands::key_value, place::inside},
     {"erase", operands::key, place::inside},
     {"erase-range", operands::two_keys, place::inside},
     {"erase-from", operands::key, place::inside},
     {"erase-prefix", operands::key, place::inside},
     {"load", operands::none, place::inside},
     {"pair", operands::key_value, place::in_load},
     {"stream", operands::key_value, place::inside},
     {"abandon", operands::key_size, place::inside},
     {"get", operands::key, place::inside},
     {"view", operands::none, place::inside},
     {"savepoint", operands::number, place::inside},
     {"rollback", operands::number, place::inside},
     {"commit", operands::how, place::inside},
     {"abort", operands::none, place::inside},
     {"hold", operands::none, place::anywhere},
     {"reopen", operands::none, place::outside},
     {"compact", operands::none, place::outside},
     {"sync", operands::none, place::outside},
     {"end", operands::none, place::outside}}};
static_assert(trace_shapes[static_cast<std::size_t>(trace_verb::end)].name == "end");

/// What an option may be.
struct trace_setting {
    std::string_view name;
    std::uint64_t least;
    std::uint64_t most;
};

inline constexpr std::array<trace_setting, 7> trace_settings{
    {{"leaf_bytes", 128, 65536},
     {"inner_bytes", 128, 65536},
     {"inline_value_bytes", 0, 65536},
     {"preallocate_bytes", 0, std::uint64_t{1} << 30U},
     {"two_sync_above_bytes", 0, ~std::uint64_t{0}},
     {"unsynced_limit_bytes", 0, std::uint64_t{1} << 30U},
     {"pad_commits", 0, 1}}};

inline constexpr std::array<std::string_view, 4> durability_names{"sync", "lazy", "two_sync",
                                                                  "deferred"};

} // namespace detail

/// Bytes as an operand: "text", or x and hex digits where that is shorter.
inline void append_operand(std::string& to, std::string_view bytes) {
    std::string text;
    for (auto rest = bytes;;) {
        auto const quote = rest.find('"');
        append_escaped(text, rest.substr(0, quote));
        if (quote == std::string_view::npos) break;
        text += "\\\"";
        rest.remove_prefix(quote + 1);
    }
    if (text.size() > 2 * bytes.size()) {
        to += " x";
        append_hex(to, bytes);
    } else {
        to.append(" \"").append(text).append("\"");
    }
}

/// Adds the line of an operation, with its newline.
inline void append_operation(std::string& to, trace_operation const& done) {
    using detail::operands;
    auto const& shape = detail::trace_shapes[static_cast<std::size_t>(done.verb)];
    to += shape.name;
    switch (shape.has) {
    case operands::none: break;
    case operands::key: append_operand(to, done.key); break;
    case operands::key_value:
    case operands::two_keys:
        append_operand(to, done.key);
        append_operand(to, done.value);
        break;
    case operands::key_size:
        append_operand(to, done.key);
        to += ' ' + std::to_string(done.number);
        break;
    case operands::number: to += ' ' + std::to_string(done.number); break;
    case operands::setting: to += ' ' + done.key + ' ' + std::to_string(done.number); break;
    case operands::how:
        to.append(" ").append(detail::durability_names[static_cast<std::size_t>(done.how)]);
        if (!done.note.empty()) {
            to += " note";
            append_operand(to, done.note);
        }
        if (done.hash) {
            to += " hash ";
            for (unsigned shift = 64; shift > 0; shift -= 4) {
                to += detail::hex_digits[*done.hash >> (shift - 4) & 15U];
            }
        }
        break;
    }
    to += '\n';
}

/// Adds the first line of a trace.
inline void append_trace_header(std::string& to) { to.append(trace_header).append("\n"); }

} // namespace tool
