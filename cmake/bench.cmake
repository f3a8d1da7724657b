# SPDX-License-Identifier: BSL-1.0
# bench/*.cpp becomes bin/coppice_bench; COPPICE_BENCH_LMDB is 1 where LMDB is there to compare.

file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/bench/*.cpp")
if(sources)
  add_executable(coppice_bench ${sources})
  target_link_libraries(coppice_bench PRIVATE coppice::dev)

  find_path(COPPICE_LMDB_INCLUDE_DIR lmdb.h)
  find_library(COPPICE_LMDB_LIBRARY lmdb)
  mark_as_advanced(COPPICE_LMDB_INCLUDE_DIR COPPICE_LMDB_LIBRARY)
  if(COPPICE_LMDB_INCLUDE_DIR AND COPPICE_LMDB_LIBRARY)
    target_include_directories(coppice_bench SYSTEM PRIVATE "${COPPICE_LMDB_INCLUDE_DIR}")
    target_link_libraries(coppice_bench PRIVATE "${COPPICE_LMDB_LIBRARY}")
    target_compile_definitions(coppice_bench PRIVATE COPPICE_BENCH_LMDB=1)
  else()
    message(STATUS "LMDB was not found: the benchmarks measure coppice alone")
    target_compile_definitions(coppice_bench PRIVATE COPPICE_BENCH_LMDB=0)
  endif()
endif()
