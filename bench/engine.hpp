// SPDX-License-Identifier: BSL-1.0
#pragma once
// bench/engine.hpp: one face for the engines that are compared.
// Owns: `engine`, `reader` and `writer`, and the list of engines that were built in.
// Invariant: the same call does the same work in each engine, to the same durable end; each engine
//   is used in its usual, recommended form, without compression, with a cache larger than the data.
// Thread safety: an engine may be asked for readers and writers from any thread; a reader or
//   writer belongs to one thread at a time. Failures are exceptions.

#include "bench/totals.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

namespace bench {

/// A key and its value; both live in the data set that they are of.
using pair = std::pair<std::string_view, std::string_view>;

/// What a commit waits for.
enum class durability : std::uint8_t {
    durable,  ///< the device has it when the commit returns
    no_sync,  ///< the engine's usual mode without a sync; what a crash takes differs by engine
    deferred, ///< it may stay in the process for a while; only of engines that say `defers`
};

/// Takes the value of a key, or nothing.
using visitor = std::function<void(std::optional<std::string_view>)>;

/// Reads at a moment of a store: at first the moment at which it was made.
class reader {
  public:
    reader() = default;
    reader(reader const&) = delete;
    reader& operator=(reader const&) = delete;
    virtual ~reader() = default;

    /// Moves to the newest moment.
    virtual void refresh() = 0;
    /// The value of a key, or nothing. The view lives until the next call.
    virtual std::optional<std::string_view> get(std::string_view key) = 0;
    /// A get that is a transaction of its own: of the newest moment.
    virtual void get_newest(std::string_view key, visitor const& visit) {
        refresh();
        visit(get(key));
    }
    /// Gets several keys at once. An engine that can do better than one after the other overrides
    /// it. @return the totals of the pairs that were found
    virtual totals get_many(std::span<std::string_view const> keys) {
        totals sum;
        for (auto const key : keys) {
            if (auto const value = get(key)) sum.add(key, *value);
        }
        return sum;
    }
    /// Walks all pairs.
    virtual totals scan() = 0;
    /// Walks `count` pairs from the first key that is not before `key`, or as many as there are.
    virtual totals scan_from(std::string_view key, std::size_t count) = 0;
};

/// Makes transactions, one after the other.
class writer {
  public:
    writer() = default;
    writer(writer const&) = delete;
    writer& operator=(writer const&) = delete;
    virtual ~writer() = default;

    /// Begins a transaction; waits for its turn where there can be only one.
    virtual void begin(durability how) = 0;
    virtual void put(std::string_view key, std::string_view value) = 0;
    virtual void erase(std::string_view key) = 0;
    virtual void commit() = 0;
};

/// An open store.
class engine {
  public:
    engine() = default;
    engine(engine const&) = delete;
    engine& operator=(engine const&) = delete;
    virtual ~engine() = default;

    /// Loads sorted pairs into an empty store, in the engine's best way, to a durable end.
    virtual void bulk_load(std::span<pair const> sorted) = 0;
    virtual std::unique_ptr<reader> make_reader() = 0;
    virtual std::unique_ptr<writer> make_writer() = 0;
    /// Makes all commits durable.
    virtual void sync() = 0;
    /// How many bytes commits have appended so far; 0 for an engine that does not only append.
    [[nodiscard]] virtual std::uint64_t appended_bytes() { return 0; }
    /// Has it commits that are kept in the memory of the process and written later?
    [[nodiscard]] virtual bool defers() const noexcept { return false; }
    /// Gives these to the operating system, without a sync.
    virtual void flush() {}
    /// Makes the store as small as the engine can. REQUIRES: no readers, no writers.
    virtual void compact() = 0;
};

/// Where a store is, and what it has to expect.
struct place {
    std::filesystem::path folder; ///< exists; the engine's files lie in it
    std::uint64_t data_bytes = 0; ///< about how many bytes of user data it will hold
    bool compacts_itself = false; ///< by an engine that can be asked to
    bool without_timers = false;  ///< nothing happens because time has passed, to count exactly

    /// A cache in which everything fits.
    [[nodiscard]] std::uint64_t cache_bytes() const noexcept {
        return 3 * data_bytes + (std::uint64_t{128} << 20U);
    }
};

/// An engine that can be measured.
struct engine_entry {
    std::string_view name;
    std::unique_ptr<engine> (*open)(place const& where); ///< null where its package is missing
    std::string_view package;                            ///< Debian's name of what it needs
};

/// All engines, coppice first, LMDB, the one that others are compared with, second.
[[nodiscard]] std::span<engine_entry const> all_engines();
/// @throws std::runtime_error for a name that is not in the list, or was not built in
[[nodiscard]] engine_entry const& engine_named(std::string_view name);

} // namespace bench
