// SPDX-License-Identifier: BSL-1.0
#pragma once
// What was done to a database and what was promised, as the judge of what a crash leaves. Every
// content that a commit has made is a version with a parent. A state that is found must be one of
// them, begun by then, and must have the newest promised one among its ancestors or be it: so
// nothing that was promised is lost, and nothing that was denied comes back.

#include <crash_history.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace explorer {

using crash::content;
using crash::must;

/// Names the version of a content from within, where the history has more than one process.
inline std::string const version_key = "#";

/// One content.
struct version {
    content state;
    std::size_t parent = 0;
    std::size_t begun_at = 0;          ///< operations that were done before it began
    std::optional<std::uint64_t> id{}; ///< of its commit, where that is known
    bool lazy = false;                 ///< a power cut may take it although readers saw it
};

/// A promise that was made when so many operations were done.
struct promise {
    std::size_t at = 0;
    std::size_t version = 0;
    bool durable = false;
};

/// The versions and promises of one boot of a machine.
class ledger {
  public:
    /// Begins with one version that is there whatever happens.
    void begin_with(content state, std::uint64_t id) {
        versions_ = {{std::move(state), 0, 0, id, false}};
        promises_ = {{0, 0, true}};
        damaged_ = false;
    }
    [[nodiscard]] std::size_t next_number() const noexcept { return versions_.size(); }
    /// @return the number of the version
    std::size_t begin(std::size_t at, std::size_t parent, content state, bool lazy,
                      std::optional<std::uint64_t> id = {}) {
        versions_.push_back({std::move(state), parent, at, id, lazy});
        return versions_.size() - 1;
    }
    /// Forgets what was begun last: it changed nothing, so there is no commit of it.
    void drop_newest() { versions_.pop_back(); }
    void keep_promise(std::size_t at, std::size_t number, bool durable) {
        promises_.push_back({at, number, durable});
    }
    /// A call that was to make this version has failed and says that nothing has changed.
    void deny(std::size_t number) { versions_.at(number).begun_at = never; }
    /// A power cut has left this version; those that it does not come from are gone for good.
    void restart_with(std::size_t number) {
        for (auto& each : versions_) each.begun_at = never;
        for (auto at = number;; at = versions_[at].parent) {
            versions_[at].begun_at = 0;
            if (at == 0) break;
        }
        promises_ = {{0, number, true}};
        for (auto& each : names_) each.at = 0;
        damaged_ = false;
    }
    /// A version has its number as a name, and was promised to keep it over a power cut.
    void keep_name(std::size_t at, std::size_t number) { names_.push_back({at, number, true}); }
    /// From now on what is only in the cache may get lost without a power cut.
    void see_failed_sync() noexcept { damaged_ = true; }

    [[nodiscard]] bool damaged() const noexcept { return damaged_; }

    [[nodiscard]] version const& at(std::size_t number) const { return versions_.at(number); }
    [[nodiscard]] content const& state(std::size_t number) const {
        return versions_.at(number).state;
    }
    /// The newest version that no power cut may take once readers were shown this one.
    [[nodiscard]] std::size_t durable_below(std::size_t number) const {
        while (versions_.at(number).lazy) number = versions_[number].parent;
        return number;
    }
    /// The newest version that must not be lost once `at` operations are done.
    [[nodiscard]] std::size_t floor(std::size_t at, bool power_cut) const {
        std::size_t number = 0;
        for (auto const& each : promises_) {
            if (each.at <= at && (each.durable || !(power_cut || damaged_))) {
                number = std::max(number, each.version);
            }
        }
        return number;
    }

    /// Which version is this? @throws std::runtime_error where it is none, or not one that may be
    std::size_t judge(coppice::snapshot const& found, std::size_t at, std::size_t floor) const {
        auto const number = find(found);
        auto const& is = versions_.at(number);
        must(is.begun_at <= at, "a version that was not begun");
        crash::must_be(found, is.state, "version " + std::to_string(number));
        auto ancestor = number;
        while (ancestor > floor) ancestor = versions_.at(ancestor).parent;
        must(ancestor == floor, "version " + std::to_string(number) + " does not come from the " +
                                    "promised " + std::to_string(floor));
        return number;
    }

    /// Which version an old state is. @throws std::runtime_error where it is none
    [[nodiscard]] std::size_t number_of(coppice::snapshot const& old) const { return find(old); }
    /// What a database has of the past: every commit that it holds is a version as it was made, a
    /// name is that of its version, and no promised one is missing.
    void judge_past(coppice::testing::database const& db, std::size_t at) const {
        auto const now = db.read();
        for (auto const& commit : db.history()) {
            // As db.read(id), but for a look at what others have done each time: nobody is there.
            coppice::snapshot const then(coppice::store::state_at(now.state(), commit.id));
            if (!then.contains(version_key)) continue;
            auto const number = find(then);
            must(versions_.at(number).begun_at <= at, "an old version that was not begun");
            crash::must_be(then, versions_[number].state, "old version " + std::to_string(number));
        }
        std::set<std::string> names;
        for (auto const& [name, commit] : db.tags()) {
            auto const then = db.read(commit);
            must(then.get(version_key) == name, "the tag " + name + " names another commit");
            names.insert(name);
        }
        for (auto const& each : names_) {
            must(each.at > at || names.contains(std::to_string(each.version)),
                 "a promised tag is lost: " + std::to_string(each.version));
        }
    }

  private:
    static constexpr auto never = ~std::size_t{0};

    [[nodiscard]] std::size_t find(coppice::snapshot const& found) const {
        if (auto const text = found.get(version_key)) {
            std::size_t number = 0;
            for (char const digit : *text) {
                number = number * 10 + static_cast<std::size_t>(digit - '0');
            }
            must(number < versions_.size(), "a version that nobody made");
            return number;
        }
        for (auto number = versions_.size(); number > 0; --number) {
            if (versions_[number - 1].id == found.id().value) return number - 1;
        }
        throw std::runtime_error("commit " + std::to_string(found.id().value) + " is unknown");
    }

    std::vector<version> versions_;
    std::vector<promise> promises_;
    std::vector<promise> names_;
    bool damaged_ = false;
};

} // namespace explorer
