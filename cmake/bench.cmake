# SPDX-License-Identifier: BSL-1.0
# bench/**.cpp becomes bin/coppice_bench, with every engine that is installed; bench/space.cpp
# becomes bin/coppice_space, bench/small_commits.cpp bin/coppice_small_commits, and bench/micro.cpp
# bin/coppice_micro where Google Benchmark is.

find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)

file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/bench/*.cpp")
list(REMOVE_ITEM sources "${PROJECT_SOURCE_DIR}/bench/micro.cpp"
     "${PROJECT_SOURCE_DIR}/bench/space.cpp" "${PROJECT_SOURCE_DIR}/bench/small_commits.cpp")

add_executable(coppice_bench)
target_include_directories(coppice_bench PRIVATE "${PROJECT_SOURCE_DIR}")
target_link_libraries(coppice_bench PRIVATE coppice::dev CLI11::CLI11 nlohmann_json::nlohmann_json)

# An engine is a header, a library, the adapter bench/engines/NAME.cpp, and the definition
# COPPICE_BENCH_<NAME>. Without the first two the adapter is left out.
function(coppice_bench_engine name header library)
  string(TOUPPER "${name}" upper)
  if(NOT EXISTS "${COPPICE_${upper}_LIBRARY}") # it may have gone since the last time
    unset(COPPICE_${upper}_INCLUDE_DIR CACHE)
    unset(COPPICE_${upper}_LIBRARY CACHE)
  endif()
  find_path(COPPICE_${upper}_INCLUDE_DIR "${header}")
  find_library(COPPICE_${upper}_LIBRARY "${library}")
  mark_as_advanced(COPPICE_${upper}_INCLUDE_DIR COPPICE_${upper}_LIBRARY)
  if(COPPICE_${upper}_INCLUDE_DIR AND COPPICE_${upper}_LIBRARY)
    target_include_directories(coppice_bench SYSTEM PRIVATE "${COPPICE_${upper}_INCLUDE_DIR}")
    target_link_libraries(coppice_bench PRIVATE "${COPPICE_${upper}_LIBRARY}")
    target_compile_definitions(coppice_bench PRIVATE COPPICE_BENCH_${upper}=1)
  else()
    message(STATUS "${name} was not found: the benchmarks go without it")
    target_compile_definitions(coppice_bench PRIVATE COPPICE_BENCH_${upper}=0)
    list(REMOVE_ITEM sources "${PROJECT_SOURCE_DIR}/bench/engines/${name}.cpp")
    set(sources "${sources}" PARENT_SCOPE)
  endif()
endfunction()

coppice_bench_engine(lmdb lmdb.h lmdb)
coppice_bench_engine(sqlite sqlite3.h sqlite3)
coppice_bench_engine(leveldb leveldb/db.h leveldb)
coppice_bench_engine(rocksdb rocksdb/db.h rocksdb)
coppice_bench_engine(wiredtiger wiredtiger.h wiredtiger)
target_sources(coppice_bench PRIVATE ${sources})

find_package(absl QUIET CONFIG)
if(TARGET absl::btree)
  target_link_libraries(coppice_bench PRIVATE absl::btree)
  target_compile_definitions(coppice_bench PRIVATE COPPICE_BENCH_ABSL=1)
else()
  message(STATUS "Abseil was not found: the floors go without absl::btree_map")
  target_compile_definitions(coppice_bench PRIVATE COPPICE_BENCH_ABSL=0)
endif()

add_executable(coppice_small_commits "${PROJECT_SOURCE_DIR}/bench/small_commits.cpp")
target_link_libraries(coppice_small_commits PRIVATE coppice::dev)
add_executable(coppice_space "${PROJECT_SOURCE_DIR}/bench/space.cpp"
                             "${PROJECT_SOURCE_DIR}/bench/data.cpp"
                             "${PROJECT_SOURCE_DIR}/bench/measure.cpp")
target_include_directories(coppice_space PRIVATE "${PROJECT_SOURCE_DIR}")
target_link_libraries(coppice_space PRIVATE coppice::dev CLI11::CLI11 nlohmann_json::nlohmann_json)

find_package(benchmark QUIET CONFIG)
if(TARGET benchmark::benchmark)
  add_executable(coppice_micro "${PROJECT_SOURCE_DIR}/bench/micro.cpp")
  target_link_libraries(coppice_micro PRIVATE coppice::dev benchmark::benchmark)
else()
  message(STATUS "Google Benchmark was not found: there is no coppice_micro")
endif()
