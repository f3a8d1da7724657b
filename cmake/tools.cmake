# SPDX-License-Identifier: BSL-1.0
# The coppice tool (tools/coppice/**.cpp) and the examples.

if(COPPICE_TOOLS)
  file(GLOB_RECURSE COPPICE_TOOL_SOURCES CONFIGURE_DEPENDS
       "${PROJECT_SOURCE_DIR}/tools/coppice/*.cpp")
  if(COPPICE_TOOL_SOURCES)
    find_package(CLI11 REQUIRED)
    find_package(nlohmann_json REQUIRED)
    add_executable(coppice_tool ${COPPICE_TOOL_SOURCES})
    set_target_properties(coppice_tool PROPERTIES OUTPUT_NAME coppice)
    target_include_directories(coppice_tool PRIVATE "${PROJECT_SOURCE_DIR}")
    target_link_libraries(coppice_tool PRIVATE coppice::dev CLI11::CLI11
                                               nlohmann_json::nlohmann_json)
    coppice_batch(coppice_tool)
  endif()
endif()

# Each examples/X.cpp is the program X and the test example.X, run in a directory of its own.
if(COPPICE_EXAMPLES)
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/examples/*.cpp")
  foreach(source IN LISTS sources)
    cmake_path(GET source STEM name)
    add_executable(example_${name} "${source}")
    set_target_properties(example_${name} PROPERTIES OUTPUT_NAME ${name})
    target_link_libraries(example_${name} PRIVATE coppice::dev)
    add_test(NAME example.${name} COMMAND "${PROJECT_SOURCE_DIR}/cmake/run_in_temp.sh"
                                          $<TARGET_FILE:example_${name}>)
    set_tests_properties(example.${name} PROPERTIES LABELS examples TIMEOUT
                                                    ${COPPICE_TEST_TIMEOUT})
  endforeach()

  # The demonstration takes the build directory as its argument.
  if(EXISTS "${PROJECT_SOURCE_DIR}/examples/demo.sh" AND TARGET coppice_tool)
    add_test(NAME example.demo
             COMMAND "${PROJECT_SOURCE_DIR}/cmake/run_in_temp.sh" bash
                     "${PROJECT_SOURCE_DIR}/examples/demo.sh" "${PROJECT_BINARY_DIR}")
    set_tests_properties(example.demo PROPERTIES LABELS examples TIMEOUT ${COPPICE_TEST_TIMEOUT})
  endif()
endif()
