// SPDX-License-Identifier: BSL-1.0
#pragma once
// Histories of a recorded machine, the images that a crash can leave behind at each moment of one,
// and the question to each image: does it open by itself, does it hold exactly one whole commit
// that is not older than what was promised, is it sound, and can it be written to?

#include <coppice/database.hpp>
#include <recorded_medium.hpp>
#include <workbench.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace crash {

using coppice::durability;
using recorded::image;
using recorded::op;
using recorded::operation;
using database = coppice::basic_database<recorded::medium>;
using content = std::map<std::string, std::string>;
using edits = std::vector<std::pair<std::string, std::optional<std::string>>>;

/// Tiny nodes, so that a few entries make a tree of several levels.
inline coppice::options tiny() {
    coppice::options chosen;
    chosen.nodes = {128, 128, 32};
    chosen.preallocate_bytes = 0;
    return chosen;
}

/// A commit that was begun, or promised, when the log had so many operations.
struct milestone {
    std::size_t at = 0;
    std::uint64_t id = 0;
    bool durable = false;
};

/// What was done, what was promised when, and what each commit holds.
struct history {
    image start;
    std::vector<operation> log;
    std::map<std::uint64_t, content> states;
    std::vector<milestone> begun;
    std::vector<milestone> promised;
    coppice::options chosen;

    /// The oldest commit that may be found once `at` operations are done.
    [[nodiscard]] std::uint64_t floor(std::size_t at, bool power_cut) const {
        std::uint64_t id = 0;
        for (auto const& each : promised) {
            if (each.at <= at && (each.durable || !power_cut)) id = std::max(id, each.id);
        }
        return id;
    }
    [[nodiscard]] std::uint64_t ceiling(std::size_t at) const {
        std::uint64_t id = 0;
        for (auto const& each : begun) {
            if (each.at <= at) id = std::max(id, each.id);
        }
        return id;
    }
};

/// Makes a history by working with a database.
class scribe {
  public:
    explicit scribe(coppice::options chosen, image const& start = {})
        : on_(std::make_shared<recorded::machine>(start)) {
        told_.start = start;
        told_.chosen = std::move(chosen);
    }

    void create() {
        begin(1, {});
        open();
        promise(1, true);
    }
    void open() { open_.emplace(recorded::medium(on_), told_.chosen); }
    void close() { open_.reset(); }
    void commit(edits const& changes, durability how) {
        auto txn = open_->write();
        auto state = newest();
        for (auto const& [key, value] : changes) {
            if (value) {
                txn.put(key, *value);
                state[key] = *value;
            } else {
                txn.erase(key);
                state.erase(key);
            }
        }
        begin(newest_id() + 1, std::move(state));
        auto const id = txn.commit(how).value;
        if (id != newest_id()) throw std::runtime_error("an unexpected commit id");
        promise(id, how != durability::lazy);
    }
    void sync() {
        open_->sync();
        promise(newest_id(), true);
    }
    /// Compacts. @param dropped a key that the filter leaves out, or nothing
    void compact(std::string const& dropped = {}) {
        coppice::compaction_hooks hooks;
        if (!dropped.empty()) {
            hooks.keep = [&](std::string_view key, std::string_view) { return key != dropped; };
            auto state = newest();
            state.erase(dropped);
            begin(newest_id() + 1, std::move(state));
        }
        if (!open_->compact(hooks)) throw std::runtime_error("a compaction was stopped");
        promise(newest_id(), true);
    }
    [[nodiscard]] history const& told() {
        told_.log = on_->log;
        return told_;
    }
    [[nodiscard]] recorded::machine& machine() noexcept { return *on_; }
    [[nodiscard]] database& handle() { return *open_; }
    [[nodiscard]] content const& newest() const {
        static content const none;
        return told_.states.empty() ? none : told_.states.rbegin()->second;
    }

  private:
    [[nodiscard]] std::uint64_t newest_id() const { return told_.states.rbegin()->first; }
    void begin(std::uint64_t id, content state) {
        told_.begun.push_back({on_->log.size(), id, false});
        told_.states[id] = std::move(state);
    }
    void promise(std::uint64_t id, bool durable) {
        told_.promised.push_back({on_->log.size(), id, durable});
    }

    std::shared_ptr<recorded::machine> on_;
    history told_;
    std::optional<database> open_;
};

inline void must(bool holds, std::string const& what) {
    if (!holds) throw std::runtime_error(what);
}

inline void must_be(coppice::snapshot const& found, content const& wanted,
                    std::string const& when) {
    must(found.size() == wanted.size(), when + ": another number of entries");
    auto at = wanted.begin();
    for (auto const& [key, value] : found.all()) {
        must(at != wanted.end() && key == at->first && value == at->second,
             when + ": entry '" + std::string(key) + "' is not that of the commit");
        ++at;
    }
}

/// Opens an image as recovery does, and asks it everything.
/// @return what was done to it meanwhile, as a history of its own; nothing if there was no database
inline std::optional<history> examine(image const& found, history const& told, std::uint64_t floor,
                                      std::uint64_t ceiling) {
    scribe after(told.chosen, found);
    try {
        after.open();
    } catch (coppice::error const& e) {
        must(floor == 0, std::string("does not open: ") + e.what());
        throw;
    }
    auto const state = after.handle().read();
    auto const id = state.id().value;
    must(id <= ceiling || (floor == 0 && id == 1),
         "a commit that nobody made: " + std::to_string(id));
    must(id >= floor, "a promised commit is lost: " + std::to_string(floor) + ", there is " +
                          std::to_string(id));
    auto states = told.states;
    if (floor == 0) states.try_emplace(1);
    must(states.contains(id), "an unknown commit " + std::to_string(id));
    must_be(state, states[id], "after opening");
    must(after.handle().check().clean(), "check() finds fault after opening");

    std::string const marker = "\xff marker";
    coppice::commit_id next;
    auto base = id;
    {
        // Readers are not shown what nobody was promised; a writer takes over what is whole.
        auto txn = after.handle().write();
        base = txn.view().id().value;
        must(base >= id && base <= std::max<std::uint64_t>(ceiling, 1), "an unknown base");
        txn.put(marker, "after the crash");
        next = txn.commit(durability::sync);
    }
    must(next.value > base, "commit ids go back");
    auto wanted = states[base];
    wanted[marker] = "after the crash";
    must_be(after.handle().read(), wanted, "after the next commit");
    must_be(state, states[id], "the snapshot that was held meanwhile");
    must(after.handle().check().clean(), "check() finds fault after the next commit");
    auto result = after.told();
    states.erase(states.upper_bound(base), states.end());
    result.states = states;
    result.begun.push_back({0, base, true});
    result.promised.push_back({0, std::max<std::uint64_t>(floor, 1), true});
    result.states[next.value] = wanted;
    result.begun.push_back({0, next.value, true});
    result.promised.push_back({result.log.size(), next.value, true});

    database again(recorded::medium(std::make_shared<recorded::machine>(after.machine().now())),
                   told.chosen);
    must_be(again.read(), wanted, "opened once more");
    return result;
}

[[nodiscard]] inline std::uint64_t hash_of(image const& of) {
    coppice::format::checksum_stream sum;
    for (auto const inode : {of.at_path, of.companion}) {
        auto const at = of.files.find(inode);
        auto const size = at == of.files.end() ? ~std::uint64_t{0} : at->second.size();
        std::array<std::byte, 8> length{};
        coppice::format::store(length.data(), size);
        sum.update(length);
        if (at != of.files.end()) sum.update(at->second);
    }
    sum.update(of.page);
    std::array<std::byte, 8> boot{};
    coppice::format::store(boot.data(), of.boot);
    sum.update(boot);
    return sum.digest();
}

/// What is to be done with an image: the image, floor, ceiling, what it is in words.
using visitor = std::function<void(image const&, std::uint64_t, std::uint64_t, std::string const&)>;

/// Every image that the death of the process can leave: after each operation, and within each write
/// at every multiple of `grain` bytes.
inline void for_each_kill(history const& told, std::size_t grain, visitor const& visit) {
    image cached = told.start;
    for (std::size_t at = 0;; ++at) {
        auto const where = "killed after operation " + std::to_string(at);
        visit(cached, told.floor(at, false), told.ceiling(at), where);
        if (at == told.log.size()) return;
        auto const& next = told.log[at];
        if (next.what == op::write) {
            for (auto cut = grain - next.offset % grain; cut < next.data.size(); cut += grain) {
                image torn = cached;
                apply(torn, next, cut);
                visit(torn, told.floor(at, false), told.ceiling(at),
                      where + " and " + std::to_string(cut) + " bytes of the next");
            }
        }
        apply(cached, next, next.data.size());
    }
}

/// Part of a write that is not yet on the device.
struct piece {
    operation const* of = nullptr;
    std::size_t begin = 0;
    std::size_t end = 0;
};

/// The disk as the last syncs left it, and what has come since.
class pending_disk {
  public:
    explicit pending_disk(image const& start) : durable_(start), cached_(start) {}

    void take(operation const& done) {
        apply(cached_, done, done.data.size());
        switch (done.what) {
        case op::write:
        case op::truncate: pending_.push_back(&done); break;
        case op::create:
            durable_.files[done.inode];
            names_.push_back(&done);
            break;
        case op::rename:
        case op::discard:
        case op::remove: names_.push_back(&done); break;
        case op::sync:
            durable_.files[done.inode] = cached_.files[done.inode];
            std::erase_if(pending_, [&](auto const* each) { return each->inode == done.inode; });
            break;
        case op::sync_name:
            durable_.at_path = cached_.at_path;
            durable_.companion = cached_.companion;
            names_.clear();
            break;
        case op::page: break;
        }
    }

    /// What is pending, cut at multiples of `grain` bytes; 0 leaves writes whole.
    [[nodiscard]] std::vector<piece> pieces(std::size_t grain) const {
        std::vector<piece> result;
        for (auto const* each : pending_) {
            auto const size = each->data.size();
            std::size_t begin = 0;
            do {
                auto const end =
                    grain == 0 ? size
                               : std::min(size, begin + grain - (each->offset + begin) % grain);
                result.push_back({each, begin, end});
                begin = end;
            } while (begin < size);
        }
        return result;
    }
    [[nodiscard]] std::size_t names() const noexcept { return names_.size(); }

    /// The disk after a power cut. @param kept which pieces, @param names how many names
    /// @param grown have the files their new sizes whatever was lost?
    [[nodiscard]] image after_cut(std::vector<piece> const& pieces, std::vector<bool> const& kept,
                                  std::size_t names, bool grown) const {
        image result = durable_;
        result.boot = cached_.boot;
        for (std::size_t i = 0; i < pieces.size(); ++i) {
            if (!kept[i]) continue;
            auto const& [of, begin, end] = pieces[i];
            if (of->what == op::truncate) {
                apply(result, *of, 0);
                continue;
            }
            auto& file = result.files[of->inode];
            file.resize(std::max<std::size_t>(file.size(), of->offset + end));
            std::copy(of->data.begin() + static_cast<std::ptrdiff_t>(begin),
                      of->data.begin() + static_cast<std::ptrdiff_t>(end),
                      file.begin() + static_cast<std::ptrdiff_t>(of->offset + begin));
        }
        for (auto const* each : pending_) {
            auto& file = result.files[each->inode];
            if (grown) file.resize(std::max(file.size(), cached_.files.at(each->inode).size()));
        }
        for (std::size_t i = 0; i < names; ++i) apply(result, *names_[i], 0);
        return result;
    }
    [[nodiscard]] image const& cached() const noexcept { return cached_; }

  private:
    image durable_;
    image cached_;
    std::vector<operation const*> pending_;
    std::vector<operation const*> names_;
};

/// Which pieces survive: all subsets of up to `most` pieces, else none, all, every one alone, all
/// but every one, and every prefix.
inline void for_each_subset(std::size_t count, std::size_t most,
                            std::function<void(std::vector<bool> const&)> const& visit) {
    if (count <= most) {
        for (std::uint64_t set = 0; set < std::uint64_t{1} << count; ++set) {
            std::vector<bool> kept(count);
            for (std::size_t i = 0; i < count; ++i) kept[i] = (set >> i & 1U) != 0;
            visit(kept);
        }
        return;
    }
    visit(std::vector<bool>(count, true));
    std::vector<bool> prefix(count, false);
    for (std::size_t i = 0; i < count; ++i) {
        visit(prefix);
        prefix[i] = true;
        std::vector<bool> one(count, false);
        one[i] = true;
        visit(one);
        one.flip();
        visit(one);
    }
}

/// What is left of the live page after a power cut: nothing, or the page of another boot.
inline void with_each_page(image cut, image const& cached,
                           std::function<void(image const&)> const& visit) {
    ++cut.boot;
    cut.page = {};
    visit(cut);
    cut.page = cached.page;
    visit(cut);
}

/// Every image that a power cut can leave after each operation, with writes cut at multiples of
/// `grain` (0: whole), as far as `for_each_subset` goes.
/// @param first the operation to begin with
inline void for_each_power_cut(history const& told, std::size_t grain, std::size_t most,
                               visitor const& visit, std::size_t first = 0) {
    pending_disk disk(told.start);
    for (std::size_t at = 0; at < first; ++at) disk.take(told.log[at]);
    for (std::size_t at = first;; ++at) {
        auto const pieces = disk.pieces(grain);
        auto const floor = told.floor(at, true);
        auto const ceiling = told.ceiling(at);
        for_each_subset(pieces.size(), most, [&](std::vector<bool> const& kept) {
            for (std::size_t names = 0; names <= disk.names(); ++names) {
                for (auto const grown : {false, true}) {
                    with_each_page(disk.after_cut(pieces, kept, names, grown), disk.cached(),
                                   [&](image const& left) {
                                       visit(left, floor, ceiling,
                                             "power cut after operation " + std::to_string(at));
                                   });
                }
            }
        });
        if (at == told.log.size()) return;
        disk.take(told.log[at]);
    }
}

/// A history that goes on with what was done after its first `at` operations and a kill.
[[nodiscard]] inline history joined(history const& told, std::size_t at, history const& after) {
    auto result = told;
    result.log.resize(at);
    result.log.insert(result.log.end(), after.log.begin(), after.log.end());
    std::erase_if(result.begun, [&](auto const& each) { return each.at > at; });
    std::erase_if(result.promised, [&](auto const& each) { return each.at > at; });
    for (auto each : after.begun) {
        each.at += at;
        result.begun.push_back(each);
    }
    for (auto each : after.promised) {
        if (each.at == 0) continue; // what was there after the kill may be lost to a power cut
        each.at += at;
        result.promised.push_back(each);
    }
    result.states = after.states;
    return result;
}

} // namespace crash
