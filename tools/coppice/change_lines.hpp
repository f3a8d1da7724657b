// SPDX-License-Identifier: BSL-1.0
#pragma once
// tools/coppice/change_lines.hpp: a change of a key as a line: a sign, the key, its values.
// Invariant: each line can be read back, and tells by its sign how many values it has.

#include "tools/coppice/arguments.hpp"
#include "tools/coppice/text_form.hpp"
#include "tools/coppice/verbs.hpp"

#include <coppice/diff.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace tool {

/// Makes lines, each in the place of the one before.
class change_lines {
  public:
    /// @param given its `json` and `hex` say in what form
    explicit change_lines(arguments const& given)
        : json_(given.json), form_(given.hex ? text_form::hex : text_form::escaped) {}

    /// The line, with its newline. Valid until the next call.
    [[nodiscard]] std::string const& of(coppice::change const& change) {
        line_.clear();
        if (json_) {
            line_ = json_of(change).dump();
        } else {
            line_ += !change.before ? '+' : !change.after ? '-' : '~';
            append(change.key);
            if (change.before) append(*change.before);
            if (change.after) append(*change.after);
        }
        return line_ += '\n';
    }

    /// The same as an object.
    [[nodiscard]] nlohmann::ordered_json json_of(coppice::change const& change) const {
        auto const hex = form_ == text_form::hex;
        nlohmann::ordered_json object;
        add_bytes(object, "key", change.key, hex);
        if (change.before) add_bytes(object, "before", *change.before, hex);
        if (change.after) add_bytes(object, "after", *change.after, hex);
        return object;
    }

  private:
    void append(std::string_view bytes) {
        line_ += '\t';
        append_text(line_, bytes, form_);
    }

    bool json_;
    text_form form_;
    std::string line_;
};

} // namespace tool
