// SPDX-License-Identifier: BSL-1.0
#pragma once
// A small sound file, and the question to any damaged form of it: does it give the answers that it
// gave before, or say that something is wrong? A wrong answer, a crash or an endless loop is never
// right.

#include <crash_history.hpp>
#include <forged_file.hpp>
#include <workbench.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace damaged {

using crash::content;

/// How a damaged file answered.
enum class answer {
    same,    ///< as if nothing had happened
    refused, ///< with a typed error, or check() finds fault
    older,   ///< an older whole commit, and recovery said so
    silent,  ///< an older whole commit, and nobody said so
};

/// A file of some commits, newest last.
struct sample {
    forged::file_bytes file;
    std::map<std::uint64_t, content> states;
    std::uint64_t newest = 0;
};

/// @param entries how many, @param nodes their sizes, @param values how values are made
inline sample make_sample(unsigned entries, coppice::node_sizes nodes) {
    auto chosen = crash::tiny();
    chosen.nodes = nodes;
    crash::scribe by(chosen);
    by.create();
    crash::edits first;
    for (unsigned i = 0; i < entries; ++i) {
        auto const size = i % 7 == 3 ? 80U + i : i % 20;
        first.emplace_back("key" + std::to_string(1000 + i), std::string(size, 'v'));
    }
    by.commit(first, crash::durability::two_sync);
    by.commit({{"key1002", "second"}}, crash::durability::sync);
    by.commit({{"key1003", std::string(99, 'w')}, {"key1010", std::nullopt}},
              crash::durability::sync);
    auto const& told = by.told();
    auto const& now = by.now();
    return {now.files.at(now.database), told.states, told.newest_id()};
}

/// One machine whose file is damaged and healed again and again.
class patient {
  public:
    explicit patient(sample from) : from_(std::move(from)) { heal(); }

    /// Puts the bytes of the sample back, or others.
    void heal() { become(from_.file); }
    void become(forged::file_bytes const& file) {
        on_ = std::make_unique<crash::machine>(crash::image_of(file));
        on_->forget_log();
    }
    [[nodiscard]] std::byte& at(std::uint64_t offset) { return on_->database_bytes()[offset]; }
    [[nodiscard]] std::uint64_t size() { return on_->database_bytes().size(); }
    void cut(std::uint64_t size) { on_->cut_database(size); }
    [[nodiscard]] sample const& origin() const noexcept { return from_; }

    /// @param thorough is check() to be asked as well?
    [[nodiscard]] answer ask(bool thorough) {
        try {
            bool told = false;
            coppice::options chosen;
            chosen.read_only = true;
            chosen.events.on_recover = [&](coppice::recovery_info const&) { told = true; };
            crash::database const db(on_->start_process(), chosen);
            auto const state = db.read();
            auto const id = state.id().value;
            if (!from_.states.contains(id)) throw std::runtime_error("a commit nobody made");
            compare(state, from_.states.at(id));
            if (thorough && !db.check().clean()) return answer::refused;
            if (id == from_.newest) return told ? answer::older : answer::same;
            return told ? answer::older : answer::silent;
        } catch (coppice::error const&) {
            return answer::refused;
        }
    }

  private:
    static void compare(coppice::snapshot const& state, content const& wanted) {
        crash::must_be(state, wanted, "a damaged file gives a wrong answer");
        std::uint64_t index = 0;
        for (auto const& [key, value] : wanted) {
            auto const found = state.get(key);
            crash::must(found && *found == value && state.rank(key) == index &&
                            state.nth(index)->key == key,
                        "a damaged file gives a wrong answer for " + key);
            ++index;
        }
    }

    sample from_;
    std::unique_ptr<crash::machine> on_;
};

} // namespace damaged
