// SPDX-License-Identifier: BSL-1.0
#pragma once
// bench/engines.hpp: one face for the engines that are compared.
// Owns: `engine`, and the adapters for coppice and LMDB, each in its usual, recommended form.
// Invariant: the same call does the same work in each, to the same durable end.

#include <coppice/coppice.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if COPPICE_BENCH_LMDB
#include <lmdb.h>
#endif

namespace bench {

using pair = std::pair<std::string, std::string>;

/// What every engine can do.
class engine {
  public:
    engine() = default;
    engine(engine const&) = delete;
    engine& operator=(engine const&) = delete;
    virtual ~engine() = default;

    /// Loads sorted pairs into an empty store, in the engine's best way, to a durable end.
    virtual void bulk_load(std::vector<pair> const& sorted) = 0;
    /// One durable commit of one pair.
    virtual void commit_one(std::string_view key, std::string_view value) = 0;
    /// Gets all keys on one snapshot. @return bytes of the values found
    virtual std::uint64_t get_all(std::vector<std::string_view> const& keys) = 0;
    /// Walks all pairs on one snapshot. @return bytes of keys and values
    virtual std::uint64_t scan() = 0;
};

/// coppice, with default options.
class coppice_engine final : public engine {
  public:
    explicit coppice_engine(std::string const& folder) : db_(folder + "/coppice.db") {}

    void bulk_load(std::vector<pair> const& sorted) override {
        db_.update([&](auto& txn) { txn.load(sorted); });
    }
    void commit_one(std::string_view key, std::string_view value) override {
        db_.update([&](auto& txn) { txn.put(key, value); });
    }
    std::uint64_t get_all(std::vector<std::string_view> const& keys) override {
        auto const now = db_.read();
        std::uint64_t sum = 0;
        for (auto const key : keys) sum += now.get(key).value().size();
        return sum;
    }
    std::uint64_t scan() override {
        std::uint64_t sum = 0;
        for (auto const [key, value] : db_.read()) sum += key.size() + value.size();
        return sum;
    }

  private:
    coppice::database db_;
};

#if COPPICE_BENCH_LMDB
/// LMDB, with its defaults (two syncs a commit, no write map).
class lmdb_engine final : public engine {
  public:
    explicit lmdb_engine(std::string const& folder) {
        expect(mdb_env_create(&env_));
        expect(mdb_env_set_mapsize(env_, std::size_t{4} << 30U));
        expect(mdb_env_open(env_, (folder + "/lmdb.db").c_str(), MDB_NOSUBDIR, 0664));
        MDB_txn* txn = begin(0);
        expect(mdb_dbi_open(txn, nullptr, 0, &dbi_));
        expect(mdb_txn_commit(txn));
    }
    ~lmdb_engine() override { mdb_env_close(env_); }

    void bulk_load(std::vector<pair> const& sorted) override {
        MDB_txn* txn = begin(0);
        for (auto const& [key, value] : sorted) put(txn, key, value, MDB_APPEND);
        expect(mdb_txn_commit(txn));
    }
    void commit_one(std::string_view key, std::string_view value) override {
        MDB_txn* txn = begin(0);
        put(txn, key, value, 0);
        expect(mdb_txn_commit(txn));
    }
    std::uint64_t get_all(std::vector<std::string_view> const& keys) override {
        MDB_txn* txn = begin(MDB_RDONLY);
        std::uint64_t sum = 0;
        for (auto const key : keys) {
            MDB_val k = value_of(key);
            MDB_val v;
            expect(mdb_get(txn, dbi_, &k, &v));
            sum += v.mv_size;
        }
        mdb_txn_abort(txn);
        return sum;
    }
    std::uint64_t scan() override {
        MDB_txn* txn = begin(MDB_RDONLY);
        MDB_cursor* cursor = nullptr;
        expect(mdb_cursor_open(txn, dbi_, &cursor));
        std::uint64_t sum = 0;
        MDB_val k;
        MDB_val v;
        while (mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0) sum += k.mv_size + v.mv_size;
        mdb_cursor_close(cursor);
        mdb_txn_abort(txn);
        return sum;
    }

  private:
    static void expect(int code) {
        if (code != 0) throw std::runtime_error(mdb_strerror(code));
    }
    [[nodiscard]] static MDB_val value_of(std::string_view text) {
        return {text.size(), const_cast<char*>(text.data())};
    }
    [[nodiscard]] MDB_txn* begin(unsigned flags) {
        MDB_txn* txn = nullptr;
        expect(mdb_txn_begin(env_, nullptr, flags, &txn));
        return txn;
    }
    void put(MDB_txn* txn, std::string_view key, std::string_view value, unsigned flags) {
        MDB_val k = value_of(key);
        MDB_val v = value_of(value);
        expect(mdb_put(txn, dbi_, &k, &v, flags));
    }

    MDB_env* env_ = nullptr;
    MDB_dbi dbi_ = 0;
};
#endif

} // namespace bench
