// SPDX-License-Identifier: BSL-1.0
// bench/engines/wiredtiger.cpp: WiredTiger, one row-store table with its log.
// Durable commits wait for the log's fsync; no-sync ones stay in the log's buffer in the process.
// The bulk load uses a bulk cursor, then a checkpoint.

#include "bench/engines/engines.hpp"

#include <wiredtiger.h>

#include <stdexcept>
#include <string>

namespace bench {

namespace {

constexpr char const* table = "table:pairs";

void expect(int code) {
    if (code != 0)
        throw std::runtime_error(std::string("WiredTiger: ") + wiredtiger_strerror(code));
}
[[nodiscard]] WT_ITEM item_of(std::string_view text) {
    WT_ITEM item{};
    item.data = text.data();
    item.size = text.size();
    return item;
}
[[nodiscard]] std::string_view text_of(WT_ITEM const& item) {
    return {static_cast<char const*>(item.data), item.size};
}

/// A session with a cursor on the table.
class session {
  public:
    explicit session(WT_CONNECTION& connection, char const* cursor_options = nullptr) {
        expect(connection.open_session(&connection, nullptr, nullptr, &session_));
        expect(session_->create(session_, table, "key_format=u,value_format=u"));
        expect(session_->open_cursor(session_, table, nullptr, cursor_options, &cursor_));
    }
    session(session const&) = delete;
    session& operator=(session const&) = delete;
    ~session() { session_->close(session_, nullptr); }

    void begin() { expect(session_->begin_transaction(session_, "isolation=snapshot")); }
    void commit(char const* options) { expect(session_->commit_transaction(session_, options)); }
    void rollback() { expect(session_->rollback_transaction(session_, nullptr)); }
    void checkpoint() { expect(session_->checkpoint(session_, nullptr)); }
    void flush_log() { expect(session_->log_flush(session_, "sync=on")); }
    void compact() { expect(session_->compact(session_, table, nullptr)); }

    void set_key(std::string_view text) {
        auto const item = item_of(text);
        cursor_->set_key(cursor_, &item);
    }
    void set_value(std::string_view text) {
        auto const item = item_of(text);
        cursor_->set_value(cursor_, &item);
    }
    [[nodiscard]] std::string_view key() {
        WT_ITEM item{};
        expect(cursor_->get_key(cursor_, &item));
        return text_of(item);
    }
    [[nodiscard]] std::string_view value() {
        WT_ITEM item{};
        expect(cursor_->get_value(cursor_, &item));
        return text_of(item);
    }
    [[nodiscard]] WT_CURSOR& cursor() noexcept { return *cursor_; }

  private:
    WT_SESSION* session_ = nullptr;
    WT_CURSOR* cursor_ = nullptr;
};

class wiredtiger_reader final : public reader {
  public:
    explicit wiredtiger_reader(WT_CONNECTION& connection) : session_(connection) {
        session_.begin();
    }

    void refresh() override {
        session_.rollback(); // resets the cursor
        session_.begin();
    }
    std::optional<std::string_view> get(std::string_view key) override {
        session_.set_key(key);
        auto const code = at().search(&at());
        if (code == WT_NOTFOUND) return {};
        expect(code);
        return session_.value();
    }
    totals scan() override {
        expect(at().reset(&at()));
        return walk(at().next(&at()), ~std::uint64_t{0});
    }
    totals scan_from(std::string_view key, std::size_t count) override {
        session_.set_key(key);
        int order = 0;
        auto code = at().search_near(&at(), &order);
        if (code == 0 && order < 0) code = at().next(&at());
        return walk(code, count);
    }

  private:
    WT_CURSOR& at() noexcept { return session_.cursor(); }
    totals walk(int code, std::uint64_t count) {
        totals sum;
        for (; code == 0; code = at().next(&at())) {
            sum.add(session_.key(), session_.value());
            if (sum.count == count) return sum;
        }
        if (code != WT_NOTFOUND) expect(code);
        return sum;
    }

    session session_;
};

class wiredtiger_writer final : public writer {
  public:
    explicit wiredtiger_writer(WT_CONNECTION& connection) : session_(connection) {}

    void begin(durability how) override {
        options_ = how == durability::durable ? "sync=on" : "sync=off";
        session_.begin();
    }
    void put(std::string_view key, std::string_view value) override {
        session_.set_key(key);
        session_.set_value(value);
        expect(session_.cursor().insert(&session_.cursor()));
    }
    void erase(std::string_view key) override {
        session_.set_key(key);
        expect(session_.cursor().remove(&session_.cursor()));
    }
    void commit() override { session_.commit(options_); }

  private:
    session session_;
    char const* options_ = "";
};

class wiredtiger_engine final : public engine {
  public:
    explicit wiredtiger_engine(place const& where) {
        auto const options = "create,log=(enabled=true,prealloc=false),cache_size=" +
                             std::to_string(where.cache_bytes() >> 20U) +
                             "MB,transaction_sync=(enabled=true,method=fsync)";
        expect(wiredtiger_open(where.folder.c_str(), nullptr, options.c_str(), &connection_));
    }
    ~wiredtiger_engine() override { connection_->close(connection_, nullptr); }

    void bulk_load(std::span<pair const> sorted) override {
        {
            session loader(*connection_, "bulk");
            for (auto const& [key, value] : sorted) {
                loader.set_key(key);
                loader.set_value(value);
                expect(loader.cursor().insert(&loader.cursor()));
            }
        }
        session(*connection_).checkpoint();
    }
    std::unique_ptr<reader> make_reader() override {
        return std::make_unique<wiredtiger_reader>(*connection_);
    }
    std::unique_ptr<writer> make_writer() override {
        return std::make_unique<wiredtiger_writer>(*connection_);
    }
    void sync() override { session(*connection_).flush_log(); }
    void compact() override {
        session one(*connection_);
        one.checkpoint();
        one.compact();
        one.checkpoint();
    }

  private:
    WT_CONNECTION* connection_ = nullptr;
};

} // namespace

std::unique_ptr<engine> open_wiredtiger(place const& where) {
    return std::make_unique<wiredtiger_engine>(where);
}

} // namespace bench
