// SPDX-License-Identifier: BSL-1.0
// bench/engines/sqlite.cpp: SQLite, one WITHOUT ROWID table in WAL mode, prepared statements.
// Durable commits have synchronous=FULL, no-sync ones OFF. Each reader and writer has a connection.

#include "bench/engines/engines.hpp"

#include <sqlite3.h>

#include <stdexcept>
#include <string>

namespace bench {

namespace {

/// A connection, and how it fails.
class connection {
  public:
    explicit connection(place const& where) {
        auto const path = (where.folder / "sqlite.db").string();
        expect(sqlite3_open(path.c_str(), &db_));
        sqlite3_busy_timeout(db_, 60'000);
        run("PRAGMA journal_mode=WAL");
        run("PRAGMA cache_size=-" + std::to_string(where.cache_bytes() / 1024));
        run("CREATE TABLE IF NOT EXISTS pairs(key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID");
    }
    connection(connection const&) = delete;
    connection& operator=(connection const&) = delete;
    ~connection() { sqlite3_close(db_); }

    void run(std::string const& text) {
        expect(sqlite3_exec(db_, text.c_str(), nullptr, nullptr, nullptr));
    }
    void expect(int code) const {
        if (code != SQLITE_OK && code != SQLITE_DONE) {
            throw std::runtime_error(std::string("SQLite: ") + sqlite3_errmsg(db_));
        }
    }
    [[nodiscard]] sqlite3* get() const noexcept { return db_; }

  private:
    sqlite3* db_ = nullptr;
};

/// A prepared statement.
class statement {
  public:
    statement(connection& db, char const* text) : db_(db) {
        db.expect(sqlite3_prepare_v3(db.get(), text, -1, SQLITE_PREPARE_PERSISTENT, &it_, nullptr));
    }
    statement(statement const&) = delete;
    statement& operator=(statement const&) = delete;
    ~statement() { sqlite3_finalize(it_); }

    void bind(int index, std::string_view text) {
        // Not null, for an empty text is not NULL.
        char const* const data = text.empty() ? "" : text.data();
        db_.expect(sqlite3_bind_blob64(it_, index, data, text.size(), SQLITE_STATIC));
    }
    /// @return is there a row?
    bool step() {
        auto const code = sqlite3_step(it_);
        if (code != SQLITE_ROW) db_.expect(code);
        return code == SQLITE_ROW;
    }
    void run() {
        static_cast<void>(step());
        reset();
    }
    void reset() { sqlite3_reset(it_); }
    [[nodiscard]] std::string_view column(int index) const {
        auto const* const data = static_cast<char const*>(sqlite3_column_blob(it_, index));
        return {data, static_cast<std::size_t>(sqlite3_column_bytes(it_, index))};
    }

  private:
    connection& db_;
    sqlite3_stmt* it_ = nullptr;
};

class sqlite_reader final : public reader {
  public:
    explicit sqlite_reader(place const& where)
        : db_(where),
          begin_(db_, "BEGIN"),
          commit_(db_, "COMMIT"),
          get_(db_, "SELECT value FROM pairs WHERE key = ?"),
          all_(db_, "SELECT key, value FROM pairs ORDER BY key"),
          from_(db_, "SELECT key, value FROM pairs WHERE key >= ? ORDER BY key") {
        begin_.run();
    }

    void refresh() override {
        get_.reset();
        commit_.run();
        begin_.run();
    }
    std::optional<std::string_view> get(std::string_view key) override {
        get_.reset();
        get_.bind(1, key);
        if (!get_.step()) return {};
        return get_.column(0);
    }
    totals scan() override { return walk(all_, ~std::uint64_t{0}); }
    totals scan_from(std::string_view key, std::size_t count) override {
        from_.bind(1, key);
        return walk(from_, count);
    }

  private:
    static totals walk(statement& rows, std::uint64_t count) {
        totals sum;
        while (sum.count < count && rows.step()) sum.add(rows.column(0), rows.column(1));
        rows.reset();
        return sum;
    }

    connection db_;
    statement begin_;
    statement commit_;
    statement get_;
    statement all_;
    statement from_;
};

class sqlite_writer final : public writer {
  public:
    explicit sqlite_writer(place const& where)
        : db_(where),
          begin_(db_, "BEGIN IMMEDIATE"),
          commit_(db_, "COMMIT"),
          put_(db_, "INSERT OR REPLACE INTO pairs VALUES(?, ?)"),
          erase_(db_, "DELETE FROM pairs WHERE key = ?") {
        db_.run("PRAGMA synchronous=FULL");
    }

    void begin(durability how) override {
        if (how != how_) {
            db_.run(how == durability::durable ? "PRAGMA synchronous=FULL"
                                               : "PRAGMA synchronous=OFF");
            how_ = how;
        }
        begin_.run();
    }
    void put(std::string_view key, std::string_view value) override {
        put_.bind(1, key);
        put_.bind(2, value);
        put_.run();
    }
    void erase(std::string_view key) override {
        erase_.bind(1, key);
        erase_.run();
    }
    void commit() override { commit_.run(); }

  private:
    connection db_;
    statement begin_;
    statement commit_;
    statement put_;
    statement erase_;
    durability how_ = durability::durable;
};

class sqlite_engine final : public engine {
  public:
    explicit sqlite_engine(place const& where) : where_(where), db_(where) {}

    void bulk_load(std::span<pair const> sorted) override {
        sqlite_writer writer(where_);
        writer.begin(durability::durable);
        for (auto const& [key, value] : sorted) writer.put(key, value);
        writer.commit();
    }
    std::unique_ptr<reader> make_reader() override {
        return std::make_unique<sqlite_reader>(where_);
    }
    std::unique_ptr<writer> make_writer() override {
        return std::make_unique<sqlite_writer>(where_);
    }
    // A checkpoint with synchronous=FULL syncs the log, the table, and then begins the log anew.
    void sync() override { db_.run("PRAGMA synchronous=FULL; PRAGMA wal_checkpoint(TRUNCATE)"); }
    void compact() override {
        db_.run("VACUUM");
        sync();
    }

  private:
    place where_;
    connection db_;
};

} // namespace

std::unique_ptr<engine> open_sqlite(place const& where) {
    return std::make_unique<sqlite_engine>(where);
}

} // namespace bench
