# SPDX-License-Identifier: BSL-1.0
# The tests: tests/**/*_test.cpp, one executable for each folder directly under tests/; the files
# directly in tests/ are the group "api". A new folder is a new group, with nothing to write here.
#   executable bin/<group>_tests, CTest names "<group>.<test case>", CTest label <group>

find_package(Catch2 2.13 REQUIRED)
find_package(rapidcheck REQUIRED)
find_package(nlohmann_json REQUIRED)
find_program(COPPICE_PYTHON python3 REQUIRED)
mark_as_advanced(COPPICE_PYTHON)
include(Catch)

# What every test sees: tests/support/ as <...>, the rest of the source tree as "tools/...", the
# libraries, and where things are. The definitions are the same for all, since all share one
# precompiled header.
add_library(coppice_test_support INTERFACE)
target_include_directories(coppice_test_support INTERFACE "${PROJECT_SOURCE_DIR}/tests/support"
                                                          "${PROJECT_SOURCE_DIR}")
target_link_libraries(coppice_test_support INTERFACE coppice::dev Catch2::Catch2 rapidcheck
                                                     nlohmann_json::nlohmann_json)
set(tool "")
if(TARGET coppice_tool)
  set(tool "$<TARGET_FILE:coppice_tool>")
endif()
target_compile_definitions(
  coppice_test_support INTERFACE "COPPICE_TEST_TOOL=\"${tool}\""
                                 "COPPICE_TEST_SOURCE_DIR=\"${PROJECT_SOURCE_DIR}\"")

# Catch's main, and the sources of tests/support/ if there are any.
file(GLOB support_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/support/*.cpp")
add_library(coppice_test_main OBJECT "${PROJECT_SOURCE_DIR}/tests/main.cpp" ${support_sources})
target_link_libraries(coppice_test_main PUBLIC coppice_test_support)

# The precompiled header of all groups; it is made once. It belongs to a library of its own, since
# Catch's main is compiled by defining a macro before Catch's header is first seen.
file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/precompiled.cpp" CONTENT "")
add_library(coppice_test_precompiled OBJECT "${PROJECT_BINARY_DIR}/precompiled.cpp")
target_link_libraries(coppice_test_precompiled PRIVATE coppice_test_support)
target_precompile_headers(coppice_test_precompiled PRIVATE <catch2/catch.hpp> <rapidcheck.h>
                          <rapidcheck/state.h> <string> <string_view> <vector> <map> <thread>)

file(GLOB_RECURSE test_sources CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}/tests"
     "${PROJECT_SOURCE_DIR}/tests/*_test.cpp")
list(FILTER test_sources EXCLUDE REGEX "^consumer/")
set(groups "")
foreach(source IN LISTS test_sources)
  set(group api)
  if(source MATCHES "^([^/]+)/")
    set(group "${CMAKE_MATCH_1}")
  endif()
  list(APPEND groups "${group}")
  list(APPEND group_${group}_sources "${PROJECT_SOURCE_DIR}/tests/${source}")
endforeach()
list(REMOVE_DUPLICATES groups)

foreach(group IN LISTS groups)
  add_executable(${group}_tests ${group_${group}_sources})
  target_link_libraries(${group}_tests PRIVATE coppice_test_main)
  target_precompile_headers(${group}_tests REUSE_FROM coppice_test_precompiled)
  # The units of abi are there to be compiled differently.
  if(NOT group STREQUAL "abi")
    coppice_batch(${group}_tests)
  endif()
  if(TARGET coppice_tool)
    add_dependencies(${group}_tests coppice_tool)
  endif()
  # A name that is cut in two on its way through CMake (at a semicolon) must not pass as no test.
  catch_discover_tests(${group}_tests TEST_PREFIX "${group}." EXTRA_ARGS -w NoTests
                       PROPERTIES LABELS ${group} TIMEOUT ${COPPICE_TEST_TIMEOUT})
endforeach()

# Two shared libraries with a hidden copy of coppice each, which one test loads. GCC would make the
# state in inline functions one in the whole process, wherever it is: that is what is not to be.
foreach(copy IN ITEMS one two)
  add_library(second_copy_${copy} MODULE "${PROJECT_SOURCE_DIR}/tests/second_copy/library.cpp")
  target_link_libraries(second_copy_${copy} PRIVATE coppice::dev)
  target_compile_options(
    second_copy_${copy} PRIVATE -fvisibility=hidden -fvisibility-inlines-hidden
                                $<$<CXX_COMPILER_ID:GNU>:-fno-gnu-unique>)
  add_dependencies(second_copy_tests second_copy_${copy})
  string(TOUPPER "${copy}" name)
  set_property(
    SOURCE "${PROJECT_SOURCE_DIR}/tests/second_copy/second_copy_test.cpp" APPEND
    PROPERTY COMPILE_DEFINITIONS "COPPICE_TEST_COPY_${name}=\"$<TARGET_FILE:second_copy_${copy}>\"")
endforeach()
target_link_libraries(second_copy_tests PRIVATE ${CMAKE_DL_LIBS})

# ---- simulated crashes -------------------------------------------------------------------------

# bin/coppice_crash is what ./dev crash runs; tests run a smaller amount. It is optimised also where
# the other tests are not, since it counts its work in millions.
find_package(CLI11 REQUIRED)
find_package(Threads REQUIRED)
add_executable(coppice_crash "${PROJECT_SOURCE_DIR}/tests/crash/explorer/main.cpp")
target_link_libraries(coppice_crash PRIVATE coppice_test_support CLI11::CLI11 Threads::Threads)
target_compile_options(coppice_crash PRIVATE -O2)
if(COPPICE_SANITIZE)
  set(exhaustive_arguments --transactions 2 --shard 0 --shards 4)
  set(random_arguments --histories 300)
else()
  set(exhaustive_arguments "")
  set(random_arguments --histories 3000)
endif()
add_test(NAME crash.exhaustive COMMAND coppice_crash exhaustive ${exhaustive_arguments})
add_test(NAME crash.random COMMAND coppice_crash random ${random_arguments})
set_tests_properties(crash.exhaustive crash.random PROPERTIES LABELS crash PROCESSORS 2 TIMEOUT
                                                              ${COPPICE_TEST_TIMEOUT})

# ---- real processes, real system calls ----------------------------------------------------------

# What the drivers in tests/faults/ disturb. ./dev faults runs them at full length.
add_executable(coppice_fault_worker "${PROJECT_SOURCE_DIR}/tests/faults/worker.cpp")
target_link_libraries(coppice_fault_worker PRIVATE coppice_test_support)
foreach(driver IN ITEMS fault_matrix random_kills full_disk power_cuts)
  set(arguments "")
  if(COPPICE_SANITIZE AND NOT driver STREQUAL "random_kills")
    set(arguments --skip "a sanitizer makes system calls and needs memory of its own")
  elseif(COPPICE_SANITIZE)
    set(arguments --kills 40 --pause 0.1)
  elseif(driver STREQUAL "fault_matrix")
    set(arguments --sample 900)
  elseif(driver STREQUAL "power_cuts")
    set(arguments --cuts 4)
  endif()
  add_test(NAME faults.${driver}
           COMMAND "${COPPICE_PYTHON}" -B "${PROJECT_SOURCE_DIR}/tests/faults/${driver}.py"
                   "$<TARGET_FILE:coppice_fault_worker>" ${arguments})
  set_tests_properties(faults.${driver} PROPERTIES LABELS faults TIMEOUT ${COPPICE_TEST_TIMEOUT})
endforeach()
set_tests_properties(faults.fault_matrix PROPERTIES PROCESSORS 2)

# A disk that remembers what file systems do to it, where there is libfuse.
# The default run ends after half a minute: a busy machine may take seconds for each mount.
add_custom_target(coppice_faults)
add_dependencies(coppice_faults coppice_fault_worker)
find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(fuse3 QUIET IMPORTED_TARGET fuse3)
endif()
if(fuse3_FOUND)
  add_executable(coppice_block_log "${PROJECT_SOURCE_DIR}/tests/faults/block_log.cpp")
  target_link_libraries(coppice_block_log PRIVATE coppice::dev PkgConfig::fuse3)
  add_dependencies(coppice_faults coppice_block_log)
endif()
set(arguments --states 20 --commits 30 --only ext4 --minutes 0.5)
if(COPPICE_SANITIZE)
  set(arguments --skip "a sanitizer makes system calls and needs memory of its own")
endif()
add_test(NAME faults.block_states
         COMMAND "${COPPICE_PYTHON}" -B "${PROJECT_SOURCE_DIR}/tests/faults/block_states.py"
                 "$<TARGET_FILE:coppice_fault_worker>"
                 "$<TARGET_FILE_DIR:coppice_fault_worker>/coppice_block_log" ${arguments})
set_tests_properties(faults.block_states PROPERTIES LABELS faults TIMEOUT ${COPPICE_TEST_TIMEOUT})

# ---- tests of the source tree ----------------------------------------------------------------

set(tidy_test "${PROJECT_SOURCE_DIR}/tests/tidy_test.py")
add_test(NAME tidy.sources COMMAND "${COPPICE_PYTHON}" -B "${tidy_test}")
add_test(NAME tidy.self_test COMMAND "${COPPICE_PYTHON}" -B "${tidy_test}" --self-test)
add_test(NAME tidy.readme COMMAND "${COPPICE_PYTHON}" -B
                                  "${PROJECT_SOURCE_DIR}/tests/readme_test.py")
add_test(NAME tidy.ancestors COMMAND "${COPPICE_PYTHON}" -B
                                     "${PROJECT_SOURCE_DIR}/tests/ancestors_test.py")
add_test(NAME tidy.planted COMMAND "${COPPICE_PYTHON}" -B
                                   "${PROJECT_SOURCE_DIR}/tests/crash/planted/plant.py" --check)
add_test(NAME tidy.planted_fuzz COMMAND "${COPPICE_PYTHON}" -B
                                        "${PROJECT_SOURCE_DIR}/fuzz/planted.py" --check)
set_tests_properties(tidy.sources tidy.self_test tidy.readme tidy.ancestors tidy.planted
                     tidy.planted_fuzz PROPERTIES LABELS tidy TIMEOUT 60)

# ---- the fuzz bodies over their corpora, with any compiler ------------------------------------

# Each fuzz/X.cpp has its body in fuzz/X.hpp, the function fuzz_X, and beside it fuzz_X_cuts, the
# number of shortened forms of each input to try; its inputs are fuzz/corpus/X/. Where there is
# fuzz_X_text, `fuzz_replay X --print INPUT` prints what an input does.
file(GLOB fuzz_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/fuzz/*.cpp")
set(COPPICE_REPLAY_INCLUDES "")
set(COPPICE_REPLAY_TABLE "")
set(fuzz_names "")
foreach(source IN LISTS fuzz_sources)
  cmake_path(GET source STEM name)
  list(APPEND fuzz_names "${name}")
  string(APPEND COPPICE_REPLAY_INCLUDES "#include \"fuzz/${name}.hpp\"\n")
  file(STRINGS "${PROJECT_SOURCE_DIR}/fuzz/${name}.hpp" text REGEX "fuzz_${name}_text")
  set(text_function nullptr)
  if(text)
    set(text_function "&fuzz_${name}_text")
  endif()
  string(APPEND COPPICE_REPLAY_TABLE
         "    {\"${name}\", &fuzz_${name}, fuzz_${name}_cuts, ${text_function}},\n")
endforeach()
if(fuzz_names)
  configure_file("${PROJECT_SOURCE_DIR}/cmake/replay.cpp.in" "${PROJECT_BINARY_DIR}/replay.cpp"
                 @ONLY)
  add_executable(fuzz_replay "${PROJECT_BINARY_DIR}/replay.cpp")
  target_include_directories(fuzz_replay PRIVATE "${PROJECT_SOURCE_DIR}"
                                                 "${PROJECT_SOURCE_DIR}/tests/support")
  target_link_libraries(fuzz_replay PRIVATE coppice::dev)
  foreach(name IN LISTS fuzz_names)
    add_test(NAME fuzz.replay.${name} COMMAND fuzz_replay ${name}
                                              "${PROJECT_SOURCE_DIR}/fuzz/corpus/${name}")
    set_tests_properties(fuzz.replay.${name} PROPERTIES LABELS fuzz TIMEOUT
                                                        ${COPPICE_TEST_TIMEOUT})
  endforeach()
endif()
