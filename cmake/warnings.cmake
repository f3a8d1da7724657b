# SPDX-License-Identifier: BSL-1.0
# The target coppice_dev (coppice::dev): coppice with every warning the project asks of itself.
# For the project's own tests, tools, examples and benchmarks; users get coppice::coppice.

add_library(coppice_dev INTERFACE)
add_library(coppice::dev ALIAS coppice_dev)
target_link_libraries(coppice_dev INTERFACE coppice::coppice)

target_compile_options(
  coppice_dev
  INTERFACE -Wall
            -Wextra
            -Wpedantic
            -Wconversion
            -Wsign-conversion
            -Wshadow
            -Wold-style-cast
            -Wnon-virtual-dtor
            -Woverloaded-virtual
            -Wcast-align
            -Werror
            $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond;-Wlogical-op>)

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 sees an overlap in `"text" + std::string` that is not there (GCC bug 105651).
  target_compile_options(coppice_dev INTERFACE -Wno-restrict)
  # At -O2 and above it follows paths through std::optional, std::string and std::vector that
  # cannot be taken (an empty optional that was just tested). clang and -O1 keep their warnings.
  target_compile_options(
    coppice_dev INTERFACE -Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow
                          -Wno-stringop-overread)
endif()

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND COPPICE_SANITIZE)
  # The checks that sanitizers put in are branches nobody wrote; GCC's flow analysis follows them
  # and warns about paths that do not exist. The build without sanitizers keeps the warning.
  target_compile_options(coppice_dev INTERFACE -Wno-maybe-uninitialized)
endif()

# Every header is compiled alone, with these warnings: target all_verify_interface_header_sets.
# The set is of this target, not of coppice, so that the compilations see the options above.
target_sources(
  coppice_dev
  INTERFACE FILE_SET HEADERS
            BASE_DIRS "${PROJECT_SOURCE_DIR}/include"
            FILES ${COPPICE_HEADERS})
set_target_properties(coppice_dev PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
