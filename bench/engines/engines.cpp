// SPDX-License-Identifier: BSL-1.0
// bench/engines/engines.cpp: the list of engines. A new engine, or another mode of one, is a line.

#include "bench/engines/engines.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

namespace bench {

namespace {

using opener = std::unique_ptr<engine> (*)(place const&);

#if COPPICE_BENCH_LMDB
constexpr opener lmdb = open_lmdb;
constexpr opener lmdb_writemap = open_lmdb_writemap;
#else
constexpr opener lmdb = nullptr;
constexpr opener lmdb_writemap = nullptr;
#endif
#if COPPICE_BENCH_SQLITE
constexpr opener sqlite = open_sqlite;
#else
constexpr opener sqlite = nullptr;
#endif
#if COPPICE_BENCH_LEVELDB
constexpr opener leveldb = open_leveldb;
#else
constexpr opener leveldb = nullptr;
#endif
#if COPPICE_BENCH_ROCKSDB
constexpr opener rocksdb = open_rocksdb;
#else
constexpr opener rocksdb = nullptr;
#endif
#if COPPICE_BENCH_WIREDTIGER
constexpr opener wiredtiger = open_wiredtiger;
#else
constexpr opener wiredtiger = nullptr;
#endif

constexpr std::array<engine_entry, 7> engines = {{
    {"coppice", open_coppice, ""},
    {"lmdb", lmdb, "liblmdb-dev"},
    {"lmdb-writemap", lmdb_writemap, "liblmdb-dev"},
    {"sqlite", sqlite, "libsqlite3-dev"},
    {"leveldb", leveldb, "libleveldb-dev"},
    {"rocksdb", rocksdb, "librocksdb-dev"},
    {"wiredtiger", wiredtiger, "libwiredtiger-dev"},
}};

} // namespace

std::span<engine_entry const> all_engines() { return engines; }

engine_entry const& engine_named(std::string_view name) {
    auto const* const at = std::find_if(engines.begin(), engines.end(),
                                        [&](auto const& entry) { return entry.name == name; });
    if (at == engines.end()) throw std::runtime_error("no engine " + std::string(name));
    if (at->open == nullptr) {
        throw std::runtime_error(std::string(name) + " was not built in: it needs " +
                                 std::string(at->package));
    }
    return *at;
}

} // namespace bench
