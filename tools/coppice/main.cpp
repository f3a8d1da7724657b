// SPDX-License-Identifier: BSL-1.0
// tools/coppice/main.cpp: from the command line to a verb, and from its end to an exit code.

#include "tools/coppice/arguments.hpp"
#include "tools/coppice/exit_code.hpp"
#include "tools/coppice/output.hpp"
#include "tools/coppice/verbs.hpp"

#include <coppice/error.hpp>

#include <array>
#include <csignal>
#include <exception>
#include <string>
#include <string_view>

namespace {

using tool::exit_code;

struct verb {
    std::string_view name;
    exit_code (*run)(tool::arguments const& given);
};

constexpr std::array<verb, 22> verbs = {
    {{"get", tool::get},          {"put", tool::put},         {"del", tool::del},
     {"scan", tool::scan},        {"count", tool::count},     {"diff", tool::diff},
     {"changes", tool::changes},  {"stat", tool::stat},       {"check", tool::check},
     {"log", tool::log},          {"dump", tool::dump},       {"load", tool::load},
     {"trace", tool::trace},      {"replay", tool::replay},   {"compact", tool::compact},
     {"backup", tool::backup},    {"restore", tool::restore}, {"branch", tool::branch},
     {"salvage", tool::salvage},  {"map", tool::map},         {"tag", tool::tag},
     {"rollback", tool::rollback}}};

exit_code run(int count, char const* const* words) {
    auto const given = tool::parse(count, words);
    if (!given) return exit_code::done;
    for (auto const& verb : verbs) {
        if (verb.name == given->verb) return verb.run(*given);
    }
    return exit_code::usage;
}

exit_code run_and_tell(int count, char const* const* words) {
    try {
        return run(count, words);
    } catch (tool::reader_gone const&) {
        return exit_code::done;
    } catch (tool::failure const& e) {
        tool::say(e.what());
        return e.code();
    } catch (coppice::error const& e) {
        tool::say(e.what());
        return tool::exit_code_of(e.kind());
    } catch (std::exception const& e) {
        tool::say(e.what());
        return exit_code::unavailable;
    }
}

} // namespace

int main(int argc, char** argv) {
    // Whoever reads stderr may go away while a transaction is under way; that must not end it.
    static_cast<void>(std::signal(SIGPIPE, SIG_IGN));
    return static_cast<int>(run_and_tell(argc, argv));
}
