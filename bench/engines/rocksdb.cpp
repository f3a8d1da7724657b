// SPDX-License-Identifier: BSL-1.0
// bench/engines/rocksdb.cpp: RocksDB with a Bloom filter of 10 bits a key and a 64 MiB write
// buffer. The bulk load writes one sorted table and takes it in.

#include "bench/engines/engines.hpp"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <stdexcept>
#include <string>

namespace bench {

namespace {

void expect(rocksdb::Status const& status) {
    if (!status.ok()) throw std::runtime_error("RocksDB: " + status.ToString());
}
[[nodiscard]] rocksdb::Slice slice_of(std::string_view text) { return {text.data(), text.size()}; }
[[nodiscard]] std::string_view text_of(rocksdb::Slice const& slice) {
    return {slice.data(), slice.size()};
}

class rocksdb_reader final : public reader {
  public:
    explicit rocksdb_reader(rocksdb::DB& db) : db_(db) { take(); }
    ~rocksdb_reader() override { release(); }

    void refresh() override {
        release();
        take();
    }
    std::optional<std::string_view> get(std::string_view key) override {
        value_.Reset();
        auto const status = db_.Get(options_, db_.DefaultColumnFamily(), slice_of(key), &value_);
        if (status.IsNotFound()) return {};
        expect(status);
        return text_of(value_);
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
    rocksdb::Iterator& iterator() {
        if (!iterator_) iterator_.reset(db_.NewIterator(options_));
        return *iterator_;
    }
    static totals walk(rocksdb::Iterator& at, std::uint64_t count) {
        totals sum;
        for (; sum.count < count && at.Valid(); at.Next()) {
            sum.add(text_of(at.key()), text_of(at.value()));
        }
        expect(at.status());
        return sum;
    }

    rocksdb::DB& db_;
    rocksdb::ReadOptions options_;
    std::unique_ptr<rocksdb::Iterator> iterator_;
    rocksdb::PinnableSlice value_;
};

class rocksdb_writer final : public writer {
  public:
    explicit rocksdb_writer(rocksdb::DB& db) : db_(db) {}

    void begin(durability how) override { options_.sync = how == durability::durable; }
    void put(std::string_view key, std::string_view value) override {
        expect(batch_.Put(slice_of(key), slice_of(value)));
    }
    void erase(std::string_view key) override { expect(batch_.Delete(slice_of(key))); }
    void commit() override {
        expect(db_.Write(options_, &batch_));
        batch_.Clear();
    }

  private:
    rocksdb::DB& db_;
    rocksdb::WriteOptions options_;
    rocksdb::WriteBatch batch_;
};

class rocksdb_engine final : public engine {
  public:
    explicit rocksdb_engine(place const& where) : folder_(where.folder) {
        rocksdb::BlockBasedTableOptions table;
        table.block_cache = rocksdb::NewLRUCache(where.cache_bytes());
        table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
        options_.create_if_missing = true;
        options_.compression = rocksdb::kNoCompression;
        options_.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
        rocksdb::DB* db = nullptr;
        expect(rocksdb::DB::Open(options_, (folder_ / "rocksdb").string(), &db));
        db_.reset(db);
    }

    void bulk_load(std::span<pair const> sorted) override {
        auto const path = (folder_ / "sorted.sst").string();
        rocksdb::SstFileWriter table(rocksdb::EnvOptions(), options_);
        expect(table.Open(path));
        for (auto const& [key, value] : sorted) expect(table.Put(slice_of(key), slice_of(value)));
        expect(table.Finish());
        rocksdb::IngestExternalFileOptions ingest;
        ingest.move_files = true;
        expect(db_->IngestExternalFile({path}, ingest));
    }
    std::unique_ptr<reader> make_reader() override {
        return std::make_unique<rocksdb_reader>(*db_);
    }
    std::unique_ptr<writer> make_writer() override {
        return std::make_unique<rocksdb_writer>(*db_);
    }
    void sync() override { expect(db_->FlushWAL(true)); }
    void compact() override {
        expect(db_->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr));
    }

  private:
    std::filesystem::path folder_;
    rocksdb::Options options_;
    std::unique_ptr<rocksdb::DB> db_;
};

} // namespace

std::unique_ptr<engine> open_rocksdb(place const& where) {
    return std::make_unique<rocksdb_engine>(where);
}

} // namespace bench
