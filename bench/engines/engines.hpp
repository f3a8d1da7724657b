// SPDX-License-Identifier: BSL-1.0
#pragma once
// bench/engines/engines.hpp: how each adapter is opened.
// Owns: one declaration for each file beside it. cmake/bench.cmake compiles those whose package
//   was found and sets COPPICE_BENCH_<ENGINE> to 1 for them.

#include "bench/engine.hpp"

#include <memory>

namespace bench {

std::unique_ptr<engine> open_coppice(place const& where);
/// A database that lives in memory alone.
std::unique_ptr<engine> open_coppice_in_memory();
std::unique_ptr<engine> open_lmdb(place const& where);
std::unique_ptr<engine> open_lmdb_writemap(place const& where);
std::unique_ptr<engine> open_sqlite(place const& where);
std::unique_ptr<engine> open_leveldb(place const& where);
std::unique_ptr<engine> open_rocksdb(place const& where);
std::unique_ptr<engine> open_wiredtiger(place const& where);

} // namespace bench
