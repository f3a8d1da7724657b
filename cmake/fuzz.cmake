# SPDX-License-Identifier: BSL-1.0
# Each fuzz/X.cpp becomes the libFuzzer program bin/fuzz_X.

if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  message(FATAL_ERROR "COPPICE_FUZZ needs clang: libFuzzer is a part of it (preset fuzz)")
endif()

file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/fuzz/*.cpp")
foreach(source IN LISTS sources)
  cmake_path(GET source STEM name)
  add_executable(fuzz_${name} "${source}")
  target_include_directories(fuzz_${name} PRIVATE "${PROJECT_SOURCE_DIR}"
                                                  "${PROJECT_SOURCE_DIR}/tests/support")
  target_link_libraries(fuzz_${name} PRIVATE coppice::dev)
  target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer,address,undefined
                                              -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer,address,undefined)
endforeach()
