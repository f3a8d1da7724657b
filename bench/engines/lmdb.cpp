// SPDX-License-Identifier: BSL-1.0
// bench/engines/lmdb.cpp: LMDB with its defaults, and with MDB_WRITEMAP.
// Its map is far larger than the data, since pages that a reader holds are not used again. No-sync
// is MDB_NOSYNC. Compaction is mdb_env_copy2 with MDB_CP_COMPACT, synced and renamed into place.

#include "bench/engines/engines.hpp"

#include <fcntl.h>
#include <lmdb.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

namespace bench {

namespace {

void expect(int code) {
    if (code != 0) throw std::runtime_error(std::string("LMDB: ") + mdb_strerror(code));
}
[[nodiscard]] MDB_val value_of(std::string_view text) {
    return {text.size(), const_cast<char*>(text.data())};
}
[[nodiscard]] std::string_view text_of(MDB_val const& value) {
    return {static_cast<char const*>(value.mv_data), value.mv_size};
}

class lmdb_reader final : public reader {
  public:
    lmdb_reader(MDB_env* env, MDB_dbi dbi) : dbi_(dbi) {
        expect(mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn_));
        expect(mdb_cursor_open(txn_, dbi_, &cursor_));
    }
    ~lmdb_reader() override {
        mdb_cursor_close(cursor_);
        mdb_txn_abort(txn_);
    }

    void refresh() override {
        mdb_txn_reset(txn_);
        expect(mdb_txn_renew(txn_));
        expect(mdb_cursor_renew(txn_, cursor_));
    }
    std::optional<std::string_view> get(std::string_view key) override {
        MDB_val k = value_of(key);
        MDB_val v;
        auto const code = mdb_get(txn_, dbi_, &k, &v);
        if (code == MDB_NOTFOUND) return {};
        expect(code);
        return text_of(v);
    }
    totals scan() override {
        MDB_val k;
        MDB_val v;
        return walk(k, v, MDB_FIRST, ~std::uint64_t{0});
    }
    totals scan_from(std::string_view key, std::size_t count) override {
        MDB_val k = value_of(key);
        MDB_val v;
        return walk(k, v, MDB_SET_RANGE, count);
    }

  private:
    totals walk(MDB_val& k, MDB_val& v, MDB_cursor_op first, std::uint64_t count) {
        totals sum;
        auto code = mdb_cursor_get(cursor_, &k, &v, first);
        while (code == 0) {
            sum.add(text_of(k), text_of(v));
            if (sum.count == count) return sum;
            code = mdb_cursor_get(cursor_, &k, &v, MDB_NEXT);
        }
        if (code != MDB_NOTFOUND) expect(code);
        return sum;
    }

    MDB_dbi dbi_;
    MDB_txn* txn_ = nullptr;
    MDB_cursor* cursor_ = nullptr;
};

class lmdb_writer final : public writer {
  public:
    lmdb_writer(MDB_env* env, MDB_dbi dbi) : env_(env), dbi_(dbi) {}
    ~lmdb_writer() override {
        if (txn_ != nullptr) mdb_txn_abort(txn_);
    }

    void begin(durability how) override {
        expect(mdb_txn_begin(env_, nullptr, 0, &txn_));
        expect(mdb_env_set_flags(env_, MDB_NOSYNC, how == durability::no_sync ? 1 : 0));
    }
    void put(std::string_view key, std::string_view value) override { put(key, value, 0); }
    void put(std::string_view key, std::string_view value, unsigned flags) {
        MDB_val k = value_of(key);
        MDB_val v = value_of(value);
        expect(mdb_put(txn_, dbi_, &k, &v, flags));
    }
    void erase(std::string_view key) override {
        MDB_val k = value_of(key);
        expect(mdb_del(txn_, dbi_, &k, nullptr));
    }
    void commit() override { expect(mdb_txn_commit(std::exchange(txn_, nullptr))); }

  private:
    MDB_env* env_;
    MDB_dbi dbi_;
    MDB_txn* txn_ = nullptr;
};

class lmdb_engine final : public engine {
  public:
    lmdb_engine(place const& where, unsigned flags)
        : path_((where.folder / "lmdb.db").string()),
          map_bytes_(32 * where.data_bytes + (std::size_t{1} << 30U)),
          flags_(flags) {
        open();
    }
    ~lmdb_engine() override { mdb_env_close(env_); }

    void bulk_load(std::span<pair const> sorted) override {
        lmdb_writer writer(env_, dbi_);
        writer.begin(durability::durable);
        for (auto const& [key, value] : sorted) writer.put(key, value, MDB_APPEND);
        writer.commit();
    }
    std::unique_ptr<reader> make_reader() override {
        return std::make_unique<lmdb_reader>(env_, dbi_);
    }
    std::unique_ptr<writer> make_writer() override {
        return std::make_unique<lmdb_writer>(env_, dbi_);
    }
    void sync() override { expect(mdb_env_sync(env_, 1)); }
    void compact() override {
        auto const fresh = path_ + ".compact";
        auto const file = ::open(fresh.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0664);
        if (file < 0) throw std::runtime_error("LMDB: cannot make " + fresh);
        auto const copied = mdb_env_copyfd2(env_, file, MDB_CP_COMPACT);
        auto const synced = fdatasync(file);
        ::close(file);
        expect(copied);
        expect(synced);
        mdb_env_close(env_);
        std::filesystem::rename(fresh, path_);
        open();
    }

  private:
    void open() {
        expect(mdb_env_create(&env_));
        expect(mdb_env_set_mapsize(env_, map_bytes_));
        expect(mdb_env_open(env_, path_.c_str(), MDB_NOSUBDIR | MDB_NOTLS | flags_, 0664));
        MDB_txn* txn = nullptr;
        expect(mdb_txn_begin(env_, nullptr, 0, &txn));
        expect(mdb_dbi_open(txn, nullptr, 0, &dbi_));
        expect(mdb_txn_commit(txn));
    }

    std::string path_;
    std::size_t map_bytes_;
    unsigned flags_;
    MDB_env* env_ = nullptr;
    MDB_dbi dbi_ = 0;
};

} // namespace

std::unique_ptr<engine> open_lmdb(place const& where) {
    return std::make_unique<lmdb_engine>(where, 0U);
}
std::unique_ptr<engine> open_lmdb_writemap(place const& where) {
    return std::make_unique<lmdb_engine>(where, MDB_WRITEMAP);
}

} // namespace bench
