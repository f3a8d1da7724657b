// SPDX-License-Identifier: BSL-1.0
#pragma once
// What the tests of the API and of store/ stand on: a database in a file or in memory that is
// checked when the test ends and leaves nothing behind, content to put into it, and comparisons
// with a std::map. Tests that run over both media are TEMPLATE_TEST_CASEs over `in_file` and
// `in_memory`.

#include <coppice/database.hpp>
#include <workbench.hpp>

#include <catch2/catch.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace proving {

using content = std::map<std::string, std::string, std::less<>>;

// ---- content ---------------------------------------------------------------------------------

/// Bytes that look like nothing else: the same for the same seed.
[[nodiscard]] inline std::string noise(std::size_t size_bytes, std::uint64_t seed = 1) {
    workbench::dice dice(seed);
    std::string text(size_bytes, '\0');
    for (auto& c : text) c = static_cast<char>(dice.next());
    return text;
}
/// `prefix` and a number with leading zeros, so that keys ascend as the numbers do.
[[nodiscard]] inline std::string numbered(std::string_view prefix, std::uint64_t number) {
    auto const digits = std::to_string(number);
    return std::string(prefix) + std::string(8 - std::min<std::size_t>(8, digits.size()), '0') +
           digits;
}
/// Entries with short keys and values of mixed lengths, some of them out of line with tiny nodes.
[[nodiscard]] inline content numbered_entries(std::size_t count, std::string_view prefix = "k") {
    content entries;
    for (std::size_t i = 0; i < count; ++i) entries[numbered(prefix, i)] = noise(i * 7 % 90, i);
    return entries;
}

/// All entries of a snapshot.
[[nodiscard]] inline content content_of(coppice::snapshot const& state) {
    content result;
    for (auto const& [key, value] : state) result[std::string(key)] = std::string(value);
    return result;
}
/// Does a snapshot hold exactly this? Walks it forwards, and asks for every key.
inline void must_hold(coppice::snapshot const& state, content const& wanted) {
    REQUIRE(state.size() == wanted.size());
    auto expected = wanted.begin();
    std::uint64_t index = 0;
    for (auto const [key, value] : state) {
        REQUIRE(expected != wanted.end());
        // Values may be long, so what differs is not printed.
        REQUIRE((key == expected->first));
        REQUIRE((value == expected->second));
        REQUIRE((state.get(key) == value));
        REQUIRE(state.rank(key) == index);
        ++expected;
        ++index;
    }
    REQUIRE(expected == wanted.end());
}

// ---- databases -------------------------------------------------------------------------------

/// Nodes so small that a few dozen entries make a tree of several levels.
[[nodiscard]] inline coppice::options tiny() {
    coppice::options chosen;
    chosen.nodes = {.leaf_bytes = 128, .inner_bytes = 128, .inline_value_bytes = 32};
    chosen.preallocate_bytes = 0;
    return chosen;
}

/// A database in a file in a folder of its own.
class in_file {
  public:
    using database = coppice::database;

    [[nodiscard]] database open(coppice::options chosen) const { return database(path(), chosen); }
    [[nodiscard]] coppice::storage::file_medium medium() const { return {path(), false}; }
    [[nodiscard]] std::filesystem::path path() const { return folder_ / "test.db"; }

  private:
    workbench::folder folder_;
};

/// A database in memory.
class in_memory {
  public:
    using database = coppice::memory_database;

    [[nodiscard]] database open(coppice::options chosen) const { return database(medium_, chosen); }
    [[nodiscard]] coppice::storage::memory_medium medium() const { return medium_; }

  private:
    coppice::storage::memory_medium medium_;
};

/// A database at such a place. What the newest commit relies on is checked when the test ends.
template <typename Place> class test_database {
  public:
    using database = typename Place::database;
    using transaction = typename database::transaction;

    explicit test_database(coppice::options chosen = tiny())
        : chosen_(std::move(chosen)), db_(place_.open(chosen_)) {}
    test_database(test_database const&) = delete;
    test_database& operator=(test_database const&) = delete;
    ~test_database() {
        // Where the test fails anyway, its own message is the one to read.
        if (std::uncaught_exceptions() == 0) check();
    }

    [[nodiscard]] database& operator*() noexcept { return *db_; }
    [[nodiscard]] database* operator->() noexcept { return &*db_; }
    [[nodiscard]] Place const& place() const noexcept { return place_; }
    [[nodiscard]] coppice::options const& chosen() const noexcept { return chosen_; }

    void close() { db_.reset(); }
    void reopen() {
        db_.reset();
        db_.emplace(place_.open(chosen_));
    }
    /// Another handle of the same database.
    [[nodiscard]] database another() const { return place_.open(chosen_); }
    [[nodiscard]] database another(coppice::options chosen) const {
        return place_.open(std::move(chosen));
    }

    void check() {
        try {
            if (!db_) db_.emplace(place_.open(chosen_));
            auto const report = db_->check();
            for (auto const& each : report.findings) {
                UNSCOPED_INFO(each.what << " at " << each.offset);
            }
            CHECK(report.clean());
        } catch (std::exception const& e) {
            FAIL_CHECK("the check of the database: " << e.what());
        }
    }

  private:
    coppice::options chosen_;
    Place place_;
    std::optional<database> db_;
};

// ---- files -----------------------------------------------------------------------------------

/// All bytes of a storage.
template <typename Storage> [[nodiscard]] std::vector<std::byte> bytes_of(Storage const& storage) {
    std::vector<std::byte> all(static_cast<std::size_t>(storage.size()));
    REQUIRE(storage.read(0, all) == all.size());
    return all;
}
/// All bytes of a file.
[[nodiscard]] inline std::string text_of(std::filesystem::path const& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text(static_cast<std::size_t>(std::filesystem::file_size(path)), '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    REQUIRE(file);
    return text;
}
inline void write_text(std::filesystem::path const& path, std::string_view text) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
    REQUIRE(file.flush());
}

} // namespace proving
