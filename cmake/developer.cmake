# SPDX-License-Identifier: BSL-1.0
# Everything that is built when coppice is built for its own sake.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")

if(NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(COPPICE_CCACHE ccache)
  mark_as_advanced(COPPICE_CCACHE)
  if(COPPICE_CCACHE)
    # The sloppiness is what ccache asks for before it caches users of a precompiled header.
    set(CMAKE_CXX_COMPILER_LAUNCHER
        "${CMAKE_COMMAND};-E;env;CCACHE_SLOPPINESS=pch_defines,time_macros;${COPPICE_CCACHE}")
  endif()
endif()

if(COPPICE_SANITIZE)
  add_compile_options(-fsanitize=${COPPICE_SANITIZE} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # What it writes before functions, clang 14 cannot assemble for coroutines.
    add_compile_options(-fno-sanitize=function)
  endif()
  add_link_options(-fsanitize=${COPPICE_SANITIZE})
endif()

# Files that are compiled together share the instances of the engine, which are half of the work
# where sanitizers or the optimiser have to look at them. Names of one file must not collide then.
function(coppice_batch target)
  if(COPPICE_BATCH GREATER 1)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE
                                                              ${COPPICE_BATCH})
  endif()
endfunction()

include(cmake/warnings.cmake)
enable_testing()

include(cmake/tools.cmake)
if(COPPICE_TESTS)
  include(cmake/tests.cmake)
endif()
if(COPPICE_FUZZ)
  include(cmake/fuzz.cmake)
endif()
if(COPPICE_BENCH)
  include(cmake/bench.cmake)
endif()

# One translation unit with every header, for clang-tidy; it is in compile_commands.json and
# built only when asked for.
set(COPPICE_ALL_INCLUDES "")
foreach(header IN LISTS COPPICE_HEADERS)
  file(RELATIVE_PATH name "${PROJECT_SOURCE_DIR}/include" "${header}")
  string(APPEND COPPICE_ALL_INCLUDES "#include <${name}>\n")
endforeach()
file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/all_headers.cpp" CONTENT "@COPPICE_ALL_INCLUDES@"
     @ONLY)
add_library(coppice_all_headers OBJECT EXCLUDE_FROM_ALL "${PROJECT_BINARY_DIR}/all_headers.cpp")
target_link_libraries(coppice_all_headers PRIVATE coppice::dev)
