// SPDX-License-Identifier: BSL-1.0
#pragma once
// tools/coppice/trace_reader.hpp: reading a trace, strictly.
// Owns: what is a line of a trace, and what may follow what.
// Invariant: what a reader hands out can be carried out in that order: transactions do not
//   overlap, savepoints exist, bulk loads ascend, sizes are allowed. Every error names the line.
//   When `next` returns false, the line `end` was seen, and nothing but empty lines behind it.

#include "tools/coppice/line_source.hpp"
#include "tools/coppice/text_form.hpp"
#include "tools/coppice/trace_format.hpp"

#include <coppice/options.hpp>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace tool {

/// The operations of a trace, one after the other. Empty lines and lines that begin with # are
/// passed over.
class trace_reader {
  public:
    /// Reads the first line.
    explicit trace_reader(line_source& from) : from_(from) {
        auto const first = from_.next();
        if (!first || *first != trace_header) {
            from_.refuse("a trace begins with '" + std::string(trace_header) + "'");
        }
    }

    /// Reads the next operation. @return false at the end of the trace
    [[nodiscard]] bool next(trace_operation& operation) {
        do {
            auto const line = from_.next();
            if (!line) from_.refuse("the trace ends without 'end'");
            rest_ = *line;
        } while (rest_.empty() || rest_.front() == '#');
        operation = {};
        operation.verb = verb();
        read_operands(operation);
        if (!rest_.empty()) from_.refuse("there is more on the line than belongs to it");
        follow(operation);
        if (operation.verb != trace_verb::end) return true;
        expect_nothing_more();
        return false;
    }

  private:
    using operands = detail::operands;
    using place = detail::place;

    [[nodiscard]] trace_verb verb() {
        auto const name = rest_.substr(0, rest_.find(' '));
        for (std::size_t i = 0; i < detail::trace_shapes.size(); ++i) {
            if (detail::trace_shapes[i].name != name) continue;
            rest_.remove_prefix(name.size());
            return static_cast<trace_verb>(i);
        }
        from_.refuse("there is no such operation");
    }

    void read_operands(trace_operation& to) {
        switch (detail::trace_shapes[static_cast<std::size_t>(to.verb)].has) {
        case operands::none: break;
        case operands::key: to.key = key(); break;
        case operands::key_value:
            to.key = key();
            to.value = bytes();
            break;
        case operands::two_keys:
            to.key = key();
            to.value = key();
            break;
        case operands::key_size:
            to.key = key();
            to.number = number(word());
            if (to.number > coppice::max_value_bytes) from_.refuse("no value may be so large");
            break;
        case operands::number: to.number = number(word()); break;
        case operands::setting: setting(to); break;
        case operands::how: how(to); break;
        }
    }

    /// One space, then what is before the next one.
    [[nodiscard]] std::string_view word() {
        space();
        auto const result = rest_.substr(0, rest_.find(' '));
        rest_.remove_prefix(result.size());
        return result;
    }
    void space() {
        if (rest_.empty()) from_.refuse("something is missing at the end of the line");
        if (rest_.front() != ' ') from_.refuse("one space parts the words of a line");
        rest_.remove_prefix(1);
    }
    [[nodiscard]] std::uint64_t number(std::string_view digits) const {
        std::uint64_t result = 0;
        auto const* const end = digits.data() + digits.size();
        auto const [stop, wrong] = std::from_chars(digits.data(), end, result);
        if (wrong != std::errc{} || stop != end) from_.refuse("a number from 0 on is expected");
        return result;
    }
    void setting(trace_operation& to) {
        to.key = word();
        to.number = number(word());
        for (auto const& each : detail::trace_settings) {
            if (each.name != to.key) continue;
            if (to.number >= each.least && to.number <= each.most) return;
            from_.refuse("from " + std::to_string(each.least) + " to " + std::to_string(each.most) +
                         " is allowed");
        }
        from_.refuse("there is no such option");
    }
    void how(trace_operation& to) {
        auto const name = word();
        std::size_t at = 0;
        while (at < detail::durability_names.size() && detail::durability_names[at] != name) ++at;
        if (at == detail::durability_names.size()) {
            from_.refuse("a commit is sync, lazy, two_sync or deferred");
        }
        to.how = static_cast<coppice::durability>(at);
        if (rest_.starts_with(" note ")) {
            rest_.remove_prefix(5);
            to.note = bytes();
            if (to.note.size() > coppice::max_note_bytes) from_.refuse("the note is too long");
        }
        if (rest_.starts_with(" hash ")) {
            rest_.remove_prefix(5);
            auto const digits = from_hex(word());
            if (!digits || digits->size() != 8) from_.refuse("a hash has 16 hex digits");
            std::uint64_t hash = 0;
            for (std::size_t i = 0; i < 8; ++i) hash = hash << 8U | detail::byte_at(*digits, i);
            to.hash = hash;
        }
    }

    [[nodiscard]] std::string key() {
        auto result = bytes();
        if (result.size() > coppice::max_key_bytes) {
            from_.refuse("a key of " + std::to_string(result.size()) + " bytes; " +
                         std::to_string(coppice::max_key_bytes) + " are allowed");
        }
        return result;
    }
    [[nodiscard]] std::string bytes() {
        if (rest_.starts_with(" \"")) return quoted();
        auto const digits = word();
        if (!digits.starts_with('x')) from_.refuse("\"text\" or x and hex digits are expected");
        auto result = from_hex(digits.substr(1));
        if (!result) from_.refuse("behind the x there is an even number of hex digits");
        return std::move(*result);
    }
    [[nodiscard]] std::string quoted() {
        std::string result;
        for (std::size_t at = 2; at < rest_.size();) {
            if (rest_[at] == '"') {
                rest_.remove_prefix(at + 1);
                return result;
            }
            if (rest_[at] == '\\') {
                at += escaped(rest_.substr(at + 1), result);
                continue;
            }
            auto const length = printable_length(rest_, at);
            if (length == 0)
                from_.refuse("an unprintable byte; it is written as \\x and two digits");
            result += rest_.substr(at, length);
            at += length;
        }
        from_.refuse("a text has no end");
    }
    /// @param behind the backslash @return how long the whole escape is
    std::size_t escaped(std::string_view behind, std::string& to) const {
        auto const what = behind.empty() ? '\0' : behind.front();
        if (what == '\\' || what == '"') {
            to += what;
        } else if (what == 't' || what == 'n') {
            to += what == 't' ? '\t' : '\n';
        } else {
            auto const byte = what == 'x' ? from_hex(behind.substr(1, 2)) : std::nullopt;
            if (!byte || byte->empty()) {
                from_.refuse("behind a backslash stands \\, \", t, n, or x and two hex digits");
            }
            to += *byte;
            return 4;
        }
        return 2;
    }

    /// Sees that the operation may stand here.
    void follow(trace_operation const& next) {
        using verb = trace_verb;
        auto const where = detail::trace_shapes[static_cast<std::size_t>(next.verb)].where;
        if (where == place::head && !in_head_) from_.refuse("options stand before all else");
        if (where == place::outside && inside_) from_.refuse("a transaction is under way");
        if (where == place::inside && !inside_) from_.refuse("there is no transaction");
        if (where == place::in_load) {
            if (!in_load_) from_.refuse("a pair belongs to a load");
            if (last_key_ && next.key <= *last_key_) from_.refuse("the keys of a load ascend");
            last_key_ = next.key;
        }
        if (where != place::in_load) last_key_.reset();
        in_load_ = next.verb == verb::load || where == place::in_load;
        in_head_ = where == place::head;
        if (next.verb == verb::begin) savepoints_ = 0;
        if (next.verb == verb::savepoint && next.number != savepoints_++) {
            from_.refuse("this savepoint is number " + std::to_string(savepoints_ - 1));
        }
        if (next.verb == verb::rollback && next.number >= savepoints_) {
            from_.refuse("there is no such savepoint");
        }
        inside_ = next.verb == verb::begin ||
                  (inside_ && next.verb != verb::commit && next.verb != verb::abort);
    }

    void expect_nothing_more() {
        while (auto const more = from_.next()) {
            if (!more->empty()) from_.refuse("something follows 'end'");
        }
    }

    line_source& from_;
    std::string_view rest_; ///< of the line
    bool in_head_ = true;
    bool inside_ = false;
    bool in_load_ = false;
    std::uint64_t savepoints_ = 0;
    std::optional<std::string> last_key_;
};

} // namespace tool
