// SPDX-License-Identifier: BSL-1.0
// bench/engines/leveldb.cpp: LevelDB with a Bloom filter of 10 bits a key and a 64 MiB write
// buffer. It has no bulk load: sorted batches are written. An empty synced batch makes the log
// durable.

#include "bench/engines/engines.hpp"

#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>

#include <algorithm>
#include <stdexcept>
#include <string>

namespace bench {

namespace {

void expect(leveldb::Status const& status) {
    if (!status.ok()) throw std::runtime_error("LevelDB: " + status.ToString());
}
[[nodiscard]] leveldb::Slice slice_of(std::string_view text) { return {text.data(), text.size()}; }
[[nodiscard]] std::string_view text_of(leveldb::Slice const& slice) {
    return {slice.data(), slice.size()};
}

class leveldb_reader final : public reader {
  public:
    explicit leveldb_reader(leveldb::DB& db) : db_(db) { take(); }
    ~leveldb_reader() override { release(); }

    void refresh() override {
        release();
        take();
    }
    std::optional<std::string_view> get(std::string_view key) override {
        auto const status = db_.Get(options_, slice_of(key), &value_);
        if (status.IsNotFound()) return {};
        expect(status);
        return value_;
    }
    totals scan() override {
        auto& at = iterator();
        at.SeekToFirst();
        return walk(at, ~std::uint64_t{0});
    }
    totals scan_from(std::string_view key, std::size_t count) override {
        auto& at = iterator();
        at.Seek(slice_of(key));
        return walk(at, count);
    }

  private:
    void take() { options_.snapshot = db_.GetSnapshot(); }
    void release() {
        iterator_.reset();
        db_.ReleaseSnapshot(options_.snapshot);
    }
    leveldb::Iterator& iterator() {
        if (!iterator_) iterator_.reset(db_.NewIterator(options_));
        return *iterator_;
    }
    static totals walk(leveldb::Iterator& at, std::uint64_t count) {
        totals sum;
        for (; sum.count < count && at.Valid(); at.Next()) {
            sum.add(text_of(at.key()), text_of(at.value()));
        }
        expect(at.status());
        return sum;
    }

    leveldb::DB& db_;
    leveldb::ReadOptions options_;
    std::unique_ptr<leveldb::Iterator> iterator_;
    std::string value_;
};

class leveldb_writer final : public writer {
  public:
    explicit leveldb_writer(leveldb::DB& db) : db_(db) {}

    void begin(durability how) override { options_.sync = how == durability::durable; }
    void put(std::string_view key, std::string_view value) override {
        batch_.Put(slice_of(key), slice_of(value));
    }
    void erase(std::string_view key) override { batch_.Delete(slice_of(key)); }
    void commit() override {
        expect(db_.Write(options_, &batch_));
        batch_.Clear();
    }

  private:
    leveldb::DB& db_;
    leveldb::WriteOptions options_;
    leveldb::WriteBatch batch_;
};

class leveldb_engine final : public engine {
  public:
    explicit leveldb_engine(place const& where)
        : cache_(leveldb::NewLRUCache(where.cache_bytes())),
          filter_(leveldb::NewBloomFilterPolicy(10)) {
        leveldb::Options options;
        options.create_if_missing = true;
        options.compression = leveldb::kNoCompression;
        options.write_buffer_size = std::size_t{64} << 20U;
        options.block_cache = cache_.get();
        options.filter_policy = filter_.get();
        leveldb::DB* db = nullptr;
        expect(leveldb::DB::Open(options, (where.folder / "leveldb").string(), &db));
        db_.reset(db);
    }

    void bulk_load(std::span<pair const> sorted) override {
        constexpr std::size_t batch = 1000;
        leveldb_writer writer(*db_);
        while (!sorted.empty()) {
            auto const now = sorted.first(std::min(batch, sorted.size()));
            sorted = sorted.subspan(now.size());
            writer.begin(sorted.empty() ? durability::durable : durability::no_sync);
            for (auto const& [key, value] : now) writer.put(key, value);
            writer.commit();
        }
    }
    std::unique_ptr<reader> make_reader() override {
        return std::make_unique<leveldb_reader>(*db_);
    }
    std::unique_ptr<writer> make_writer() override {
        return std::make_unique<leveldb_writer>(*db_);
    }
    void sync() override {
        leveldb_writer writer(*db_);
        writer.begin(durability::durable);
        writer.commit();
    }
    void compact() override { db_->CompactRange(nullptr, nullptr); }

  private:
    std::unique_ptr<leveldb::Cache> cache_;
    std::unique_ptr<leveldb::FilterPolicy const> filter_;
    std::unique_ptr<leveldb::DB> db_; // goes first
};

} // namespace

std::unique_ptr<engine> open_leveldb(place const& where) {
    return std::make_unique<leveldb_engine>(where);
}

} // namespace bench
