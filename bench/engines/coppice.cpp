// SPDX-License-Identifier: BSL-1.0
// bench/engines/coppice.cpp: coppice with default options; no-sync commits are lazy ones. Where it
// is to compact itself, it does when there is more garbage than live bytes.

#include "bench/engines/engines.hpp"

#include <coppice/coppice.hpp>

#include <optional>

namespace bench {

namespace {

template <typename Database> class coppice_reader final : public reader {
  public:
    explicit coppice_reader(Database const& db) : db_(db), now_(db.read()), at_(now_.cursor()) {}

    void refresh() override {
        now_ = db_.read();
        at_ = now_.cursor();
    }
    std::optional<std::string_view> get(std::string_view key) override { return now_.get(key); }
    void get_newest(std::string_view key, visitor const& visit) override { db_.get(key, visit); }
    totals get_many(std::span<std::string_view const> keys) override {
        totals sum;
        now_.get_many(keys, [&](std::string_view key, std::optional<std::string_view> value) {
            if (value) sum.add(key, *value);
        });
        return sum;
    }
    totals scan() override {
        totals sum;
        for (auto const [key, value] : now_) sum.add(key, value);
        return sum;
    }
    totals scan_from(std::string_view key, std::size_t count) override {
        totals sum;
        at_.seek(key);
        for (; sum.count < count && at_.valid(); at_.next()) sum.add(at_.key(), at_.value());
        return sum;
    }

  private:
    Database const& db_;
    coppice::snapshot now_;
    coppice::cursor at_;
};

template <typename Database> class coppice_writer final : public writer {
  public:
    explicit coppice_writer(Database& db) : db_(db) {}

    void begin(durability how) override {
        how_ = how == durability::durable    ? coppice::durability::sync
               : how == durability::deferred ? coppice::durability::deferred
                                             : coppice::durability::lazy;
        txn_.emplace(db_.write());
    }
    void put(std::string_view key, std::string_view value) override { txn_->put(key, value); }
    void erase(std::string_view key) override { txn_->erase(key); }
    void commit() override {
        txn_->commit(how_);
        txn_.reset();
    }

  private:
    Database& db_;
    coppice::durability how_{};
    std::optional<typename Database::transaction> txn_;
};

[[nodiscard]] coppice::options options_of(place const& where) {
    coppice::options chosen;
    if (where.compacts_itself) chosen.compaction.garbage_ratio = 1;
    if (where.without_timers) chosen.flush.interval = {};
    return chosen;
}

template <typename Database> class coppice_engine final : public engine {
  public:
    template <typename... Place>
    explicit coppice_engine(Place&&... at) : db_(std::forward<Place>(at)...) {}

    void bulk_load(std::span<pair const> sorted) override {
        db_.update([&](auto& txn) { txn.load(sorted); });
    }
    std::unique_ptr<reader> make_reader() override {
        return std::make_unique<coppice_reader<Database>>(db_);
    }
    std::unique_ptr<writer> make_writer() override {
        return std::make_unique<coppice_writer<Database>>(db_);
    }
    [[nodiscard]] std::uint64_t appended_bytes() override { return db_.stats().valid_bytes; }
    [[nodiscard]] bool defers() const noexcept override { return true; }
    void sync() override { db_.sync(); }
    void flush() override { db_.flush(); }
    void compact() override { db_.compact(); }

  private:
    Database db_;
};

} // namespace

std::unique_ptr<engine> open_coppice(place const& where) {
    return std::make_unique<coppice_engine<coppice::database>>(where.folder / "coppice.db",
                                                               options_of(where));
}
std::unique_ptr<engine> open_coppice_in_memory() {
    return std::make_unique<coppice_engine<coppice::memory_database>>();
}

} // namespace bench
