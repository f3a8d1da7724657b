// SPDX-License-Identifier: BSL-1.0
// bench/engines/coppice.cpp: coppice with default options; no-sync commits are lazy ones.

#include "bench/engines/engines.hpp"

#include <coppice/coppice.hpp>

#include <optional>

namespace bench {

namespace {

class coppice_reader final : public reader {
  public:
    explicit coppice_reader(coppice::database const& db)
        : db_(db), now_(db.read()), at_(now_.cursor()) {}

    void refresh() override {
        now_ = db_.read();
        at_ = now_.cursor();
    }
    std::optional<std::string_view> get(std::string_view key) override { return now_.get(key); }
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
    coppice::database const& db_;
    coppice::snapshot now_;
    coppice::cursor at_;
};

class coppice_writer final : public writer {
  public:
    explicit coppice_writer(coppice::database& db) : db_(db) {}

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
    coppice::database& db_;
    coppice::durability how_{};
    std::optional<coppice::transaction> txn_;
};

class coppice_engine final : public engine {
  public:
    explicit coppice_engine(place const& where) : db_(where.folder / "coppice.db") {}

    void bulk_load(std::span<pair const> sorted) override {
        db_.update([&](auto& txn) { txn.load(sorted); });
    }
    std::unique_ptr<reader> make_reader() override { return std::make_unique<coppice_reader>(db_); }
    std::unique_ptr<writer> make_writer() override { return std::make_unique<coppice_writer>(db_); }
    [[nodiscard]] bool defers() const noexcept override { return true; }
    void sync() override { db_.sync(); }
    void compact() override { db_.compact(); }

  private:
    coppice::database db_;
};

} // namespace

std::unique_ptr<engine> open_coppice(place const& where) {
    return std::make_unique<coppice_engine>(where);
}

} // namespace bench
